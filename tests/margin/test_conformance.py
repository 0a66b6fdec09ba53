"""The entry exam: what every registered model must keep. One test is one rule.

A model is excused from a rule by an entry (rule, reason) in its ``exemptions``, where the rule
is the name of the test without ``test_``. It sits the exam on what it lists.
"""

from dataclasses import replace

import numpy as np
import pytest

from plimsoll.book import Book, clone_account, take_pools
from plimsoll.core import Status
from plimsoll.margin import (
    MODELS,
    Assessment,
    Model,
    ModelSet,
    assess,
    explain,
    lay_out,
    load_models,
)
from plimsoll.market import Market, PriceBoard
from tests.book.builders import T0, fold, observe, open_book
from tests.margin.exam_books import (
    DESK,
    RULES,
    TABLE,
    ExamBook,
    choice_of,
    draw_prices,
    exam_book,
    listing_of,
    models_of,
    with_vols,
)

FIGURES = ("equity", "collateral_value", "initial_margin", "maintenance_margin")
SYSTEM = 5


@pytest.fixture(params=MODELS, ids=lambda model: model.name)
def model(request) -> Model:
    return request.param


@pytest.fixture(autouse=True)
def excuse(request, model: Model) -> None:
    """Skips a rule that the model's own data excuses it from, with the reason given there."""
    rule = request.node.originalname.removeprefix("test_")
    reason = dict(model.exemptions).get(rule)
    if reason:
        pytest.skip(f"{model.name} is exempt from {rule}: {reason}")


@pytest.fixture
def crowd(model: Model) -> ExamBook:
    return exam_book(model, 150)


@pytest.fixture
def models(model: Model) -> ModelSet:
    return models_of(model)


def test_a_model_lists_something(model: Model) -> None:
    listing = listing_of(model)
    assert len(listing.contracts) >= 2 or len(listing.assets) >= 3
    assert listing.assets


def bits(result: Assessment, pools: np.ndarray) -> bytes:
    """Every figure of some pools, to the last bit."""
    columns = [result.status, *(getattr(result, name) for name in FIGURES)]
    columns += [column for c in result.charges for column in (c.initial, c.maintenance)]
    return b"".join(column[pools].tobytes() for column in columns)


def user_pools(book: Book) -> np.ndarray:
    return np.arange(SYSTEM, book.pool_count)


def test_an_exemption_names_a_rule_and_a_reason(model: Model) -> None:
    for rule, reason in model.exemptions:
        assert f"test_{rule}" in globals()
        assert reason.strip()


def test_an_empty_account_needs_nothing(models: ModelSet, crowd: ExamBook) -> None:
    result = assess(open_book(TABLE, "alice"), crowd.market, models)
    assert result.status.tolist() == [Status.OK] * (SYSTEM + 1)
    for name in (*FIGURES, "excess_margin", "margin_ratio"):
        assert getattr(result, name).tolist() == [0.0] * (SYSTEM + 1)


def test_the_system_is_not_margined(models: ModelSet, crowd: ExamBook) -> None:
    result = assess(crowd.book, crowd.market, models)
    assert set(result.status[:SYSTEM]) == {Status.OK}
    assert not any(getattr(result, name)[:SYSTEM].any() for name in FIGURES)


def test_initial_covers_maintenance(models: ModelSet, crowd: ExamBook) -> None:
    result = assess(crowd.book, crowd.market, models)
    # Where both rates are capped at 1 the two are equal, but for the rounding of their lines.
    rounding = 1 - 1e-15 * len(result.charges)
    assert np.all(result.initial_margin >= result.maintenance_margin * rounding)
    assert np.all(result.maintenance_margin >= 0)
    assert np.count_nonzero(result.maintenance_margin) > 80


def test_no_figure_of_a_sound_market_is_nan(models: ModelSet, crowd: ExamBook) -> None:
    result = assess(crowd.book, crowd.market, models)
    assert Status.UNKNOWN not in result.status
    assert all(np.isfinite(getattr(result, name)).all() for name in FIGURES)
    assert not np.isnan(result.margin_ratio).any()


