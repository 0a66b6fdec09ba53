"""The venues' orders of auto-deleveraging as exact fractions.

Hyperliquid's two published forms disagree: a position 1 % in profit at 20x stands before one 50 %
in profit at 10x by its documentation, behind it by the form read from its program. Both are here.
MEXC is said to use BitMEX's form, Aster Binance's; a waterfall's own stands in its preset.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from plimsoll.core import Int64s
from plimsoll.liquidation.deleveraging.allocation import Integers, integers, order_by_fraction
from plimsoll.liquidation.deleveraging.candidates import Candidates, check_candidates


class RankForm(StrEnum):
    """A published form of the rank; the highest is closed first. Values as in ``Candidates``.

    With profit rate = profit / |entry value| and leverage = |mark value| / equity of the pool:

    BITMEX                  profit rate * L, a loss rate / L; L = |mark| / (mark - bankrupt value)
    BINANCE                 max(0, profit) / max(1, equity - profit) * maintenance margin / equity
    HYPERLIQUID_DOCS        mark price / entry price, inverted for shorts, * leverage
    HYPERLIQUID_DECOMPILED  max(0, profit rate) * leverage
    BLUEFIN                 max(0, profit rate) * |mark value| / max(maintenance margin, equity)
    """

    BITMEX = "bitmex"
    BINANCE = "binance"
    HYPERLIQUID_DOCS = "hyperliquid_docs"
    HYPERLIQUID_DECOMPILED = "hyperliquid_decompiled"
    BLUEFIN = "bluefin"


@dataclass(frozen=True, slots=True)
class Ranks:
    """Fractions, shape [candidates]; a denominator of 0 is infinite leverage."""

    numerator: Integers
    denominator: Integers

    def as_floats(self) -> list[float]:
        """The fractions for display."""
        rows = zip(self.numerator.tolist(), self.denominator.tolist(), strict=True)
        return [top / bottom if bottom else float("inf") * top for top, bottom in rows]


def rank_candidates(candidates: Candidates, form: RankForm, currency_unit: int) -> Ranks:
    """The rank of each candidate; ``currency_unit`` is 1 of the settle currency in its units."""
    check_candidates(candidates)
    entry = abs(integers(candidates.entry_value))
    mark = abs(integers(candidates.mark_value))
    equity = integers(np.maximum(candidates.equity, 0))
    gain = integers(np.maximum(candidates.profit, 0))
    if form == RankForm.BITMEX:
        return _rank_bitmex(candidates, entry, mark)
    if form == RankForm.BINANCE:
        wallet = integers(candidates.equity) - integers(candidates.profit)
        margin = integers(candidates.maintenance_margin)
        # The venue's margin ratio is 0 where nothing is left; such an account is not ahead.
        ahead = np.where(equity > 0, gain * margin, 0)
        return _fractions(ahead, np.maximum(wallet, currency_unit) * np.maximum(equity, 1))
    if form == RankForm.HYPERLIQUID_DOCS:
        # What is owed falls in value as the position gains, so its ratio is the inverse.
        long = candidates.mark_value > 0
        return _fractions(np.where(long, mark, entry) * mark, np.where(long, entry, mark) * equity)
    if form == RankForm.BLUEFIN:
        margin = integers(candidates.maintenance_margin)
        return _fractions(gain * mark, entry * np.maximum(margin, equity))
    return _fractions(gain * mark, entry * equity)


def order_candidates(candidates: Candidates, ranks: Ranks) -> Int64s:
    """Rows, first to be closed first; equal ranks by account id."""
    return order_by_fraction(ranks.numerator, ranks.denominator, candidates.account)


def _rank_bitmex(candidates: Candidates, entry: Integers, mark: Integers) -> Ranks:
    profit = integers(candidates.profit)
    room = integers(candidates.mark_value) - integers(candidates.bankrupt_value)
    room = np.maximum(room, 0)
    gains = profit > 0
    return _fractions(
        profit * np.where(gains, mark, room),
        entry * np.where(gains, room, mark),
    )


def _fractions(numerator: Integers, denominator: Integers) -> Ranks:
    """With 0 / 0 as 0 and anything else over 0 as infinite."""
    zero = denominator <= 0
    sign = np.sign(numerator)
    return Ranks(
        np.where(zero, sign, numerator),
        np.where(zero & (sign == 0), 1, np.where(zero, 0, denominator)),
    )
