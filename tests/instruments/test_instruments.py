"""Symbols in and out, payoffs as written on the contract, tables by name."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from plimsoll.core import InputError, format_time
from plimsoll.instruments import (
    Instrument,
    InstrumentTable,
    Kind,
    Payoff,
    format_symbol,
    parse_symbol,
    profit,
    value_coefficient,
)

SYMBOLS = {
    "BTC/USDT": (Kind.SPOT, Payoff.LINEAR, "USDT"),
    "BTC/USDT:USDT": (Kind.PERPETUAL, Payoff.LINEAR, "USDT"),
    "1000PEPE/USDT:USDT": (Kind.PERPETUAL, Payoff.LINEAR, "USDT"),
    "BTC/USD:BTC": (Kind.PERPETUAL, Payoff.INVERSE, "BTC"),
    "ETH/USD:BTC": (Kind.PERPETUAL, Payoff.QUANTO, "BTC"),
    "BTC/USDC:USDC-261225": (Kind.FUTURE, Payoff.LINEAR, "USDC"),
    "BTC/USD:BTC-261225": (Kind.FUTURE, Payoff.INVERSE, "BTC"),
    "BTC/USD:BTC-261225-80000-C": (Kind.OPTION, Payoff.INVERSE, "BTC"),
    "XRP/USDT:USDT-260130-0.55-P": (Kind.OPTION, Payoff.LINEAR, "USDT"),
}


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_symbols_parse_and_print_back(symbol: str) -> None:
    found = parse_symbol(symbol)
    assert (found.kind, found.payoff, found.settle) == SYMBOLS[symbol]
    assert (found.base, found.quote) == tuple(symbol.split(":", maxsplit=1)[0].split("/"))
    assert (found.contract_multiplier, found.symbol) == (1, symbol)
    assert format_symbol(found) == symbol


def test_a_dated_symbol_says_when_and_where() -> None:
    option = parse_symbol("BTC/USD:BTC-261225-80000.5-P")
    assert format_time(option.expiry_ns) == "2026-12-25T08:00:00Z"
    assert (option.strike, option.is_call) == (Decimal("80000.5"), False)
    assert parse_symbol("BTC/USD:BTC-261225-80000-C").is_call
    perpetual = parse_symbol("BTC/USD:BTC")
    assert (perpetual.expiry_ns, perpetual.strike) == (0, 0)


names = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=6)


@given(
    names,
    names,
    names,
    st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    st.decimals(0, 10**9, places=3),
    st.sampled_from("CP"),
)
def test_any_symbol_survives(base, quote, settle, day, strike, right) -> None:
    for symbol in (
        f"{base}/{quote}",
        f"{base}/{quote}:{settle}",
        f"{base}/{quote}:{settle}-{day:%y%m%d}",
        f"{base}/{quote}:{settle}-{day:%y%m%d}-{strike:f}-{right}",
    ):
        assert format_symbol(parse_symbol(symbol)) == symbol


@pytest.mark.parametrize(
    ("symbol", "remedy"),
    [
        ("BTCUSDT", "did you mean 'BTC/USDT:USDT'?"),
        ("BTC-USDT-SWAP", "did you mean 'BTC/USDT:USDT'?"),
        ("BTC_USDC-PERPETUAL", "write it as"),
        ("BTC-PERPETUAL", "did you mean 'BTC/USDT:USDT' or 'BTC/USD:BTC'?"),
        ("XBTUSD", "did you mean 'XBT/USDT:USDT' or 'XBT/USD:XBT'?"),
        ("", "write it as BTC/USDT:USDT"),
        ("BTC/USDT:", "write it as BTC/USDT:USDT"),
        ("BTC/USDT:USDT-2612", "write it as BTC/USDT:USDT"),
        ("BTC/USDT:USDT-261225-80000-X", "write it as BTC/USDT:USDT"),
        ("BTC/USDT:USDT-261225--5-C", "write it as BTC/USDT:USDT"),
        ("BTC/USD:BTC-٢٦١٢٢٥", "write it as BTC/USDT:USDT"),
        (" BTC/USDT", "write it as BTC/USDT:USDT"),
    ],
)
def test_what_is_no_symbol_gets_a_remedy(symbol: str, remedy: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_symbol(symbol, "positions[3]")
    assert str(refused.value).startswith("positions[3]: '")
    assert "is not a unified symbol" in refused.value.problem
    assert refused.value.remedy.startswith(remedy)


def test_a_day_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match=r"^here: '2026-02-30T08:00:00Z' is not a time"):
        parse_symbol("BTC/USD:BTC-260230", "here")


# -- payoffs -------------------------------------------------------------------------------------


def profit_of(symbol: str, multiplier: float, quantity: float, entry: float, mark: float) -> float:
    row = parse_symbol(symbol)
    columns = [np.array([x]) for x in (multiplier, quantity, entry, mark)]
    table = InstrumentTable.build([row], {})
    return profit(table.is_inverse, *columns)[0]


@pytest.mark.parametrize(
    ("symbol", "multiplier", "quantity", "entry", "mark", "expected"),
    [
        ("BTC/USDT:USDT", 0.001, 10, 60e3, 66e3, 10 * 0.001 * 6e3),
        ("BTC/USDT:USDT", 0.001, -10, 60e3, 66e3, -10 * 0.001 * 6e3),
        ("BTC/USD:BTC", 100, 6, 50e3, 60e3, 600 * (1 / 50e3 - 1 / 60e3)),
        ("BTC/USD:BTC", 100, -6, 50e3, 60e3, -600 * (1 / 50e3 - 1 / 60e3)),
        ("BTC/USD:BTC-261225", 10, 6, 50e3, 10e3, 60 * (1 / 50e3 - 1 / 10e3)),
        ("ETH/USD:BTC", 1e-6, 1000, 2400, 2500, 1000 * 1e-6 * 100),
        ("BTC/USD:BTC-261225-80000-C", 1, 2, 0.05, 0.08, 2 * 0.03),
    ],
)
def test_profit_is_the_payoff_written_out(
    symbol, multiplier, quantity, entry, mark, expected: float
) -> None:
    got = profit_of(symbol, multiplier, quantity, entry, mark)
    assert got == pytest.approx(expected, rel=1e-12)


@given(
    st.floats(1e3, 1e6),
    st.floats(0.05, 0.9),
    st.sampled_from(["BTC/USD:BTC", "BTC/USD:BTC-261225"]),
)
def test_an_inverse_profit_is_never_linearised(entry: float, move: float, symbol: str) -> None:
    """A long gains less on the way up than its tangent says, and loses more on the way down."""
    tangent = 100 * move / entry
    gain = profit_of(symbol, 100, 1, entry, entry * (1 + move))
    loss = profit_of(symbol, 100, 1, entry, entry * (1 - move))
    assert gain == pytest.approx(tangent / (1 + move), rel=1e-9)
    assert loss == pytest.approx(-tangent / (1 - move), rel=1e-9)
    assert gain < tangent < -loss


def test_a_missing_price_has_no_value() -> None:
    both = np.array([False, True])
    assert np.isnan(value_coefficient(both, np.ones(2), np.full(2, np.nan))).all()


# -- tables --------------------------------------------------------------------------------------


def table() -> InstrumentTable:
    rows = [parse_symbol(s) for s in ("ETH/USD:BTC", "BTC/USDT:USDT", "BTC/USDT")]
    return InstrumentTable.build(rows, {"USDT": 6, "SOL": 9})


def test_a_table_is_columns_over_its_symbols() -> None:
    built = table()
    names = built.assets.names
    assert names == ("BTC", "ETH", "SOL", "USD", "USDT")
    assert built.assets.decimals == (8, 8, 9, 8, 6)
    assert built.assets.unit.tolist() == [1e-8, 1e-8, 1e-9, 1e-8, 1e-6]
    assert [names[i] for i in built.base] == ["ETH", "BTC", "BTC"]
    assert [names[i] for i in built.quote] == ["USD", "USDT", "USDT"]
    assert [names[i] for i in built.settle] == ["BTC", "USDT", "USDT"]
    assert len(built) == 3
    assert built.of_kind(Kind.SPOT).tolist() == [False, False, True]
    assert built.of_payoff(Payoff.QUANTO).tolist() == [True, False, False]
    assert [built.find(symbol, "") for symbol in built.symbols] == [0, 1, 2]


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"^here: unknown symbol 'BTC/USD:USDT'; did you mean"):
        table().find("BTC/USD:USDT", "here")
    with pytest.raises(InputError, match=r"^here: unknown asset 'USDTT'; did you mean 'USDT'\?"):
        table().assets.find("USDTT", "here")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([parse_symbol("BTC/USDT")] * 2, "^instruments: a symbol is listed twice;"),
        ([("BTC/USDT:USDT", "0")], "^BTC/USDT:USDT: a contract multiplier of 0 is impossible;"),
        ([("BTC/USD:BTC", "-1")], "^BTC/USD:BTC: a contract multiplier of -1 is impossible;"),
        ([("BTC/USDT", "10")], "^BTC/USDT: a contract multiplier of 10 is impossible;"),
    ],
)
def test_impossible_tables_are_refused(rows, message: str) -> None:
    listed = [
        row
        if isinstance(row, Instrument)
        else replace(parse_symbol(row[0]), contract_multiplier=Decimal(row[1]))
        for row in rows
    ]
    with pytest.raises(InputError, match=message):
        InstrumentTable.build(listed, {})


def test_an_empty_table_is_a_table() -> None:
    empty = InstrumentTable.build([], {})
    assert len(empty) == 0
    with pytest.raises(InputError, match="there are none to choose from"):
        empty.find("BTC/USDT", "here")
