"""The real chains as columns, and a slow Black formula: for tests only."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import norm

from plimsoll.core import NS_PER_SECOND, Floats, parse_time
from plimsoll.market.surface import Surface, svi_total_variance
from plimsoll.pricing.quotes import OptionQuotes

SharedData = Callable[[str], Path]

BTC_2020 = "btc 2020-05-21"
ETH_2024 = "eth 2024-05-24"
BTC_2024 = "btc 2024-05-24"
BTC_2026_HOURLY = "btc 2026-01-23"
BTC_2026 = "btc 2026-03-01"
CHAINS = (BTC_2020, ETH_2024, BTC_2024, BTC_2026_HOURLY, BTC_2026)

# The 2024 files carry no time: at these their marks follow from their vols to the rounding.
MARKED_AT = {ETH_2024: "2024-05-24T19:10:00Z", BTC_2024: "2024-05-24T19:20:00Z"}


def load_chain(name: str, shared_data: SharedData) -> tuple[OptionQuotes, int]:
    """A chain and the time it stands for."""
    folder = "data/options/deribit_"
    if name == BTC_2020:
        table = pl.read_csv(shared_data(f"{folder}btc_chain_2020-05-21_with_book.csv"))
        time_ns = table["timestamp"].to_numpy() * 10**6
        quotes = _quotes(
            table,
            expiry_ns=table["expiration_timestamp"].to_numpy() * 10**6,
            is_call=(table["option_type"] == "call").to_numpy(),
            time_ns=time_ns,
            price=_floats(table, "mark_price"),
            bid=_floats(table, "best_bid_price"),
            delta=_floats(table, "delta"),
            forward=_floats(table, "underlying_price"),
        )
        return quotes, int(time_ns.max())
    if name in MARKED_AT:
        file = f"{folder}{name[:3]}_chain_2024-05.csv"
        table = pl.read_csv(shared_data(file), try_parse_dates=True)
        quotes = _quotes(
            table,
            expiry_ns=table["maturity"].dt.epoch("ns").to_numpy(),
            is_call=(table["option_type"] == "call").to_numpy(),
            price=_floats(table, "mark_price"),
            tick=np.full(len(table), 1e-4),
        )
        return quotes, parse_time(MARKED_AT[name], name)
    if name == BTC_2026:
        table = pl.read_csv(shared_data(f"{folder}btc_chain_2026-02-28_filtered.csv"))
        quotes = _quotes(
            table,
            expiry_ns=table["expiration_timestamp"].to_numpy() * 10**6,
            is_call=(table["type"] == "call").to_numpy(),
            price=_floats(table, "mark_price"),
            bid=_floats(table, "best_bid_price"),
            tick=_floats(table, "tick_size"),
            delta=_floats(table, "delta"),
            forward=_floats(table, "underlying_price"),
        )
        return quotes, parse_time("2026-03-01T13:45:00Z", name)
    return load_hour("2026-01-23T12:00:00Z", shared_data)


def load_hour(time: str, shared_data: SharedData) -> tuple[OptionQuotes, int]:
    """One hour of the hourly chain: vols and Greeks only."""
    file = "data/options/deribit_btc_chain_hourly_2026-01-23_24.parquet"
    time_ns = parse_time(time, "hour")
    table = pl.read_parquet(shared_data(file)).filter(pl.col("ts").dt.epoch("ns") == time_ns)
    midnight = table["expiry_date"].str.to_date().cast(pl.Datetime("ns")).dt.epoch("ns")
    quotes = _quotes(
        table,
        expiry_ns=midnight.to_numpy() + 8 * 3600 * NS_PER_SECOND,
        is_call=(table["type"] == "call").to_numpy(),
        bid=_floats(table, "bid_iv"),
        delta=_floats(table, "delta"),
    )
    return quotes, time_ns


def black_call(k: Floats, deviation: Floats) -> Floats:
    """Undiscounted call over forward at log-moneyness ``k``, written out."""
    d1 = -k / deviation + deviation / 2
    return norm.cdf(d1) - np.exp(k) * norm.cdf(d1 - deviation)


def quoted_butterfly(k: Floats, vol: Floats, time: float) -> float:
    """The worst arbitrage within a smile's own quotes, in vol: how far a quote lies above the

    straight line between its neighbours' call prices, which bounds every convex curve.
    """
    strikes, at = np.unique(np.round(k, 6), return_inverse=True)
    vols = np.bincount(at, vol) / np.bincount(at)
    if strikes.size < 3:
        return 0.0
    x, call = np.exp(strikes), black_call(strikes, vols * np.sqrt(time))
    share = (x[2:] - x[1:-1]) / (x[2:] - x[:-2])
    excess = call[1:-1] - share * call[:-2] - (1 - share) * call[2:]
    deviation = vols * np.sqrt(time)
    vega = norm.pdf(-strikes / deviation + deviation / 2) * np.sqrt(time)
    return float(np.max(excess / vega[1:-1]).clip(min=0.0))


def near_money(surface: Surface, row: int, k: Floats) -> np.ndarray:
    """Which log-moneyness lies within two standard deviations at an expiry."""
    return np.abs(k) <= 2 * np.sqrt(svi_total_variance(surface.raw[row], np.zeros(1))[0])


def make_quotes(**columns) -> OptionQuotes:
    """Quotes from the columns that matter, the others unknown."""
    count = len(columns["strike"])
    unknown = {
        name: np.full(count, np.nan) for name in ("price", "bid", "tick", "vol", "delta", "forward")
    }
    rest = {"time_ns": np.full(count, -1, dtype=np.int64), "inverse": True, **unknown}
    return OptionQuotes(**{**rest, **columns})


def _quotes(table: pl.DataFrame, **columns) -> OptionQuotes:
    return make_quotes(
        strike=_floats(table, "strike"), vol=_floats(table, "mark_iv") / 100, **columns
    )


def _floats(table: pl.DataFrame, name: str) -> Floats:
    return table[name].cast(pl.Float64).to_numpy().astype(np.float64)
