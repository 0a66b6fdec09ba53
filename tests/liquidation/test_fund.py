"""The insurance fund's housekeeping: positions sold, balances converted, shortfalls covered."""

from decimal import Decimal

import numpy as np
import pytest

from plimsoll.book import Book, SystemPool, digest_book
from plimsoll.core import InputError, parse_time
from plimsoll.ledger import (
    EventBatch,
    TradeReason,
    Trades,
    TransferReason,
    apply,
    conservation_residual,
)
from plimsoll.liquidation import Policy, fund_value, load_policy, settle_fund, settle_round
from tests.book.builders import (
    T0,
    Desk,
    balances_of,
    events,
    fold,
    market_of,
    positions_of,
    table_of,
)
from tests.engine.world import DESK, RULES, TABLE, house_book, prices_of, scene_at

BTC, ETH, INVERSE = "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USD:BTC"
FUND, BAD_DEBT = int(SystemPool.INSURANCE_FUND), int(SystemPool.BAD_DEBT)
D = Decimal


def fund_book(balances: dict[str, str], positions: dict[str, tuple[str, str]]) -> Book:
    """The fund's balances by asset, and (quantity, price) of its positions by symbol."""
    return fold(
        house_book("a"),
        transfers=[DESK.deposit(FUND, asset, amount) for asset, amount in balances.items()],
        trades=[DESK.trade(FUND, symbol, *row) for symbol, row in positions.items()],
    )


def settle(book: Book, prices: dict[str, float], policy: Policy = RULES.fund_policy) -> Book:
    marks = {name: price for name, price in prices.items() if "/" in name}
    index = {name: price for name, price in prices.items() if name not in marks}
    batch = settle_fund(book, scene_at(book, market_of(book.instruments, marks, index)), policy)
    after = apply(book, batch)
    assert set(conservation_residual(after)) == {0}
    return after


