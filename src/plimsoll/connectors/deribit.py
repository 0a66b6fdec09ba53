"""Deribit: files of option chain rows.

Columns are known by their names, as Deribit's API and the archives of its answers call them;
where several names serve, the first that the file has is read:

- which option: ``instrument_name``; without it ``option_type`` or ``type``, ``strike``, and
  ``expiration_timestamp``, ``expiration``, ``expiry``, ``maturity`` or ``expiry_date``;
- when: ``timestamp`` or ``ts``;
- prices, in the coin for inverse options: ``mark_price``, ``best_bid_price``;
- vols, in per cent a year: ``mark_iv``, ``bid_iv``, ``ask_iv``;
- ``delta``, and ``underlying_price``, which is the forward.

A time that is a number is milliseconds since 1970, one without a zone is UTC, and an expiry
that is a day alone is at 08:00, when contracts settle.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

import numpy as np
import polars as pl

from plimsoll.connectors.chain_time import infer_time
from plimsoll.connectors.deribit_names import deribit_symbol
from plimsoll.core import Bools, Floats, InputError, Int64s, did_you_mean, parse_time
from plimsoll.instruments import Instrument, Kind, Payoff, parse_symbol
from plimsoll.instruments.symbol import EXPIRY_CLOCK
from plimsoll.pricing.quotes import OptionQuotes

SNAPSHOT_GAP_NS = 60 * 10**9
"""Rows that follow each other within this belong to one snapshot."""

PRICE_DECIMALS_MAX = 8
NS_PER_MS = 10**6

_RIGHTS = ("option_type", "type")
_EXPIRIES = ("expiration_timestamp", "expiration", "expiry", "maturity", "expiry_date")
_TIMES = ("timestamp", "ts")
_MIDNIGHT = "00:00:00Z"
_DAY_FORM = re.compile(r"\d{4}-\d\d-\d\d")


class TimeSource(IntEnum):
    """How the time of a snapshot is known."""

    ROWS = 0
    CALLER = 1
    INFERRED = 2


@dataclass(frozen=True, slots=True)
class OptionChain:
    """The options on one underlying as the venue showed them at ``time_ns``.

    ``underlying`` is the asset, empty where the rows do not name it. ``time_error_ns`` is the
    standard error of an inferred time, else 0. ``bid_vol`` and ``ask_vol`` are fractions a
    year, shape [quotes], NaN where there is none.
    """

    underlying: str
    time_ns: int
    time_source: TimeSource
    time_error_ns: int
    quotes: OptionQuotes
    bid_vol: Floats
    ask_vol: Floats


def read_option_chain(path: Path, time_ns: int | None) -> tuple[OptionChain, ...]:
    """The option chains of a parquet or csv file, one per snapshot, in order of time.

    The file's own times rule. A file without them is one snapshot at ``time_ns``; where that
    is None too, at the time at which the listed vols give the listed marks (``infer_time``).
    Rows without an instrument name are taken for inverse options. The tick is the last decimal
    that the marks use. A bid that is missing in a file of bids is 0. Raises InputError where
    the file cannot be read, does not say what is needed, or mixes underlyings.
    """
    place = str(path)
    frame = _read_frame(path)
    underlying, quotes = _read_quotes(frame, place)
    # Where no vol gives the price, Deribit lists a vol of zero.
    vols = [_numbers(frame, name, place) / 100.0 for name in ("bid_iv", "ask_iv")]
    bid_vol, ask_vol = (np.where(vol > 0, vol, np.nan) for vol in vols)
    row_time = _times(frame, _TIMES, _MIDNIGHT, place)
    if row_time is not None:
        quotes = replace(quotes, time_ns=row_time)
        snapshots = ((rows, int(row_time[rows].max())) for rows in _snapshots(row_time))
        return tuple(
            OptionChain(
                underlying,
                snapshot_ns,
                TimeSource.ROWS,
                0,
                _take(quotes, rows),
                bid_vol[rows],
                ask_vol[rows],
            )
            for rows, snapshot_ns in snapshots
        )
    if time_ns is not None:
        source, error_ns = TimeSource.CALLER, 0
    else:
        source = TimeSource.INFERRED
        time_ns, error_ns = infer_time(quotes, place)
    return (OptionChain(underlying, time_ns, source, error_ns, quotes, bid_vol, ask_vol),)


def _read_frame(path: Path) -> pl.DataFrame:
    place = str(path)
    remedy = "give a parquet or csv file of option chain rows"
    if not path.is_file():
        raise InputError(place, "no such file", remedy)
    readers: dict[str, Callable[[], pl.DataFrame]] = {
        ".parquet": lambda: pl.read_parquet(path),
        ".csv": lambda: pl.read_csv(path, infer_schema_length=None),
    }
    if path.suffix.lower() not in readers:
        raise InputError(place, f"'{path.suffix}' files are not read", remedy)
    try:
        frame = readers[path.suffix.lower()]()
    except pl.exceptions.PolarsError as error:
        problem = f"cannot be read: {str(error).splitlines()[0][:120]}"
        raise InputError(place, problem, remedy) from error
    if frame.is_empty():
        raise InputError(place, "has no rows", remedy)
    if not {"mark_price", "mark_iv"} & set(frame.columns):
        close = did_you_mean("mark_iv", frame.columns)
        raise InputError(place, "has neither marks nor vols", f"add mark_price or mark_iv; {close}")
    return frame


def _read_quotes(frame: pl.DataFrame, place: str) -> tuple[str, OptionQuotes]:
    """The underlying, empty if the rows name none, and all rows as quotes without a time."""
    underlying, expiry_ns, strike, is_call, inverse = _read_options(frame, place)
    price = _numbers(frame, "mark_price", place)
    return underlying, OptionQuotes(
        expiry_ns=expiry_ns,
        strike=strike,
        is_call=is_call,
        time_ns=np.full(frame.height, -1, dtype=np.int64),
        price=price,
        bid=_bids(frame, place),
        tick=np.full(frame.height, _price_step(price)),
        vol=_numbers(frame, "mark_iv", place) / 100.0,
        delta=_numbers(frame, "delta", place),
        forward=_numbers(frame, "underlying_price", place),
        inverse=inverse,
    )


def _read_options(frame: pl.DataFrame, place: str) -> tuple[str, Int64s, Floats, Bools, bool]:
    """Underlying, then per row expiry, strike and right, then whether they are inverse."""
    if "instrument_name" not in frame.columns:
        return "", *_described_options(frame, place), True
    names = frame["instrument_name"].cast(pl.String).fill_null("")
    known = {name: _named_option(name, place) for name in names.unique(maintain_order=True)}
    kinds = sorted({(option.base, option.settle) for option in known.values()})
    if len(kinds) > 1:
        mixed = " and ".join(f"{base} settled in {settle}" for base, settle in kinds[:2])
        raise InputError(place, f"mixes options on {mixed}", "give one underlying per file")
    options = [known[name] for name in names]
    return (
        options[0].base,
        np.array([option.expiry_ns for option in options], dtype=np.int64),
        np.array([float(option.strike) for option in options]),
        np.array([option.is_call for option in options]),
        options[0].payoff == Payoff.INVERSE,
    )


def _named_option(name: str, place: str) -> Instrument:
    where = f"{place}: instrument_name"
    option = parse_symbol(deribit_symbol(name, where), where)
    if option.kind != Kind.OPTION:
        raise InputError(where, f"'{name[:60]}' is no option", "give rows of options only")
    return option


def _described_options(frame: pl.DataFrame, place: str) -> tuple[Int64s, Floats, Bools]:
    """Expiry, strike and right per row, for rows without a name."""
    right = _first(frame, _RIGHTS)
    expiry_ns = _times(frame, _EXPIRIES, EXPIRY_CLOCK, place)
    if right is None or expiry_ns is None or "strike" not in frame.columns:
        close = did_you_mean("instrument_name", frame.columns)
        remedy = f"add instrument_name, or option_type, strike and maturity; {close}"
        raise InputError(place, "does not tell which options it holds", remedy)
    words = right.cast(pl.String).str.to_lowercase()
    known = words.is_in(["call", "put", "c", "p"]).fill_null(value=False)
    _check_cells(right, known, "right", "write call or put", place)
    is_call = words.str.starts_with("c").to_numpy()
    return expiry_ns, _numbers(frame, "strike", place), is_call


def _bids(frame: pl.DataFrame, place: str) -> Floats:
    """Bid prices; where the file has bid vols only, 0 for a vol of zero and NaN for others."""
    if "best_bid_price" in frame.columns:
        return np.nan_to_num(_numbers(frame, "best_bid_price", place), nan=0.0)
    return np.where(_numbers(frame, "bid_iv", place) == 0, 0.0, np.nan)


def _price_step(price: Floats) -> float:
    """The last decimal in use, NaN where there is no price."""
    known = price[np.isfinite(price)]
    if known.size == 0:
        return float("nan")
    decimals = range(PRICE_DECIMALS_MAX)
    exact = (d for d in decimals if np.array_equal(np.round(known, d), known))
    return 10.0 ** -next(exact, PRICE_DECIMALS_MAX)


def _first(frame: pl.DataFrame, names: tuple[str, ...]) -> pl.Series | None:
    return next((frame[name] for name in names if name in frame.columns), None)


def _numbers(frame: pl.DataFrame, name: str, place: str) -> Floats:
    """A column as numbers, NaN where a cell is empty or the file has no such column."""
    if name not in frame.columns:
        return np.full(frame.height, np.nan)
    column = frame[name]
    numbers = column.cast(pl.Float64, strict=False)
    known = numbers.is_not_null() | column.is_null()
    _check_cells(column, known, "number", "correct the cell or leave it empty", place)
    return np.asarray(numbers.fill_null(np.nan).to_numpy(), dtype=np.float64)


def _times(frame: pl.DataFrame, names: tuple[str, ...], clock: str, place: str) -> Int64s | None:
    """The first column of ``names`` as nanoseconds, None where the file has none of them.

    ``clock`` is the hour that a day alone means.
    """
    column = _first(frame, names)
    if column is None:
        return None
    _check_cells(column, column.is_not_null(), "time", "give every row its time", place)
    if isinstance(column.dtype, pl.Datetime):
        times = column.dt.epoch("ns")
    elif column.dtype.is_numeric():
        times = column.cast(pl.Int64) * NS_PER_MS
    else:
        texts = column.cast(pl.String)
        where = f"{place}: {column.name}"
        known = {
            text: parse_time(f"{text}T{clock}" if _DAY_FORM.fullmatch(text) else text, where)
            for text in texts.unique(maintain_order=True)
        }
        times = texts.replace_strict(known, return_dtype=pl.Int64)
    return np.asarray(times.to_numpy(), dtype=np.int64)


def _check_cells(column: pl.Series, good: pl.Series, kind: str, remedy: str, place: str) -> None:
    """Raises InputError on the first cell that is not ``good``."""
    bad = np.flatnonzero(~good.to_numpy())
    if bad.size:
        row = int(bad[0])
        where = f"{place}: {column.name}: row {row + 1}"
        raise InputError(where, f"'{str(column[row] or '')[:40]}' is no {kind}", remedy)


def _snapshots(time_ns: Int64s) -> Iterator[Int64s]:
    """The rows of each snapshot, in the file's order."""
    order = np.argsort(time_ns, kind="stable")
    starts = np.flatnonzero(np.diff(time_ns[order]) > SNAPSHOT_GAP_NS) + 1
    for rows in np.split(order, starts):
        yield np.sort(rows)


def _take(quotes: OptionQuotes, rows: Int64s) -> OptionQuotes:
    return OptionQuotes(
        expiry_ns=quotes.expiry_ns[rows],
        strike=quotes.strike[rows],
        is_call=quotes.is_call[rows],
        time_ns=quotes.time_ns[rows],
        price=quotes.price[rows],
        bid=quotes.bid[rows],
        tick=quotes.tick[rows],
        vol=quotes.vol[rows],
        delta=quotes.delta[rows],
        forward=quotes.forward[rows],
        inverse=quotes.inverse,
    )
