"""The board: last observation per source and row, checked as it comes in.

Each source is checked alone before any are combined: averaging a frozen or broken feed with
a good one is how indices have failed.
"""

from dataclasses import dataclass, replace

import numba as nb
import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int8s, Int32s, Int64s
from plimsoll.instruments import InstrumentTable
from plimsoll.market.combine import (
    agreeing,
    bound_prices,
    check_references,
    median_of,
    row_of,
    rows_of_names,
    sources_needed,
)
from plimsoll.market.market import Market, Quality
from plimsoll.market.sanity import SanityRules
from plimsoll.market.state import SystemState

NEVER = np.int64(-(2**62))


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
    the latest observation of each source, ``changed_ns`` when its price was last another.

    By row it remembers of the markets it has been asked for: ``good_ns``, when the price was last
    usable, ``is_lost``, whether it has been found unusable since, and ``average``, the slow
    average of rows that have a band.
    """

    instruments: InstrumentTable
    sources: tuple[str, ...]
    price: Floats
    time_ns: Int64s
    changed_ns: Int64s
    quality: Int8s
    pending: Floats
    may_be_negative: Bools
    good_ns: Int64s
    is_lost: Bools
    average: Floats

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
            changed_ns=np.full(shape, NEVER, dtype=np.int64),
            quality=np.full(shape, Quality.MISSING, dtype=np.int8),
            pending=np.full(shape, np.nan),
            may_be_negative=np.zeros(width, dtype=np.bool_),
            good_ns=np.full(width, NEVER, dtype=np.int64),
            is_lost=np.ones(width, dtype=np.bool_),
            average=np.full(width, np.nan),
        )

    def observe(self, batch: PriceBatch, rules: SanityRules) -> "PriceBoard":
        """The board after a batch, its observations taken in order.

        A rejected price leaves the last good one in place, but its verdict makes the row
        unusable until a good one follows. One that comes late, older than what its source
        said last, says nothing new and is dropped. Raises InputError where an observation names
        no source or row of the board, or the columns differ in length.
        """
        if not batch.source.size == batch.row.size == batch.price.size == batch.time_ns.size:
            raise InputError("prices", "columns differ in length", "give each observation all four")
        board = replace(
            self,
            price=self.price.copy(),
            time_ns=self.time_ns.copy(),
            changed_ns=self.changed_ns.copy(),
            quality=self.quality.copy(),
            pending=self.pending.copy(),
        )
        bad = accept_prices(
            batch.source, batch.row, batch.price, batch.time_ns, rules.jump_max,
            self.may_be_negative, board.price, board.time_ns, board.changed_ns, board.quality,
            board.pending,
        )  # fmt: skip
        if bad >= 0:
            width = f"{len(self.sources)} sources, {self.price.shape[1]} rows"
            problem = f"no such source or row: the board has {width}"
            raise InputError(f"prices[{bad}]", problem, "build the batch for this board")
        return board

    def last_mark(self) -> Floats:
        """Median of what the sources last said of each mark, however old; NaN where none did."""
        last = self.price[:, : len(self.instruments)]
        return median_of(last, np.isfinite(last))

    def market(self, as_of_ns: int, rules: SanityRules) -> Market:
        """Prices usable at ``as_of_ns``: the median over the sources that pass their checks."""
        count, assets = len(self.instruments), len(self.instruments.assets.names)
        verdict = self.verdicts(as_of_ns, rules)
        passed = verdict == _GOOD
        usable = agreeing(self.price, passed, rules.apart_max)
        used = usable.sum(axis=0)
        quality = self._quality(verdict, passed, used, as_of_ns, rules)
        price = median_of(self.price, usable)
        usd = row_of(self.instruments, "USD")
        if usd >= 0:
            quality[usd], price[usd] = Quality.GOOD, 1.0
        confirmed_by = max(rules.quorum, rules.resume_quorum)
        check_references(self.instruments, rules.references, price, used, confirmed_by, quality)
        bound_prices(self.instruments, rules, price, self.average, quality)
        # Where nothing is usable the newest observation says how old the news is.
        oldest_used = np.where(usable, self.time_ns, np.iinfo(np.int64).max).min(axis=0)
        time_ns = np.where(used > 0, oldest_used, self.time_ns.max(axis=0))
        if usd >= 0:
            time_ns[usd] = as_of_ns
        return Market(
            instruments=self.instruments,
            as_of_ns=as_of_ns,
            price=np.where(quality == _GOOD, price, np.nan),
            time_ns=time_ns,
            quality=quality,
            sources_used=used.astype(np.int8),
            implied_vol=np.full(count, np.nan),
            forward=np.full(count, np.nan),
            rate=np.zeros(assets),
            state=SystemState.unknown(self.instruments),
        )

    def verdicts(self, as_of_ns: int, rules: SanityRules) -> Int8s:
        """Each source's verdict at an instant: an accepted price may have grown old or frozen."""
        is_good = self.quality == _GOOD
        stale = is_good & (
            (as_of_ns - self.time_ns > rules.age_ns_max)
            | (self.time_ns - as_of_ns > rules.clock_skew_ns_max)
        )
        verdict = np.where(stale, np.int8(Quality.STALE), self.quality)
        if rules.frozen_ns_max is not None:
            frozen = is_good & ~stale & (self.time_ns - self.changed_ns > rules.frozen_ns_max)
            frozen &= ~rows_of_names(self.instruments, rules.pegs)
            verdict[frozen] = Quality.FROZEN
        return verdict

    def _quality(
        self, verdict: Int8s, passed: Bools, used: Int64s, as_of_ns: int, rules: SanityRules
    ) -> Int8s:
        """Whether enough sources count for each row, and if not, why."""
        sources = len(self.sources)
        least = sources_needed(self.instruments, sources, rules, None)
        if sources == 1:
            # One source's reason says most; with several, the shortage is the reason.
            reason = np.where(passed[0], np.int8(Quality.NO_QUORUM), verdict[0])
            return np.where(used >= least, np.int8(Quality.GOOD), reason).astype(np.int8)
        needed = sources_needed(self.instruments, sources, rules, self._is_back(as_of_ns, rules))
        return np.select(
            [used >= needed, used >= least, passed.sum(axis=0) >= least],
            [Quality.GOOD, Quality.RESUMING, Quality.APART],
            default=Quality.NO_QUORUM,
        ).astype(np.int8)

    def _is_back(self, as_of_ns: int, rules: SanityRules) -> Bools:
        """Rows without a usable price for longer than an outage may last.

        Between two markets asked for, a price stays usable for as long as it is not too old.
        """
        gap = as_of_ns - self.good_ns
        unseen = gap > max(rules.outage_ns, rules.age_ns_max)
        return np.asarray(unseen | (self.is_lost & (gap > rules.outage_ns)))

    def remember(self, market: Market, rules: SanityRules) -> "PriceBoard":
        """The board that knows which prices a market found usable; ask it before the next one."""
        good = market.quality == _GOOD
        average = self.average
        if rules.bands:
            average = self.average.copy()
            for band in rules.bands:
                row = row_of(self.instruments, band.name)
                if row >= 0 and good[row]:
                    passed = market.as_of_ns - int(self.good_ns[row])
                    # The backward step of an exponential average: quotients alone, so that every
                    # machine gets the same bits.
                    weight = passed / (passed + band.span_ns)
                    before = self.average[row]
                    move = weight * (market.price[row] - before)
                    average[row] = before + move if np.isfinite(before) else market.price[row]
        return replace(
            self,
            good_ns=np.where(good, market.as_of_ns, self.good_ns),
            is_lost=~good,
            average=average,
        )


