"""``plimsoll replay``, ``verify``, ``book generate``, ``models`` and the command line itself."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plimsoll.core import format_time
from plimsoll.ledger import read_records
from plimsoll.margin import MODELS
from tests.app.command import EXAMPLES, Finished, plimsoll, run_python

KEYS = {
    "accounts", "pools", "positions", "gross_notional", "ticks", "from", "to", "events",
    "margin_calls", "liquidated_accounts", "liquidated_notional", "taken_over",
    "unknown_account_ticks", "insurance_fund_start", "insurance_fund_end", "bad_debt",
    "deleveraged_notional", "socialised", "bad_debt_uncovered", "conservation_residual",
    "journal_hash", "state_hash",
}  # fmt: skip
# The hour of the crash, by the minute.
HOUR = ("--start", "2025-10-10T20:45:00Z", "--end", "2025-10-10T21:45:00Z")
SMALL = (*HOUR, "--accounts", 500, "--seed", 3, "--format", "json")


def replay(journal: Path, *arguments: object) -> Finished:
    return plimsoll("replay", "--journal", journal, *SMALL, *arguments)


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Path]:
    """A small replay: its journal, what it printed, its report."""
    folder = tmp_path_factory.mktemp("crash")
    journal, report = folder / "crash.db", folder / "crash.html"
    done = replay(journal, "--report", report)
    assert done.code == 0, done.err
    return journal, done.json, report


# -- replay ----------------------------------------------------------------------------------


def test_a_replay_says_all_that_is_asked(crash: tuple[Path, dict[str, Any], Path]) -> None:
    _, found, _ = crash
    assert found.keys() == KEYS
    assert (found["accounts"], found["ticks"]) == (500, 60)
    assert (found["from"], found["to"]) == ("2025-10-10T20:45:00Z", "2025-10-10T21:44:00Z")
    assert found["conservation_residual"] == 0
    assert found["pools"] >= 505
    assert found["positions"] >= 500
    assert 0 < found["liquidated_accounts"] < 500
    assert found["liquidated_notional"] > 0
    assert found["margin_calls"] > 0
    assert found["insurance_fund_start"] == pytest.approx(0.01 * found["gross_notional"], abs=1)
    assert found["bad_debt"] >= found["bad_debt_uncovered"] >= 0
    for name in ("journal_hash", "state_hash"):
        assert re.fullmatch("[0-9a-f]{64}", found[name])


def test_a_replay_is_the_same_again_and_another_with_another_seed(
    crash: tuple[Path, dict[str, Any], Path], tmp_path: Path
) -> None:
    journal, found, _ = crash
    again = tmp_path / "again.db"
    assert replay(again).json == found
    assert again.read_bytes() == journal.read_bytes()
    other = replay(tmp_path / "other.db", "--seed", 4).json
    assert other["state_hash"] != found["state_hash"]


@pytest.mark.parametrize(("hash_seed", "threads"), [("0", "1"), ("12345", "2")])
def test_a_replay_does_not_depend_on_hash_seed_or_threads(
    crash: tuple[Path, dict[str, Any], Path], tmp_path: Path, hash_seed: str, threads: str
) -> None:
    _, found, _ = crash
    program = "from plimsoll.app.cli import main; main()"
    done = run_python(
        "-c", program, "replay", "--journal", tmp_path / "x.db", *SMALL,
        PYTHONHASHSEED=hash_seed, NUMBA_NUM_THREADS=threads, POLARS_MAX_THREADS=threads,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == found


def test_the_table_shows_the_figures(tmp_path: Path) -> None:
    journal, report = tmp_path / "crash.db", tmp_path / "crash.html"
    done = plimsoll("replay", "--journal", journal, *HOUR, "--accounts", 50, "--report", report)
    assert done.code == 0
    assert "Replay, 2025-10-10T20:45:00Z to 2025-10-10T21:44:00Z" in done.out
    rows = [line.split() for line in done.out.splitlines()]
    assert ["Accounts", "50"] in rows
    assert ["Conservation", "residual", "0"] in rows
    assert "crash.db" in done.out
    assert "crash.html" in done.out
    assert "60/60" in done.err  # the progress, which is no result


def test_the_report_is_one_file_that_needs_no_other(
    crash: tuple[Path, dict[str, Any], Path],
) -> None:
    _, found, report = crash
    page = report.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert found["state_hash"][:12] in page
    assert not re.search(r"""<(?:script|link|img)[^>]+(?:src|href)=["']?http""", page)


