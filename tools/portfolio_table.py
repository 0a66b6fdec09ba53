"""Write the table of the house model ``plimsoll.portfolio`` from public price history.

python -m tools.portfolio_table --prices FOLDER --ratios RATIOS.csv > plimsoll_portfolio.toml

``--prices``: folder with three Parquet files: daily prices since 2017 (``DAILY``), daily Binance
perpetuals with volumes since 2024 (``PERPETUALS``), hourly Binance spot (``HOURLY``).
``--ratios``: Binance collateral ratios, as for ``tools.standard_table``. The table goes to
standard output; the same inputs give the same bytes.
"""

import argparse
import csv
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from plimsoll.core import Floats, InputError, Int64s
from tools.standard_table import (
    MAJORS,
    RATIO_COLUMNS,
    STABLECOINS,
    Tiers,
    merge_haircuts,
    parse_ratio_tiers,
)

DAILY = "stitched_1d_2017-2026_majors.parquet"
PERPETUALS = "binance_perp_1d_2024-01_2026-03_538symbols.parquet"
HOURLY = "binance_spot_1h_2017-2023_majors.parquet"

LEVEL = 0.99
"""Share of daily moves that a range covers: PFMI principle 6, EMIR RTS 153/2013 Art. 24."""

DEPEG_LEVEL = 0.9995
"""Stablecoins move once in years, so that 0.99 would say nothing of it."""

BUFFER = 0.25
"""EMIR RTS 153/2013 Art. 28(1)(a): a margin buffer of at least 25 %."""

RECENT_DAYS = 365
LONG_HISTORY_DAYS = 1500
"""From here on a history of its own holds more than one crash."""

PEER_DAYS = 8
"""Coins that must have traded on a day for it to count in comparisons between them."""

LARGE_VOLUME, MAJOR_VOLUME = 1e8, 5e9
CLASSES = ("major", "large", "small")
TAILS = (2, 3, 5, 8)


@dataclass(frozen=True, slots=True)
class History:
    """Daily moves of one underlying: day numbers, relative moves; ``volume`` USD on a quiet day."""

    days: Int64s
    moves: Floats
    volume: float


@dataclass(frozen=True, slots=True)
class Listed:
    """One underlying of the table."""

    name: str
    family: str
    recent: float
    floor: float
    volume: float

    @property
    def price_range(self) -> float:
        """The range in force: recent with its buffer, at least the floor."""
        return max(self.recent * (1 + BUFFER), self.floor)


def round_up(value: float, step: float) -> float:
    """The next multiple of ``step``, but for rounding noise."""
    return round(math.ceil(value / step - 1e-9) * step, 10)


def round_down(value: float, step: float) -> float:
    """The multiple of ``step`` at or below, but for rounding noise."""
    return round(math.floor(value / step + 1e-9) * step, 10)


def daily_moves(days: Int64s, close: Floats) -> tuple[Int64s, Floats]:
    """Relative moves from one day to the next; a move over a hole in the series is left out.

    Raises InputError where days do not rise.
    """
    if np.any(np.diff(days) <= 0):
        raise InputError("daily prices", "days do not rise", "sort them, one row a day")
    follows = np.diff(days) == 1
    return days[1:][follows], (close[1:] / close[:-1] - 1.0)[follows]


def family_of(volume: float) -> str:
    """The class of an underlying by its volume on a quiet day."""
    return "major" if volume >= MAJOR_VOLUME else "large" if volume >= LARGE_VOLUME else "small"


def list_underlyings(histories: Mapping[str, History]) -> tuple[Listed, ...]:
    """Ranges and classes; a short history takes its peers' median floor where that is higher."""
    listed: list[Listed] = []
    own: dict[str, list[float]] = {}
    for name, history in histories.items():
        floor = float(np.quantile(np.abs(history.moves), LEVEL))
        recent = float(np.quantile(np.abs(history.moves[-RECENT_DAYS:]), LEVEL))
        family = family_of(history.volume)
        if history.moves.size >= LONG_HISTORY_DAYS:
            own.setdefault(family, []).append(floor)
        listed.append(
            Listed(name, family, round_up(recent, 0.01), floor, float(f"{history.volume:.2g}"))
        )
    floors = (round_up(_floor(row, histories[row.name], own), 0.01) for row in listed)
    return tuple(replace(row, floor=floor) for row, floor in zip(listed, floors, strict=True))


def _floor(row: Listed, history: History, own: Mapping[str, Sequence[float]]) -> float:
    if history.moves.size >= LONG_HISTORY_DAYS:
        return row.floor
    return max(row.floor, float(np.median(own[row.family])))


