"""Price files: open, high, low, close bars to a price path.

A bar says what prices were met, not in which order. Here a falling bar goes open, high, low,
close and a rising one open, low, high, close, at the bar's opening time and one, two and three
quarters of its length later. That is a common heuristic and puts each extreme before the
close; two moves inside a bar that undo each other are not seen.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from plimsoll.core import Floats, InputError, Int64s, did_you_mean, format_time
from plimsoll.instruments import parse_symbol
from plimsoll.market import PricePath

COLUMNS = ("symbol", "date", "open", "high", "low", "close")
PRICES = COLUMNS[2:]
POINTS_PER_BAR = 4

_NATIVE = re.compile(r"([A-Za-z0-9]+?)(USDT|USDC)(?:_(\d{6}))?")


def read_price_path(path: Path, start_ns: int, end_ns: int) -> PricePath:
    """Prices from ``start_ns`` to before ``end_ns`` out of a parquet or csv file of bars.

    Columns: symbol, date (the bar's opening time in UTC), open, high, low, close; rows of a
    symbol in order of time. Symbols are unified, or native names of linear perpetuals as in
    BTCUSDT. A symbol without a bar is NaN for its length. Raises InputError where the file
    cannot be read, columns are missing, nothing lies in the range, rows are out of order or a
    bar makes no sense.
    """
    place = str(path)
    length, bars = _read_bars(path, start_ns, end_ns)
    if bars.is_empty():
        problem = f"no bars from {format_time(start_ns)} to {format_time(end_ns)}"
        raise InputError(place, problem, "choose a range inside the file's dates")
    _check_bars(bars, place)
    opened, at = np.unique(bars["time_ns"].to_numpy(), return_inverse=True)
    names, owner = np.unique(bars["symbol"].to_numpy(), return_inverse=True)
    symbols = tuple(_unified_symbol(str(name), place) for name in names)
    _check_grid(opened, length, place)
    walks = np.full((opened.size, POINTS_PER_BAR, len(symbols)), np.nan)
    walks[at, :, owner] = _walk(bars.select(PRICES).to_numpy())
    moments = (opened[:, None] + length // POINTS_PER_BAR * np.arange(POINTS_PER_BAR)).ravel()
    inside = moments < end_ns
    price = walks.reshape(-1, len(symbols))
    return PricePath(symbols, moments[inside], price[inside], path.name)


def _read_bars(path: Path, start_ns: int, end_ns: int) -> tuple[int, pl.DataFrame]:
    """The bars' length in ns, and those in the range: symbol, time_ns, prices as floats."""
    place = str(path)
    if not path.is_file():
        raise InputError(place, "no such file", "give the path of a parquet or csv file of bars")
    scans: dict[str, Any] = {".parquet": pl.scan_parquet, ".csv": pl.scan_csv}
    if path.suffix.lower() not in scans:
        problem = f"'{path.suffix}' files are not read"
        raise InputError(place, problem, "give a .parquet or .csv file")
    try:
        frame: pl.LazyFrame = scans[path.suffix.lower()](path)
        schema = frame.collect_schema()
        missing = [name for name in COLUMNS if name not in schema]
        if missing:
            remedy = f"it needs {', '.join(COLUMNS)}; {did_you_mean(missing[0], schema.names())}"
            raise InputError(place, f"column '{missing[0]}' is missing", remedy)
        frame = frame.select(
            pl.col("symbol").cast(pl.String),
            _time_ns(schema["date"], place),
            *(pl.col(name).cast(pl.Float64) for name in PRICES),
        )
        # The whole file tells the length: in a short range every symbol may lack a bar.
        steps = frame.select(pl.col("time_ns").diff().abs().over("symbol")).filter(
            pl.col("time_ns") > 0
        )
        length = steps.min().collect().item()
        in_range = pl.col("time_ns").is_between(start_ns, end_ns, closed="left")
        bars = frame.filter(in_range).collect()
    except pl.exceptions.PolarsError as error:
        problem = f"cannot be read: {str(error).splitlines()[0][:120]}"
        raise InputError(place, problem, "give a sound parquet or csv file of bars") from error
    if length is None:
        remedy = "give at least two bars of one symbol"
        raise InputError(place, "does not tell how long its bars are", remedy)
    return int(length), bars


def _time_ns(kind: pl.DataType, place: str) -> pl.Expr:
    date = pl.col("date")
    if isinstance(kind, pl.String):
        date = date.str.to_datetime(time_unit="ns", time_zone="UTC")
    elif isinstance(kind, pl.Date):
        date = date.cast(pl.Datetime("ns"))
    elif not isinstance(kind, pl.Datetime):
        remedy = "store it as a UTC datetime, or as text such as 2025-10-10T21:15:00Z"
        raise InputError(f"{place}: date", f"{kind} is not a time", remedy)
    return date.dt.timestamp("ns").alias("time_ns")


def _check_bars(bars: pl.DataFrame, place: str) -> None:
    """Raises InputError on the first bar that is out of order or makes no sense."""
    ordered = (pl.col("time_ns").diff() > 0).over("symbol").fill_null(value=True)
    finite = pl.all_horizontal(pl.col(name).is_finite() for name in PRICES)
    positive = pl.all_horizontal(pl.col(name) > 0 for name in PRICES)
    body = (pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close"))
    inside = (pl.col("high") >= body[0]) & (pl.col("low") <= body[1])
    for rule, problem, remedy in (
        (ordered, "is out of order or repeated", "sort by symbol and date and drop repeats"),
        (finite, "has a price that is missing or not finite", "remove the bar"),
        (positive, "has a price that is not positive", "remove the bar"),
        (inside, "has a high or low inside its open and close", "mend the bar"),
    ):
        bad = bars.filter(~rule.fill_null(value=False))
        if not bad.is_empty():
            name, time_ns = bad["symbol"][0], bad["time_ns"][0]
            where = f"{place}: {name} at {format_time(time_ns)}"
            raise InputError(where, f"the bar {problem}", remedy)


def _check_grid(opened: Int64s, length: int, place: str) -> None:
    """Raises InputError where a bar does not open a multiple of the length after the first."""
    off = np.flatnonzero((opened - opened[0]) % length)
    if off.size:
        when = format_time(int(opened[off[0]]))
        remedy = "give bars of one length, opening at its multiples"
        raise InputError(place, f"the bar at {when} is off the grid of the others", remedy)


def _walk(bars: Floats) -> Floats:
    """Four prices of each bar in the order in which they are taken to be met, [bars, 4]."""
    is_falling = bars[:, 3] < bars[:, 0]
    return np.where(is_falling[:, None], bars, bars[:, [0, 2, 1, 3]])


def _unified_symbol(name: str, place: str) -> str:
    inner = f"{place}: symbol"
    native = _NATIVE.fullmatch(name)
    if native is None:
        return parse_symbol(name, inner).symbol
    base, quote, expiry = native.groups()
    symbol = f"{base}/{quote}:{quote}" + (f"-{expiry}" if expiry else "")
    return parse_symbol(symbol, inner).symbol
