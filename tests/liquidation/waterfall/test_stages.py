"""Each stage by hand: who is closed, who pays, in which order, and where it stops."""

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from plimsoll.book import Book, PoolState, SystemPool
from plimsoll.core import Status
from plimsoll.engine import load_rules
from plimsoll.ledger import TradeReason, TransferReason
from plimsoll.liquidation import resolve_policy
from plimsoll.liquidation.deleveraging import AllocationKey
from plimsoll.liquidation.waterfall.stages import (
    Auction,
    AutoDeleveraging,
    CloseBy,
    CloseOut,
    InsuranceFund,
    LossKey,
    SocialisedLoss,
    Takeover,
    TakeoverBy,
    TakeoverPrice,
    Throttle,
)
from tests.book.builders import T0, balances_of, fold, positions_of
from tests.engine.world import DESK, HOUSE, SANITY, TABLE, house_book, prices_of
from tests.liquidation.waterfall.world import (
    ADL,
    FULL,
    FUND,
    SHARE,
    SHARED,
    TAKEOVER,
    rules_with,
    step_on,
    step_once,
)

BTC, ETH, FUTURE = "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USDT:USDT-261225"
FUND_POOL, BAD_DEBT = int(SystemPool.INSURANCE_FUND), int(SystemPool.BAD_DEBT)
D = Decimal


def world(
    accounts: dict[str, tuple[dict[str, str], dict[str, tuple[str, str]]]], fund: str = "0"
) -> Book:
    """Accounts from pool 5 on: deposits by asset, (quantity, entry price) by symbol."""
    deposits, trades = [DESK.deposit(FUND_POOL, "USDT", fund)], []
    for pool, (owned, held) in enumerate(accounts.values(), 5):
        deposits += [DESK.deposit(pool, asset, amount) for asset, amount in owned.items()]
        trades += [DESK.trade(pool, symbol, *row) for symbol, row in held.items()]
    return fold(house_book(*accounts), transfers=deposits, trades=trades)


def usdt(book: Book, pool: int) -> Decimal:
    return balances_of(book, pool).get("USDT", D(0))


def reasons(outcome: object, name: str) -> list[int]:
    return [int(r) for batch in outcome.decisions for r in getattr(batch, name).reason]  # type: ignore[attr-defined]


# A long of 1 BTC from 10,000 with 1,000 behind it; at 8,000 it is 1,000 under water.
LONG = ({"USDT": "1000"}, {BTC: ("1", "10000")})


# -- deleveraging ----------------------------------------------------------------------------


def test_what_the_fund_cannot_pay_is_closed_against_winners_at_the_bankruptcy_price() -> None:
    book = world({"lost": LONG, "winner": ({"USDT": "9000"}, {BTC: ("-3", "10000")})})
    state, outcome = step_once(book, FULL, prices_of(8_000, 500))
    # 9,000 is where the long has nothing left: the winner buys one back there, 1,000 in profit.
    assert positions_of(state.book, 6)[BTC] == (D(-2), D(-20_000))
    assert usdt(state.book, 6) == D(10_000)
    assert balances_of(state.book, 5) == {}
    assert usdt(state.book, BAD_DEBT) == 0
    assert outcome.deleveraged == pytest.approx(8_000)
    assert outcome.touched.tolist() == [6]
    assert reasons(outcome, "trades") == [TradeReason.DELEVERAGING]


def test_a_fund_that_can_pay_takes_over_and_nobody_else_is_closed() -> None:
    book = world({"lost": LONG, "winner": ({"USDT": "9000"}, {BTC: ("-3", "10000")})}, fund="5000")
    state, outcome = step_once(book, FULL, prices_of(8_000, 500))
    assert positions_of(state.book, 6)[BTC][0] == D(-3)
    # It buys at 9,000 and sells at 7,992 less 0.05 % of that.
    assert usdt(state.book, FUND_POOL) == D("5000") - D("1008") - D("3.996")
    assert reasons(outcome, "trades") == [TradeReason.TAKEOVER, TradeReason.CLOSE_OUT]
    assert outcome.touched.size == 0


