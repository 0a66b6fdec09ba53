"""Price files: bars to a path, and one line for a file that cannot be used."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plimsoll.connectors.prices import read_price_path
from plimsoll.core import InputError, parse_time

START, END = (parse_time(day, "test") for day in ("2025-10-10", "2025-10-11"))
HOUR = 3_600 * 10**9
ROWS = (
    ("BTCUSDT", 0, 100.0, 110.0, 95.0, 105.0),  # rises: open, low, high, close
    ("BTCUSDT", 1, 105.0, 106.0, 80.0, 90.0),  # falls: open, high, low, close
    ("BTCUSDT", 3, 90.0, 90.0, 90.0, 90.0),
    ("ETHUSDT", 1, 10.0, 11.0, 9.0, 10.0),  # neither: as rising
    ("ETH/USDT:USDT-251226", 1, 12.0, 12.5, 11.5, 12.25),
)
NAN = float("nan")


def frame(rows: tuple[tuple[object, ...], ...] = ROWS) -> pl.DataFrame:
    columns = ("symbol", "hour", "open", "high", "low", "close")
    table = pl.DataFrame(rows, schema=columns, orient="row")
    start = pl.lit(datetime(2025, 10, 10, tzinfo=UTC))
    return table.select(
        "symbol", (start + pl.duration(hours="hour")).alias("date"), *columns[2:]
    ).with_columns(volume=1.0)


def write(table: pl.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        table.write_csv(path)
    else:
        table.write_parquet(path)
    return path


@pytest.mark.parametrize("name", ["bars.parquet", "bars.csv"])
def test_each_bar_becomes_four_prices(tmp_path: Path, name: str):
    path = read_price_path(write(frame(), tmp_path / name), START, END)
    assert path.source == name
    assert path.symbols == ("BTC/USDT:USDT", "ETH/USDT:USDT-251226", "ETH/USDT:USDT")
    hours = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 3, 3.25, 3.5, 3.75]
    assert path.time_ns.tolist() == [START + int(hour * HOUR) for hour in hours]
    gap = [NAN] * 4
    btc = [100.0, 95.0, 110.0, 105.0, 105.0, 106.0, 80.0, 90.0, 90.0, 90.0, 90.0, 90.0]
    dated = [*gap, 12.0, 11.5, 12.5, 12.25, *gap]
    eth = [*gap, 10.0, 9.0, 11.0, 10.0, *gap]
    np.testing.assert_array_equal(path.price, np.array([btc, dated, eth]).T)


@pytest.mark.parametrize(
    "kind", [pl.Datetime("ms"), pl.Datetime("us", "UTC"), pl.Datetime("ns", "Asia/Tokyo")]
)
def test_dates_of_any_unit_and_zone_are_the_same_instants(tmp_path: Path, kind: pl.DataType):
    naive = frame().with_columns(pl.col("date").dt.replace_time_zone(None))
    stated = naive if kind.time_zone is None else frame()
    table = stated.with_columns(pl.col("date").cast(kind))
    path = read_price_path(write(table, tmp_path / "a.parquet"), START, END)
    assert path.time_ns[0] == START


def test_start_is_inclusive_and_end_is_not(tmp_path: Path):
    file = write(frame(), tmp_path / "a.parquet")
    path = read_price_path(file, START + HOUR, START + 3 * HOUR + HOUR // 2)
    assert path.time_ns[0] == START + HOUR
    assert path.time_ns[-1] == START + 3 * HOUR + HOUR // 4


def test_bars_that_all_lack_do_not_stretch_the_others(tmp_path: Path):
    file = write(frame(), tmp_path / "a.parquet")
    path = read_price_path(file, START + 3 * HOUR, END)
    assert np.diff(path.time_ns).tolist() == [HOUR // 4] * 3


def test_a_range_outside_the_file(tmp_path: Path):
    file = write(frame(), tmp_path / "a.parquet")
    with pytest.raises(InputError) as caught:
        read_price_path(file, END, END + HOUR)
    assert "no bars from 2025-10-11T00:00:00Z" in caught.value.problem
    assert "inside the file's dates" in caught.value.remedy


def changed(name: str, row: int, value: object) -> pl.DataFrame:
    table = frame()
    values = table[name].to_list()
    values[row] = value
    return table.with_columns(pl.Series(name, values, dtype=table.schema[name]))


# the table, the place after the file's name, words of the remedy
UNSOUND = (
    (frame().drop("close"), "", "it needs symbol, date, open, high, low, close"),
    (frame().rename({"date": "Date"}), "", "did you mean 'Date'?"),
    (frame().head(0), "", "two bars of one symbol"),
    (frame().with_columns(date=pl.lit(5)), ": date", "UTC datetime"),
    (frame().with_columns(date=pl.lit("soon")), "", "sound parquet or csv"),
    (frame().with_columns(open=pl.lit("high")), "", "sound parquet or csv"),
    (frame().head(1), "", "two bars of one symbol"),
    (frame().reverse(), ": BTCUSDT at 2025-10-10T01:00:00Z", "sort by symbol and date"),
    (pl.concat([frame(), frame()]), ": BTCUSDT at 2025-10-10T00:00:00Z", "drop repeats"),
    (changed("low", 1, 0.0), ": BTCUSDT at 2025-10-10T01:00:00Z", "remove the bar"),
    (changed("low", 1, -5.0), ": BTCUSDT at 2025-10-10T01:00:00Z", "remove the bar"),
    (changed("high", 3, NAN), ": ETHUSDT at 2025-10-10T01:00:00Z", "remove the bar"),
    (changed("open", 3, None), ": ETHUSDT at 2025-10-10T01:00:00Z", "remove the bar"),
    (changed("high", 0, 104.0), ": BTCUSDT at 2025-10-10T00:00:00Z", "mend the bar"),
    (changed("symbol", 4, "BTC_PERP"), ": symbol", "did you mean"),
    (
        changed("date", 1, datetime(2025, 10, 10, 0, 40, tzinfo=UTC)),
        "",
        "bars of one length",
    ),
)


@pytest.mark.parametrize(("table", "place", "remedy"), UNSOUND)
def test_unsound_file_is_one_line_with_place_and_remedy(tmp_path, table, place, remedy):
    file = write(table, tmp_path / "a.parquet")
    with pytest.raises(InputError) as caught:
        read_price_path(file, START, END)
    assert caught.value.place == f"{file}{place}"
    assert remedy in caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("absent.parquet", None, "give the path"),
        ("bars.xlsx", b"", ".parquet or .csv"),
        ("bars.parquet", b"not parquet", "sound parquet"),
        ("bars.csv", b"", "sound parquet or csv"),
        ("bars.csv", b"\xff\xfe\x00", ""),
    ],
)
def test_unreadable_file(tmp_path: Path, name: str, content: bytes | None, remedy: str):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_price_path(tmp_path / name, START, END)
    assert caught.value.place == str(tmp_path / name)
    assert remedy in caught.value.remedy


def test_real_crash(shared_data: Callable[[str], Path]):
    file = shared_data("data/prices/binance_perp_15m_ohlcv_2024-2026_BTC_ETH_SOL.parquet")
    path = read_price_path(file, START, START + 48 * HOUR)
    assert path.symbols == ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
    assert path.price.shape == (48 * 4 * 4, 3)
    assert path.price.min(axis=0).tolist() == [101_516.5, 3_400.0, 141.28]
    assert np.isfinite(path.price).all()


def test_real_crash_of_all_perpetuals(shared_data: Callable[[str], Path]):
    file = shared_data("data/prices/binance_perp_1h_2025-10-08_13_all.parquet")
    path = read_price_path(file, START, END)
    assert path.price.shape == (24 * 4, 475)  # two of the 477 were listed later
    assert "1000PEPE/USDT:USDT" in path.symbols
    assert np.nanmin(path.price[:, path.symbols.index("ATOM/USDT:USDT")]) < 1.47