def test_an_existing_journal_is_not_overwritten(tmp_path: Path) -> None:
    journal = tmp_path / "crash.db"
    journal.write_bytes(b"precious")
    done = replay(journal)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1] == (
        f"error: {journal}: already exists; choose a new file for the journal"
    )
    assert journal.read_bytes() == b"precious"
    # A command that cannot run leaves it, force or not.
    for arguments in (
        ("--prices", tmp_path / "none.parquet"),
        ("--start", "2030-01-01"),
        ("--report", tmp_path / "none" / "r.html"),
    ):
        assert replay(journal, "--force", *arguments).code == 2
        assert journal.read_bytes() == b"precious"
    done = replay(journal, "--force", "--accounts", 5)
    assert (done.code, done.json["accounts"]) == (0, 5)
    assert plimsoll("verify", journal).code == 0


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (("--start", "yesterday"), "--start"),
        (("--end", "2025-13-01"), "--end"),
        (("--start", "2025-11-01", "--end", "2025-11-02"), "--start, --end"),
        (("--start", "2025-10-10T21:00:00Z", "--end", "2025-10-10T20:00:00Z"), "--start, --end"),
        (("--prices", "none.parquet"), "none.parquet"),
        (("--prices", "."), "."),
        (("--prices", str(EXAMPLES / "desk.yaml")), "desk.yaml"),
        (("--report", "none/r.html"), "none/r.html"),
        (("--journal", "none/r.db"), "none/r.db"),
        (("--journal", "."), "."),
        (("--journal", ".", "--force"), "."),
    ],
)
def test_a_replay_that_cannot_run_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = replay(tmp_path / "crash.db", *arguments)
    assert done.code in (1, 2)
    assert done.out == ""
    last = done.err.splitlines()[-1]
    assert re.fullmatch(r"(error|refused): .+: .+; .+", last), done.err
    assert place in last
    assert "Traceback" not in done.err
    assert not (tmp_path / "crash.db").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--accounts", "0"),
        ("--accounts", "many"),
        ("--seed", "-1"),
        ("--insurance-fund-share", "nan"),
        ("--insurance-fund-share", "2"),
        ("--format", "xml"),
        ("--no-such-option",),
        ("surplus",),
    ],
)
def test_options_of_the_wrong_kind_are_usage_errors(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = replay(tmp_path / "crash.db", *arguments)
    assert (done.code, done.out) == (2, "")
    assert "Usage: plimsoll replay" in done.err
    assert [*tmp_path.iterdir()] == []


# -- verify ----------------------------------------------------------------------------------


def test_verify_folds_to_the_same_state(crash: tuple[Path, dict[str, Any], Path]) -> None:
    journal, replayed, _ = crash
    for again in ((), ("--decide-again",)):
        found = plimsoll("verify", journal, "--format", "json", *again).json
        assert found["state_hash"] == replayed["state_hash"]
        assert found["journal_hash"] == replayed["journal_hash"]
        assert found["events"] == replayed["events"]
        assert found["conservation_residual"] == 0
        assert found["is_sealed"] is True
        assert (found["decisions_reproduced"] is None) == (again == ())
        table = plimsoll("verify", journal, *again)
        assert table.code == 0
        assert replayed["state_hash"] in table.out
        assert "NO" not in table.out.replace("records", "")


def test_verify_reads_and_writes_nothing(crash: tuple[Path, dict[str, Any], Path]) -> None:
    journal, _, _ = crash
    before = journal.read_bytes(), sorted(journal.parent.iterdir())
    plimsoll("verify", journal)
    assert (journal.read_bytes(), sorted(journal.parent.iterdir())) == before


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_verify_names_the_record_that_was_changed(
    crash: tuple[Path, dict[str, Any], Path], tmp_path: Path, where: str
) -> None:
    journal, _, _ = crash
    records = list(read_records(journal))
    record = records[{"first": 0, "middle": len(records) // 2, "last": -1}[where]]
    data = journal.read_bytes()
    needle = record.time_ns.to_bytes(8, "big") + record.kind.encode() + record.payload[:40]
    assert data.count(needle) == 1
    at = data.index(needle) + len(needle) - 1
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    for arguments in ((), ("--decide-again",), ("--format", "json")):
        done = plimsoll("verify", damaged, *arguments)
        assert (done.code, done.out) == (1, "")
        time = format_time(record.time_ns)
        assert done.err.splitlines()[-1] == (
            f"refused: {damaged}: record {record.sequence} ('{record.kind}', {time}): its stored "
            "hash does not match its content; restore the journal from a copy"
        )


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: None, 2),
        (lambda path: path.mkdir(), 2),
        (lambda path: path.write_bytes(b""), 1),
        (lambda path: path.write_text("no journal at all"), 1),
    ],
    ids=["missing", "a directory", "empty", "text"],
)
def test_what_is_no_journal_is_refused(
    tmp_path: Path, make: Callable[[Path], None], code: int
) -> None:
    path = tmp_path / "crash.db"
    make(path)
    done = plimsoll("verify", path)
    assert (done.code, done.out) == (code, "")
    assert re.fullmatch(
        rf"(error|refused): {re.escape(str(path))}: .+; .+", done.err.splitlines()[-1]
    )