@pytest.mark.parametrize(
    ("share", "is_taken"), [(1.0, True), (0.25, True), (0.2024, True), (0.2023, False)]
)
def test_the_bounds_of_the_fund(share: float, is_taken: bool) -> None:
    """The loss is 1,011.996 of 5,000: a share of 0.2023992."""
    book = world({"lost": LONG, "winner": ({"USDT": "9000"}, {BTC: ("-3", "10000")})}, fund="5000")
    for stage in (InsuranceFund(market_share_max=share), InsuranceFund(event_share_max=share)):
        rules = rules_with(SHARE, TAKEOVER, stage, ADL)
        _, outcome = step_once(book, rules, prices_of(8_000, 500))
        expected = TradeReason.TAKEOVER if is_taken else TradeReason.DELEVERAGING
        assert reasons(outcome, "trades")[0] == expected


def test_the_fund_keeps_its_floor() -> None:
    book = world({"lost": LONG}, fund="5000")
    for floor, is_taken in ((3_988, True), (3_989, False)):
        rules = rules_with(SHARE, TAKEOVER, InsuranceFund(floor=floor), SHARED)
        state, _ = step_once(book, rules, prices_of(8_000, 500))
        assert floor <= usdt(state.book, FUND_POOL) <= floor + D("1.1")
        assert (usdt(state.book, BAD_DEBT) == 0) == is_taken


def test_lost_pools_are_served_in_order_and_the_last_one_in_part() -> None:
    worse = ({"USDT": "900"}, {BTC: ("1", "10000")})
    book = world({"a": LONG, "b": worse}, fund="1200")
    state, outcome = step_once(
        book, rules_with(SHARE, TAKEOVER, FUND, SHARED), prices_of(8_000, 500)
    )
    # Both have no collateral left, so the smaller number goes first: 1,011.996 of the fund's
    # 1,200, which leaves a part of the other's 1,111.996. Whole units of 0.0001 leave it a rest.
    assert outcome.taken_over.tolist() == [5, 6]
    left = usdt(state.book, FUND_POOL)
    assert 0 <= left < D("0.12")
    assert usdt(state.book, BAD_DEBT) + left == D("1200") - D("1011.996") - D("1111.996")


def test_the_published_case_of_a_pool_that_pays_three_parts_of_three_and_a_half() -> None:
    """A pool of 1,000,000 may pay 30 % of it; of a loss of 350,000 users bear 50,000 (Bybit)."""
    lost = ({"USDT": "0"}, {BTC: ("100", "10000")})
    winner = ({"USDT": "2000000"}, {BTC: ("-300", "10000")})
    book = world({"lost": lost, "winner": winner}, fund="1000000")
    rules = rules_with(SHARE, TAKEOVER, InsuranceFund(market_share_max=0.3), ADL,
                       slippage_rate=0.0, taker_fee_rate=0.0)  # fmt: skip
    state, _ = step_once(book, rules, prices_of(6_500, 500))
    assert abs(usdt(state.book, FUND_POOL) - D(700_000)) < 1
    # What deleveraging takes from the winner: 3,500 on each contract that is closed.
    closed = D(300) + positions_of(state.book, 6)[BTC][0]
    assert abs(closed * 3_500 - 50_000) < 1
    assert usdt(state.book, BAD_DEBT) == 0


def test_winners_give_no_more_than_their_profit_and_the_rest_is_bad_debt() -> None:
    # The winner is 100 ahead on the one he holds, and the lost pool's debt is 1,000.
    book = world({"lost": LONG, "winner": ({"USDT": "9000"}, {BTC: ("-1", "8100")})})
    state, outcome = step_once(book, rules_with(SHARE, TAKEOVER, FUND, ADL), prices_of(8_000, 500))
    # A tenth of a contract at 9,000 costs him what the 100 allow.
    assert positions_of(state.book, 6)[BTC][0] == D("-0.9")
    assert usdt(state.book, 6) == D(9_000) - D(90)
    assert outcome.deleveraged == pytest.approx(800)
    # The fund sells 0.9 at 7,992 that it has at 9,000, less 0.05 %.
    assert usdt(state.book, BAD_DEBT) == -(D("0.9") * D(1008) + D("0.9") * D("3.996"))


def test_hedged_winners_go_last() -> None:
    book = world(
        {
            "lost": LONG,
            "hedged": ({"USDT": "9000"}, {BTC: ("-1", "10000"), FUTURE: ("1", "10000")}),
            "naked": ({"USDT": "9000"}, {BTC: ("-1", "10000")}),
        }
    )
    state, _ = step_once(book, rules_with(SHARE, TAKEOVER, FUND, ADL), prices_of(8_000, 500))
    assert positions_of(state.book, 6)[BTC][0] == D(-1)
    assert BTC not in positions_of(state.book, 7)


