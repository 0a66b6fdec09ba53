"""One round of liquidation, by hand: what is cancelled, closed, taken over, repaid or let go."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from plimsoll.book import Book, PoolState, SystemPool, digest_book, take_pools
from plimsoll.core import Status
from plimsoll.engine import load_rules
from plimsoll.ledger import TradeReason, apply, conservation_residual
from plimsoll.liquidation import Plan, plan
from plimsoll.margin import Assessment, assess
from plimsoll.market import Market, Quality
from tests.book.builders import T0, Desk, balances_of, fold, market_of, positions_of, table_of
from tests.engine.world import (
    DESK,
    HOUSE,
    RULES,
    SANITY,
    TABLE,
    house_book,
    prices_of,
    scene_at,
    set_states,
)

BTC, FUTURE, ETH = "BTC/USDT:USDT", "BTC/USDT:USDT-261225", "ETH/USDT:USDT"
INVERSE, ETH_INVERSE, QUANTO = "BTC/USD:BTC", "ETH/USD:ETH", "ETH/USD:BTC"
POOL = len(SystemPool)
FUND = int(SystemPool.INSURANCE_FUND)
D = Decimal


def market_at(prices: dict[str, float]) -> Market:
    marks = {name: price for name, price in prices.items() if "/" in name}
    return market_of(TABLE, marks, {k: v for k, v in prices.items() if k not in marks})


def judge(book: Book, market: Market, pools: np.ndarray) -> Assessment:
    return assess(take_pools(book, pools), market, RULES.models)


def play_round(book: Book, prices: dict[str, float]) -> tuple[Book, Plan]:
    """One round over every pool of the book, the system's included."""
    market, pools = market_at(prices), np.arange(book.pool_count)
    found = plan(book, pools, judge(book, market, pools), scene_at(book, market))
    later = replace(found.batch, time_ns=max(found.batch.time_ns, book.time_ns))
    after = apply(book, later)
    assert set(conservation_residual(after)) == {0}
    return after, found


def settled(book: Book, prices: dict[str, float]) -> Book:
    """The book after as many rounds as there is anything to do."""
    for _ in range(20):
        book, found = play_round(book, prices)
        if not found.batch.event_count:
            return book
    raise AssertionError("the rounds do not end")


def account(
    deposits: dict[str, str],
    positions: dict[str, tuple[str, str]],
    state: PoolState = PoolState.NORMAL,
) -> Book:
    """One account: deposits by asset, (quantity, entry price) by symbol."""
    book = fold(
        house_book("a"),
        transfers=[DESK.deposit(POOL, asset, amount) for asset, amount in deposits.items()],
        trades=[DESK.trade(POOL, symbol, *row) for symbol, row in positions.items()],
    )
    return book if state == PoolState.NORMAL else set_states(book, (POOL, state))


def ratio_of(book: Book, prices: dict[str, float], pool: int = POOL) -> float:
    return float(judge(book, market_at(prices), np.array([pool])).margin_ratio[0])


def equity_of_fund(book: Book, prices: dict[str, float]) -> Fraction:
    """USD: balances at index, and positions at mark less cost; written out, in fractions."""
    exact = {name: Fraction(str(price)) for name, price in prices.items()} | {"USD": Fraction(1)}
    total = sum(Fraction(v) * exact[asset] for asset, v in balances_of(book, FUND).items())
    for symbol, (quantity, cost) in positions_of(book, FUND).items():
        row = TABLE.rows[TABLE.find(symbol, "")]
        size = Fraction(quantity) * Fraction(row.contract_multiplier)
        value = -size / exact[symbol] if row.settle == row.base else size * exact[symbol]
        total += (value - Fraction(cost)) * exact[row.settle]
    return total