@dataclass(frozen=True, slots=True)
class Together:
    """How far underlyings part, in units of their ranges: by class, and between the blocs.

    ``alone``: from the median of all. ``offset``: the part of a matched pair's loss that held.
    """

    alone: Mapping[str, float]
    offset: Mapping[str, float]
    gap: float


def measure_together(listed: Sequence[Listed], histories: Mapping[str, History]) -> Together:
    """Partings on days with at least ``PEER_DAYS`` coins.

    Two equal and opposite legs lose |z - z'| of a range where each alone would lose one, which
    is an offset of 1 - |z - z'| / 2 of both. For each class: of its pairs with equal or larger
    ones, the offset that nine in ten kept on 99 days of 100.
    """
    every = sorted({int(day) for history in histories.values() for day in history.days})
    scaled = np.full((len(every), len(listed)), np.nan)
    row_of = {day: k for k, day in enumerate(every)}
    for k, row in enumerate(listed):
        history = histories[row.name]
        scaled[[row_of[int(day)] for day in history.days], k] = history.moves / row.price_range
    scaled = scaled[np.sum(np.isfinite(scaled), axis=1) >= PEER_DAYS]
    middle = np.nanmedian(scaled, axis=1)
    ranks = [CLASSES.index(row.family) for row in listed]
    alone, offset = {}, {}
    for rank, family in enumerate(CLASSES):
        mine = [k for k, r in enumerate(ranks) if r == rank]
        alone[family] = min(1.0, round_up(max(_parting(scaled[:, k] - middle) for k in mine), 0.25))
        pairs = [
            _parting(scaled[:, a] - scaled[:, b])
            for a, b in combinations(range(len(ranks)), 2)
            if max(ranks[a], ranks[b]) == rank
        ]
        offset[family] = round_down(1 - float(np.quantile(pairs, 0.9)) / 2, 0.05)
    majors = np.array([rank == 0 for rank in ranks])
    apart = np.nanmean(scaled[:, majors], axis=1) - np.nanmean(scaled[:, ~majors], axis=1)
    return Together(alone, offset, round_up(_parting(apart), 0.25))


def _parting(gaps: Floats) -> float:
    return float(np.quantile(np.abs(gaps[np.isfinite(gaps)]), LEVEL))


def joint_scenarios(gap: float) -> list[tuple[float, float, float]]:
    """(majors, others, volatility) in units of their ranges, 48 scenarios.

    27 of all underlyings together, 8 far ones, 12 of one bloc ahead of the other by ``gap``,
    one of volatility alone at twice its shock.
    """
    steps = [k / 4 for k in range(-4, 5)]
    body = [(step, step, float(vol)) for step in steps for vol in (1, 0, -1)]
    far = [(float(sign * k), float(sign * k), 1.0) for sign in (-1, 1) for k in TAILS]
    lag, half = 1 - gap, gap / 2
    apart = [(1.0, lag), (lag, 1.0), (half, -half)]
    against = [(s * a, s * b, vol) for vol in (1.0, 0.0) for s in (-1, 1) for a, b in apart]
    return [*body, *far, *against, (0.0, 0.0, 2.0)]


def depeg_moves(close: Floats, bars_per_day: int) -> tuple[float, float]:
    """(down, up) >= 0: how far a stablecoin falls and rises in a day at ``DEPEG_LEVEL``."""
    moves = close[bars_per_day:] / close[:-bars_per_day] - 1.0
    low, high = np.quantile(moves, [1 - DEPEG_LEVEL, DEPEG_LEVEL])
    return round_up(-float(low), 0.01), round_up(float(high), 0.01)


def read_histories(folder: Path) -> dict[str, History]:
    """Moves of the longer series of each coin, and its volume as a perpetual."""
    daily, perpetuals = pl.read_parquet(folder / DAILY), pl.read_parquet(folder / PERPETUALS)
    found = {}
    for name in MAJORS:
        own = daily.filter(pl.col("symbol") == name).sort("date")
        perpetual = perpetuals.filter(pl.col("symbol") == f"{name}USDT").sort("date")
        longer = own if own.height > perpetual.height else perpetual
        days = longer["date"].dt.epoch("d").to_numpy().astype(np.int64)
        dates, moves = daily_moves(days, longer["close"].to_numpy())
        volume = perpetual["quote_volume"].to_numpy()[-RECENT_DAYS:]
        found[name] = History(dates, moves, float(np.quantile(volume.astype(np.float64), 0.25)))
    return found


