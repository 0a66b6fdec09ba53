"""Liquidation prices that venues published, against those found by moving the whole pool."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plimsoll.connectors import build_portfolio, decode_document
from plimsoll.liquidation.prices import (
    Direction,
    LiquidationPrice,
    PoolPath,
    liquidation_price,
    pool_paths,
)
from plimsoll.margin import load_models

VECTORS = Path(__file__).parents[1] / "vectors"
BTC, ETH, COIN = "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USD:BTC"
USDC, HYPE = "BTC/USDC:USDC", "HYPE/USDC:USDC"

# File, case, symbol, how near: what the venue shows is cut to its own step.
PUBLISHED = (
    ("binance_usdm", "two cross longs of the liquidation price FAQ", BTC, 0.005),
    ("binance_usdm", "two cross longs of the liquidation price FAQ", ETH, 0.005),
    ("binance_usdm", "one isolated long of the liquidation price FAQ", BTC, 0.005),
    ("binance_coinm", "100,000 contracts from 45,000, brackets of February 2021", COIN, 0.005),
    ("binance_coinm", "100,000 contracts from 45,000, newer brackets", COIN, 0.1),
    ("binance_coinm", "hedge mode", f"{COIN}#long", 1e-6),
    ("binance_usdm", "500 USDT in the wallet", BTC, 0.005),
    ("binance_usdm", "isolated ENAUSDT of 24 October 2024", "ENA/USDT:USDT", 1e-8),
    ("binance_usdm", "hedge mode, legs of one size on BTCUSDT", f"{BTC}#long", 1e-6),
    ("hyperliquid_cross", "isolated ETH of the docs", "ETH/USDC:USDC", 2e-5),
    ("hyperliquid_cross", "isolated BTC short at 4x", USDC, 1e-6),
    ("hyperliquid_cross", "cross HYPE short at 1x", HYPE, 1e-7),
    ("hyperliquid_cross", "BTC short whose liquidation price lies in the next tier", USDC, 1e-6),
    ("bitmex_cross", "ETHUSDT, 20 contracts at 1,000, 50x cross", ETH, 1e-9),
    ("bitmex_cross", "liquidation of a cross long by the whole wallet", COIN, 0.5),
    ("bitmex_isolated", "isolated short, 1 XBTUSD at 10,771, 2x, November 2017", COIN, 0.5),
    ("bitmex_isolated", "KuCoin Futures, isolated long 0.001 BTC at 40,008, 5x", BTC, 1.0),
    ("bybit_cross", "bybit-isolated-eth-2022-11", ETH, 0.05),
    ("bybit_cross", "bybit-isolated-inverse-short-2024", COIN, 1e-6),
    ("kraken_futures", "long 1,000 contracts at 8,000 on 0.01 BTC", COIN, 0.5),
    ("lighter_cross", "an isolated position", "ETH/USDC:USDC", 1e-8),
    ("ftx_2022", "2 BTC at 10,000 on 1,000 USD at 20x", "BTC/USD:USD", 1e-8),
    ("okx_multi_currency", "okx-multi-isolated-btc-inverse", COIN, 0.1000001),
    ("okx_portfolio", "okx-portfolio-isolated-position", BTC, 0.1000001),
)


def read_case(file: str, name: str) -> dict[str, Any]:
    lines = (VECTORS / f"{file}.jsonl").read_text(encoding="utf-8").splitlines()
    (found,) = (case for case in map(json.loads, lines) if case["case"].endswith(name))
    return dict(found)


def pools_of(document: dict[str, Any]) -> tuple[PoolPath, ...]:
    portfolio = build_portfolio(decode_document(msgspec.json.encode(document), "x.json"))
    book, market = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, market.as_of_ns)
    return pool_paths(book, market, models, book.account_ids[0])


def price_of(pools: tuple[PoolPath, ...], symbol: str) -> tuple[LiquidationPrice, list[float]]:
    """What is found along the symbol's underlying, and its marks at every border."""
    table = pools[0].book.instruments
    i = table.index[symbol]
    (pool,) = (pool for pool in pools if i in pool.held())
    found = liquidation_price(pool, Direction.along(table.rows[i].base))
    mark = float(pool.path.market.mark[i])
    return found, [mark * crossing.factor for crossing in found.crossings]


@pytest.mark.parametrize(
    ("file", "name", "symbol", "step"), PUBLISHED, ids=lambda value: str(value)[:24]
)
def test_the_price_is_the_venues(file: str, name: str, symbol: str, step: float) -> None:
    case = read_case(file, name)
    expected = float(case["expected"][f"positions.{symbol}.liquidation_price"])
    _, marks = price_of(pools_of(case["document"]), symbol)
    assert marks == [pytest.approx(expected, abs=step)]


def test_the_recorded_hyperliquid_account_of_twelve_positions() -> None:
    """None exists where the venue shows none. Elsewhere it then showed where the account's value

    meets today's maintenance margin; the true price is nearer, for that margin grows on the way.
    """
    case = read_case("hyperliquid_cross", "twelve cross positions, first form of the response")
    pools = pools_of(case["document"])
    today = float(pools[0].now().maintenance_margin[0])
    suffix = ".liquidation_price"
    shown = {k.split(".")[1]: v for k, v in case["expected"].items() if k.endswith(suffix)}
    assert len(shown) == 12
    for symbol, venue in shown.items():
        found, marks = price_of(pools, symbol)
        if venue is None:
            assert (found.down, found.up, found.crossings) == (None, None, ())
            continue
        table = pools[0].book.instruments
        i = table.index[symbol]
        mark = float(pools[0].path.market.mark[i])
        there = pools[0].assess_at(Direction.along(table.rows[i].base), venue / mark)
        assert there.equity[0] == pytest.approx(today, rel=1e-6)
        assert there.maintenance_margin[0] > there.equity[0]
        assert found.up is not None
        assert mark < marks[0] < venue
        assert marks == [pytest.approx(venue, rel=0.02)]
