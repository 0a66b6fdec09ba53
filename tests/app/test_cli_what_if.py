"""``plimsoll margin --what-if``: before and after, as if it had happened."""

from pathlib import Path
from typing import Any

import pytest

from tests.app.command import EXAMPLES, plimsoll

DOCUMENT = """
as_of: 2026-01-01T00:00:00Z
market:
  index: {BTC: 60000, ETH: 2500, USDT: 1}
  instruments:
    BTC/USDT:USDT: {mark: 60000}
    ETH/USDT:USDT: {mark: 2500}
    BTC/USDT:USDT-260327: {}
accounts:
  - id: a
    balances: {USDT: 50000}
    positions:
      - {symbol: BTC/USDT:USDT, quantity: 1, entry_price: 58000}
      - {symbol: ETH/USDT:USDT, quantity: -4, entry_price: 2600,
         margin_mode: isolated, isolated_margin: 900}
    orders:
      - {symbol: BTC/USDT:USDT, side: buy, quantity: 2, price: 59000}
      - {symbol: ETH/USDT:USDT, side: sell, quantity: 1, price: 2700}
"""
SECOND = "  - {id: b, balances: {USDT: 10}}\n"


@pytest.fixture
def ask(tmp_path: Path):
    def run(what_if: str, *options: str, document: str = DOCUMENT) -> Any:
        (tmp_path / "book.yaml").write_text(document)
        (tmp_path / "what.yaml").write_text(what_if)
        return plimsoll(
            "margin", tmp_path / "book.yaml", "--what-if", tmp_path / "what.yaml", *options
        )

    return run


def pools(done: Any, when: str) -> list[dict[str, Any]]:
    assert done.code == 0, done.err
    return done.json[when][0]["pools"]


def test_a_trade_is_the_position_it_makes(ask, tmp_path: Path) -> None:
    """Selling 3 at 61,000 from long 1 at 58,000: short 2 at 61,000, 3,000 earned."""
    done = ask("accounts: [{trades: [{symbol: BTC/USDT:USDT, quantity: -3, price: 61000}]}]",
               "--format", "json")  # fmt: skip
    changed = DOCUMENT.replace(
        "quantity: 1, entry_price: 58000", "quantity: -2, entry_price: 61000"
    )
    (tmp_path / "changed.yaml").write_text(changed.replace("USDT: 50000", "USDT: 53000"))
    direct = plimsoll("margin", tmp_path / "changed.yaml", "--format", "json").json
    assert pools(done, "after") == direct["accounts"][0]["pools"]
    assert pools(done, "before") != pools(done, "after")


def test_a_trade_without_a_price_is_at_the_mark_and_costs_nothing(ask) -> None:
    done = ask("accounts: [{trades: [{symbol: BTC/USDT:USDT, quantity: 0.5}]}]", "--format", "json")
    before, after = pools(done, "before")[0], pools(done, "after")[0]
    assert after["equity"] == before["equity"]
    assert after["maintenance_margin"] > before["maintenance_margin"]


def test_orders_count_and_cancelling_frees(ask) -> None:
    placed = ask(
        "accounts: [{orders: [{symbol: BTC/USDT:USDT, side: buy, quantity: 5, price: 60000}]}]",
        "--format", "json",
    )  # fmt: skip
    cancelled = ask("accounts: [{cancel: [BTC/USDT:USDT]}]", "--format", "json")
    every = ask("accounts: [{cancel: [all]}]", "--format", "json")
    base = pools(placed, "before")[0]["initial_margin"]
    assert pools(placed, "after")[0]["initial_margin"] > base
    assert pools(cancelled, "after")[0]["initial_margin"] < base
    # The ETH order belongs to the isolated position's pool.
    assert pools(cancelled, "after")[1] == pools(cancelled, "before")[1]
    assert pools(every, "after")[1] != pools(every, "before")[1]


def test_a_trade_in_an_isolated_symbol_goes_to_its_pool(ask) -> None:
    done = ask("accounts: [{trades: [{symbol: ETH/USDT:USDT, quantity: 4}]}]", "--format", "json")
    assert pools(done, "after")[0] == pools(done, "before")[0]
    closed = pools(done, "after")[1]
    # Short 4 at 2,600, bought back at the mark of 2,500: 900 + 400.
    assert closed["equity"] == pytest.approx(1300)
    assert closed["maintenance_margin"] == 0


def test_deposits_and_withdrawals(ask) -> None:
    done = ask("accounts: [{deposits: {USDT: -20000, BTC: 0.5}}]", "--format", "json")
    before, after = pools(done, "before")[0], pools(done, "after")[0]
    assert after["equity"] - before["equity"] == pytest.approx(10000)


def test_the_table_shows_before_after_and_change() -> None:
    done = plimsoll("margin", EXAMPLES / "desk.yaml", "--what-if", EXAMPLES / "what_if/desk.yaml")
    assert done.code == 0
    for text in ("Before", "After", "Change", "25,010.00", "initial margin"):
        assert text in done.out


@pytest.mark.parametrize(
    ("what_if", "told"),
    [
        ("accounts: [{trades: [{symbol: BTC-PERP, quantity: 1}]}]",
         "accounts[0].trades[0].symbol: unknown symbol 'BTC-PERP'"),
        ("accounts: [{trades: [{symbol: BTC/USDT:USDT, quantity: 0}]}]",
         "accounts[0].trades[0].quantity: is 0"),
        ("accounts: [{trades: [{symbol: BTC/USDT:USDT-260327, quantity: 1}]}]",
         "accounts[0].trades[0].price: is missing and there is no usable mark"),
        ("accounts: [{id: c}]", "accounts[0].id: unknown account 'c'"),
        ("accounts: [{trade: []}]", "accounts[0]"),
        ("accounts: [{orders: [{symbol: X, side: buy, quantity: 1, price: 1}]}]",
         "accounts[0].orders[0].symbol: unknown symbol"),
    ],
)  # fmt: skip
def test_bad_differences_are_refused_in_one_line(ask, what_if: str, told: str) -> None:
    done = ask(what_if)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert told in done.err


def test_with_several_accounts_the_account_must_be_named(ask) -> None:
    done = ask("accounts: [{deposits: {USDT: 1}}]", document=DOCUMENT + SECOND)
    assert done.code == 2
    assert "accounts[0].id: is missing" in done.err
    named = ask("accounts: [{id: b, deposits: {USDT: 1}}]", "--format", "json",
                document=DOCUMENT + SECOND)  # fmt: skip
    assert [account["id"] for account in named.json["after"]] == ["b"]


def test_a_deposit_without_a_price_is_unknown(ask) -> None:
    done = ask("accounts: [{deposits: {DOGE: 1}}]")
    assert done.code == 2
    assert "index price of DOGE is missing" in done.err