# -- when it begins and when it ends ---------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "deposit", "ratio", "begins", "ends", "closes"),
    [
        # 1 BTC at 9,000: maintenance 900, so the deposit alone sets the ratio.
        (PoolState.NORMAL, "947.37", 0.95, False, False, False),
        (PoolState.NORMAL, "900.01", 0.99999, False, False, False),
        (PoolState.NORMAL, "900", 1.0, True, False, True),
        (PoolState.NORMAL, "800", 1.125, True, False, True),
        (PoolState.CALLED, "947.37", 0.95, False, False, False),
        (PoolState.CALLED, "899.99", 1.00001, True, False, True),
        (PoolState.LIQUIDATING, "899.99", 1.00001, False, False, True),
        (PoolState.LIQUIDATING, "947.37", 0.95, False, False, True),
        (PoolState.LIQUIDATING, "999.99", 0.90001, False, False, True),
        (PoolState.LIQUIDATING, "1000", 0.9, False, True, False),
        (PoolState.LIQUIDATING, "2000", 0.45, False, True, False),
    ],
)
def test_hysteresis(
    state: PoolState, deposit: str, ratio: float, begins: bool, ends: bool, closes: bool
) -> None:
    book, prices = account({"USDT": deposit}, {BTC: ("1", "9000")}, state), prices_of(9000, 500)
    assert ratio_of(book, prices) == pytest.approx(ratio, rel=1e-5)
    after, found = play_round(book, prices)
    assert found.begun.tolist() == [POOL] * begins
    assert found.released.tolist() == [POOL] * ends
    assert (positions_of(after, POOL)[BTC][0] < 1) == closes
    expected = PoolState.LIQUIDATING if closes else PoolState.NORMAL if ends else state
    assert after.pool_state[POOL] == expected


def test_orders_go_at_once_and_only_those_of_the_pool_in_procedure() -> None:
    book = fold(
        house_book("sick", "well"),
        orders=[
            DESK.order(5, 1, BTC, "0.1", "8000"),
            DESK.order(5, 2, ETH, "-3", "600", reduces=True),
            DESK.order(6, 1, BTC, "0.1", "8000"),
        ],
        trades=[DESK.trade(5, BTC, "1", "9000"), DESK.trade(6, BTC, "1", "9000")],
        transfers=[DESK.deposit(5, "USDT", "899"), DESK.deposit(6, "USDT", "5000")],
    )
    after, found = play_round(book, prices_of(9000, 500))
    assert [*zip(found.batch.cancels.pool, found.batch.cancels.order_id, strict=True)] == [
        (5, 1),
        (5, 2),
    ]
    assert np.diff(after.orders.offsets)[5:].tolist() == [0, 1]


# -- how much is closed ----------------------------------------------------------------------

# 10 BTC at 10,000: notional 100,000, maintenance 10,000. Closing all costs 0.1 % slippage and
# 0.05 % fee, 150, and 0.3 % liquidation fee, 300. The share s leaves (1 - s) * 10,000 against a
# collateral of C - s * 450, so s = (10,000 - 0.9 C) / (10,000 - 0.9 * 450).
SHARES = [
    ("10000", 1),
    ("8979", 1),
    ("8978", 2),
    ("6847", 2),
    ("6846", 3),
    ("4715", 3),
    ("4714", 4),
    ("2583", 4),
    ("2581", 5),
    ("451", 5),
]


@pytest.mark.parametrize(("deposit", "fifths"), SHARES)
@pytest.mark.parametrize("side", [1, -1])
def test_the_smallest_number_of_fifths_that_restores_the_release_ratio(
    deposit: str, fifths: int, side: int
) -> None:
    book = account({"USDT": deposit}, {BTC: (str(10 * side), "10000")})
    prices = prices_of(10_000, 500)
    after, found = play_round(book, prices)
    closed = 2 * fifths
    held = positions_of(after, POOL).get(BTC, (D(0), D(0)))[0]
    assert held == side * (10 - closed)
    # A forced sale trades at 9,990, a forced purchase at 10,010; fees are taken on that value.
    price = 10_000 - 10 * side
    fees = price * closed * (D("0.0005") + D("0.003"))
    assert balances_of(after, POOL).get("USDT", 0) == D(deposit) - 10 * closed - fees
    assert balances_of(after, FUND) == {"USDT": price * closed * D("0.003")}
    assert balances_of(after, SystemPool.FEES) == {"USDT": price * closed * D("0.0005")}
    assert found.closed_notional[TABLE.find(BTC, "")] == pytest.approx(10_000 * closed)
    assert found.batch.trades.reason.tolist() == [TradeReason.LIQUIDATION]
    assert ratio_of(after, prices) <= 0.9
    fewer = Fraction(fifths - 1, 5)
    assert 10_000 * (1 - fewer) > Fraction(9, 10) * (Fraction(deposit) - fewer * 450)
    ended, last = play_round(after, prices)
    assert last.released.tolist() == [POOL]
    assert ended.pool_state[POOL] == PoolState.NORMAL


