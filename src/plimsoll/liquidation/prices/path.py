"""A price path: everything on an underlying moves with it, all else stays as it is.

What moves: the asset's index, and so what coins are worth as collateral; the marks of its
perpetuals and futures, in proportion; forwards, but for a part that a settlement average has
already fixed; options' marks by Black-76 at their own volatility and moved forward (sticky
strike). What stays: volatilities, slow prices, open interest, every other asset.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int64s
from plimsoll.instruments import AssetTable, InstrumentTable, Kind, Payoff
from plimsoll.market import Market, Quality
from plimsoll.market.surface import years_between
from plimsoll.pricing import black76, implied_vol, value_in_coin


@dataclass(frozen=True, slots=True)
class Direction:
    """Assets that move together: at factor f of the first one, each is worth f to its beta.

    Betas are of log returns, so that no price falls through zero; for small moves they are
    those of simple returns. The first asset leads: factors and prices are told of it, and its
    beta is 1.
    """

    assets: tuple[str, ...]
    betas: tuple[float, ...]

    def __post_init__(self) -> None:
        sound = all(np.isfinite(beta) and beta != 0 for beta in self.betas)
        if not self.assets or len(self.assets) != len(self.betas) or not sound:
            problem, remedy = "is none", "give a finite beta other than 0 for each asset"
            raise InputError("direction", problem, remedy)
        if len(set(self.assets)) < len(self.assets):
            raise InputError("direction", "names an asset twice", "name each asset once")
        if self.betas[0] != 1.0:
            scaled = tuple(beta / self.betas[0] for beta in self.betas)
            object.__setattr__(self, "betas", scaled)

    @classmethod
    def along(cls, asset: str) -> Self:
        """One asset alone."""
        return cls((asset,), (1.0,))

    @property
    def name(self) -> str:
        """``BTC``, or ``BTC=1, ETH=1.2``."""
        if len(self.assets) == 1:
            return self.assets[0]
        pairs = zip(self.assets, self.betas, strict=True)
        return ", ".join(f"{asset}={beta:g}" for asset, beta in pairs)

    def factors(self, factor: float, table: AssetTable) -> Floats:
        """Price factor of every asset, shape [assets]; InputError on an asset it does not know."""
        out = np.ones(len(table.names))
        for asset, beta in zip(self.assets, self.betas, strict=True):
            out[table.find(asset, "direction")] = factor if beta == 1.0 else factor**beta
        return out


@dataclass(frozen=True, slots=True)
class MarketPath:
    """A market that can be moved; make one with ``of`` and ask it for many prices.

    By option, in ``rows``: ``forward`` and ``vol`` it is valued at, and ``gap``, its mark less
    that value in the settle asset, which stays, so that a factor of 1 is today's mark to the
    last bit. ``assumed_forward`` and ``assumed_vol`` tell where the market states none: then
    the index stands in for the forward, and the volatility is the one that the mark implies.
    """

    market: Market
    rows: Int64s
    forward: Floats
    vol: Floats
    gap: Floats
    assumed_forward: Bools
    assumed_vol: Bools

    @classmethod
    def of(cls, market: Market) -> Self:
        """The path through a market."""
        table = market.instruments
        rows = np.flatnonzero(table.of_kind(Kind.OPTION))
        forward, vol = market.forward[rows], market.implied_vol[rows]
        no_forward, no_vol = np.isnan(forward), np.isnan(vol)
        index = market.index[table.base[rows]] / market.index[table.quote[rows]]
        forward = np.where(no_forward, index, forward)
        vol = np.where(no_vol, _implied_vols(market, rows, forward), vol)
        gap = market.mark[rows] - _values(market, rows, forward, vol)
        return cls(market, rows, forward, vol, gap, no_forward, no_vol)

    def at(self, factors: Floats) -> Market:
        """The market with each asset's price multiplied, ``factors`` > 0 of shape [assets].

        An option that has no usable volatility or forward loses its mark where it would move.
        """
        market, table, rows = self.market, self.market.instruments, self.rows
        growth = factors[table.base] / factors[table.quote]
        moved = _move_forward(market, np.arange(len(table)), market.forward, growth)
        price = market.price * np.concatenate([growth, factors])
        if rows.size:
            here = growth[rows]
            forward = _move_forward(market, rows, self.forward, here)
            value = _values(market, rows, forward, self.vol) + self.gap
            price[rows] = np.where(here == 1.0, market.mark[rows], np.maximum(value, 0.0))
        lost = np.isnan(price) & ~np.isnan(market.price)
        quality = np.where(lost, np.int8(Quality.MISSING), market.quality)
        return replace(market, price=price, quality=quality, forward=moved)


def move_market(market: Market, factors: Floats) -> Market:
    """The market with each asset's USD price multiplied by ``factors`` > 0, shape [assets]."""
    return MarketPath.of(market).at(factors)


def _move_forward(market: Market, rows: Int64s, forward: Floats, growth: Floats) -> Floats:
    fixed = np.nan_to_num(market.state.forward_fixed[rows], nan=0.0)
    return np.where(growth == 1.0, forward, fixed + (forward - fixed) * growth)


def _in_coin(table: InstrumentTable, rows: Int64s) -> Bools:
    return np.asarray(table.of_payoff(Payoff.INVERSE)[rows])


def _values(market: Market, rows: Int64s, forward: Floats, vol: Floats) -> Floats:
    """Black-76 in the settle asset per unit of underlying, [rows]."""
    table = market.instruments
    years = years_between(market.as_of_ns, table.expiry_ns[rows])
    value = black76(forward, table.strike[rows], years, vol, table.is_call[rows]).value
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(_in_coin(table, rows), value_in_coin(value, forward), value)


def _implied_vols(market: Market, rows: Int64s, forward: Floats) -> Floats:
    table = market.instruments
    price = market.mark[rows] * np.where(_in_coin(table, rows), forward, 1.0)
    years = years_between(market.as_of_ns, table.expiry_ns[rows])
    return implied_vol(price, forward, table.strike[rows], years, table.is_call[rows]).vol
