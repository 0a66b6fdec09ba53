"""Write the table of the house model ``plimsoll.standard`` from two public Binance snapshots.

python -m tools.standard_table --tiers TIERS.json.gz --ratios RATIOS.csv > plimsoll_standard.toml

``--tiers``: leverage brackets of USD-M perpetuals as ccxt's ``fetch_leverage_tiers`` returns them.
``--ratios``: one row per asset with its collateral ratios, tiers as ``[0-800000:100,...]``, in
USDT value and percent. The table itself goes to standard output, so the same inputs give the
same bytes.
"""

import argparse
import csv
import gzip
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from plimsoll.core import InputError

Tiers: TypeAlias = list[tuple[Decimal, Decimal]]
"""(floor, value) from the floor on, floors increasing from zero."""

MAJORS = (
    *("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "AVAX", "LINK", "SUI", "LTC", "BCH"),
    *("TRX", "DOT", "NEAR", "UNI", "AAVE", "APT", "ARB", "OP", "FIL", "ATOM", "ETC", "ICP"),
    *("INJ", "XLM", "HBAR", "TON", "ENA", "WLD", "TAO", "HYPE", "ZEC"),
)
STABLECOINS = ("USDT", "USDC", "FDUSD", "DAI", "USD1")
RATIO_COLUMNS = ("collateral_margin_ratio_tiers", "collateral_portfolio_margin_ratio_tiers")
UNBOUNDED = Decimal(2**64 - 1)
"""The snapshot writes 'no upper bound' as the largest unsigned 64-bit integer."""

_RATIO_TIER = re.compile(r"([\d.]+)-([\d.]+):([\d.]+)")

_HEADER = """\
# Parameters of the house model plimsoll.standard.
# Written by: python -m tools.standard_table --tiers TIERS.json.gz --ratios RATIOS.csv
# Do not edit a block by hand: change the generator, or add a later block.
#
# brackets: per underlying, [floor of the notional in USD, maintenance rate, initial rate], the
#   rates marginal from their floor on. The initial rate is 1 / the bracket's maximum leverage.
#   The last bracket has no end: the venue's cap on a position is a limit, not a margin.
# haircuts: per collateral asset, [floor of the value in USD, fraction removed], marginal too.
#   The venue publishes two ratios for an asset, one for margin accounts (tiered by size) and one
#   for portfolio margin (flat). The lower of the two holds at every value: the first knows how
#   much of an asset can be sold, the second how far its price can fall before that, and a house
#   that lends against the pool meets both. Past the last tier nothing more is counted.
# An asset in neither list is worth nothing as collateral.{absent}
# size_slopes: maintenance rate added per coin of net position.
# retrieved: the brackets are dated by month; its last day is written.

[[table]]
effective_from = 2017-01-01  # a house model holds on any date; the snapshots' dates are below
source = "Binance USD-M leverage brackets as of {tiers_month} (GET /fapi/v1/leverageBracket); \
Binance collateral ratio tiers as of {ratios_as_of} (margin and portfolio margin collateral); \
Deribit standard margin of futures, position-size slopes (support.deribit.com, linear perpetual \
and notice of 11 January 2022); Binance Portfolio Margin levels, uniMMR FAQ of 6 November 2024"
retrieved = {tiers_as_of}

[table.params]
currency = "USD"
margin_call_ratio = {call!r}  # maintenance / collateral value: 1/1.2, uniMMR 1.2
margin_call_clear_ratio = {clear!r}  # 1/1.5, uniMMR 1.5
fee_provision_rate = 0.0005
"""

_FOOTER = """
[table.params.size_slopes]
BTC = 5e-05
ETH = 4e-06
SOL = 5e-06

[table.unconfirmed]
fee_provision_rate = "house choice: a taker fee of 0.05 % to close; venues differ by fee tier"
margin_call_clear_ratio = "house choice: 1.5 is where Binance's PM Pro account is free again, \
while the call at 1.2 is the retail level; together they give the call its hysteresis"
brackets = "read from USDT-margined perpetuals and applied to every contract on the underlying"
haircuts = "tiers are published in USDT and applied in USD; {flat} have no size tier in either \
list, so their haircut does not grow with size; USD is the house's own zero"
size_slopes = "Deribit adds them to its own base rates; the house adds them to Binance's brackets"
"""


def parse_ratio_tiers(text: str, place: str) -> Tiers:
    """(floor, ratio in percent) of ``[0-800000:100,800000-1200000:95]``, 0 past a finite end.

    Raises InputError where the tiers leave a gap, overlap, rise or leave 0 to 100.
    """
    matches = [_RATIO_TIER.fullmatch(part.strip()) for part in text.strip("[]").split(",")]
    rows = [tuple(map(Decimal, match.groups())) for match in matches if match]
    edges = [Decimal(0), *(end for _, end, _ in rows)]
    joined = [floor for floor, _, _ in rows] == edges[:-1] and edges == sorted(set(edges))
    ratios = [ratio for *_, ratio in rows]
    falling = ratios == sorted(ratios, reverse=True) and all(0 <= ratio <= 100 for ratio in ratios)
    if not (all(matches) and joined and falling):
        remedy = "give adjoining tiers from 0 on with falling ratios in percent"
        raise InputError(place, f"'{text[:60]}' is not a list of ratio tiers", remedy)
    tiers = list(zip(edges, ratios, strict=False))
    return tiers if edges[-1] >= UNBOUNDED else [*tiers, (edges[-1], Decimal(0))]


def merge_haircuts(*ratio_tiers: Tiers) -> Tiers:
    """(floor, haircut) of the lowest ratio at every value; equal neighbours become one tier."""
    merged: Tiers = []
    for floor in sorted({floor for tiers in ratio_tiers for floor, _ in tiers}):
        ratio = min(_value_at(tiers, floor) for tiers in ratio_tiers)
        haircut = (100 - ratio) / 100
        if not merged or merged[-1][1] != haircut:
            merged.append((floor, haircut))
    return merged


def _value_at(tiers: Tiers, level: Decimal) -> Decimal:
    return [value for floor, value in tiers if floor <= level][-1]


def bracket_rows(tiers: Sequence[Mapping[str, Any]], place: str) -> list[tuple[float, ...]]:
    """(notional floor, maintenance rate, initial rate) per bracket.

    Raises InputError unless floors join up from zero, all rates rise and initial >= maintenance.
    """
    rows: list[tuple[float, ...]] = [
        (float(tier["minNotional"]), float(tier["maintenanceMarginRate"]), 1 / tier["maxLeverage"])
        for tier in tiers
    ]
    joined = all(low["maxNotional"] == high["minNotional"] for low, high in pairwise(tiers))
    rising = all(a < b for low, high in pairwise(rows) for a, b in zip(low, high, strict=True))
    ordered = all(0 < maintenance <= initial <= 1 for _, maintenance, initial in rows)
    if not (rows and rows[0][0] == 0 and joined and rising and ordered):
        remedy = "give brackets from 0 on, rising, with initial at least maintenance"
        raise InputError(place, "the brackets are not a margin schedule", remedy)
    return rows


def render(
    tiers: Mapping[str, Sequence[Mapping[str, Any]]],
    ratios: Mapping[str, Mapping[str, str]],
    tiers_as_of: str,
    ratios_as_of: str,
) -> str:
    """The whole table as TOML text; ``ratios`` is keyed by asset in capitals."""
    listed = [asset for asset in MAJORS if f"{asset}/USDT:USDT" in tiers]
    brackets = {a: bracket_rows(tiers[f"{a}/USDT:USDT"], f"tiers.{a}") for a in listed}
    haircuts: dict[str, Tiers] = {"USD": [(Decimal(0), Decimal(0))]}
    for asset in (*STABLECOINS, *MAJORS):
        if asset in ratios:
            columns = (ratios[asset][column] for column in RATIO_COLUMNS)
            haircuts[asset] = merge_haircuts(*(parse_ratio_tiers(c, asset) for c in columns))
    absent = [asset for asset in (*STABLECOINS, *MAJORS) if asset not in haircuts]
    flat = [asset for asset, rows in haircuts.items() if len(rows) == 1 and asset != "USD"]
    header = _HEADER.format(
        absent=f" Missing in the ratio list: {', '.join(absent)}." if absent else "",
        tiers_as_of=tiers_as_of,
        tiers_month=tiers_as_of[:7],
        ratios_as_of=ratios_as_of,
        call=1 / 1.2,
        clear=1 / 1.5,
    )
    sections = (*_section("brackets", brackets), *_section("haircuts", haircuts))
    return header + "".join(sections) + _FOOTER.format(flat=", ".join(flat) or "none")


def _section(
    name: str, schedules: Mapping[str, Sequence[tuple[float | Decimal, ...]]]
) -> Iterator[str]:
    yield f"\n[table.params.{name}]\n"
    for asset, rows in schedules.items():
        listed = (f"[{int(floor)}, {', '.join(map(_number, rest))}]" for floor, *rest in rows)
        yield f"{asset} = [\n" + "".join(f"  {row},\n" for row in listed) + "]\n"


def _number(value: float | Decimal) -> str:
    return repr(float(value))


def main(arguments: Sequence[str]) -> None:
    """Read the two snapshots named on the command line and print the table."""
    parser = argparse.ArgumentParser(prog="standard_table", description="See the module's text.")
    parser.add_argument("--tiers", type=Path, required=True, help="leverage brackets, .json.gz")
    parser.add_argument("--ratios", type=Path, required=True, help="collateral ratios, .csv")
    parser.add_argument("--tiers-as-of", default="2026-09-30", help="day of the brackets")
    parser.add_argument("--ratios-as-of", default="2025-08-01", help="day of the ratios")
    options = parser.parse_args(arguments)
    tiers = json.loads(gzip.decompress(options.tiers.read_bytes()))
    with options.ratios.open(encoding="utf-8", newline="") as lines:
        ratios = {row["token"].upper(): row for row in csv.DictReader(lines)}
    sys.stdout.write(render(tiers, ratios, options.tiers_as_of, options.ratios_as_of))


if __name__ == "__main__":
    main(sys.argv[1:])
