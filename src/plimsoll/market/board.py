"""The board: last observation per source and row, checked as it comes in.

Each source is checked alone before any are combined: averaging a frozen or broken feed with
a good one is how indices have failed.
"""

from dataclasses import dataclass, replace

import numpy as np

from plimsoll.core import NS_PER_SECOND, Bools, Floats, Int8s, Int32s, Int64s, turns_of
from plimsoll.instruments import InstrumentTable
from plimsoll.market.market import Market, Quality
from plimsoll.market.state import SystemState

NEVER = np.int64(-(2**62))


@dataclass(frozen=True, slots=True)
class SanityRules:
    """When a price may be used.

    ``jump_max`` is the largest believable move between two observations, as a fraction; a
    larger one waits for a second observation near the first. ``quorum`` is the number of
    usable sources a price needs.
    """

    age_ns_max: int = 60 * NS_PER_SECOND
    clock_skew_ns_max: int = 5 * NS_PER_SECOND
    jump_max: float = 0.5
    quorum: int = 1


@dataclass(frozen=True, slots=True)
class PriceBatch:
    """Observations as columns: source index, row of ``Market.price``, price, UTC time."""

    source: Int32s
    row: Int32s
    price: Floats
    time_ns: Int64s

    @classmethod
    def nothing(cls) -> "PriceBatch":
        """A batch without observations."""
        ids = np.zeros(0, dtype=np.int32)
        return cls(ids, ids, np.zeros(0), np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class PriceBoard:
    """Last accepted price per source and row, shape [sources, instruments + assets].

    ``pending`` holds a price that jumped until it is confirmed; ``quality`` is the verdict on
    the latest observation of each source.
    """

    instruments: InstrumentTable
    sources: tuple[str, ...]
    price: Floats
    time_ns: Int64s
    quality: Int8s
    pending: Floats
    may_be_negative: Bools

    @classmethod
    def empty(cls, instruments: InstrumentTable, sources: tuple[str, ...]) -> "PriceBoard":
        """A board that has seen nothing: every row is MISSING, but 1 USD is 1 USD."""
        width = len(instruments) + len(instruments.assets.names)
        shape = (len(sources), width)
        return cls(
            instruments=instruments,
            sources=sources,
            price=np.full(shape, np.nan),
            time_ns=np.full(shape, NEVER, dtype=np.int64),
            quality=np.full(shape, Quality.MISSING, dtype=np.int8),
            pending=np.full(shape, np.nan),
            may_be_negative=np.zeros(width, dtype=np.bool_),
        )

    def observe(self, batch: PriceBatch, rules: SanityRules) -> "PriceBoard":
        """The board after a batch, its observations taken in order.

        A rejected price leaves the last good one in place, but its verdict makes the row
        unusable until a good one follows. One that comes late, older than what its source
        said last, says nothing new and is dropped.
        """
        board = replace(
            self,
            price=self.price.copy(),
            time_ns=self.time_ns.copy(),
            quality=self.quality.copy(),
            pending=self.pending.copy(),
        )
        width = self.price.shape[1]
        for turn in turns_of(batch.source.astype(np.int64) * width + batch.row):
            _accept(board, batch, turn, rules)
        return board

    def market(self, as_of_ns: int, rules: SanityRules) -> Market:
        """Prices usable at ``as_of_ns``: the median over the sources that pass their checks."""
        stale = (self.quality == Quality.GOOD) & (
            (as_of_ns - self.time_ns > rules.age_ns_max)
            | (self.time_ns - as_of_ns > rules.clock_skew_ns_max)
        )
        verdict = np.where(stale, np.int8(Quality.STALE), self.quality)
        usable = verdict == Quality.GOOD
        used = usable.sum(axis=0).astype(np.int8)
        price = _median(self.price, usable)
        # One source's reason says most; with several, the shortage is the reason.
        alone = len(self.sources) == 1
        reason = np.where(alone & ~usable[0], verdict[0], np.int8(Quality.NO_QUORUM))
        quality = np.where(used >= rules.quorum, np.int8(Quality.GOOD), reason).astype(np.int8)
        # Where nothing is usable the newest observation says how old the news is.
        oldest_used = np.where(usable, self.time_ns, np.iinfo(np.int64).max).min(axis=0)
        time_ns = np.where(used > 0, oldest_used, self.time_ns.max(axis=0))
        dollars = [n == "USD" for n in self.instruments.assets.names]
        is_usd = np.concatenate([np.zeros(len(self.instruments), dtype=np.bool_), dollars])
        count, assets = len(self.instruments), len(self.instruments.assets.names)
        return Market(
            instruments=self.instruments,
            as_of_ns=as_of_ns,
            price=np.where(is_usd, 1.0, np.where(quality == Quality.GOOD, price, np.nan)),
            time_ns=np.where(is_usd, as_of_ns, time_ns),
            quality=np.where(is_usd, np.int8(Quality.GOOD), quality),
            sources_used=used,
            implied_vol=np.full(count, np.nan),
            forward=np.full(count, np.nan),
            rate=np.zeros(assets),
            state=SystemState.unknown(self.instruments),
        )


def _accept(board: PriceBoard, batch: PriceBatch, turn: Int64s, rules: SanityRules) -> None:
    """Write one turn of observations, no row twice, to the board's own columns."""
    turn = turn[batch.time_ns[turn] >= board.time_ns[batch.source[turn], batch.row[turn]]]
    at = (batch.source[turn], batch.row[turn])
    last, pending, price = board.price[at], board.pending[at], batch.price[turn]
    finite = np.isfinite(price)
    wrong_sign = finite & (price <= 0) & ~board.may_be_negative[at[1]]
    with np.errstate(invalid="ignore"):
        jumped = np.abs(price - last) > rules.jump_max * np.abs(last)
        confirmed = np.abs(price - pending) <= rules.jump_max * np.abs(pending)
    verdict = np.select(
        [~finite, wrong_sign, jumped & ~confirmed],
        [Quality.NOT_FINITE, Quality.NOT_POSITIVE, Quality.JUMP],
        default=Quality.GOOD,
    ).astype(np.int8)
    good = verdict == Quality.GOOD
    board.price[at] = np.where(good, price, last)
    board.time_ns[at] = np.where(good, batch.time_ns[turn], board.time_ns[at])
    board.quality[at] = verdict
    board.pending[at] = np.where(verdict == Quality.JUMP, price, np.nan)


def _median(price: Floats, usable: Bools) -> Floats:
    """Median over the usable sources of each row; NaN where there is none."""
    if price.shape[0] == 1:
        return np.where(usable[0], price[0], np.nan)
    ranked = np.sort(np.where(usable, price, np.inf), axis=0)
    count = usable.sum(axis=0)
    low = np.take_along_axis(ranked, np.maximum(count - 1, 0)[None, :] // 2, axis=0)[0]
    high = np.take_along_axis(ranked, (count // 2)[None, :].clip(max=price.shape[0] - 1), axis=0)[0]
    return np.where(count > 0, 0.5 * (low + high), np.nan)