def test_charges_add_up_exactly(models: ModelSet, crowd: ExamBook) -> None:
    result = assess(crowd.book, crowd.market, models)
    initial, maintenance = 0.0, 0.0
    for charge in result.charges:
        assert np.all(charge.initial >= 0)
        assert np.all(charge.maintenance >= 0)
        initial, maintenance = initial + charge.initial, maintenance + charge.maintenance
    assert np.array_equal(initial, result.initial_margin)
    assert np.array_equal(maintenance, result.maintenance_margin)


def test_order_of_accounts_changes_no_bit(models: ModelSet, crowd: ExamBook) -> None:
    order = np.random.default_rng(1).permutation(user_pools(crowd.book))
    shuffled = take_pools(crowd.book, np.concatenate([np.arange(SYSTEM), order]))
    expected = bits(assess(crowd.book, crowd.market, models), order)
    assert bits(assess(shuffled, crowd.market, models), user_pools(shuffled)) == expected


def test_an_account_alone_equals_itself_among_many(models: ModelSet, crowd: ExamBook) -> None:
    many = take_pools(
        crowd.book, np.concatenate([np.arange(SYSTEM), np.tile(user_pools(crowd.book), 200)])
    )
    among = assess(many, crowd.market, models)
    last = many.pool_count - user_pools(crowd.book).size - SYSTEM
    for name in crowd.book.account_ids:
        alone = clone_account(crowd.book, name)
        pools = crowd.book.pools_of(crowd.book.find_account(name, ""))
        expected = bits(assess(alone, crowd.market, models), user_pools(alone))
        assert bits(among, pools) == expected
        assert bits(among, pools + last) == expected


def test_rows_of_nothing_are_inert(models: ModelSet, crowd: ExamBook) -> None:
    """In and out again at one price leaves rows of zero, here of a contract without a price."""
    pools = user_pools(crowd.book)
    trades = [
        DESK.trade(int(pool), "DEAD/USDT:USDT", quantity, "2")
        for pool in pools
        for quantity in ("10", "-10")
    ]
    touched = fold(crowd.book, trades=trades)
    assert touched.positions.instrument.size > crowd.book.positions.instrument.size
    expected = bits(assess(crowd.book, crowd.market, models), pools)
    assert bits(assess(touched, crowd.market, models), pools) == expected


def test_an_earlier_plan_brought_up_to_date_changes_no_bit(
    model: Model, models: ModelSet, crowd: ExamBook
) -> None:
    plan = lay_out(crowd.book)
    listing = listing_of(model)
    book = fold(
        crowd.book,
        trades=[DESK.trade(7, s, "3", "150") for s in listing.contracts[:1]],
        transfers=[DESK.deposit(9, listing.assets[-1], "5")],
        orders=[DESK.order(11, 7, s, "3", "2500") for s in listing.contracts[1:2]],
    )
    updated = assess(book, crowd.market, models, lay_out(book, plan))
    fresh = assess(book, crowd.market, models)
    assert bits(updated, user_pools(book)) == bits(fresh, user_pools(book))


# What the board sees of a price, as factors of the right one, how old that is, what it is called.
DEFECTS = {
    "missing": ((), 0, "is missing"),
    "stale": ((1.0,), RULES.age_ns_max + 1, "is stale"),
    "nan": ((1.0, np.nan), 0, "is not a finite number"),
    "infinite": ((np.inf,), 0, "is not a finite number"),
    "negative": ((1.0, -1.0), 0, "is not positive"),
    "zero": ((0.0,), 0, "is not positive"),
    "jumped": ((1.0, 10.0), 0, "jumped and is not confirmed yet"),
}


def needy_book(model: Model) -> Book:
    """One account with some of everything the model lists, one with nothing but cash."""
    book = open_book(TABLE, "needy", "plain", models=(choice_of(model),))
    listing = listing_of(model)
    owed = next((a for a in ("SOL", "USDC") if a in listing.debts), "")
    return fold(
        book,
        trades=[
            DESK.trade(5, s, "-2" if "#short" in s or n % 3 == 1 else "2", "0.5")
            for n, s in enumerate(listing.contracts)
        ],
        orders=[DESK.order(5, 1, s, "5", "0.5") for s in listing.contracts[:1]],
        transfers=[DESK.deposit(5, asset, "-100" if asset == owed else "20000")
                   for asset in dict.fromkeys((*listing.assets, *([owed] if owed else [])))]
        + [DESK.deposit(6, listing_of(model).funding, "100")],
    )  # fmt: skip