_HEADER = """\
# Parameters of the house model plimsoll.portfolio.
# Written by: python -m tools.portfolio_table --prices FOLDER --ratios RATIOS.csv
# Do not edit a block by hand: change the generator, or add a later block.
#
# underlyings: recent = {level:.0%} quantile of |daily move|, last {recent} days; floor = the same
#   over the whole history (from 2017 where traded), the worst of the cycle included; a history
#   under {history} days takes the median floor of its class where that is higher. Both are
#   rounded up to 0.01. The range in force is max(recent * (1 + range_buffer), floor).
#   daily_volume: USD, lower quartile of the last {recent} days, Binance perpetual alone.
# classes: by daily_volume, major from {major:.0e} USD, large from {large:.0e} USD.
#   alone: how far one underlying leaves the median of all, in units of its range, {level:.0%}
#   quantile, the largest of the class, rounded up to 0.25 and at most 1.
#   offset: part of both legs' losses that a hedge across underlyings kept on {level:.0%} of
#   days, in nine of ten pairs of the class with equal or larger ones, rounded down to 0.05.
#   basis_min, basis_year: see table.unconfirmed.
# scenarios: columns of one joint scan, in units of each underlying's range (beyond 1: compounded,
#   and weighted by range / move) and of the volatility shock (beyond 1: weighted by 1 / size).
#   Where blocs differ, one leads by {gap}: the {level:.0%} quantile of their distance, rounded up.
# haircuts: as in plimsoll.standard: the lower of Binance's two ratios at every value. The model
#   takes only what exceeds the range that its scan has taken already.
# depeg: [fall, rise] of an asset outside the scan, {depeg:.2%} quantiles of 24-hour moves of
#   USDC/USDT (hourly, 2021 to 2023), rounded up to 0.01; default: what is owed may double.
"""

_PARAMS = """
[[table]]
effective_from = 2017-01-01  # a house model holds on any date; the data's dates are below
source = "Daily prices of 23 coins 2017 to 2026 and Binance USD-M perpetuals 2024-01 to 2026-03, \
calibrated as described above; Binance collateral ratio tiers as of 2025-08-01; volatility \
shocks, their floor and powers: Deribit public/pme/get_params, BTC, June 2024; short option \
rate: Derive PMRM (0.3 % maintenance and 0.2 % initial contingency of naked shorts); initial \
factor: Deribit mm_factor 0.8; annual basis: Deribit annualised_move_risk (BTC), OKX portfolio \
margin MR4 (others); levels: Binance Portfolio Margin, uniMMR FAQ of 6 November 2024"
retrieved = 2026-11-20

[table.params]
currency = "USD"
margin_call_ratio = {call!r}  # maintenance / collateral value: 1/1.2, uniMMR 1.2
margin_call_clear_ratio = {clear!r}  # 1/1.5, uniMMR 1.5
initial_factor = 1.25  # 1 / 0.8
range_buffer = {buffer}
offset_cap = 1.0  # no class's offset counts beyond it; 0 switches offsets off
horizon_days = 1.0  # margin period of risk: what the ranges were measured over
participation = 0.02  # share of daily_volume that a liquidation may take
short_option_rate = 0.005  # of the underlying's index, per option sold
fee_rate = 0.0005  # of notional
option_fee_rate = 0.0003  # of the underlying's index, per option

[table.params.volatility]
up = 0.5
down = 0.25
short_power = 0.3
long_power = 0.13
reference_days = 30.0
days_min = 1.0
vol_min_up = 0.5
vol_min_down = 0.05
"""

_FOOTER = """
[table.unconfirmed]
margin_call_clear_ratio = "house choice, as in plimsoll.standard"
participation = "house choice: 2 % of one venue's volume on a quiet day, since depth fell by 98 % \
at worst on 10 October 2025; adds 59 % to the rate of 1e9 USD in BTC"
volatility = "Deribit's figures for BTC, applied to every underlying; vol_min_down is the house's"
short_option_rate = "Derive's contingency for naked shorts, applied as a minimum per option sold"
fee_rate = "house choice: a taker fee of 0.05 % to close; venues differ by fee tier"
option_fee_rate = "house choice: venues differ, and most cap it by the premium"
"classes.*.basis_min" = "major: Deribit's roll shock floor for BTC; others: largest distance \
between venues' perpetuals in 999 of 1000 hours of 2025, DOGE and HYPE"
"classes.*.basis_year" = "Deribit and OKX for the coins they name, applied to the whole class"
depeg = "one event (USDC, March 2023) sets the figure for every stablecoin; the default for a debt \
in an asset without a range is the house's"
haircuts = "tiers are published in USDT and applied in USD; USD is the house's own zero"
"underlyings.*.daily_volume" = "one venue's perpetual alone; put your own venue's depth here"
"""

