"""The house model's table: its generator on small cases, and the committed file itself."""

from collections.abc import Callable
from decimal import Decimal
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from plimsoll.core import InputError, load_tables
from tools.standard_table import bracket_rows, main, merge_haircuts, parse_ratio_tiers

PACKAGE = "plimsoll.margin.venues"
UNBOUNDED = 2**64 - 1


@pytest.fixture(scope="module")
def params() -> Any:
    (table,) = load_tables(PACKAGE, "plimsoll_standard")
    return table.params


def tiers(*rows: tuple[str, str]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(floor), Decimal(value)) for floor, value in rows]


def test_a_finite_last_tier_is_followed_by_nothing() -> None:
    parsed = parse_ratio_tiers("[0-800000:100, 800000-1200000:95.5]", "X")
    assert parsed == tiers(("0", "100"), ("800000", "95.5"), ("1200000", "0"))


def test_an_unbounded_tier_has_no_end() -> None:
    assert parse_ratio_tiers(f"[0-{UNBOUNDED}:90]", "X") == tiers(("0", "90"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[5-10:100]",
        "[0-10:100,20-30:90]",
        "[0-10:100,5-30:90]",
        "[0-10:90,10-20:95]",
        "[0-10:101]",
        "[0-10:100,10-10:90]",
        "[0-10:100,rest:50]",
    ],
)
def test_broken_ratio_tiers_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="X: "):
        parse_ratio_tiers(text, "X")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("[0-10:100,10-20:50]", f"[0-{UNBOUNDED}:80]", [("0", "0.2"), ("10", "0.5"), ("20", "1")]),
        ("[0-10:100,10-20:90]", "[0-15:95]", [("0", "0.05"), ("10", "0.1"), ("15", "1")]),
        ("[0-10:100,10-20:90]", f"[0-{UNBOUNDED}:70]", [("0", "0.3"), ("20", "1")]),
        (f"[0-{UNBOUNDED}:100]", f"[0-{UNBOUNDED}:100]", [("0", "0")]),
    ],
)
def test_the_lower_ratio_holds_at_every_value(
    first: str, second: str, expected: list[tuple[str, str]]
) -> None:
    ratios = parse_ratio_tiers(first, "X"), parse_ratio_tiers(second, "X")
    assert merge_haircuts(*ratios) == tiers(*expected)
    assert merge_haircuts(*reversed(ratios)) == tiers(*expected)


def bracket(floor: float, cap: float, rate: float, leverage: float) -> dict[str, float]:
    return {
        "minNotional": floor,
        "maxNotional": cap,
        "maintenanceMarginRate": rate,
        "maxLeverage": leverage,
    }


def test_the_initial_rate_is_the_reciprocal_of_the_leverage() -> None:
    rows = bracket_rows([bracket(0, 50, 0.01, 50), bracket(50, 90, 0.02, 20)], "X")
    assert rows == [(0.0, 0.01, 0.02), (50.0, 0.02, 0.05)]


@pytest.mark.parametrize(
    "broken",
    [
        [],
        [bracket(1, 50, 0.01, 50)],
        [bracket(0, 50, 0.01, 50), bracket(60, 90, 0.02, 20)],
        [bracket(0, 50, 0.02, 50), bracket(50, 90, 0.01, 20)],
        [bracket(0, 50, 0.01, 20), bracket(50, 90, 0.02, 20)],
        [bracket(0, 50, 0.06, 20)],
    ],
)
def test_brackets_that_are_no_schedule_are_refused(broken: list[dict[str, float]]) -> None:
    with pytest.raises(InputError, match="X: "):
        bracket_rows(broken, "X")


def test_the_committed_brackets_rise_and_initial_covers_maintenance(params: Any) -> None:
    assert 30 <= len(params["brackets"]) <= 40
    for asset, rows in params["brackets"].items():
        assert rows[0][0] == 0, asset
        assert all(0 < maintenance <= initial <= 1 for _, maintenance, initial in rows), asset
        for low, high in pairwise(rows):
            assert all(a < b for a, b in zip(low, high, strict=True)), asset


def test_the_committed_haircuts_rise_within_a_fraction(params: Any) -> None:
    assert params["haircuts"]["USD"] == [[0, 0.0]]
    assert {"BTC", "ETH", "USDT", "USDC"} <= params["haircuts"].keys()
    for asset, rows in params["haircuts"].items():
        assert rows[0][0] == 0, asset
        assert all(0 <= haircut <= 1 for _, haircut in rows), asset
        for low, high in pairwise(rows):
            assert all(a < b for a, b in zip(low, high, strict=True)), asset


def test_the_committed_levels_leave_a_gap_between_call_and_clear(params: Any) -> None:
    assert 0 < params["margin_call_clear_ratio"] < params["margin_call_ratio"] < 1
    assert params["size_slopes"].keys() <= params["brackets"].keys()


def test_the_committed_table_is_what_its_generator_writes(
    shared_data: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tiers_path = shared_data("data/collateral/binance_leverage_tiers_2026-09.json.gz")
    ratios_path = shared_data("data/collateral/binance_collateral_ratio_tiers_2025-08-01.csv")
    main(["--tiers", str(tiers_path), "--ratios", str(ratios_path)])
    committed = files(PACKAGE).joinpath("plimsoll_standard.toml").read_text(encoding="utf-8")
    assert capsys.readouterr().out == committed
