"""The comparison of deleveraging policies: on a made event, and on that of 10 October 2025."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools.adl_policies.__main__ import main
from tools.adl_policies.data import DEFICITS, EQUITY, POLICIES, SHOCKS

DAY = "2025-10-10 21:"
WAVES = [
    {"wave": 1, "t_start": f"{DAY}16:00+00:00", "t_end": f"{DAY}16:05+00:00",
     "overshoot_prod": -4, "overshoot_pr": 0, "overshoot_vector": 1,
     "overshoot_fixed_point_ilp_integer": 2},
    {"wave": 2, "t_start": f"{DAY}17:00+00:00", "t_end": f"{DAY}17:05+00:00",
     "overshoot_prod": 9, "overshoot_pr": 0, "overshoot_vector": 1,
     "overshoot_fixed_point_ilp_integer": 2},
]  # fmt: skip
# coin, time, deficit, capacity, closed: two coins in the first wave, one after it, one in the next.
ROWS = [
    ("A", "16:01", 100, 300, 280),
    ("B", "16:02", 50, 20, 15),
    ("A", "16:30", 0, 70, 60),
    ("B", "17:00", 33.33, 40, 40),
]


@pytest.fixture
def event(tmp_path: Path) -> Path:
    def write(name: str, rows: list[dict[str, Any]]) -> None:
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    names = ("coin", "t_start", "deficit_usd", "total_capacity_usd", "budget_queue_usd")
    shocks = [dict(zip(names, row, strict=True)) for row in ROWS]
    for row in shocks:
        row["t_start"] = row["t_end"] = f"{DAY}{row['t_start']}+00:00"
    write(SHOCKS, shocks)
    write(POLICIES, WAVES)
    ends = {"t_end_ms": 1000, "t_eval_end_ms": 6000, "overshoot_prod_minus_needed_usd": 7}
    write(EQUITY, [ends, ends])
    write(DEFICITS, [{"deficit_usd": 5, "max_loss_usd": 4}, {"deficit_usd": 4, "max_loss_usd": 4}])
    return tmp_path


def run(folder: Path, capsys: Any, *more: str) -> dict[str, Any]:
    assert main(["--data", str(folder), "--format", "json", *more]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_a_made_event_by_hand(event: Path, capsys: Any) -> None:
    """Wave 1: 150 of 320 by profit is 140.625 and 9.375; wave 2: 33.33, in lots of 10 40."""
    found = run(event, capsys, "--lot", "10")
    rows = {row["policy"]: row for row in found["by_coins"]}
    default = rows["pro rata by profit (default)"]
    assert (default["taken"], default["overshoot"]) == (15_000 + 4_000, 667)
    assert (default["lots_over"], default["uncovered"], default["payers"]) == (0.667, 0, 3)
    # 140 and 10 in wave 1, one payer in wave 2, weighted by 150 and 40.
    hhi = ((14**2 + 1) / 15**2 * 150 + 40) / 190
    assert default["hhi"] == pytest.approx(hhi)
    assert default["profit_closed"] == pytest.approx(190 / 430)
    own = rows["own coin"]
    assert (own["taken"], own["overshoot"], own["uncovered"]) == (15_333, 0, 3_000)
    production = rows["production"]
    assert production["overshoot"] == (295 - 150 + 60) * 100 + 667
    first = rows["largest profit first"]
    assert (first["payers"], first["hhi"]) == (2, 1.0)
    published = {row["name"]: row for row in found["published"]}
    net = published["overshoot of the queue, horizon 0 (v3)"]
    assert (net["found"], net["is_reproduced"]) == (5.0, False)
    beyond = published["closed beyond deficits (v1)"]
    assert beyond["found"] == pytest.approx(180 + 60 + 6.67)
    assert published["overshoot pro rata"]["is_reproduced"]
    assert published["overshoot of the queue, 500 ms"]["found"] is None
    assert any("with equity read 5 s after a wave" in note for note in found["notes"])


def test_cents_leave_the_default_nothing_over(event: Path, capsys: Any) -> None:
    found = run(event, capsys, "--lot", "0.01")
    rows = {row["policy"]: row for row in found["by_coins"]}
    assert rows["pro rata by profit (default)"]["overshoot"] == 0
    assert all(row["overshoot"] == 0 for row in found["by_generated_accounts"])


def test_generated_accounts_are_those_of_their_seed(event: Path, capsys: Any) -> None:
    first, again, other = (
        run(event, capsys, "--seed", seed)["by_generated_accounts"] for seed in ("1", "1", "2")
    )
    assert first == again
    assert first != other


def test_tables_for_people(event: Path, capsys: Any) -> None:
    assert main(["--data", str(event)]) == 0
    out = capsys.readouterr().out
    assert "pro rata by profit (default)" in out
    assert "largest haircut" in out
    assert "queue, Hyperliquid's program" in out
    assert "one that counts 2 times" in out


@pytest.mark.parametrize("lot", ["0", "-1", "ten", "0.001", "nan", "1e30"])
def test_a_lot_below_a_cent_is_refused(event: Path, capsys: Any, lot: str) -> None:
    assert main(["--data", str(event), f"--lot={lot}"]) == 2
    assert "no amount from a cent up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (SHOCKS, None, "cannot be read"),
        (SHOCKS, "coin,t_start\n", "holds no rows"),
        (DEFICITS, "deficit_usd\nx\n", "has no finite column 'deficit_usd'"),
        (POLICIES, "wave,t_start,t_end\n1,x,y\n", "has no times in 't_start'"),
    ],
)
def test_a_file_that_is_not_the_events_is_one_line_and_exit_2(
    event: Path, capsys: Any, name: str, text: str | None, told: str
) -> None:
    path = event / name
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")
    assert main(["--data", str(event)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert name in error
    assert error.count("\n") == 1


def test_the_event_of_october(shared_data: Callable[[str], Path], capsys: Any) -> None:
    folder = shared_data(f"data/liquidations/{SHOCKS}").parent
    for name in (POLICIES, EQUITY, DEFICITS):
        shared_data(f"data/liquidations/{name}")
    found = run(folder, capsys)
    reproduced = [row["name"] for row in found["published"] if row["is_reproduced"]]
    assert len(reproduced) == 7
    assert "overshoot of the queue, horizon 0 (v3)" in reproduced
    coins = {row["policy"]: row for row in found["by_coins"]}
    default, production = coins["pro rata by profit (default)"], coins["production"]
    accounts = {row["policy"]: row for row in found["by_generated_accounts"]}
    shared = accounts["pro rata by profit (default)"]
    assert default["lots_over"] < 1
    assert shared["lots_over"] < 1
    assert production["overshoot"] > 1_000 * default["overshoot"]
    queues = [row for name, row in accounts.items() if name.startswith("queue")]
    assert len(queues) == 5
    assert all(shared["hhi"] < row["hhi"] for row in queues)
    assert all(shared["largest_haircut"] < row["largest_haircut"] for row in queues)