# -- the rest --------------------------------------------------------------------------------


def test_a_generated_book_can_be_kept_and_verified(tmp_path: Path) -> None:
    journal = tmp_path / "book.db"
    made = plimsoll("book", "generate", "--accounts", 200, "--journal", journal, "--format", "json")
    assert made.code == 0
    assert made.json["accounts"] == 200
    found = plimsoll("verify", journal, "--decide-again", "--format", "json").json
    assert (found["conservation_residual"], found["is_sealed"]) == (0, True)
    assert found["events"] > 400
    again = plimsoll("book", "generate", "--accounts", 200, "--format", "json")
    assert again.json == made.json
    assert plimsoll("book", "generate", "--accounts", 200, "--journal", journal).code == 2
    table = plimsoll("book", "generate", "--accounts", 200)
    assert re.search(r"^ Accounts +200 *$", table.out, re.MULTILINE)


def test_models_lists_every_model_with_its_tables() -> None:
    listed = plimsoll("models", "--format", "json").json
    assert [model["name"] for model in listed] == [model.name for model in MODELS]
    for model in listed:
        for table in model["tables"]:
            assert table.keys() == {"effective_from", "source", "retrieved", "unconfirmed"}
            assert table["source"]
    shown = plimsoll("models").out
    assert all(model.name in shown for model in MODELS)
    told = plimsoll("models", "plimsoll.standard").out
    for name in listed[0]["tables"][-1]["unconfirmed"]:
        assert name in told
    unknown = plimsoll("models", "plimsoll.standrad")
    assert unknown.code == 2
    assert "did you mean 'plimsoll.standard'" in unknown.err


@pytest.mark.parametrize(
    "name", ["margin", "compare", "loans", "replay", "verify", "models", "book", "demo"]
)
def test_every_command_has_a_help_page(name: str) -> None:
    done = plimsoll(name, "--help")
    assert done.code == 0
    assert f"Usage: plimsoll {name}" in done.out
    assert name in plimsoll("--help").out


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from plimsoll.app.cli import main\n"
        "sys.argv = ['plimsoll', '--help']\n"
        "try:\n    main()\n"
        "finally:\n"
        "    heavy = {'numba', 'numpy', 'polars', 'plotly', 'scipy', 'yaml'} & set(sys.modules)\n"
        "    print(sorted(heavy), file=sys.stderr)\n"
    )
    done = run_python("-c", program)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_a_margin_loads_neither_polars_nor_plotly() -> None:
    program = (
        "import sys\n"
        "from plimsoll.app.cli import main\n"
        f"sys.argv = ['plimsoll', 'margin', {str(EXAMPLES / 'desk.yaml')!r}]\n"
        "try:\n    main()\n"
        "finally:\n    print(sorted({'polars', 'plotly'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = run_python("-c", program)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_the_installed_script_stops_quietly_when_nobody_reads() -> None:
    script = Path(sys.executable).with_name("plimsoll")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [script, "models"], stdout=write, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    os.close(write)
    assert done.stderr == ""


def test_a_crash_on_real_prices(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    prices = shared_data("data/prices/binance_perp_15m_ohlcv_2024-2026_BTC_ETH_SOL.parquet")
    journal = tmp_path / "crash.db"
    done = plimsoll(
        "replay", "--prices", prices, "--start", "2025-10-10T12:00:00Z", "--end", "2025-10-11",
        "--accounts", 2000, "--seed", 7, "--journal", journal, "--format", "json",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = done.json
    assert found["ticks"] == 48 * 4
    assert found["conservation_residual"] == 0
    # A tenth of all accounts and more: 1.6 million of some millions that day.
    assert found["liquidated_accounts"] > 100
    assert found["taken_over"] > 0
    verified = plimsoll("verify", journal, "--decide-again", "--format", "json").json
    assert verified["state_hash"] == found["state_hash"]
    assert verified["decisions_reproduced"] > 0
    assert verified["is_sealed"] is True
