"""The tables of Binance: their generator on small cases, and the committed blocks themselves."""

import json
from collections.abc import Callable
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from plimsoll.core import InputError, load_tables
from tools.binance_table import CHANGES, RANKED, SYMBOLS, main, portfolio_block, usdm_block

PACKAGE = "plimsoll.margin.venues"
TIERS = "data/collateral/binance_leverage_tiers_2026-09.json.gz"
RATIOS = "data/collateral/binance_collateral_ratio_tiers_2025-08-01.csv"
FLAT = "[0-18446744073709551615:{}]"


def committed(name: str) -> str:
    return files(PACKAGE).joinpath(f"{name}.toml").read_text(encoding="utf-8")


def tier(floor: float, cap: float, rate: float, leverage: float) -> dict[str, Any]:
    names = ("minNotional", "maxNotional", "maintenanceMarginRate", "maxLeverage")
    return dict(zip(names, (floor, cap, rate, leverage), strict=True))


def test_usdm_rows_are_the_venues_in_plain_numbers() -> None:
    tiers = {s: [tier(0, 5000, 0.0065, 75), tier(5000, 1e9, 0.01, 50)] for s in SYMBOLS}
    block = usdm_block(tiers, "2026-09-01", "2026-09-30")
    assert '"BTC/USDT:USDT" = [\n  [0, 0.0065, 75],\n  [5000, 0.01, 50],\n]\n' in block
    assert "effective_from = 2026-09-01\n" in block
    assert "retrieved = 2026-09-30\n" in block


def test_a_snapshot_without_a_symbol_or_with_a_broken_one_is_refused() -> None:
    tiers = {symbol: [tier(0, 5000, 0.0065, 75)] for symbol in SYMBOLS}
    with pytest.raises(InputError, match="tiers: ZEC/USDT:USDT is missing"):
        usdm_block({s: rows for s, rows in tiers.items() if s != "ZEC/USDT:USDT"}, "x", "y")
    broken = {**tiers, "ETH/USDT:USDT": [tier(7, 5000, 0.0065, 75)]}
    with pytest.raises(InputError, match=r"payload\['ETH/USDT:USDT'\]\[0\]: the bracket from 7"):
        usdm_block(broken, "2026-09-01", "2026-09-30")


def test_announced_rates_hold_from_their_day() -> None:
    ratios = {"BTC": FLAT.format(95), "APT": FLAT.format(50), "OLD": FLAT.format(0), "NEW": ""}
    before = portfolio_block(ratios, "2025-08-19")
    assert "BTC = [[0, 0.95]]\n" in before
    assert "APT = [[0, 0.6]]\n" in before
    assert "C98" not in before
    assert "OLD" not in before
    assert "NEW" not in before
    after = portfolio_block(ratios, "2026-09-01")
    assert "APT = [[0, 0.4]]\n" in after
    assert "C98 = [[0, 0.3]]\n" in after
    # Pro: APT from rank 7 to rank 8.
    assert "APT = [[0, 1.0], [800000, 0.95], [1200000, 0.75], [2000000, 0.5]]\n" in before
    assert "APT = [[0, 1.0], [200000, 0.8], [400000, 0.7], [800000, 0.4], [1000000, 0.2]]" in after


@pytest.mark.parametrize("text", ["[0-5:95]", "95", "[0-18446744073709551615:high]"])
def test_a_ratio_that_is_not_flat_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"ratios\.BTC: .* is no flat ratio"):
        portfolio_block({"BTC": text}, "2026-09-01")


def test_announcements_are_in_order_and_in_pairs() -> None:
    for changes in (CHANGES, RANKED):
        assert list(changes) == sorted(changes)
        for text in changes.values():
            words = text.split()
            assert all(word.isdigit() for word in words[1::2])
            assert len(set(words[::2])) == len(words) // 2


@pytest.mark.parametrize("name", ["binance_usdm", "binance_coinm", "binance_portfolio"])
def test_committed_brackets_rise_and_leave_room(name: str) -> None:
    for table in load_tables(PACKAGE, name):
        params = table.params
        for part in ("brackets", "coin_m_brackets"):
            for symbol, rows in params.get(part, {}).items():
                assert rows[0][0] == 0, symbol
                assert all(0 < rate <= 1 / leverage for _, rate, leverage in rows), symbol
                for (floor, rate, leverage), (above, higher, lower) in pairwise(rows):
                    assert floor < above, symbol
                    assert rate < higher, symbol
                    assert leverage > lower, symbol
        assert params["margin_call_clear_ratio"] <= params["margin_call_ratio"]
        for path in table.unconfirmed:
            first, _, symbol = path.partition(".")
            assert first in params or first in ("open_orders", "margin_call_ratio")
            assert not symbol or symbol in params[first]


def test_committed_tables_stay_reviewable() -> None:
    assert committed("binance_usdm").count("\n") < 2000
    assert committed("binance_portfolio").count("\n") < 2000


def test_the_committed_blocks_are_what_the_generator_writes(
    shared_data: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["usdm", "--tiers", str(shared_data(TIERS)), "--from", "2026-09-01"])
    assert committed("binance_usdm").endswith(f"\n\n{capsys.readouterr().out}")
    for day in ("2025-08-19", "2026-09-01"):
        main(["portfolio", "--ratios", str(shared_data(RATIOS)), "--from", day])
        assert f"\n\n{capsys.readouterr().out}" in committed("binance_portfolio")


def test_the_brackets_of_october_2024_are_the_published_ones(
    shared_data: Callable[[str], Path],
) -> None:
    cases = json.loads(shared_data("vectors/cex_examples.json").read_text(encoding="utf-8"))
    (table,) = (t for t in load_tables(PACKAGE, "binance_usdm") if "24 October 2024" in t.source)
    compared = 0
    for case in cases:
        if "leverage bracket table" in case["model"] and "rows" in case["inputs"]:
            asset = case["id"].split("-")[2].upper()
            rows = [[floor, rate, leverage] for floor, _, leverage, rate, _ in
                    case["inputs"]["rows"]]  # fmt: skip
            assert table.params["brackets"][f"{asset}/USDT:USDT"] == rows
            compared += 1
    assert compared >= 2
