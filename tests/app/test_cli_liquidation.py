"""``plimsoll liquidation``: what a user types, and the tables, JSON, page and codes that come."""

import json
import re
from pathlib import Path

import pytest

from tests.app.command import EXAMPLES, plimsoll
from tests.app.documents import PLAIN


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.json"
    path.write_text(json.dumps(PLAIN))
    return path


@pytest.mark.parametrize("example", ["desk.yaml", "inverse.yaml", "isolated.yaml", "perps.yaml"])
def test_the_examples_have_prices(example: str) -> None:
    done = plimsoll("liquidation", EXAMPLES / example)
    assert done.code == 0, done.err
    assert "Liquidation prices at" in done.out
    assert "Down and up: where the whole pool is liquidated" in done.out


def test_json_says_the_same_as_the_table(plain: Path) -> None:
    """Long 2 BTC, short 10 ETH on 20,000 USDT and 0.1 BTC: liquidated below, not above."""
    document = plimsoll("liquidation", plain, "--format", "json").json
    (pool,) = document["pools"]
    assert (pool["pool"], pool["status"], pool["model"]) == ("desk", "OK", "plimsoll.standard")
    btc, eth, both = pool["prices"]
    assert (btc["along"], eth["along"]) == ({"BTC": 1.0}, {"ETH": 1.0})
    assert both["along"] == {"BTC": 1.0, "ETH": 1.0}
    assert btc["up"] is None
    assert btc["down"]["safe_side"] == "above"
    assert btc["down"]["beyond"] == "LIQUIDATABLE"
    assert btc["down"]["price"] == pytest.approx(100_000 * (1 + btc["down"]["move"]))
    assert btc["crossings"] == [btc["down"]]
    assert eth["up"]["safe_side"] == "below"
    table = plimsoll("liquidation", plain).out
    assert f"{btc['down']['price']:,.2f}" in table
    assert re.search(r"ETH +4,000.00 +none +—", table)


def test_a_price_is_where_the_margin_command_changes_its_verdict(plain: Path) -> None:
    document = plimsoll("liquidation", plain, "--asset", "BTC", "--format", "json").json
    move = document["pools"][0]["prices"][0]["down"]["move"]
    for shift, status in ((1e-9, "LIQUIDATABLE"), (-1e-9, "MARGIN_CALL")):
        shock = f"BTC={move - shift}"
        done = plimsoll("margin", plain, "--shock", shock, "--format", "json")
        assert done.json["accounts"][0]["status"] == status


def test_directions_are_as_asked(plain: Path) -> None:
    done = plimsoll("liquidation", plain, "--direction", "BTC=1,ETH=1.2", "--format", "json")
    (price,) = done.json["pools"][0]["prices"]
    assert price["along"] == {"BTC": 1.0, "ETH": 1.2}


def test_the_time_left(plain: Path) -> None:
    arguments = ("--asset", "BTC", "--daily-vol", "BTC=4%")
    (price,) = plimsoll("liquidation", plain, *arguments, "--format", "json").json["pools"][0][
        "prices"
    ]
    chances = [price["probability_by_days"][days] for days in ("1", "7", "30")]
    assert chances == sorted(chances)
    assert 0 < chances[0] < chances[2] < 1
    assert price["daily_vol"] == 0.04
    assert "Probability of reaching it, without drift" in plimsoll(
        "liquidation", plain, *arguments
    ).out  # fmt: skip


def test_the_explanation_ends_at_no_excess(plain: Path) -> None:
    done = plimsoll("liquidation", plain, "--asset", "BTC", "--explain", "--format", "json")
    found = done.json["pools"][0]["explanation"]
    assert found["collateral_value"] == pytest.approx(found["maintenance_margin"], rel=1e-9)
    total = sum(line["maintenance"] for line in found["charges"])
    assert total == pytest.approx(found["maintenance_margin"], rel=1e-12)
    (contract,) = found["contracts"]
    assert contract["symbol"] == "BTC/USDT:USDT"
    assert contract["mark_there"] == pytest.approx(found["price"])
    assert any(one["what"].startswith("close a tenth of ETH") for one in found["influences"])
    text = plimsoll("liquidation", plain, "--asset", "BTC", "--explain").out
    for heading in ("maintenance: tiered_notional", "Marks at that price", "What would move it"):
        assert heading in text