@pytest.mark.parametrize(
    ("contracts", "deposit", "closed"),
    [
        # Whole contracts of 1,000 each: 9 % behind them asks for one fifth, 8.8 % for two, 5 %
        # for three, 3 % for four.
        ("5", "450", 1),
        ("5", "440", 2),
        ("5", "250", 3),
        ("15", "750", 9),
        ("35", "1750", 21),
        ("5", "150", 4),
        ("7", "630", 2),
        ("1", "99", 1),
    ],
)
def test_whole_contracts_round_up_and_exact_shares_do_not(
    contracts: str, deposit: str, closed: int
) -> None:
    table = table_of({BTC: "1"}, {"USDT": 6}, quantity_decimals=0)
    desk = Desk(table)
    book = fold(
        house_book("a", table=table),
        transfers=[desk.deposit(POOL, "USDT", deposit)],
        trades=[desk.trade(POOL, BTC, contracts, "1000")],
    )
    market = market_of(table, {BTC: 1000.0}, {"USDT": 1.0, "BTC": 1000.0})
    rules = load_rules(table, (HOUSE,), SANITY, T0)
    pools = np.array([POOL])
    current = assess(take_pools(book, pools), market, rules.models)
    found = plan(book, pools, current, scene_at(book, market, rules))
    assert found.batch.trades.quantity.tolist() == [-closed]


def test_all_positions_are_closed_by_the_same_share_and_hedges_stay_whole() -> None:
    positions = {
        BTC: ("10", "10000"),
        FUTURE: ("-10", "10000"),
        ETH: ("-40", "500"),
        INVERSE: ("-300", "10000"),
    }
    book, prices = account({"USDT": "9000", "BTC": "0.1"}, positions), prices_of(10_000, 500)
    # Maintenance: BTC 10 % of the larger side, 130,000 short; ETH 2,000; together 15,000.
    found = judge(book, market_at(prices), np.array([POOL]))
    assert found.maintenance_margin[0] == pytest.approx(15_000)
    after, _ = play_round(book, prices)
    held = {symbol: quantity for symbol, (quantity, _) in positions_of(after, POOL).items()}
    kept = held[BTC] / 10
    assert kept in (D("0.8"), D("0.6"), D("0.4"), D("0.2"))
    assert held == {symbol: kept * D(quantity) for symbol, (quantity, _) in positions.items()}
    later = judge(after, market_at(prices), np.array([POOL]))
    assert later.maintenance_margin[0] == pytest.approx(float(kept) * 15_000)
    assert later.margin_ratio[0] <= 0.9


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("deposit", ["449", "375.123456", "300", "160", "151"])
def test_the_liquidation_fee_takes_no_more_than_closing_leaves(deposit: str, side: int) -> None:
    book, prices = (
        account({"USDT": deposit}, {BTC: (str(10 * side), "10000")}),
        prices_of(10_000, 5),
    )
    after, _ = play_round(book, prices)
    # In full it would be 0.3 % of 10 * 9,990, or of 10 * 10,010 for a short.
    cost = 100 + 10 * (10_000 - 10 * side) * D("0.0005")
    left = balances_of(after, POOL)["USDT"]
    assert D(0) <= left <= D("0.000002")
    assert balances_of(after, FUND) == {"USDT": D(deposit) - cost - left}
    assert positions_of(after, POOL) == {}
    assert ratio_of(after, prices) == 0


@pytest.mark.parametrize(
    ("side", "deposit", "is_taken"),
    # 10 * (10 + 9,990 * 0.0005), and the same of 10,010 for a short.
    [
        (1, "149.950001", False),
        (1, "149.95", True),
        (-1, "150.050001", False),
        (-1, "150.05", True),
    ],
)
def test_the_takeover_begins_where_closing_costs_all_there_is(
    side: int, deposit: str, is_taken: bool
) -> None:
    book = account({"USDT": deposit}, {BTC: (str(10 * side), "10000")})
    _, found = play_round(book, prices_of(10_000, 500))
    assert found.taken_over.tolist() == [POOL] * is_taken
    assert found.batch.trades.reason.tolist() == [
        TradeReason.TAKEOVER if is_taken else TradeReason.LIQUIDATION
    ]


# -- takeover at the bankruptcy price --------------------------------------------------------

