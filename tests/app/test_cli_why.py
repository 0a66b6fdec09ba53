"""``plimsoll why``: from a journal, as tables, JSON and a page; who was never liquidated."""

from decimal import Decimal
from pathlib import Path

import pytest

from plimsoll.engine.explain import read_chronicle
from tests.app.command import Finished, plimsoll
from tests.engine.story import TICKS, write
from tests.engine.world import inputs_of, prices_of


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "story.db"
    write(path)
    return path


def why(journal: Path, *arguments: object) -> Finished:
    return plimsoll("why", journal, *arguments)


def test_the_table_tells_the_whole_story(journal: Path) -> None:
    done = why(journal, "a")
    assert done.code == 0, done.err
    for words in (
        "a was liquidated at 2025-10-10T21:15:03Z.",
        "Its equity of -100.00 USD was below zero; it had to hold 860.00 USD.",
        "The step before, 1 s earlier, the ratio was 55.8%; no call stood.",
        "What it had and owed passed to INSURANCE_FUND",
        "INSURANCE_FUND bore the 100.00 USD that it had lost past zero at those prices.",
        "Sources (1 used): test: GOOD, 0 s old.",
        "tiered_notional",
        "1. procedure begins, orders cancelled, taken over",
        "Orders cancelled: 1.",
        "Start, events and end agree to the last unit.",
    ):
        assert words in done.out, words
    assert "unconfirmed" not in done.out


def test_a_reduction_and_a_call_are_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "called.db"
    write(path, (*TICKS[:2], inputs_of(prices_of(9_550, 500), 62)))
    out = " ".join(why(path, "a").out.split())
    assert "It had to hold 955.00 USD and its collateral counted for 850.00 USD" in out
    assert "a margin ratio of 112.4%, where 100 % is the line of plimsoll.standard." in out
    assert "it had been called 1 minutes earlier" in out
    assert "Its positions were reduced; the procedure ended at 2025-10-10T21:16:02Z at" in out


def test_json_has_exact_amounts_that_add_up(journal: Path) -> None:
    document = why(journal, "b", "--format", "json").json
    assert document["liquidations"] == ["2025-10-10T21:15:03Z"]
    (pool,) = document["pools"]
    assert (pool["pool"], pool["model"]) == ("b", "plimsoll.standard")
    (line,) = pool["balances"]
    parts = [line["start"], line["booked"], line["fees"], *line["moved"].values()]
    assert sum(map(Decimal, parts)) == Decimal(line["end"])
    (fill,) = pool["steps"][0]["fills"]
    assert (fill["against"], fill["reason"]) == ("MARKET", "LIQUIDATION")
    assert Decimal(fill["booked"]["USDT"]) == Decimal(line["booked"])
    charges = sum(charge["maintenance"] for charge in pool["found"]["charges"])
    assert charges == pool["found"]["maintenance_margin"]
    price = pool["prices"][0]
    assert price["sources"] == [
        {"source": "test", "price": 8600.0, "age_s": 0.0, "verdict": "GOOD"}
    ]


def test_the_page_is_small_and_says_the_same(journal: Path, tmp_path: Path) -> None:
    page = tmp_path / "why.html"
    done = why(journal, "a", "--html", page)
    assert done.code == 0
    text = page.read_text(encoding="utf-8")
    assert len(text) < 30_000
    assert "a was liquidated at 2025-10-10T21:15:03Z." in text
    assert "INSURANCE_FUND" in text
    assert "<script" not in text
    missing = why(journal, "a", "--html", tmp_path / "no" / "why.html")
    assert missing.code == 2
    assert "choose another --html" in missing.err


def test_who_was_never_liquidated_is_told_how_near(journal: Path) -> None:
    done = why(journal, "c")
    assert done.code == 0
    assert "c was not liquidated in this journal, 2025-10-10T21:15:00Z to" in done.out
    assert "Closest approach: margin ratio 18.4% of c at 2025-10-10T21:15:03Z" in done.out
    document = why(journal, "c", "--format", "json").json
    assert document["liquidations"] == []
    assert document["closest_approach"]["margin_ratio"] == pytest.approx(860 / 4677.4)


def test_a_moment_is_chosen_by_its_time(journal: Path) -> None:
    at = why(journal, "a", "--at", "2025-10-10T21:15:09Z")
    assert at.out == why(journal, "a").out
    early = why(journal, "a", "--at", "2025-10-10T21:15:02Z")
    assert early.code == 2
    assert "no liquidation of 'a' had begun by then" in early.err
    assert "its first began at 2025-10-10T21:15:03Z" in early.err


def test_mistakes_are_one_line(journal: Path, tmp_path: Path) -> None:
    unknown = why(journal, "aa")
    assert unknown.code == 2
    assert unknown.err == "error: ACCOUNT: unknown account 'aa'; did you mean 'a'?\n"
    nothing = why(tmp_path / "none.db", "a")
    assert nothing.code == 2
    assert len(nothing.err.splitlines()) == 1
    bad = why(journal, "a", "--at", "noon")
    assert "write it as 2025-10-10T21:15:00Z" in bad.err
    assert "plimsoll why out/demo.db" in plimsoll("why", "--help").out


def test_a_replays_journal_is_explained(tmp_path: Path) -> None:
    """The built-in crash as ``plimsoll demo`` writes it, on fewer accounts and minutes."""
    path = tmp_path / "crash.db"
    span = ("--start", "2025-10-10T21:10:00Z", "--end", "2025-10-10T21:20:00Z")
    done = plimsoll("replay", "--journal", path, *span, "--accounts", 300, "--format", "json")
    assert done.json["liquidated_accounts"] > 10
    chronicle = read_chronicle(path)
    one = chronicle.procedures(tuple(range(5, len(chronicle.pool_account))))[-1]
    account = chronicle.account_ids[chronicle.pool_account[one.pool]]
    told = why(path, account)
    assert told.code == 0, told.err
    assert "agree to the last unit" in told.out