BASIS = (("major", 0.01, 0.075), ("large", 0.02, 0.15), ("small", 0.02, 0.3))
BLOCS = (("major", "majors"), ("large", "others"), ("small", "others"))


def render(
    listed: Sequence[Listed],
    together: Together,
    haircuts: Mapping[str, Tiers],
    depeg: tuple[float, float],
) -> str:
    """The whole table as TOML text."""
    header = _HEADER.format(
        level=LEVEL, recent=RECENT_DAYS, history=LONG_HISTORY_DAYS, major=MAJOR_VOLUME,
        large=LARGE_VOLUME, gap=together.gap, depeg=DEPEG_LEVEL,
    )  # fmt: skip
    body = _PARAMS.format(call=1 / 1.2, clear=1 / 1.5, buffer=BUFFER)
    parts = (*_scenarios(together.gap), *_classes(together), *_underlyings(listed))
    return header + body + "".join((*parts, *_haircuts(haircuts), *_depeg(depeg))) + _FOOTER


def _scenarios(gap: float) -> Iterator[str]:
    yield "\n[table.params.scenarios]\n"
    columns = zip(*joint_scenarios(gap), strict=True)
    for name, values in zip(("majors", "others", "volatility"), columns, strict=True):
        yield f"{name} = [\n"
        for start, end in ((0, 9), (9, 18), (18, 27), (27, 35), (35, 41), (41, 47), (47, 48)):
            yield f"  {', '.join(f'{value:g}' for value in values[start:end])},\n"
        yield "]\n"


def _classes(together: Together) -> Iterator[str]:
    yield "\n[table.params.classes]\n"
    for (family, minimum, year), (_, bloc) in zip(BASIS, BLOCS, strict=True):
        yield (
            f'{family} = {{ bloc = "{bloc}", offset = {together.offset[family]}, '
            f"alone = {together.alone[family]}, basis_min = {minimum}, basis_year = {year} }}\n"
        )


def _underlyings(listed: Sequence[Listed]) -> Iterator[str]:
    yield "\n[table.params.underlyings]\n"
    for row in listed:
        yield (
            f'{row.name} = {{ class = "{row.family}", recent = {row.recent}, '
            f"floor = {row.floor}, daily_volume = {row.volume:.2g} }}\n"
        )


def _haircuts(haircuts: Mapping[str, Tiers]) -> Iterator[str]:
    yield "\n[table.params.haircuts]\n"
    for asset, rows in haircuts.items():
        tiers = ", ".join(f"[{int(floor)}, {float(rate)!r}]" for floor, rate in rows)
        yield f"{asset} = [{tiers}]\n"


def _depeg(depeg: tuple[float, float]) -> Iterator[str]:
    yield "\n[table.params.depeg]\nUSD = [0.0, 0.0]\n"
    for asset in STABLECOINS:
        yield f"{asset} = [{depeg[0]}, {depeg[1]}]\n"
    yield "default = [0.0, 1.0]\n"


def main(arguments: Sequence[str]) -> None:
    """Read the price history and the ratios named on the command line and print the table."""
    parser = argparse.ArgumentParser(prog="portfolio_table", description="See the module's text.")
    parser.add_argument("--prices", type=Path, required=True, help="folder of the price files")
    parser.add_argument("--ratios", type=Path, required=True, help="collateral ratios, .csv")
    options = parser.parse_args(arguments)
    histories = read_histories(options.prices)
    listed = list_underlyings(histories)
    with options.ratios.open(encoding="utf-8", newline="") as lines:
        ratios = {row["token"].upper(): row for row in csv.DictReader(lines)}
    haircuts: dict[str, Tiers] = {"USD": [(Decimal(0), Decimal(0))]}
    for asset in (*STABLECOINS, *MAJORS):
        if asset in ratios:
            columns = (ratios[asset][column] for column in RATIO_COLUMNS)
            haircuts[asset] = merge_haircuts(*(parse_ratio_tiers(c, asset) for c in columns))
    hourly = pl.read_parquet(options.prices / HOURLY)
    close = hourly.filter(pl.col("symbol") == "USDC").sort("date")["close"].to_numpy()
    together = measure_together(listed, histories)
    sys.stdout.write(render(listed, together, haircuts, depeg_moves(close, 24)))


if __name__ == "__main__":
    main(sys.argv[1:])