# name, deposits, positions, prices, bankruptcy price by symbol, equity in USD
TAKEOVERS = [
    # 1 BTC, entry 10,000, 1,000 behind it: nothing is left at 9,000.
    ("long", {"USDT": "1000"}, {BTC: ("1", "10000")}, (8500, 500), {BTC: "9000"}, "-500"),
    ("short", {"USDT": "1000"}, {BTC: ("-1", "10000")}, (11800, 500), {BTC: "11000"}, "-800"),
    ("not yet negative", {"USDT": "1000"}, {BTC: ("1", "10000")}, (9010, 500), {BTC: "9000"}, "10"),
    # 100 contracts of 100 USD, entry 10,000: 10,000 / p = 1 + 0.1 where 0.1 BTC is lost.
    (
        "inverse long", {"BTC": "0.1"}, {INVERSE: ("100", "10000")}, (9000, 500),
        {INVERSE: "9090.90909091"}, "-100",
    ),
    (
        "inverse short", {"BTC": "0.1"}, {INVERSE: ("-100", "10000")}, (11500, 500),
        {INVERSE: "11111.11111111"}, "-350",
    ),
    (
        "inverse in ETH", {"ETH": "2"}, {ETH_INVERSE: ("1000", "500")}, (10000, 450),
        {ETH_INVERSE: "454.54545455"}, "-100",
    ),
    # 100,000 contracts pay 1 BTC a point: 0.5 BTC is lost at half a point below the entry.
    (
        "quanto long", {"BTC": "0.5"}, {QUANTO: ("100000", "500")}, (10000, 499),
        {QUANTO: "499.5"}, "-5000",
    ),
    # 1,500 - 2,000 - 1,000 = -1,500, shared 8,000 to 9,000 by notional.
    (
        "two positions", {"USDT": "1500"}, {BTC: ("1", "10000"), ETH: ("10", "1000")}, (8000, 900),
        {BTC: "8705.88235294", ETH: "979.41176471"}, "-1500",
    ),
    # 500 - 1,500 + 0.05 * 8,500 = -575.
    (
        "two collaterals", {"USDT": "500", "BTC": "0.05"}, {BTC: ("1", "10000")}, (8500, 500),
        {BTC: "9075"}, "-575",
    ),
    # 2,000 MOON back nothing but are worth 1,000: 400 - 1,500 + 1,000 = -100.
    (
        "worthless collateral", {"USDT": "400", "MOON": "2000"}, {BTC: ("1", "10000")},
        (8500, 500), {BTC: "8600"}, "-100",
    ),
    # -1,000 USDT borrowed against 0.1 BTC: -1,000 - 1,000 + 900 = -1,100.
    (
        "a debt", {"USDT": "-1000", "BTC": "0.1"}, {BTC: ("1", "10000")}, (9000, 500),
        {BTC: "10100"}, "-1100",
    ),
    # The inverse leg's share, -725, of a notional of 10,000: 1 / p = (1 - 0.0725) / 9,000 ...
    (
        "linear and inverse", {"USDT": "550"}, {BTC: ("1", "10000"), INVERSE: ("90", "10000")},
        (9000, 500), {BTC: "9675", INVERSE: "9729.72972973"}, "-1350",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("deposits", "positions", "coins", "expected", "equity"),
    [case[1:] for case in TAKEOVERS],
    ids=[case[0] for case in TAKEOVERS],
)
def test_takeover_at_the_bankruptcy_price(
    deposits: dict[str, str],
    positions: dict[str, tuple[str, str]],
    coins: tuple[float, float],
    expected: dict[str, str],
    equity: str,
) -> None:
    book, prices = account(deposits, positions), prices_of(*coins)
    start = equity_of_fund(book, prices)
    after, found = play_round(book, prices)
    assert found.taken_over.tolist() == [POOL]
    assert found.equity.tolist() == pytest.approx([float(equity)], rel=1e-9)
    trades = found.batch.trades
    priced = {
        TABLE.symbols[i]: D(int(p)).scaleb(-8)
        for i, p in zip(trades.instrument, trades.price, strict=True)
    }
    assert priced == {symbol: D(price) for symbol, price in expected.items()}
    assert set(trades.counterparty.tolist()) == {FUND}
    assert set(trades.reason.tolist()) == {TradeReason.TAKEOVER}
    assert not trades.fee.any()
    # The pool is left with nothing, to the unit; the fund has it all.
    assert balances_of(after, POOL) == {}
    assert positions_of(after, POOL) == {}
    assert {s: q for s, (q, _) in positions_of(after, FUND).items()} == {
        symbol: D(quantity) for symbol, (quantity, _) in positions.items()
    }
    gained = equity_of_fund(after, prices) - start
    assert float(gained) == pytest.approx(float(equity), abs=2e-4)
    for asset, amount in deposits.items():
        if asset not in {TABLE.rows[TABLE.find(symbol, "")].settle for symbol in positions}:
            assert balances_of(after, FUND)[asset] == D(amount)
    ended, last = play_round(after, prices)
    assert last.released.tolist() == [POOL]
    assert ended.pool_state[POOL] == PoolState.NORMAL


@pytest.mark.parametrize(
    ("deposits", "positions", "coins"),
    [
        # 1/p of the inverse leg would be negative: a long cannot lose that much on its own.
        ({"USDT": "200000"}, {BTC: ("10", "100000"), INVERSE: ("1000", "100000")}, (20_000, 500)),
        # 1/p would be exactly zero, a price without end: -450,000 on a notional of 450,000.
        ({"USDT": "230000"}, {BTC: ("10", "100000"), INVERSE: ("2500", "100000")}, (20_000, 500)),
        # Debts beyond all proportion to the position push a linear price below zero ...
        ({"USDT": "-100000000"}, {BTC: ("-0.0001", "10000")}, (10_000, 500)),
        # ... or far above.
        ({"USDT": "-100000000"}, {BTC: ("0.0001", "10000")}, (10_000, 500)),
        ({"BTC": "-100000"}, {INVERSE: ("1", "10000")}, (10_000, 500)),
        ({"BTC": "-100000"}, {INVERSE: ("-1", "10000")}, (10_000, 500)),
    ],
)
def test_no_bankruptcy_price_breaks_the_ledger(
    deposits: dict[str, str], positions: dict[str, tuple[str, str]], coins: tuple[float, float]
) -> None:
    book, prices = account(deposits, positions), prices_of(*coins)
    start = equity_of_fund(book, prices)
    pool = np.array([POOL])
    lost = float(judge(book, market_at(prices), pool).equity[0])
    after, found = play_round(book, prices)
    assert found.taken_over.tolist() == [POOL]
    assert balances_of(after, POOL) == {}
    assert positions_of(after, POOL) == {}
    assert float(equity_of_fund(after, prices) - start) == pytest.approx(lost, rel=1e-9)


# -- debts of a pool without positions -------------------------------------------------------


@pytest.mark.parametrize(
    ("deposits", "coins", "repaid", "left"),
    [
        # 100 / 0.999 USD of BTC at 10,000 is sold, rounded up to the unit.
        (
            {"USDT": "-100", "BTC": "0.0105"}, (10_000, 500),
            {"BTC": "0.00048998"}, {"BTC": "0.00048998"},
        ),
        # 45 of each coin count as 40.5 after haircut, less than the 85 owed; half each is sold.
        (
            {"USDT": "-85", "BTC": "0.0045", "ETH": "0.09"}, (10_000, 500),
            {"BTC": "0.00024574", "ETH": "0.00491491"},
            {"BTC": "0.00024574", "ETH": "0.00491491"},
        ),
        # Two debts are paid by one asset.
        (
            {"USDT": "-60", "ETH": "-0.06", "BTC": "0.0095"}, (10_000, 500),
            {"BTC": "0.00049099"}, {"BTC": "0.00049099"},
        ),
        # MOON counts for nothing and can still be sold.
        (
            {"USDT": "-100", "MOON": "400"}, (10_000, 500),
            {"MOON": "199.799799"}, {"MOON": "199.799799"},
        ),
        # It does not suffice: 49.95 of 100 are paid, and the fund pays the rest.
        ({"USDT": "-100", "BTC": "0.005"}, (10_000, 500), {"USDT": "-50.05"}, {}),
        # Two debts share what there is by their size.
        (
            {"USDT": "-100", "ETH": "-0.1", "BTC": "0.01"}, (10_000, 500),
            {"USDT": "-33.4", "ETH": "-0.0334"}, {},
        ),
        # Nothing but a debt.
        ({"USDT": "-7"}, (10_000, 500), {}, {}),
    ],
)  # fmt: skip
def test_debts_are_paid_from_what_is_owned(
    deposits: dict[str, str],
    coins: tuple[float, float],
    repaid: dict[str, str],
    left: dict[str, str],
) -> None:
    book, prices = account(deposits, {}), prices_of(*coins)
    after, _ = play_round(book, prices)

    def close(found: dict[str, Decimal], wanted: dict[str, str]) -> bool:
        return found.keys() == wanted.keys() and all(
            abs(found[asset] - D(amount)) <= D("1e-5") for asset, amount in wanted.items()
        )

    assert close(balances_of(after, POOL), repaid), balances_of(after, POOL)
    ended = settled(after, prices)
    assert close(balances_of(ended, POOL), left), balances_of(ended, POOL)
    assert ended.pool_state[POOL] == PoolState.NORMAL
    if not left:
        owed = repaid or deposits
        assert balances_of(ended, FUND).keys() == owed.keys()


def test_an_asset_of_which_nothing_is_left_needs_no_price_to_repay() -> None:
    book = account({"USDT": "-200", "BTC": "0.01", "MOON": "5"}, {})
    book = fold(book, transfers=[DESK.deposit(POOL, "MOON", "-5")])
    prices = prices_of(10_000, 500)
    del prices["MOON"]
    ended = settled(book, prices)
    assert balances_of(ended, POOL) == {}
    assert balances_of(ended, FUND) == {"USDT": D("-100.1")}
    assert ended.pool_state[POOL] == PoolState.NORMAL


# -- what is left alone ----------------------------------------------------------------------


@pytest.mark.parametrize("state", list(PoolState))
@pytest.mark.parametrize(
    ("unusable", "quality"),
    [(BTC, Quality.MISSING), ("BTC", Quality.STALE), ("USDT", Quality.JUMP)],
)
def test_unknown_is_never_touched(state: PoolState, unusable: str, quality: Quality) -> None:
    """Bankrupt by far if anyone could know it."""
    book = account({"USDT": "10", "BTC": "0.001"}, {BTC: ("1", "10000")}, state)
    book = fold(book, orders=[DESK.order(POOL, 1, BTC, "1", "9000")])
    market = market_at(prices_of(5000, 500))
    is_mark = "/" in unusable
    row = TABLE.find(unusable, "") if is_mark else len(TABLE) + TABLE.assets.find(unusable, "")
    price, qualities = market.price.copy(), market.quality.copy()
    price[row], qualities[row] = np.nan, quality
    market = replace(market, price=price, quality=qualities)
    pools = np.arange(book.pool_count)
    current = judge(book, market, pools)
    assert current.status[POOL] == Status.UNKNOWN
    found = plan(book, pools, current, scene_at(book, market))
    assert found.batch.event_count == 0
    assert found.begun.size + found.released.size + found.taken_over.size == 0


def test_the_systems_pools_are_never_liquidated() -> None:
    book = fold(
        house_book("a"),
        trades=[DESK.trade(FUND, BTC, "5", "10000")],
        transfers=[DESK.deposit(FUND, "USDT", "-5000")],
    )
    _, found = play_round(book, prices_of(5000, 500))
    assert found.batch.event_count == 0


@pytest.mark.parametrize("sick", [5, 6])
def test_an_isolated_pool_and_its_accounts_cross_pool_fall_alone(sick: int) -> None:
    well = 11 - sick
    book = fold(
        house_book("a"),
        pools=(0,),
        trades=[DESK.trade(5, BTC, "1", "10000"), DESK.trade(6, BTC, "1", "10000")],
        transfers=[DESK.deposit(sick, "USDT", "600"), DESK.deposit(well, "USDT", "4000")],
        orders=[DESK.order(well, 1, BTC, "1", "9000")],
    )
    prices = prices_of(10_000, 500)
    ended = settled(book, prices)
    assert positions_of(ended, sick)[BTC][0] < 1
    only = np.array([well])
    clock = {"sequence": 0, "time_ns": 0}
    assert digest_book(replace(take_pools(ended, only), **clock)) == digest_book(
        replace(take_pools(book, only), **clock)
    )
    gone = settled(book, prices_of(9300, 500))
    assert balances_of(gone, sick) == positions_of(gone, sick) == {}
    assert balances_of(gone, well) == balances_of(book, well)