def test_winners_are_served_by_the_key() -> None:
    small = ({"USDT": "50000"}, {BTC: ("-1", "10000")})
    large = ({"USDT": "50000"}, {BTC: ("-4", "8500")})
    book = world({"lost": LONG, "small": small, "large": large})
    closed = {}
    for key in (AllocationKey.PROFIT, AllocationKey.CONTRACTS):
        stage = AutoDeleveraging(key=key)
        state, _ = step_once(book, rules_with(SHARE, TAKEOVER, FUND, stage), prices_of(8_000, 500))
        closed[key] = [
            held - positions_of(state.book, pool)[BTC][0] for pool, held in ((6, -1), (7, -4))
        ]
    # Both have 2,000 of profit; one has a fifth of the contracts.
    assert closed[AllocationKey.PROFIT] == [D("-0.5"), D("-0.5")]
    assert closed[AllocationKey.CONTRACTS] == [D("-0.2"), D("-0.8")]


# -- socialised losses -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "paid"),
    [
        # The loss is 1,008 + 3.996. Only the winner is in profit; 1 and 4 contracts; 9 and 3.
        (LossKey.PROFIT, [D(0), D("1011.996")]),
        (LossKey.OPEN_INTEREST, [D("809.5968"), D("202.3992")]),
        (LossKey.DEPOSITS, [D("252.999"), D("758.997")]),
    ],
)
def test_losses_are_shared_by_the_key(key: LossKey, paid: list[Decimal]) -> None:
    book = world(
        {
            "lost": LONG,
            "even": ({"USDT": "10000"}, {ETH: ("64", "500")}),
            "winner": ({"USDT": "30000"}, {FUTURE: ("-1", "10000")}),
        }
    )
    rules = rules_with(SHARE, TAKEOVER, FUND, SocialisedLoss(key=key))
    state, outcome = step_once(book, rules, prices_of(8_000, 500))
    given = [D(10_000) - usdt(state.book, 6), D(30_000) - usdt(state.book, 7)]
    assert all(abs(a - b) <= D("0.00001") for a, b in zip(given, paid, strict=True))
    assert sum(given) == D("1011.996")
    assert usdt(state.book, BAD_DEBT) == 0
    assert outcome.socialised == pytest.approx(1011.996)
    assert set(reasons(outcome, "transfers")) >= {TransferReason.SOCIALISED_LOSS}


def test_sharing_stops_before_it_makes_another_fail() -> None:
    # Equity 1,100 against 900 of maintenance: at a ratio of 0.9 it may give 100.
    near = ({"USDT": "100"}, {BTC: ("-1", "9000")})
    book = world({"lost": LONG, "near": near})
    state, outcome = step_once(
        book, rules_with(SHARE, TAKEOVER, FUND, SHARED), prices_of(8_000, 500)
    )
    after = outcome.assessment
    assert after.margin_ratio[6] <= 0.9 + 1e-9
    assert usdt(state.book, 6) == 0
    assert usdt(state.book, BAD_DEBT) == -D("911.996")


# -- backstop --------------------------------------------------------------------------------

BACKSTOP = Takeover(
    by=TakeoverBy.BACKSTOP, price=TakeoverPrice.MARK, from_ratio=1.5, account="vault"
)
# 8,500 leaves it 500 of equity against 850 of maintenance: a ratio of 1.7.
WEAK = ({"USDT": "2000"}, {BTC: ("1", "10000")})


def test_a_backstop_takes_over_position_and_collateral_early() -> None:
    book = world({"weak": WEAK, "vault": ({"USDT": "100000"}, {})})
    state, outcome = step_once(book, rules_with(SHARE, BACKSTOP, FUND), prices_of(8_500, 500))
    assert positions_of(state.book, 6) == {BTC: (D(1), D(8_500))}
    assert usdt(state.book, 6) == D(100_500)
    assert outcome.taken_over.tolist() == [5]
    assert outcome.touched.tolist() == [6]
    assert usdt(state.book, FUND_POOL) == 0