_GOOD, _NOT_FINITE, _NOT_POSITIVE, _JUMP = (
    int(verdict)
    for verdict in (Quality.GOOD, Quality.NOT_FINITE, Quality.NOT_POSITIVE, Quality.JUMP)
)


@nb.njit(cache=True, nogil=True)
def accept_prices(
    source: Int32s, row: Int32s, seen: Floats, seen_ns: Int64s, jump_max: float,
    may_be_negative: Bools, price: Floats, time_ns: Int64s, changed_ns: Int64s, quality: Int8s,
    pending: Floats,
) -> int:  # fmt: skip
    """Write observations, one after another, to a board's columns [sources, rows].

    Returns the first that names no place of them; then nothing is written. -1 where all do.
    """
    sources, rows = price.shape
    for k in range(seen.size):
        if not (0 <= source[k] < sources and 0 <= row[k] < rows):
            return k
    for k in range(seen.size):
        at, new, now = (source[k], row[k]), seen[k], seen_ns[k]
        if now < time_ns[at]:
            continue
        last, waiting = price[at], pending[at]
        pending[at] = np.nan
        if not np.isfinite(new):
            quality[at] = _NOT_FINITE
        elif new <= 0 and not may_be_negative[row[k]]:
            quality[at] = _NOT_POSITIVE
        elif abs(new - last) > jump_max * abs(last) and not (
            abs(new - waiting) <= jump_max * abs(waiting)
        ):
            quality[at], pending[at] = _JUMP, new
        else:
            if new != last:
                changed_ns[at] = now
            price[at], time_ns[at], quality[at] = new, now, _GOOD
    return -1