# balances, positions, the fund after, the bad debt pool after
CASES = [
    ("nothing", {}, {}, {}, {}),
    ("the reserve alone", {"USDT": "1000"}, {}, {"USDT": "1000"}, {}),
    # 0.01 * 10,000 + 2 * 500 + 30 * 0.5
    (
        "other assets", {"USDT": "1000", "BTC": "0.01", "ETH": "2", "MOON": "30"}, {},
        {"USDT": "2115"}, {},
    ),
    ("a debt in a coin", {"USDT": "1000", "BTC": "-0.01"}, {}, {"USDT": "900"}, {}),
    # Bought at 9,000, sold at 9,990 less 0.05 %: 1,000 + 990 - 4.995.
    ("a long", {"USDT": "1000"}, {BTC: ("1", "9000")}, {"USDT": "1985.005"}, {}),
    # Sold at 9,000, bought back at 10,010 and 5.005: 1,500 - 1,010 - 5.005.
    ("a short", {"USDT": "1500"}, {BTC: ("-1", "9000")}, {"USDT": "484.995"}, {}),
    # 100 * 100 * (1 / 8,000 - 1 / 9,990) BTC, less 0.05 % of 1.001001, at 10,000: 2,484.985.
    ("an inverse long", {}, {INVERSE: ("100", "8000")}, {"USDT": "2484.9849"}, {}),
    (
        "two positions", {"USDT": "1000"}, {BTC: ("1", "9000"), ETH: ("-2", "500")},
        # As above, and 2 * (500 - 500.5) - 1001 * 0.0005.
        {"USDT": "1983.5045"}, {},
    ),
    ("a shortfall", {"USDT": "-250"}, {}, {}, {"USDT": "-250"}),
    ("a shortfall in a coin", {"USDT": "60", "BTC": "-0.01"}, {}, {}, {"USDT": "-40"}),
    # 100 + 9,990 - 11,000 - 4.995
    ("a loss too large", {"USDT": "100"}, {BTC: ("1", "11000")}, {}, {"USDT": "-914.995"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("balances", "positions", "fund", "bad_debt"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_only_the_reserve_is_left(
    balances: dict[str, str],
    positions: dict[str, tuple[str, str]],
    fund: dict[str, str],
    bad_debt: dict[str, str],
) -> None:
    after = settle(fund_book(balances, positions), prices_of(10_000, 500))
    assert positions_of(after, FUND) == {}
    for pool, expected in ((FUND, fund), (BAD_DEBT, bad_debt)):
        found = balances_of(after, pool)
        assert found.keys() == expected.keys()
        for asset, amount in expected.items():
            assert abs(found[asset] - D(amount)) <= D("0.0001"), (pool, found)


def test_reasons_say_what_happened() -> None:
    book = fund_book({"BTC": "-1"}, {BTC: ("1", "9000")})
    prices = prices_of(10_000, 500)
    marks = {name: price for name, price in prices.items() if "/" in name}
    index = {name: price for name, price in prices.items() if name not in marks}
    batch = settle_fund(book, scene_at(book, market_of(TABLE, marks, index)), RULES.fund_policy)
    assert batch.trades.reason.tolist() == [TradeReason.CLOSE_OUT]
    assert batch.trades.counterparty.tolist() == [SystemPool.MARKET]
    assert batch.transfers.reason.tolist() == [
        TransferReason.CONVERSION,
        TransferReason.CONVERSION,
        TransferReason.BAD_DEBT,
    ]


def test_what_has_no_price_is_kept_until_it_has_one() -> None:
    book = fund_book({"USDT": "1000", "MOON": "30"}, {BTC: ("1", "9000"), ETH: ("2", "400")})
    prices = prices_of(10_000, 500)
    blind = {name: price for name, price in prices.items() if name not in ("MOON", ETH)}
    after = settle(book, blind)
    assert positions_of(after, FUND) == {ETH: (D(2), D(800))}
    assert balances_of(after, FUND) == {"USDT": D("1985.005"), "MOON": D(30)}
    ended = settle(after, prices)
    assert positions_of(ended, FUND) == {}
    # 2 * (499.5 - 400) - 999 * 0.0005, and 30 * 0.5
    assert balances_of(ended, FUND) == {"USDT": D("1985.005") + 199 - D("0.4995") + 15}


def test_without_a_price_of_the_reserve_nothing_is_converted() -> None:
    book = fund_book({"USDT": "-10", "BTC": "1"}, {})
    prices = prices_of(10_000, 500)
    del prices["USDT"]
    assert balances_of(settle(book, prices), FUND) == {"USDT": D(-10), "BTC": D(1)}


def test_a_book_without_the_reserve_asset_keeps_what_it_has() -> None:
    table = table_of({"BTC/USDC:USDC": "1"}, {"USDC": 6})
    policy = load_policy(table, T0)
    assert policy.reserve_asset == -1
    book = fold(house_book("a", table=table), transfers=[Desk(table).deposit(FUND, "USDC", "-10")])
    after = settle(book, {"BTC/USDC:USDC": 10_000, "USDC": 1.0}, policy)
    assert balances_of(after, FUND) == {"USDC": D(-10)}


def test_fund_value_counts_balances_at_index_and_needs_no_price_for_nothing() -> None:
    book = fund_book({"USDT": "1000", "BTC": "0.01", "MOON": "3"}, {})
    book = fold(book, transfers=[DESK.deposit(FUND, "MOON", "-3")])
    market = market_of(TABLE, {}, {"USDT": 1.01, "BTC": 10_000})
    assert fund_value(book, market) == pytest.approx(1000 * 1.01 + 100)
    assert np.isnan(fund_value(book, market_of(TABLE, {}, {"BTC": 10_000})))


def test_the_policy_is_read_from_its_table() -> None:
    policy = load_policy(TABLE, T0)
    assert policy.close_out is not None
    assert (policy.release_ratio, policy.close_out.step_share) == (0.9, 0.2)
    assert (policy.slippage_rate, policy.taker_fee_rate) == (0.001, 0.0005)
    rates = dict(zip(TABLE.assets.names, policy.liquidation_fee_rate, strict=True))
    assert rates == dict.fromkeys(TABLE.assets.names, 0.005) | {"BTC": 0.003}
    assert TABLE.assets.names[policy.reserve_asset] == "USDT"


def test_before_the_first_table_there_is_no_policy() -> None:
    with pytest.raises(InputError, match="house: no parameters are in force at 2016"):
        load_policy(TABLE, parse_time("2016-12-31", ""))


# What customers have with the market and with each other, then a round's trades: pool, symbol,
# quantity, price, counterparty. Pools 5, 6 and 7 are a, b and c.
MARKET = int(SystemPool.MARKET)
OPENED = [(5, BTC, "1", "9000", MARKET), (6, BTC, "2", "9500", 7)]
ROUNDS = [
    ("the market keeps a side", [(5, BTC, "-0.4", "9990", MARKET), (6, BTC, "-2", "9900", FUND)]),
    # Nothing is left of the market's between the round and the fund's sale.
    ("the market is flat between", [(5, BTC, "-1", "9990", MARKET), (6, BTC, "-2", "9900", FUND)]),
    (
        "the market is flat in the end",
        [(5, BTC, "1", "9990", MARKET), (6, BTC, "-2", "9900", FUND)],
    ),
    ("the market is asked by the fund alone", [(6, BTC, "-2", "9900", FUND)]),
    ("the fund is left short", [(5, BTC, "-1", "9990", MARKET), (6, BTC, "-2", "15000", FUND)]),
    ("nothing to settle", [(5, BTC, "-1", "9990", MARKET)]),
]


@pytest.mark.parametrize(("name", "rows"), ROUNDS, ids=[name for name, _ in ROUNDS])
def test_a_round_and_its_settlement_are_one_batch(name: str, rows: list[tuple]) -> None:
    """The book that is handed on is, to the unit, what the batch that is journaled leads to."""
    book = fold(
        house_book("a", "b", "c"),
        transfers=[DESK.deposit(pool, "USDT", "50000") for pool in (5, 6, 7)],
        trades=[DESK.trade(*row[:4], other=row[4]) for row in OPENED],
    )
    batch = EventBatch(
        book.time_ns, trades=events(Trades, [DESK.trade(*r[:4], other=r[4]) for r in rows])
    )
    prices = prices_of(10_000, 500)
    marks = {symbol: price for symbol, price in prices.items() if "/" in symbol}
    index = {asset: price for asset, price in prices.items() if asset not in marks}
    scene = scene_at(book, market_of(TABLE, marks, index))
    joined, end = settle_round(book, scene, RULES.fund_policy, batch)
    alone = apply(book, joined)
    assert digest_book(end) == digest_book(alone)
    assert end.sequence == book.sequence + 1
    assert set(conservation_residual(end)) == {0}
    assert positions_of(end, FUND) == {}
    assert all(amount >= 0 for amount in balances_of(end, FUND).values())
    assert (TransferReason.BAD_DEBT in joined.transfers.reason) == ("short" in name)
