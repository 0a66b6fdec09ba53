"""Emergency procedures: markets that close when their price fails, and open again in stages.

Each market stands by itself: the venue as a whole never halts. A market's phases are HALTED,
CANCEL_ONLY, REDUCE_ONLY, NORMAL; reopening passes through each of them.
"""

from dataclasses import replace

import numpy as np

from plimsoll.book import Book, LiveBook, MarketPhase
from plimsoll.core import Bools, Int8s, Int64s
from plimsoll.engine.gates import GateRules, GateState
from plimsoll.instruments import InstrumentTable, Kind
from plimsoll.ledger import EventBatch, PhaseChanges
from plimsoll.market import Market, PriceBoard, Quality, SanityRules, sources_needed


def fresh_markets(market: Market, needed: Int64s) -> Bools:
    """Instruments whose prices are all usable, from ``needed`` [rows] sources each."""
    table = market.instruments
    count, dollars = len(table), np.array([name == "USD" for name in table.assets.names])
    enough = market.sources_used >= needed
    enough[count:] |= dollars
    good = enough & (market.quality == Quality.GOOD)
    index = good[count:]
    # The base's index is what an option's notional and a coin's margin rest on.
    return np.asarray(good[:count] & index[table.settle] & index[table.quote] & index[table.base])


def strayed_markets(market: Market, mark_gap_max: float) -> Bools:
    """Instruments whose mark is further than a fraction from the index of base over quote.

    Options have no such index; unusable prices stray nowhere.
    """
    table = market.instruments
    with np.errstate(divide="ignore", invalid="ignore"):
        fair = market.index[table.base] / market.index[table.quote]
        strayed = np.abs(market.mark / fair - 1.0) > mark_gap_max
    return np.asarray(strayed & ~table.of_kind(Kind.OPTION))


def reopen(
    phase: Int8s, since_ns: Int64s, wanted: Bools, market: Market, needed: Int64s, stage_ns: int
) -> PhaseChanges:
    """The next stage of the ``wanted`` markets that are ready for it: one step nearer to NORMAL.

    A market is ready once its phase has lasted ``stage_ns`` and its prices are usable from
    ``needed`` [rows] sources each. Columns over instruments; ``since_ns`` is when each phase began.
    """
    ready = fresh_markets(market, needed) & (market.as_of_ns - since_ns >= stage_ns)
    chosen = np.flatnonzero(wanted & ready & (phase > MarketPhase.NORMAL))
    return PhaseChanges(chosen.astype(np.int32), (phase[chosen] - 1).astype(np.int8))


def halt(phase: Int8s, board: PriceBoard, market: Market, rules: GateRules) -> PhaseChanges:
    """Markets to put to CANCEL_ONLY, so that orders can go: no usable mark for too long, or astray.

    ``board`` is the one that remembers ``market``.
    """
    if rules.halt_after_ns is None:
        return PhaseChanges()
    lost = market.as_of_ns - board.good_ns[: phase.size] > rules.halt_after_ns
    lost &= board.is_lost[: phase.size]
    if rules.mark_gap_max is not None:
        lost |= strayed_markets(market, rules.mark_gap_max)
    chosen = np.flatnonzero(lost & (phase < MarketPhase.CANCEL_ONLY))
    phases = np.full(chosen.size, MarketPhase.CANCEL_ONLY, dtype=np.int8)
    return PhaseChanges(chosen.astype(np.int32), phases)


def change_phases(
    book: Book | LiveBook, board: PriceBoard, market: Market, state: GateState, rules: GateRules,
    sanity: SanityRules,
) -> EventBatch:  # fmt: skip
    """What the engine itself does about markets at a step: halts, and stages of what it halted.

    No market opens further than events from outside have set it. The batch may be empty.
    """
    batch = EventBatch(market.as_of_ns)
    if rules.halt_after_ns is None:
        return batch
    phase, needed = book.market_phase, needed_to_reopen(book.instruments, board, rules, sanity)
    halted = halt(phase, board, market, rules)
    wanted = phase > state.set_phase
    wanted[halted.instrument] = False
    if rules.mark_gap_max is not None:
        wanted &= ~strayed_markets(market, rules.mark_gap_max)
    opened = reopen(phase, state.phase_since_ns, wanted, market, needed, rules.reopen_stage_ns)
    changes = PhaseChanges(
        np.concatenate([halted.instrument, opened.instrument]),
        np.concatenate([halted.phase, opened.phase]),
    )
    return EventBatch(market.as_of_ns, phases=changes)


def needed_to_reopen(
    table: InstrumentTable, board: PriceBoard, rules: GateRules, sanity: SanityRules
) -> Int64s:
    """Sources that each row of the market needs before its markets reopen."""
    as_if_back = replace(sanity, resume_quorum=rules.reopen_sources)
    return sources_needed(table, len(board.sources), as_if_back, np.ones_like(board.is_lost))
