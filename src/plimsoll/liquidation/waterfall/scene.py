"""What a round looks at besides the book: market, rules, and what the step has done already."""

from dataclasses import dataclass, replace

import numpy as np

from plimsoll.book import MarketPhase
from plimsoll.core import Bools, Floats, Int8s, Int64s
from plimsoll.ledger import EventBatch, TradeReason, Trades
from plimsoll.liquidation.waterfall.policy import Policy
from plimsoll.margin import ModelSet
from plimsoll.market import Market, Quality


@dataclass(frozen=True, slots=True)
class Pace:
    """What has been closed in the market by force since ``start_ns``, a throttle's window.

    ``closed`` counts the units of each instrument, int64 [instruments].
    """

    start_ns: int
    closed: Int64s

    @classmethod
    def idle(cls, instruments: int) -> "Pace":
        """Nothing has been closed yet."""
        return cls(0, np.zeros(instruments, dtype=np.int64))

    def within(self, now_ns: int, window_s: float) -> Int64s:
        """What was closed in the window that is open now; nothing where it has passed."""
        is_open = now_ns - self.start_ns < window_s * 1e9
        return self.closed if is_open else np.zeros_like(self.closed)

    def after(self, batch: EventBatch, window_s: float) -> "Pace":
        """The pace once a batch has been decided."""
        trades = batch.trades
        forced = _is_forced(trades)
        if not forced.any():
            return self
        closed = self.within(batch.time_ns, window_s)
        start = self.start_ns if closed is self.closed else batch.time_ns
        more = np.zeros_like(closed)
        np.add.at(more, trades.instrument[forced], np.abs(trades.quantity[forced]))
        return Pace(start, closed + more)


def _is_forced(trades: Trades) -> Bools:
    """Closes in the market that nobody chose: of pools in procedure, and of the fund."""
    forced = (trades.reason == TradeReason.LIQUIDATION) | (trades.reason == TradeReason.CLOSE_OUT)
    return np.asarray(forced)


def window_seconds(policies: tuple[Policy, ...]) -> float:
    """The window in which the throttles of these waterfalls count; 0 where none has one."""
    stages = (policy.close_out for policy in policies)
    return max(
        (stage.throttle.window_s or 0.0 for stage in stages if stage is not None), default=0.0
    )


def may_liquidate(phase: Int8s, market: Market) -> Bools:
    """Instruments in which positions may be closed by force, shape [instruments].

    Their ``phase`` is NORMAL or REDUCE_ONLY and their mark usable. Positions in others wait; those
    beside them in the same pool do not.
    """
    is_usable = market.quality[: phase.size] == Quality.GOOD
    return np.asarray((phase <= MarketPhase.REDUCE_ONLY) & is_usable)


@dataclass(frozen=True, slots=True)
class Scene:
    """A step as its rounds see it.

    ``policies`` has one for each model of the book. ``previous_mark`` [instruments] is the mark
    of the step before. ``may_close`` [instruments] says where forced closes may trade.
    ``is_whole`` says that the book holds everyone; where it does not, a round that needs
    counterparties asks for the whole (``Plan.needs_whole``). ``closed`` [instruments] counts the
    units closed in this step, ``fund_start`` is the fund's USD when it began, ``fund_paid`` what
    each instrument has cost it since, USD [instruments].
    """

    market: Market
    models: ModelSet
    policies: tuple[Policy, ...]
    pace: Pace
    previous_mark: Floats
    may_close: Bools
    is_whole: bool
    closed: Int64s
    fund_start: float
    fund_paid: Floats

    @classmethod
    def begin(
        cls,
        market: Market,
        models: ModelSet,
        policies: tuple[Policy, ...],
        phase: Int8s,
        pace: Pace,
        fund_start: float,
        previous_mark: Floats | None = None,
        is_whole: bool = True,
    ) -> "Scene":
        """The scene as a step begins; ``phase`` is the book's ``market_phase``."""
        count = len(market.instruments)
        return cls(
            market=market,
            models=models,
            policies=policies,
            pace=pace,
            previous_mark=market.mark if previous_mark is None else previous_mark,
            may_close=may_liquidate(phase, market),
            is_whole=is_whole,
            closed=np.zeros(count, dtype=np.int64),
            fund_start=fund_start,
            fund_paid=np.zeros(count),
        )

    def later(self, batch: EventBatch, fund_paid: Floats, window_s: float) -> "Scene":
        """The scene of the next round."""
        forced = _is_forced(batch.trades)
        closed = self.closed.copy()
        np.add.at(closed, batch.trades.instrument[forced], np.abs(batch.trades.quantity[forced]))
        pace = self.pace.after(batch, window_s)
        return replace(self, closed=closed, pace=pace, fund_paid=self.fund_paid + fund_paid)
