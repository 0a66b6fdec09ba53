"""Write dated blocks of the tables ``binance_usdm`` and ``binance_portfolio`` from snapshots.

python -m tools.binance_table usdm --tiers TIERS.json.gz --from 2026-09-01
python -m tools.binance_table portfolio --ratios RATIOS.csv --from 2026-09-01

A block goes to standard output, to be put at the end of the table; the same inputs give the same
bytes. ``--tiers``: leverage brackets as ccxt's ``fetch_leverage_tiers`` returns them.
``--ratios``: one row per asset with its flat ratio under portfolio margin, as ``[0-...:95]`` in
percent; later announcements stand in ``CHANGES``. A portfolio block takes the brackets that the
committed tables of USD-M and COIN-M have in force on its day.
"""

import argparse
import csv
import gzip
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from plimsoll.connectors import brackets_from_ccxt
from plimsoll.core import InputError, load_tables, parse_time, table_at

PACKAGE = "plimsoll.margin.venues"
MAJORS = (
    *("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "AVAX", "LINK", "SUI", "LTC", "BCH"),
    *("TRX", "DOT", "NEAR", "UNI", "AAVE", "APT", "ARB", "OP", "FIL", "ATOM", "ETC", "ICP"),
    *("INJ", "XLM", "HBAR", "TON", "ENA", "WLD", "TAO", "HYPE", "ZEC", "1000PEPE"),
)
SYMBOLS = (
    *(f"{base}/USDT:USDT" for base in MAJORS),
    *(f"{base}/USDC:USDC" for base in ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE")),
    *("BTC/USDT:USDT-260925", "BTC/USDT:USDT-261225"),
    *("ETH/USDT:USDT-260925", "ETH/USDT:USDT-261225"),
)

# Announced rates under portfolio margin after 1 August 2025: day in force, asset and percent.
CHANGES = MappingProxyType(
    {
        "2025-08-19": "ENA 65 TON 65 A 65 APT 60 ETHFI 60 RENDER 50 SANTOS 30 ORCA 30",
        "2025-08-22": "FIL 70 PIXEL 35 KDA 30 C98 30 WOO 25 ICX 25",
        "2025-08-26": "TRX 85 SUI 70 WBTC 70 SPK 40 CYBER 30 API3 30 ZEN 30 UMA 30 JST 30 NXPC 30",
        "2025-08-29": "MASK 40 APE 40 XEC 35 DASH 35 DYDX 20 1000SATS 20",
        "2025-09-02": "BERA 50 RAY 50 ONDO 50 CATI 30 EIGEN 30 NMR 30 STG 30 BICO 30 WCT 30 RED 30",
        "2025-09-05": "KAVA 40 IOTA 35 1INCH 35 TWT 30 SFP 30 SNX 25",
        "2025-09-09": "WLFI 35 PLUME 20 ERA 20 VANA 20",
        "2025-09-12": "BONK 70 VET 60 ICP 45 GRT 40 COMP 35 BOME 30",
        "2025-09-16": "WLD 60 BIO 30",
        "2025-09-19": "CELO 30",
        "2025-10-21": "PAXG 60 GALA 40 VET 40 GMT 30 QNT 30 XTZ 25 EGLD 30 FLOW 20 IOTX 10 KAVA 10 "
        "IOTA 15",
        "2026-01-16": "VET 20 SC 10 BTTC 10 ACT 10 AUDIO 10 PYR 10 FLOW 10 DATA 10 RAD 10 WIN 10 "
        "OSMO 10 ADX 10 CITY 10 BAR 10 ATM 10",
        "2026-01-23": "LTC 85 SHIB 80 NEAR 70 CRV 50 PAXG 50 WLD 40 WIF 40 APT 40 TIA 40 FLOKI 30 "
        "SAND 10 USTC 10 TWT 10 CHZ 10 ORDI 10",
        "2026-01-30": "DASH 30 ICP 30 USDP 90 RAY 40 LUNA 30 SKL 30 SAGA 30 ENJ 30 IMX 30 PIXEL 30 "
        "RONIN 30 HFT 30 BLUR 30 ALT 30 ONE 10 COTI 10",
    }
)
# Portfolio Margin Pro: the venue's ranks, rows of (floor in USD, rate), and announced assets.
RANKS = MappingProxyType(
    {
        6: ((0, 1.0), (800_000, 0.95), (1_200_000, 0.75), (4_000_000, 0.5)),
        7: ((0, 1.0), (800_000, 0.95), (1_200_000, 0.75), (2_000_000, 0.5)),
        8: ((0, 1.0), (200_000, 0.8), (400_000, 0.7), (800_000, 0.4), (1_000_000, 0.2)),
        9: ((0, 1.0), (100_000, 0.8), (250_000, 0.5), (500_000, 0.1)),
        10: ((0, 1.0), (50_000, 0.8), (100_000, 0.5), (200_000, 0.2), (400_000, 0.1)),
    }
)
RANKED = MappingProxyType(
    {
        "2025-08-19": "UNI 9 TON 9 PENGU 10 1000SATS 6 ORDI 7 FIL 7 NOT 8 GALA 8 GMT 9 EGLD 9 "
        "THETA 9 XTZ 9 BTTC 8 VET 9 FLOW 9 WIN 9 WLD 7 APT 7 TIA 8 USTC 9 DYDX 9 SAGA 9 PIXEL 9 "
        "ALT 9",
        "2025-09-05": "UNI 7 TON 7",
        "2025-09-09": "PENGU 8",
        "2025-09-12": "1000SATS 8",
        "2025-10-24": "ORDI 8 FIL 8 NOT 10 GALA 10 GMT 10 EGLD 10 THETA 10 XTZ 10",
        "2026-01-16": "BTTC 10 VET 10 FLOW 10 WIN 10",
        "2026-01-23": "WLD 8 APT 8 TIA 9 ORDI 9 USTC 10 DYDX 10",
        "2026-01-30": "SAGA 10 PIXEL 10 ALT 10",
    }
)

_RATIO = re.compile(r"\[0-18446744073709551615:(\d+(?:\.\d+)?)\]")

_USDM = """\
[[table]]
effective_from = {effective_from}
source = "Binance, GET /fapi/v1/leverageBracket as ccxt's fetch_leverage_tiers() gave it in \
{month}; default leverage: Binance, Leverage and Margin in Coin-Margined Futures (20x if none \
is selected)"
retrieved = {retrieved}

[table.params]
currency = "USD"
margin_call_ratio = 1.0
margin_call_clear_ratio = 1.0

[table.params.leverage]
default = 20
"""
_USDM_UNCONFIRMED = """
[table.unconfirmed]
margin_call_ratio = "no published level at which the venue warns; liquidation is at 1"
open_orders = "max(|position + bids|, |position - asks|) / leverage is quoted from a page of the \
venue by users (dev.binance.vision, 17078); no response with open orders confirms it"
leverage = "20x is the default of new accounts; an account states what it has selected"
"""

_PORTFOLIO = """\
[[table]]
effective_from = {effective_from}
source = "Binance uniMMR FAQ 4868b2f1aa6c4d08af973328462bb0bd (6 November 2024, 6 February 2025), \
Portfolio Margin Pro FAQ 5e33af8e6ac04d57a1d0a3398e0a0752, Portfolio Margin trading rules \
174861644e7049aaa64845f1db2e4376 (14 November 2024); collateral rates as of 2025-08-01 and \
announcements to {last}; brackets: tables binance_usdm and binance_coinm on this day"
retrieved = 2026-11-20

[table.params]
currency = "USD"
program = "classic"  # or "pro"
liquidation_uni_mmr = 1.05
reduce_only_uni_mmr = 1.2
margin_call_ratio = 0.875  # 1.05 / 1.2; an account of the Pro program is warned at 1.05 / 1.5
margin_call_clear_ratio = 0.7  # 1.05 / 1.5
margin_leverage = 3  # of the cross margin account

[table.params.loan_maintenance_rates]  # by leverage of the cross margin account
3 = 0.1
5 = 0.08
10 = 0.05

[table.params.loans]  # by asset, in coins, stated by the account

[table.params.leverage]
default = 20
"""
_PORTFOLIO_UNCONFIRMED = """
[table.unconfirmed]
collateral_rates = "change by announcement about twice a week: the list is whole on 1 August 2025, \
announcements read to {last} and not without gaps after 19 September 2025"
collateral_rates_pro = "only assets whose rank was announced; give the others as tiers in USD"
brackets = "as published for the accounts of USD-M and COIN-M"
margin_leverage = "3 is the class with the highest rate on loans; an account states its own"
open_orders = "as for USD-M; the loss of open margin orders is not modelled, they are UNKNOWN"
leverage = "20x is the default of new accounts; an account states what it has selected"
"""


def usdm_block(tiers: Mapping[str, Any], effective_from: str, retrieved: str) -> str:
    """The block of USD-M brackets for ``SYMBOLS``; InputError where one is missing or broken."""
    missing = [symbol for symbol in SYMBOLS if symbol not in tiers]
    if missing:
        raise InputError("tiers", f"{missing[0]} is missing", "give a whole snapshot")
    brackets = brackets_from_ccxt({symbol: tiers[symbol] for symbol in SYMBOLS})
    header = _USDM.format(
        effective_from=effective_from, retrieved=retrieved, month=effective_from[:7]
    )
    return header + "".join(_section("brackets", brackets)) + _USDM_UNCONFIRMED


def portfolio_block(ratios: Mapping[str, str], effective_from: str) -> str:
    """The block of portfolio margin in force from a day; ``ratios`` by asset in capitals."""
    day_ns = parse_time(effective_from, "--from")
    usd_m, coin_m = (
        table_at(load_tables(PACKAGE, name), day_ns).params["brackets"]
        for name in ("binance_usdm", "binance_coinm")
    )
    rates = {asset: _flat_rate(text, asset) for asset, text in ratios.items() if text}
    rates |= {asset: value / 100 for asset, value in _announced(CHANGES, effective_from)}
    pro = {asset: RANKS[rank] for asset, rank in _announced(RANKED, effective_from)}
    last = max(day for day in CHANGES if day <= effective_from)
    return "".join(
        (
            _PORTFOLIO.format(effective_from=effective_from, last=last),
            "\n[table.params.collateral_rates]  # floor of the value in USD, rate\n",
            *(f"{_key(a)} = [[0, {rate!r}]]\n" for a, rate in sorted(rates.items()) if rate),
            "\n[table.params.collateral_rates_pro]\n",
            *(f"{_key(a)} = {[list(row) for row in rows]}\n" for a, rows in sorted(pro.items())),
            *_section("brackets", usd_m),
            *_section("coin_m_brackets", coin_m),
            _PORTFOLIO_UNCONFIRMED.format(last=last),
        )
    )


def _announced(changes: Mapping[str, str], day: str) -> Iterator[tuple[str, int]]:
    for announced, text in changes.items():
        if announced <= day:
            words = text.split()
            yield from zip(words[::2], map(int, words[1::2]), strict=True)


def _flat_rate(text: str, asset: str) -> float:
    match = _RATIO.fullmatch(text)
    if match is None:
        raise InputError(f"ratios.{asset}", f"'{text[:60]}' is no flat ratio", "check the file")
    return float(match[1]) / 100


def _section(name: str, schedules: Mapping[str, Sequence[Sequence[float]]]) -> Iterator[str]:
    yield f"\n[table.params.{name}]  # floor, maintenance rate, highest leverage\n"
    for symbol, rows in schedules.items():
        listed = ("[" + ", ".join(f"{_plain(x)}" for x in row) + "]" for row in rows)
        yield f'"{symbol}" = [\n' + "".join(f"  {row},\n" for row in listed) + "]\n"


def _key(asset: str) -> str:
    return asset if re.fullmatch(r"[A-Z][A-Z0-9]*", asset) else f'"{asset}"'


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def main(arguments: Sequence[str]) -> None:
    """Read the snapshot named on the command line and print the block."""
    parser = argparse.ArgumentParser(prog="binance_table", description="See the module's text.")
    parser.add_argument("table", choices=("usdm", "portfolio"))
    parser.add_argument("--tiers", type=Path, help="leverage brackets, .json.gz (usdm)")
    parser.add_argument("--ratios", type=Path, help="collateral ratios, .csv (portfolio)")
    parser.add_argument("--from", dest="effective_from", required=True, help="day in force")
    parser.add_argument("--retrieved", default="2026-09-30", help="day of the brackets (usdm)")
    options = parser.parse_args(arguments)
    if options.table == "usdm":
        tiers = json.loads(gzip.decompress(options.tiers.read_bytes()))
        block = usdm_block(tiers, options.effective_from, options.retrieved)
    else:
        with options.ratios.open(encoding="utf-8", newline="") as lines:
            ratios = {
                row["token"].upper(): row["collateral_portfolio_margin_ratio_tiers"]
                for row in csv.DictReader(lines)
            }
        block = portfolio_block(ratios, options.effective_from)
    sys.stdout.write(block)


if __name__ == "__main__":
    main(sys.argv[1:])