def test_both_prices_are_shown_where_the_venue_states_one(tmp_path: Path) -> None:
    """Two coins on one wallet: alone each is as the venue shows it."""
    document = json.loads(json.dumps(PLAIN))
    document["accounts"][0] |= {"model": "binance.usdm", "balances": {"USDT": 20_000}}
    path = tmp_path / "venue.json"
    path.write_text(json.dumps(document))
    done = plimsoll("liquidation", path, "--asset", "BTC", "--explain", "--format", "json")
    (contract,) = done.json["pools"][0]["explanation"]["contracts"]
    assert contract["venue_liquidation_price"] == pytest.approx(contract["mark_there"], rel=1e-12)


def test_the_plot_has_its_axes(plain: Path) -> None:
    lines = plimsoll("liquidation", plain, "--asset", "BTC").out.splitlines()
    drawn = [line for line in lines if "│" in line]
    assert len(drawn) == 12
    assert all(re.search(r"│[\u2800-\u28ff]{76}$", line) for line in drawn)
    assert any(re.match(r" +0 │", line) for line in drawn)
    assert "today 100,000.00" in lines[lines.index(drawn[-1]) + 1]


def test_remedies_for_who_needs_them() -> None:
    done = plimsoll("liquidation", EXAMPLES / "distressed.yaml", "--format", "json")
    pools = {pool["pool"]: pool for pool in done.json["pools"]}
    assert done.code == 0
    for name in ("margin-call", "liquidatable", "bankrupt"):
        kinds = {remedy["kind"] for remedy in pools[name]["remedies"]}
        assert kinds == ({"add"} if name == "bankrupt" else {"add", "reduce"})
    text = plimsoll("liquidation", EXAMPLES / "distressed.yaml").out
    assert "margin-call: one of these brings the ratio below 83.3%" in text
    assert "safe: the pool is past the line" in text


def test_before_and_after_a_what_if() -> None:
    arguments = ("--what-if", EXAMPLES / "what_if" / "desk.yaml")
    done = plimsoll("liquidation", EXAMPLES / "desk.yaml", *arguments, "--format", "json")
    before, after = done.json["before"], done.json["pools"]
    assert [pool["pool"] for pool in before] == [pool["pool"] for pool in after] == ["desk-1"]
    assert before[0]["prices"] != after[0]["prices"]
    text = plimsoll("liquidation", EXAMPLES / "desk.yaml", *arguments).out
    assert "Liquidation prices before" in text


def test_the_page_opens_offline(plain: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = plimsoll("liquidation", plain, "--html", page)
    assert done.code == 0
    text = page.read_text(encoding="utf-8")
    assert "<h1>Liquidation prices</h1>" in text
    assert text.count('class="chart"') == 3
    assert "default-src 'none'" in text
    assert "<script src" not in text
    again = tmp_path / "again.html"
    plimsoll("liquidation", plain, "--html", again)
    assert again.read_bytes() == page.read_bytes()


def test_unknown_is_unknown_and_exit_code_2() -> None:
    done = plimsoll("liquidation", EXAMPLES / "stale.yaml", "--format", "json")
    assert done.code == 2
    assert "frozen-feed: status UNKNOWN: " in done.err
    pools = {pool["pool"]: pool for pool in done.json["pools"]}
    assert pools["frozen-feed"]["reasons"]
    assert all(not price["crossings"] for price in pools["frozen-feed"]["prices"])
    assert pools["unaffected"]["prices"][0]["down"] is not None
    table = plimsoll("liquidation", EXAMPLES / "stale.yaml")
    assert table.code == 2
    assert re.search(r"frozen-feed +UNKNOWN +BTC +[\d,.]+ +unknown +— +unknown +—", table.out)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--asset", "XYZ"), "unknown asset 'XYZ'"),
        (("--account", "nobody"), "unknown account 'nobody'"),
        (("--direction", "BTC=x"), "--direction BTC=x: is no direction; write BTC=1,ETH=1.2"),
        (("--direction", "BTC=1,XYZ=1"), "unknown asset 'XYZ'"),
        (("--daily-vol", "BTC"), "--daily-vol BTC: is no volatility; write BTC=3%"),
        (("--daily-vol", "XYZ=3%"), "unknown asset 'XYZ'"),
        (("--target", "2"), "2.0 is no margin ratio"),
        (("--html", "/nowhere/page.html"), "cannot be written"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    plain: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = plimsoll("liquidation", plain, *arguments)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert told in done.err


def test_help_has_examples() -> None:
    done = plimsoll("liquidation", "--help")
    assert done.code == 0
    assert "plimsoll liquidation examples/options.yaml" in done.out