def needed(model: Model) -> tuple[str, ...]:
    """Every price that the needy account depends on and the plain one does not."""
    listing = listing_of(model)
    return (
        *listing.contracts,
        *(a for a in listing.assets if a not in ("USD", listing_of(model).funding)),
    )


def broken_market(name: str, defect: str) -> Market:
    """A market whose prices are all sound but one."""
    factors, age_ns, _ = DEFECTS[defect]
    prices = draw_prices(np.random.default_rng(3))
    right = prices.pop(name)
    board = observe(PriceBoard.empty(TABLE, ("test",)), prices, T0, RULES)
    for factor in factors:
        board = observe(board, {name: right * factor}, T0 - age_ns, RULES)
    return with_vols(board.market(T0, RULES))


@pytest.mark.parametrize("defect", DEFECTS)
def test_an_unusable_price_is_unknown_and_says_why(
    model: Model, models: ModelSet, defect: str
) -> None:
    book = needy_book(model)
    for name in needed(model):
        market = broken_market(name, defect)
        needy, plain = assess(book, market, models).status[SYSTEM:]
        assert (name, needy, plain) == (name, Status.UNKNOWN, Status.OK)
        (explanation,) = explain(book, market, models, "needy")
        what = f"mark price of {name}" if "/" in name else f"index price of {name}"
        assert explanation.status == Status.UNKNOWN
        assert explanation.reasons[0].startswith(f"{what} {DEFECTS[defect][2]}")


def test_a_price_that_nobody_needs_may_be_missing(model: Model, models: ModelSet) -> None:
    """So that the test above fails for the price alone."""
    market = broken_market("BTC/USDT", "missing")
    assert assess(needy_book(model), market, models).status[SYSTEM] != Status.UNKNOWN


def test_two_models_in_one_book_equal_two_books(model: Model, crowd: ExamBook) -> None:
    strict = {"margin_call_clear_ratio": 0.01, "margin_call_ratio": 0.02}
    choices = (choice_of(model), choice_of(model, strict))
    owner = (np.arange(len(crowd.book.account_ids)) % 2).astype(np.int32)
    mixed = replace(crowd.book, models=choices, account_model=owner)
    together = assess(mixed, crowd.market, load_models(TABLE, choices, T0))
    pools = user_pools(mixed)
    for k, choice in enumerate(choices):
        apart = assess(crowd.book, crowd.market, load_models(TABLE, (choice,), T0))
        mine = pools[owner[mixed.pool_account[pools]] == k]
        assert bits(together, mine) == bits(apart, mine)
        assert (Status.MARGIN_CALL in together.status[mine]) or k == 0
    assert bits(together, np.arange(SYSTEM)) == bits(apart, np.arange(SYSTEM))


@pytest.mark.parametrize("amount", ["0.000001", "1000", "30000000", "1000000000"])
def test_more_collateral_never_worsens(
    model: Model, models: ModelSet, crowd: ExamBook, amount: str
) -> None:
    pools, asset = user_pools(crowd.book), listing_of(model).funding
    richer = fold(crowd.book, transfers=[DESK.deposit(int(pool), asset, amount) for pool in pools])
    before = assess(crowd.book, crowd.market, models)
    after = assess(richer, crowd.market, models)
    assert np.all(after.status <= before.status)
    # Haircuts are differences of rounded products, so the last bits may move either way.
    slack = 1e-12 * (np.abs(before.equity) + float(amount))
    assert np.all(after.excess_margin >= before.excess_margin - slack)
    assert np.any(after.excess_margin > before.excess_margin)


def test_twice_the_book_is_twice_the_equity_and_no_cheaper(
    models: ModelSet, crowd: ExamBook
) -> None:
    book = crowd.book
    twice = replace(
        book,
        positions=replace(
            book.positions, quantity=book.positions.quantity * 2, cost=book.positions.cost * 2
        ),
        balances=replace(book.balances, amount=book.balances.amount * 2),
        orders=replace(book.orders, quantity=book.orders.quantity * 2),
    )
    one, two = assess(book, crowd.market, models), assess(twice, crowd.market, models)
    assert np.array_equal(two.equity, 2 * one.equity)
    rounding = 1 - 1e-12
    assert np.all(two.initial_margin >= 2 * one.initial_margin * rounding)
    assert np.all(two.maintenance_margin >= 2 * one.maintenance_margin * rounding)