def test_a_backstop_takes_no_more_than_it_can_bear() -> None:
    # Three at 850 of maintenance each: 2,000 carries two below a ratio of 0.5 with their 500s.
    rows = {f"weak {k}": WEAK for k in range(3)}
    book = world({**rows, "vault": ({"USDT": "2500"}, {})}, fund="10000")
    state, _ = step_once(book, rules_with(SHARE, BACKSTOP, FUND), prices_of(8_500, 500))
    assert positions_of(state.book, 8)[BTC][0] == D(2)
    assert outcome_ratio(state.book, 8) <= 0.5
    assert usdt(state.book, FUND_POOL) > D(10_000)


def outcome_ratio(book: Book, pool: int) -> float:
    _, outcome = step_once(book, FULL, prices_of(8_500, 500), seconds=1)
    return float(outcome.found.margin_ratio[pool])


def test_a_ring_fence_bounds_what_the_backstop_may_lose() -> None:
    lost = ({"USDT": "1000"}, {BTC: ("1", "10000")})
    book = world({"lost": lost, "vault": ({"USDT": "20000"}, {})}, fund="10000")
    for share, is_taken in ((0.05, True), (0.049, False)):
        stage = Takeover(
            by=TakeoverBy.BACKSTOP, price=TakeoverPrice.MARK, account="vault", loss_share_max=share
        )
        state, _ = step_once(book, rules_with(SHARE, stage, FUND), prices_of(8_000, 500))
        assert (BTC in positions_of(state.book, 6)) == is_taken
        assert (usdt(state.book, FUND_POOL) == D(10_000)) == is_taken


# -- how positions are chosen ------------------------------------------------------------------


def test_relief_never_closes_a_hedge() -> None:
    # A hedge costs 10,000 of maintenance whichever leg is closed, ETH 2,880.
    account = (
        {"USDT": "13500"},
        {BTC: ("10", "10000"), FUTURE: ("-10", "10000"), ETH: ("60", "500")},
    )
    book = world({"a": account})
    prices = prices_of(10_000, 480)
    by_relief, _ = step_once(book, rules_with(CloseOut(by=CloseBy.RELIEF), TAKEOVER, FUND), prices)
    held = positions_of(by_relief.book, 5)
    assert held[BTC][0] == D(10)
    assert held[FUTURE][0] == D(-10)
    assert held[ETH][0] < D(60)
    by_share, _ = step_once(book, rules_with(SHARE, TAKEOVER, FUND), prices)
    assert positions_of(by_share.book, 5)[BTC][0] < D(10)


def test_whole_closes_everything_at_once() -> None:
    book = world({"a": ({"USDT": "1900"}, {BTC: ("1", "10000"), ETH: ("1", "500")})})
    state, _ = step_once(
        book, rules_with(CloseOut(by=CloseBy.WHOLE), TAKEOVER, FUND), prices_of(9_000, 500)
    )
    assert positions_of(state.book, 5) == {}


def test_a_close_factor_leaves_half_in_a_step_and_all_below_its_ratio() -> None:
    stage = CloseOut(by=CloseBy.WHOLE, share_max=0.5, whole_ratio=1.2, cooldown_s=60)
    for deposit, left in (("1890", D("0.5")), ("1700", D(0))):
        book = world({"a": ({"USDT": deposit}, {BTC: ("1", "10000")})})
        state, _ = step_once(book, rules_with(stage, TAKEOVER, FUND), prices_of(9_000, 500))
        assert positions_of(state.book, 5).get(BTC, (D(0),))[0] == left


def test_a_pool_rests_between_closes() -> None:
    stage = CloseOut(step_share=0.1, share_max=0.1, cooldown_s=30)
    book = world({"a": ({"USDT": "1400"}, {BTC: ("1", "10000")})})
    rules, prices = rules_with(stage, TAKEOVER, FUND), prices_of(9_000, 500)
    state, _ = step_once(book, rules, prices)
    sizes = [positions_of(state.book, 5)[BTC][0]]
    for second in (10, 29, 30, 59, 60):
        state, _ = step_on(state, rules, prices, second)
        sizes.append(positions_of(state.book, 5)[BTC][0])
    assert sizes == [D("0.9"), D("0.9"), D("0.9"), D("0.81"), D("0.81"), D("0.729")]
    assert state.book.pool_state[5] == PoolState.LIQUIDATING


