"""``plimsoll loans``: a lender's book from files, by health factor and under shocks."""

from pathlib import Path

import pytest

from tests.app.command import plimsoll

POSITIONS = """\
account,collateral_symbol,version,borrowed_symbol,borrow_balance_tokens,btc_collateral_tokens
0xa,wBTC,V3,USDC,30000,1
0xa,wBTC,V3,DAI,9000,1
0xb,wBTC,V2,USDC,40500,1
0xc,cbBTC,V3,USDC,46000,1
0xd,wBTC,V3,USDC,10,0
0xe,wBTC,V3,MANA,10,1
0xf,wBTC,V3,USDC,1000,0.5
0xf,cbBTC,V3,USDC,1000,0.5
"""
PRICES = """\
date,symbol,price_usd
2026-01-01,WBTC,1
2026-01-02,WBTC,60000
2026-01-02,cbBTC,60000
"""
BOOK = "data/liquidations/aave_btc_collateral_open_positions.parquet"
HISTORY = "data/liquidations/aave_btc_price_history.parquet"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    positions, prices = tmp_path / "loans.csv", tmp_path / "prices.csv"
    positions.write_text(POSITIONS)
    prices.write_text(PRICES)
    return positions, prices


def test_health_by_account_and_version(files) -> None:
    """0xa: 46,800 / 39,000 = 1.2. 0xb: 48,600 / 40,500 = 1.2. 0xc: 46,800 / 46,000 = 1.017.

    0xf: (0.5 + 0.5) x 46,800 / 1,000 = 46.8, its debt counted once.
    """
    done = plimsoll("loans", files[0], "--prices", files[1], "--format", "json")
    assert done.code == 0, done.err
    report = done.json
    assert (report["rows"], report["accounts"]) == (8, 6)
    assert (report["unknown"], report["bare"]) == (1, 1)
    assert report["unpriced"] == ["MANA"]
    counts = {band["low"]: band["accounts"] for band in report["bands"]}
    assert counts == {0: 0, 0.95: 0, 1: 1, 1.1: 2, 1.25: 0, 1.5: 0, 2: 0, 3: 0, 5: 0, 10: 1}
    debts = {band["low"]: band["debt"] for band in report["bands"]}
    assert (debts[1], debts[1.1], debts[10]) == (46000, 79500, 1000)


def test_shocks_say_how_many_and_how_much(files) -> None:
    """At -10 % only 0xc falls: 42,120 < 46,000. At -20 % all three near the line."""
    done = plimsoll("loans", files[0], "--prices", files[1], "--shock", "-10%", "--shock", "-20%",
                    "--shock", "-30%", "--format", "json")  # fmt: skip
    falls = [(s["liquidatable"], s["newly"], s["new_debt"]) for s in done.json["shocks"]]
    assert falls == [(1, 1, 46000), (3, 3, 125500), (3, 3, 125500)]
    # At 42,000 a bitcoin, 0xc lacks 4,000.
    assert done.json["shocks"][2]["shortfall"] == pytest.approx(4000)


def test_files_that_do_not_fit_are_refused(files, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    done = plimsoll("loans", wrong, "--prices", files[1])
    assert done.code == 2
    assert "has no column account" in done.err
    missing = plimsoll("loans", tmp_path / "none.parquet", "--prices", files[1])
    assert missing.code == 2
    assert plimsoll("loans", files[0], "--prices", files[1], "--shock", "x").code == 2


def test_the_real_loan_book(shared_data) -> None:
    done = plimsoll(
        "loans", shared_data(BOOK), "--prices", shared_data(HISTORY), "--format", "json"
    )
    assert done.code == 0, done.err
    report = done.json
    assert report["rows"] == 15342
    judged = report["accounts"] - report["unknown"] - report["bare"]
    assert sum(band["accounts"] for band in report["bands"]) == judged > 2000
    assert sum(band["share"] for band in report["bands"]) == pytest.approx(1)
    counts = [shock["liquidatable"] for shock in report["shocks"]]
    assert counts == sorted(counts)
    assert report["shocks"][0]["move"] == -0.1
    table = plimsoll("loans", shared_data(BOOK), "--prices", shared_data(HISTORY))
    assert "Health factor" in table.out
    assert max(map(len, table.out.splitlines())) <= 110
