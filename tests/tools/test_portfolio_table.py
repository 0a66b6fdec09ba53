"""The portfolio model's table: its generator on small cases, and the committed file itself."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plimsoll.core import InputError, load_tables
from tools.portfolio_table import (
    History,
    Listed,
    daily_moves,
    depeg_moves,
    family_of,
    joint_scenarios,
    list_underlyings,
    main,
    measure_together,
    round_down,
    round_up,
)

PACKAGE = "plimsoll.margin.venues"


@pytest.fixture(scope="module")
def params() -> Any:
    (table,) = load_tables(PACKAGE, "plimsoll_portfolio")
    return table.params


def history(count: int, size: float, volume: float = 2e8) -> History:
    """Moves of one size, up and down in turn."""
    moves = np.where(np.arange(count) % 2 == 0, size, -size)
    return History(np.arange(count, dtype=np.int64), moves, volume)


def test_a_move_over_a_hole_is_left_out() -> None:
    days, moves = daily_moves(np.array([1, 2, 5, 6]), np.array([100.0, 110.0, 55.0, 66.0]))
    assert days.tolist() == [2, 6]
    assert moves == pytest.approx([0.1, 0.2])
    with pytest.raises(InputError, match="days do not rise"):
        daily_moves(np.array([1, 1]), np.array([1.0, 1.0]))


@pytest.mark.parametrize(
    ("volume", "family"),
    [(5e9, "major"), (4.99e9, "large"), (1e8, "large"), (9.9e7, "small"), (0.0, "small")],
)
def test_volume_on_a_quiet_day_makes_the_class(volume: float, family: str) -> None:
    assert family_of(volume) == family


def test_rounding_keeps_what_is_on_a_step() -> None:
    assert (round_up(0.13, 0.01), round_up(0.1301, 0.01)) == (0.13, 0.14)
    assert (round_down(0.45, 0.05), round_down(0.449, 0.05)) == (0.45, 0.4)


def test_a_floor_is_the_quantile_of_the_whole_history() -> None:
    """One day in fifty moved by 0.3: more than one in a hundred, so that is the quantile."""
    moves = np.full(2000, 0.02)
    moves[:1000:25] = -0.3
    calm = History(np.arange(2000, dtype=np.int64), moves, 2e8)
    (row,) = list_underlyings({"A": calm})
    assert (row.recent, row.floor, row.price_range) == (0.02, 0.3, 0.3)
    (wild,) = list_underlyings({"A": history(2000, 0.1)})
    assert (wild.recent, wild.floor) == (0.1, 0.1)
    assert wild.price_range == pytest.approx(0.125)


def test_a_short_history_takes_its_peers_floor_where_that_is_higher() -> None:
    peers = {"A": history(1500, 0.2), "B": history(3000, 0.3), "C": history(1500, 0.1)}
    rows = list_underlyings({**peers, "NEW": history(1499, 0.15), "WILD": history(400, 0.4)})
    assert {row.name: row.floor for row in rows} == {
        "A": 0.2, "B": 0.3, "C": 0.1, "NEW": 0.2, "WILD": 0.4,
    }  # fmt: skip


def test_partings_are_measured_in_ranges() -> None:
    """Nine coins move as one by half their ranges, one small coin the other way."""
    together = history(1000, 0.1)
    rows = [Listed(f"C{k}", "major" if k < 2 else "large", 0.0, 0.2, 1.0) for k in range(9)]
    rows.append(Listed("ODD", "small", 0.0, 0.1, 1.0))
    histories = {row.name: together for row in rows}
    histories["ODD"] = History(together.days, -together.moves / 4, 1.0)
    found = measure_together(rows, histories)
    # 0.5 against -0.25 is a parting of 0.75, of which half is lost on both legs.
    assert found.alone == {"major": 0.0, "large": 0.0, "small": 0.75}
    assert found.offset == {"major": 1.0, "large": 1.0, "small": pytest.approx(0.6)}
    assert found.gap == 0.25


def test_the_scenarios_are_48_and_symmetric() -> None:
    rows = joint_scenarios(0.5)
    assert len(rows) == len(set(rows)) == 48
    assert {(-a, -b) for a, b, _ in rows} == {(a, b) for a, b, _ in rows}
    apart = [(a, b) for a, b, _ in rows if a != b]
    assert len(apart) == 12
    assert {abs(a - b) for a, b in apart} == {0.5}
    assert all(vol == 1 for a, _, vol in rows if abs(a) > 1)


def test_depegs_are_rounded_up() -> None:
    assert depeg_moves(np.array([1.0, 1.0, 0.951, 1.0]), 1) == (0.05, 0.06)


def test_the_committed_ranges_are_fractions_of_known_classes(params: Any) -> None:
    assert {"BTC", "ETH", "SOL", "DOGE", "ICP"} <= params["underlyings"].keys()
    for name, row in params["underlyings"].items():
        assert row["class"] in params["classes"], name
        assert 0.05 <= row["recent"] * (1 + params["range_buffer"]) < 0.5, name
        assert 0.1 <= row["floor"] < 0.5, name
        assert row["daily_volume"] > 1e6, name
    assert params["underlyings"]["BTC"]["floor"] <= min(
        row["floor"] for row in params["underlyings"].values()
    )
    assert params["range_buffer"] >= 0.25
    assert params["scenarios"].keys() == {"majors", "others", "volatility"}


def test_the_committed_table_is_what_its_generator_writes(
    shared_data: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    prices = shared_data("data/prices")
    ratios = shared_data("data/collateral/binance_collateral_ratio_tiers_2025-08-01.csv")
    main(["--prices", str(prices), "--ratios", str(ratios)])
    committed = files(PACKAGE).joinpath("plimsoll_portfolio.toml").read_text(encoding="utf-8")
    assert capsys.readouterr().out == committed
