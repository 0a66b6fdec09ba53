"""Deribit: names there and back, chain files of every form, and one line for a bad one."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plimsoll.connectors.deribit import TimeSource, read_option_chain
from plimsoll.connectors.deribit_names import deribit_symbol, native_name
from plimsoll.core import InputError, parse_time

NAN = float("nan")
HOUR = 3_600 * 10**9
NOW = parse_time("2026-01-23T12:00:00Z", "test")
EXPIRIES = tuple(parse_time(f"{day}T08:00:00Z", "test") for day in ("2026-01-24", "2026-02-27"))
FORWARDS = (89_000.0, 89_500.0)
NAMES = (
    ("BTC-PERPETUAL", "BTC/USD:BTC"),
    ("ETH_USDC-PERPETUAL", "ETH/USDC:USDC"),
    ("BTC-26DEC25", "BTC/USD:BTC-251226"),
    ("SOL_USDC-5JUN26", "SOL/USDC:USDC-260605"),
    ("BTC-26DEC25-80000-C", "BTC/USD:BTC-251226-80000-C"),
    ("BTC-5JUN20-6750-P", "BTC/USD:BTC-200605-6750-P"),
    ("XRP_USDC-30JUN23-0d5-C", "XRP/USDC:USDC-230630-0.5-C"),
    ("BTC_USDC", "BTC/USDC"),
)


# -- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "symbol"), NAMES)
def test_names_there_and_back(name: str, symbol: str):
    assert deribit_symbol(name, "test") == symbol
    assert native_name(symbol) == name


@pytest.mark.parametrize(
    "name",
    ["", "BTC", "BTC-26DEZ25", "BTC-31FEB26", "BTC-26DEC25-80000", "BTC-26DEC25-80000-X",
     "btc-26DEC25-80000-C", "BTC-26DEC25-8.5-C", "BTC-FS-26DEC25_PERP", "BTC-PERPETUAL\n"],
)  # fmt: skip
def test_no_name_of_deribit(name: str):
    with pytest.raises(InputError, match=r"^chain: .+; .+$"):
        deribit_symbol(name, "chain")


@pytest.mark.parametrize("symbol", ["BTC/USD:ETH", "ETH/BTC:ETH", "BTC-PERPETUAL"])
def test_no_instrument_of_deribit(symbol: str):
    with pytest.raises(InputError, match=r"^symbol: .+; .+$"):
        native_name(symbol)


# -- files -----------------------------------------------------------------------------------


def coin_price(forward: float, strike: float, years: float, vol: float, is_call: bool) -> float:
    """Black-76 over the forward, written out with the error function."""
    deviation = vol * math.sqrt(years)
    d1 = math.log(forward / strike) / deviation + deviation / 2
    cdf = [0.5 * math.erfc(-d / math.sqrt(2)) for d in (d1, d1 - deviation)]
    call = cdf[0] - strike / forward * cdf[1]
    return call if is_call else call - 1 + strike / forward


def rows(now: int = NOW) -> list[dict[str, object]]:
    """A chain as the API lists it, with a smile, its marks rounded to 0.0001."""
    found = []
    for expiry, forward in zip(EXPIRIES, FORWARDS, strict=True):
        years = (expiry - now) / (365 * 24 * HOUR)
        day = datetime.fromtimestamp(expiry / 1e9, UTC).strftime("%-d%b%y").upper()
        for strike in range(80_000, 100_000, 1_000):
            for side in ("call", "put"):
                vol = 0.40 + 2.0 * math.log(strike / forward) ** 2
                mark = coin_price(forward, strike, years, vol, side == "call")
                found.append(
                    {
                        "instrument_name": f"BTC-{day}-{strike}-{side[0].upper()}",
                        "option_type": side,
                        "strike": float(strike),
                        "expiration_timestamp": expiry // 10**6,
                        "mark_price": round(mark, 4),
                        "mark_iv": 100 * vol,
                        "bid_iv": 0.0 if strike == 80_000 else 100 * vol - 1,
                        "ask_iv": 100 * vol + 1,
                        "best_bid_price": None if strike == 80_000 else round(mark * 0.95, 4),
                        "underlying_price": forward,
                        "delta": 0.5,
                    }
                )
    return found


def chain_file(folder: Path, name: str, table: pl.DataFrame) -> Path:
    path = folder / name
    if path.suffix == ".csv":
        table.write_csv(path)
    else:
        table.write_parquet(path)
    return path


@pytest.mark.parametrize("name", ["chain.csv", "chain.parquet"])
def test_named_rows(tmp_path: Path, name: str):
    listed = rows()
    path = chain_file(tmp_path, name, pl.DataFrame(listed))
    (chain,) = read_option_chain(path, NOW)
    quotes = chain.quotes
    assert (chain.underlying, chain.time_ns, chain.time_source) == ("BTC", NOW, TimeSource.CALLER)
    assert (chain.time_error_ns, quotes.inverse) == (0, True)
    assert quotes.strike.tolist() == [row["strike"] for row in listed]
    assert quotes.is_call.tolist() == [row["option_type"] == "call" for row in listed]
    assert quotes.expiry_ns.tolist() == [EXPIRIES[0]] * 40 + [EXPIRIES[1]] * 40
    assert set(quotes.time_ns.tolist()) == {-1}
    np.testing.assert_allclose(quotes.vol, [row["mark_iv"] / 100 for row in listed], rtol=1e-15)
    assert quotes.price.tolist() == [row["mark_price"] for row in listed]
    # No bid is a bid of nothing; a bid vol of nothing is none.
    assert quotes.bid.tolist() == [row["best_bid_price"] or 0.0 for row in listed]
    np.testing.assert_array_equal(np.isnan(chain.bid_vol), quotes.strike == 80_000)
    np.testing.assert_allclose(chain.ask_vol - quotes.vol, 0.01, atol=1e-14)
    assert set(quotes.tick.tolist()) == {1e-4}


def test_described_rows_and_missing_columns(tmp_path: Path):
    table = pl.DataFrame(
        {
            "option_type": ["call", "put", "C"],
            "strike": ["63000", "64000.5", None],
            "maturity": ["2024-05-25 08:00:00", "2024-05-25", "2024-05-25T10:00:00+02:00"],
            "mark_iv": [100.0, None, 89.28],
        }
    )
    now = parse_time("2024-05-24", "test")
    (chain,) = read_option_chain(chain_file(tmp_path, "chain.csv", table), now)
    assert chain.underlying == ""
    expiry = parse_time("2024-05-25T08:00:00Z", "test")
    assert chain.quotes.expiry_ns.tolist() == [expiry] * 3
    assert chain.quotes.is_call.tolist() == [True, False, True]
    np.testing.assert_array_equal(chain.quotes.strike, [63_000, 64_000.5, NAN])
    np.testing.assert_array_equal(chain.quotes.vol, [1.0, NAN, 0.8928])
    for column in ("price", "bid", "tick", "delta", "forward"):
        assert np.isnan(getattr(chain.quotes, column)).all()
    assert np.isnan(chain.bid_vol).all()


def test_linear_options_and_decimal_strikes(tmp_path: Path):
    table = pl.DataFrame({"instrument_name": ["XRP_USDC-30JUN23-0d5-C"], "mark_price": [0.0123]})
    (chain,) = read_option_chain(chain_file(tmp_path, "chain.csv", table), NOW)
    assert (chain.underlying, chain.quotes.inverse) == ("XRP", False)
    assert chain.quotes.strike.tolist() == [0.5]


def test_bid_vols_alone_tell_where_there_is_no_bid(tmp_path: Path):
    table = pl.DataFrame(rows()).drop("best_bid_price")
    (chain,) = read_option_chain(chain_file(tmp_path, "chain.csv", table), NOW)
    expected = np.where(chain.quotes.strike == 80_000, 0.0, NAN)
    np.testing.assert_array_equal(chain.quotes.bid, expected)


def test_snapshots_are_told_apart_by_their_times(tmp_path: Path):
    tables = []
    for hour in (1, 0):
        moment = NOW + hour * HOUR
        seconds = pl.Series("timestamp", [moment // 10**6 + 200 * row for row in range(80)])
        tables.append(pl.DataFrame(rows(moment)).with_columns(seconds))
    path = chain_file(tmp_path, "chain.csv", pl.concat(tables))
    chains = read_option_chain(path, None)
    last = 79 * 200 * 10**6
    assert [chain.time_ns for chain in chains] == [NOW + last, NOW + HOUR + last]
    for chain, hour in zip(chains, (0, 1), strict=True):
        assert chain.time_source == TimeSource.ROWS
        assert chain.quotes.price.tolist() == [row["mark_price"] for row in rows(NOW + hour * HOUR)]
        assert chain.quotes.time_ns[0] == NOW + hour * HOUR
    # The rows' times rule.
    assert len(read_option_chain(path, NOW)) == 2


def test_times_of_any_type_are_the_same_instants(tmp_path: Path):
    moments = [datetime.fromtimestamp((NOW + k * HOUR) / 1e9, UTC) for k in range(80)]
    for name, kind in (
        ("us.parquet", pl.Datetime("us", "UTC")),
        ("ms.parquet", pl.Datetime("ms", "Asia/Tokyo")),
        ("text.csv", pl.String),
    ):
        table = pl.DataFrame(rows()).with_columns(pl.Series("ts", moments).cast(kind))
        chains = read_option_chain(chain_file(tmp_path, name, table), None)
        assert [chain.time_ns for chain in chains] == [NOW + k * HOUR for k in range(80)]


# -- a time that nobody tells ------------------------------------------------------------------


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("hours", [0.0, 7.25, 18.5])
def test_the_time_is_inferred_from_marks_and_vols(tmp_path: Path, hours: float, given: bool):
    moment = NOW + int(hours * HOUR)
    table = pl.DataFrame(rows(moment))
    table = table if given else table.drop("underlying_price")
    (chain,) = read_option_chain(chain_file(tmp_path, "chain.csv", table), None)
    assert chain.time_source == TimeSource.INFERRED
    assert 0 < chain.time_error_ns < 0.2 * HOUR
    assert abs(chain.time_ns - moment) < 4 * chain.time_error_ns


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (pl.col("mark_iv") * 0, "too few marks and vols"),
        (pl.col("mark_price") * 0, "too few marks and vols"),
        (pl.col("mark_price") * 90_000, "do not agree on one"),
        (pl.col("mark_iv") * 1e-3, "do not agree on one"),
    ],
)
def test_no_time_is_inferred_from_nonsense(tmp_path: Path, change: pl.Expr, problem: str):
    path = chain_file(tmp_path, "chain.csv", pl.DataFrame(rows()).with_columns(change))
    with pytest.raises(InputError, match=problem):
        read_option_chain(path, None)


# -- files that cannot be used -----------------------------------------------------------------


BAD = (
    (lambda t: t.drop("mark_iv", "mark_price"), "has neither marks nor vols"),
    (lambda t: t.drop("instrument_name", "strike"), "does not tell which options"),
    (lambda t: t.drop("instrument_name", "option_type"), "does not tell which options"),
    (lambda t: t.with_columns(mark_iv=pl.lit("high")), "mark_iv: row 1: 'high' is no number"),
    (lambda t: t.with_columns(instrument_name=pl.lit("BTC")), "'BTC' is no Deribit"),
    (lambda t: t.with_columns(instrument_name=pl.lit("BTC-PERPETUAL")), "is no option"),
    (
        lambda t: t.with_columns(instrument_name=pl.lit("ETH-26JUN26-1-C")).vstack(t),
        "mixes options on BTC settled in BTC and ETH settled in ETH",
    ),
    (
        lambda t: t.drop("instrument_name").with_columns(option_type=pl.lit("future")),
        "option_type: row 1: 'future' is no right",
    ),
    (lambda t: t.with_columns(ts=pl.lit("noon")), "ts: 'noon' is not a time"),
    (lambda t: t.with_columns(ts=pl.lit(None, pl.Int64)), "ts: row 1: '' is no time"),
    (lambda t: t.clear(), "has no rows"),
)


@pytest.mark.parametrize(("spoil", "problem"), BAD, ids=[problem for _, problem in BAD])
def test_a_bad_file_is_one_line(
    tmp_path: Path, spoil: Callable[[pl.DataFrame], pl.DataFrame], problem: str
):
    path = chain_file(tmp_path, "chain.parquet", spoil(pl.DataFrame(rows())))
    with pytest.raises(InputError) as caught:
        read_option_chain(path, NOW)
    line = str(caught.value)
    assert line.startswith(str(path))
    assert problem in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("none.csv", None, "no such file"),
        ("chain.txt", "x", "'.txt' files are not read"),
        ("chain.parquet", "not parquet", "cannot be read"),
        ("chain.csv", "", "cannot be read"),
    ],
)
def test_no_file_of_rows(tmp_path: Path, name: str, content: str | None, problem: str):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=problem):
        read_option_chain(tmp_path / name, NOW)


# -- the real files ----------------------------------------------------------------------------


REAL = (
    ("deribit_btc_chain_2020-05-21_with_book.csv", 326, "2020-05-21T23:22:35", 0),
    ("deribit_btc_chain_2024-05.csv", 578, "2024-05-24T19:20:00", 600),
    ("deribit_eth_chain_2024-05.csv", 502, "2024-05-24T19:10:00", 600),
    ("deribit_btc_chain_2026-02-28_filtered.csv", 166, "2026-03-01T13:45:00", 600),
)


@pytest.mark.parametrize(("name", "count", "moment", "seconds"), REAL)
def test_real_chain(
    shared_data: Callable[[str], Path], name: str, count: int, moment: str, seconds: int
):
    (chain,) = read_option_chain(shared_data(f"data/options/{name}"), None)
    assert chain.quotes.strike.size == count
    assert abs(chain.time_ns - parse_time(moment, "test")) <= (seconds + 1) * 10**9
    assert (chain.time_source == TimeSource.INFERRED) == (seconds > 0)
    assert chain.quotes.inverse
    assert 0.3 < np.median(chain.quotes.vol) < 1.3


def test_real_hourly_chains(shared_data: Callable[[str], Path]):
    name = "data/options/deribit_btc_chain_hourly_2026-01-23_24.parquet"
    chains = read_option_chain(shared_data(name), None)
    assert [chain.time_ns for chain in chains] == [
        parse_time("2026-01-23T01:00:00Z", "test") + k * HOUR for k in range(37)
    ]
    assert sum(chain.quotes.strike.size for chain in chains) == 24_562
    assert {chain.underlying for chain in chains} == {"BTC"}