def test_a_tier_step_goes_to_where_the_bracket_begins() -> None:
    terms = json.loads(HOUSE.overrides)
    terms["brackets"]["BTC"] = [[0, 0.05, 0.1], [50_000, 0.1, 0.2], [200_000, 0.2, 0.4]]
    model = replace(HOUSE, overrides=json.dumps(terms))
    book = replace(world({"a": ({"USDT": "24000"}, {BTC: ("23", "10000")})}), models=(model,))
    rules = load_rules(TABLE, (model,), SANITY, T0)
    stages = rules_with(CloseOut(by=CloseBy.TIER, cooldown_s=60), TAKEOVER, FUND)
    policy = resolve_policy(stages.policies[0].waterfall, TABLE)
    rules = replace(rules, policies=(policy,), fund_policy=policy)
    state, _ = step_once(book, rules, prices_of(9_950, 500))
    # 200,000 at 9,950 is 20.1005 contracts: the bracket below begins at the next unit under it.
    left = positions_of(state.book, 5)[BTC][0]
    assert D(20) < left <= D("20.1006")
    state, _ = step_on(state, rules, prices_of(9_950, 500), 60)
    assert state.book.pool_state[5] in (PoolState.NORMAL, PoolState.LIQUIDATING)


# -- throttles -------------------------------------------------------------------------------


def test_a_step_closes_no_more_than_its_bound() -> None:
    rows = {f"a{k}": ({"USDT": "1400"}, {BTC: ("1", "10000")}) for k in range(4)}
    stage = CloseOut(by=CloseBy.WHOLE, throttle=Throttle(tick_notional_max=13_500))
    state, _ = step_once(world(rows), rules_with(stage, TAKEOVER, FUND), prices_of(9_000, 500))
    held = [positions_of(state.book, pool).get(BTC, (D(0),))[0] for pool in (5, 6, 7, 8)]
    assert held == [D(0), D("0.5"), D(1), D(1)]


def test_a_window_is_counted_over_steps() -> None:
    rows = {f"a{k}": ({"USDT": "1400"}, {BTC: ("1", "10000")}) for k in range(4)}
    throttle = Throttle(window_s=60, window_notional_max=9_000)
    stage = CloseOut(by=CloseBy.WHOLE, throttle=throttle)
    rules, prices = rules_with(stage, TAKEOVER, FUND), prices_of(9_000, 500)
    state, _ = step_once(world(rows), rules, prices)
    left = [sum(1 for pool in (5, 6, 7, 8) if positions_of(state.book, pool))]
    for second in (10, 59, 60, 119, 120):
        state, _ = step_on(state, rules, prices, second)
        left.append(sum(1 for pool in (5, 6, 7, 8) if positions_of(state.book, pool)))
    assert left == [3, 3, 3, 2, 2, 1]


# -- auctions --------------------------------------------------------------------------------


def test_an_auction_waits_for_its_bidder_and_sells_what_restores_the_margin() -> None:
    stage = Auction(
        start=1.0, cutoff=0.8, fast_s=100, slow_s=1000, insolvent_s=100, buffer=0.0,
        fee_rate=0.0, bid_discount=0.9, insolvent_share=1.0,
    )  # fmt: skip
    book = world({"a": ({"USDT": "1800"}, {BTC: ("1", "10000")})})
    rules, prices = rules_with(stage, FUND), prices_of(9_000, 500)
    state, _ = step_once(book, rules, prices)
    assert positions_of(state.book, 5)[BTC][0] == D(1)
    state, _ = step_on(state, rules, prices, 49)
    assert positions_of(state.book, 5)[BTC][0] == D(1)
    state, outcome = step_on(state, rules, prices, 50)
    # Excess is 800 - 900; a share frees its part of 900 and costs a tenth of its part of 800.
    share = 100 / (900 - 80)
    assert float(positions_of(state.book, 5)[BTC][0]) == pytest.approx(1 - share, abs=1e-4)
    assert outcome.assessment.status[5] != Status.UNKNOWN
    assert float(outcome.assessment.excess_margin[5]) == pytest.approx(0, abs=1)


def test_a_round_with_nothing_to_do_has_no_events() -> None:
    book = world({"a": ({"USDT": "5000"}, {BTC: ("1", "10000")})})
    state, outcome = step_once(book, FULL, prices_of(9_000, 500))
    assert outcome.decisions == ()
    assert np.array_equal(state.book.positions.quantity, book.positions.quantity)
