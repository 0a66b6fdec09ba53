"""``plimsoll margin``: tables for people, JSON for machines, one line for bad documents."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.app.command import EXAMPLES, plimsoll
from tests.app.documents import PLAIN, with_, with_market

FIELDS = (
    "equity",
    "collateral_value",
    "initial_margin",
    "maintenance_margin",
    "excess_margin",
    "margin_ratio",
)
# Statuses by pool, as the comments in the examples announce them.
STATUSES = {
    "ccxt.json": {"binance-main": "OK", "binance-main [ETH/USDT:USDT]": "OK"},
    "desk.yaml": {"desk-1": "OK"},
    "distressed.yaml": {
        "margin-call": "MARGIN_CALL",
        "liquidatable": "LIQUIDATABLE",
        "bankrupt": "BANKRUPT",
    },
    "inverse.yaml": {"miner": "OK", "bull": "OK"},
    "isolated.yaml": {
        "trader-7": "OK",
        "trader-7 [XRP/USDT:USDT]": "OK",
        "trader-7 [DOGE/USDT:USDT]": "OK",
    },
    "options.yaml": {"strangle": "OK"},
    "perps.yaml": {"perps": "OK"},
    "stale.yaml": {"frozen-feed": "UNKNOWN", "no-price": "UNKNOWN", "unaffected": "OK"},
}


MODELS = {"options.yaml": "deribit.segregated_pm"}


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.json"
    path.write_text(json.dumps(PLAIN))
    return path


def pools_of(document: Any) -> dict[str, dict[str, Any]]:
    return {pool["pool"]: pool for account in document["accounts"] for pool in account["pools"]}


# -- the examples ----------------------------------------------------------------------------


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == STATUSES.keys()


@pytest.mark.parametrize("name", STATUSES)
def test_an_example_as_json(name: str) -> None:
    done = plimsoll("margin", EXAMPLES / name, "--format", "json")
    is_unknown = "UNKNOWN" in STATUSES[name].values()
    assert done.code == (2 if is_unknown else 0)
    assert bool(done.err) == is_unknown
    pools = pools_of(done.json)
    assert {pool: row["status"] for pool, row in pools.items()} == STATUSES[name]
    for pool in pools.values():
        assert pool["model"] == MODELS.get(name, "plimsoll.standard")
        assert pool["currency"] == "USD"
        if pool["status"] == "UNKNOWN":
            assert pool["reasons"]
            assert pool["margin_ratio"] is None
            continue
        assert pool["reasons"] == []
        if pool["status"] == "BANKRUPT":
            # Infinite, which JSON cannot say.
            assert pool.pop("margin_ratio") is None
            assert pool["collateral_value"] <= 0
            pool["margin_ratio"] = pool["maintenance_margin"] / pool["collateral_value"]
        assert all(isinstance(pool[field], float) for field in FIELDS)
        for kind in ("initial", "maintenance"):
            total = 0.0
            for charge in pool["charges"]:
                assert charge[kind] >= 0
                total += charge[kind]
            assert total == pool[f"{kind}_margin"]  # in this order, to the last bit
        assert pool["initial_margin"] >= pool["maintenance_margin"] > 0
        assert pool["excess_margin"] == pool["collateral_value"] - pool["maintenance_margin"]
        assert pool["margin_ratio"] == pool["maintenance_margin"] / pool["collateral_value"]
        if name in MODELS:
            continue
        rows = pool["details"]["collateral"]
        assert sum(row["value"] for row in rows) == pytest.approx(pool["equity"])
        assert sum(row["collateral_value"] for row in rows) == pytest.approx(
            pool["collateral_value"]
        )


@pytest.mark.parametrize("name", STATUSES)
def test_an_example_as_a_table(name: str) -> None:
    done = plimsoll("margin", EXAMPLES / name)
    rows = [line.split() for line in done.out.splitlines()]
    for pool, status in STATUSES[name].items():
        wanted = [*pool.split(), status]
        assert [row for row in rows if row[: len(wanted)] == wanted], (pool, done.out)
    assert max(map(len, done.out.splitlines())) <= 110


@pytest.mark.parametrize(
    ("margin", "mark", "status"),
    [(9_000, 100_000, "OK"), (480, 100_000, "MARGIN_CALL"), (440, 100_000, "LIQUIDATABLE"),
     (440, 99_000, "BANKRUPT"), (440, None, "UNKNOWN")],
)  # fmt: skip
def test_the_accounts_status_is_that_of_its_worst_pool(
    tmp_path: Path, margin: float, mark: float | None, status: str
) -> None:
    """1 BTC isolated: maintenance 400, a slope of 5 and a fee provision of 50."""
    symbol = "BTC/USDT:USDT"
    isolated = {"symbol": symbol, "quantity": 1, "entry_price": 1e5, "margin_mode": "isolated"}
    path = tmp_path / "isolated.json"
    path.write_bytes(
        with_(
            market={"index": {"USDT": 1, "BTC": 1e5},
                    "instruments": {symbol: {"mark": mark} if mark else {}}},
            accounts=[{"id": "a", "balances": {"USDT": 5},
                       "positions": [{**isolated, "isolated_margin": margin}]}],
        )
    )  # fmt: skip
    (account,) = plimsoll("margin", path, "--format", "json").json["accounts"]
    assert [pool["status"] for pool in account["pools"]] == ["OK", status]
    assert account["status"] == status


def test_unknown_says_why_and_fails() -> None:
    done = plimsoll("margin", EXAMPLES / "stale.yaml")
    assert done.code == 2
    frozen, missing = done.err.splitlines()
    assert "frozen-feed: status UNKNOWN: mark price of ETH/USDT:USDT is stale" in frozen
    assert "(seen 2025-10-10T21:11:20Z, 220 s ago)" in frozen
    assert "no-price: status UNKNOWN: mark price of SOL/USDT:USDT is missing" in missing
    assert re.search(r"^ *unaffected +OK +[\d,]+\.\d\d", done.out, re.MULTILINE)
    assert plimsoll("margin", EXAMPLES / "stale.yaml", "--account", "unaffected").code == 0


# -- what the options do ---------------------------------------------------------------------


def test_figures_by_hand(plain: Path) -> None:
    """Brackets of BTC: 0.4 % to 300,000; of ETH: 0.4 % to 300,000; fee provision 0.05 %."""
    (pool,) = pools_of(plimsoll("margin", plain, "--format", "json").json).values()
    assert pool["equity"] == pytest.approx(30_000)
    (haircut,) = [row["haircut"] for row in pool["details"]["collateral"] if row["haircut"]]
    assert pool["collateral_value"] == pytest.approx(30_000 - haircut)
    charges = {charge["name"]: charge for charge in pool["charges"]}
    assert charges["tiered_notional"]["maintenance"] == pytest.approx(800 + 160)
    # The slope adds 0.00005 a coin to the first rate: 2 * 0.00005 * 200,000 for BTC.
    assert charges["size_scaled"]["maintenance"] == pytest.approx(20 + 10 * 4e-6 * 40_000)
    assert charges["open_orders"] == {"name": "open_orders", "initial": 0, "maintenance": 0}
    assert charges["fee_provision"]["maintenance"] == pytest.approx(120)


def test_a_shock_moves_prices_first(plain: Path) -> None:
    done = plimsoll(
        "margin", plain, "--shock", "BTC=-10%", "--shock", "ETH=0.05", "--format", "json"
    )
    (pool,) = pools_of(done.json).values()
    # -20,000 on the long, -2,000 on the short, and 0.1 BTC at 90,000.
    assert pool["equity"] == pytest.approx(20_000 - 22_000 + 9_000)
    assert "after BTC=-10%" in plimsoll("margin", plain, "--shock", "BTC=-10%").out


@pytest.mark.parametrize(
    ("shock", "problem"),
    [
        ("BTC", "is no price move"),
        ("BTC=", "is no price move"),
        ("BTC=much", "is no price move"),
        ("BTC=nan", "is no price move"),
        ("BTC=inf%", "is no price move"),
        ("BTC=1e400", "is no price move"),
        ("BTC=-100%", "is no price move"),
        ("BTC=-101%", "is no price move"),
        ("btc=-10%", "unknown asset 'btc'"),
        ("=-10%", "unknown asset ''"),
    ],
)
def test_a_shock_that_is_none(plain: Path, shock: str, problem: str) -> None:
    done = plimsoll("margin", plain, "--shock", shock)
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(rf"error: --shock.*: {re.escape(problem)}.*; .+\n", done.err)


def test_explain_shows_charges_and_the_rows_behind_them() -> None:
    done = plimsoll("margin", EXAMPLES / "desk.yaml", "--explain")
    assert done.code == 0
    pool = pools_of(plimsoll("margin", EXAMPLES / "desk.yaml", "--format", "json").json)["desk-1"]
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line.split()}
    for charge in pool["charges"]:
        assert rows[charge["name"]] == [f"{charge[k]:,.2f}" for k in ("initial", "maintenance")]
    assert rows["requirement"] == [
        f"{pool[k]:,.2f}" for k in ("initial_margin", "maintenance_margin")
    ]
    assert "desk-1: collateral" in done.out
    assert "desk-1: exposure" in done.out


def test_one_account_of_several() -> None:
    done = plimsoll(
        "margin", EXAMPLES / "distressed.yaml", "--account", "bankrupt", "--format", "json"
    )
    assert [*pools_of(done.json)] == ["bankrupt"]
    done = plimsoll("margin", EXAMPLES / "distressed.yaml", "--account", "bankrup")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: account: unknown account 'bankrup'; did you mean 'bankrupt'?\n"


@pytest.mark.parametrize("name", ["a [/b]", "[red]x", ":heart:", "Zoë – 数", "[bold", "x\\[y]"])
def test_names_are_printed_as_they_are(tmp_path: Path, name: str) -> None:
    document = {**PLAIN, "accounts": [{**PLAIN["accounts"][0], "id": name}]}
    path = tmp_path / "named.json"
    path.write_text(json.dumps(document))
    done = plimsoll("margin", path, "--explain")
    assert done.code == 0
    assert f" {name} " in done.out
    assert f"{name}: charges, USD" in done.out
    assert [*pools_of(plimsoll("margin", path, "--format", "json").json)] == [name]


def test_a_document_without_accounts_is_an_empty_assessment(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text(json.dumps({**PLAIN, "accounts": []}))
    done = plimsoll("margin", path, "--format", "json")
    assert (done.code, done.json["accounts"]) == (0, [])
    assert plimsoll("margin", path).code == 0


# -- what cannot be known --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("market", "reason"),
    [
        (
            {"instruments": {"BTC/USDT:USDT": {}, "ETH/USDT:USDT": {"mark": 1}}},
            "mark price of BTC/USDT:USDT is missing",
        ),
        ({"index": {"BTC": 100000, "ETH": 4000}}, "index price of USDT is missing"),
        ({"index": {"USDT": 1, "ETH": 4000}}, "index price of BTC is missing"),
        (
            {"index_time": {"BTC": "2025-10-10T20:40:00Z"}},
            "index price of BTC is stale (seen 2025-10-10T20:40:00Z, 300 s ago)",
        ),
        (
            {"instruments": {"BTC/USDT:USDT": {"mark": 1e5, "time": "2025-10-10T20:46:00Z"},
                             "ETH/USDT:USDT": {"mark": 1}}},
            "mark price of BTC/USDT:USDT is stale",
        ),
    ],
)  # fmt: skip
def test_without_a_usable_price_the_status_is_unknown(
    tmp_path: Path, market: dict[str, Any], reason: str
) -> None:
    path = tmp_path / "blind.json"
    path.write_bytes(with_market(**market))
    for arguments in ((), ("--format", "json"), ("--explain",), ("--shock", "BTC=-10%")):
        done = plimsoll("margin", path, *arguments)
        assert done.code == 2
        assert "UNKNOWN" in done.out
        assert "desk: status UNKNOWN: " in done.err
        assert reason in done.err
        assert "Traceback" not in done.err


def test_an_option_has_no_rule_and_no_silent_zero(tmp_path: Path) -> None:
    symbol = "BTC/USD:BTC-261225-80000-C"
    document = {
        **PLAIN,
        "market": {"index": {"BTC": 100000}, "instruments": {symbol: {"mark": 0.3}}},
        "accounts": [
            {"id": "a", "balances": {"BTC": 5}, "positions": [{"symbol": symbol, "quantity": -1}]}
        ],
    }
    path = tmp_path / "option.json"
    path.write_text(json.dumps(document))
    done = plimsoll("margin", path, "--format", "json")
    assert done.code == 2
    assert pools_of(done.json)["a"]["reasons"] == [
        f"plimsoll.standard has no rule or parameter for {symbol}"
    ]


def test_levels_name_where_an_account_is_and_what_comes_next() -> None:
    out = plimsoll("margin", EXAMPLES / "distressed.yaml").out
    assert re.search(r"margin-call +margin_call +call, no new risk, no +liquidation +100.0%", out)
    assert re.search(r"bankrupt +liquidation .* none +— +— +—", out)
    pools = plimsoll("margin", EXAMPLES / "distressed.yaml", "--format", "json").json["accounts"]
    first = pools[0]["levels"]
    assert (first["at"], first["usage"], first["next"]) == (
        "margin_call", "no_new_risk", "liquidation",
    )  # fmt: skip
    assert first["distance"] == pytest.approx(1 - pools[0]["margin_ratio"])
    # What may be lost of the collateral value until the next level's ratio.
    left = pools[0]["collateral_value"] - first["loss"]
    assert pools[0]["maintenance_margin"] / left == pytest.approx(first["next_ratio"])
    assert pools[2]["levels"]["next"] is None
    told = plimsoll("liquidation", EXAMPLES / "distressed.yaml", "--format", "json").json["pools"]
    assert [pool["levels"] for pool in told] == [pool["levels"] for pool in pools]
    assert "Levels" in plimsoll("liquidation", EXAMPLES / "distressed.yaml").out


def test_an_unknown_pool_is_at_an_unknown_level() -> None:
    done = plimsoll("margin", EXAMPLES / "stale.yaml")
    assert re.search(r" unknown +no new risk +unknown +— +— +—", done.out)
