"""The gates' parameters, and what of the past they depend on."""

from dataclasses import dataclass, replace

import numpy as np

from plimsoll.book import Book, LiveBook, MarketPhase, SystemPool
from plimsoll.core import (
    NS_PER_SECOND,
    DatedTable,
    Floats,
    InputError,
    Int8s,
    Int64s,
    load_tables,
    sum_by,
    table_at,
)
from plimsoll.ledger import EventBatch, TransferReason


@dataclass(frozen=True, slots=True)
class OutflowLimit:
    """At most ``share`` of what the venue held of an asset when a window of ``window_ns`` began,

    or ``floor_usd`` worth of it if that is more, leaves in the window. Windows begin at multiples
    of their length.
    """

    window_ns: int
    share: float
    floor_usd: float


@dataclass(frozen=True, slots=True)
class GateRules:
    """What events from outside must leave behind, and when markets close and open.

    After a withdrawal collateral value covers the initial margin and ``withdrawal_share`` of the
    notional; ``counts_unrealised`` says whether unrealised profit counts for that. ``outflows``
    limit withdrawals of all accounts together.

    A market without a usable mark for longer than ``halt_after_ns`` is put to CANCEL_ONLY, and so,
    at once, is one whose mark is more than ``mark_gap_max`` (fraction) off its index; where
    ``halt_after_ns`` is None the operator alone halts. What the engine has halted reopens step by
    step, each phase lasting at least ``reopen_stage_ns``, on prices that are usable from
    ``reopen_sources`` sources, where there are as many.
    """

    withdrawal_share: float
    counts_unrealised: bool
    outflows: tuple[OutflowLimit, ...]
    halt_after_ns: int | None
    mark_gap_max: float | None
    reopen_stage_ns: int
    reopen_sources: int


def gate_tables() -> tuple[DatedTable, ...]:
    """The house's dated tables, oldest first."""
    return load_tables("plimsoll.engine", "gates")


def load_gates(as_of_ns: int) -> GateRules:
    """The house's gates in force at ``as_of_ns``. Raises InputError before the first table."""
    params = table_at(gate_tables(), as_of_ns).params
    halt, gap = params.get("halt_after_s"), params.get("mark_gap_max")
    rules = GateRules(
        withdrawal_share=float(params["withdrawal_share"]),
        counts_unrealised=bool(params["counts_unrealised"]),
        outflows=tuple(
            OutflowLimit(
                round(row["window_s"] * NS_PER_SECOND), float(row["share"]), float(row["floor_usd"])
            )
            for row in params["outflows"]
        ),
        halt_after_ns=None if halt is None else round(halt * NS_PER_SECOND),
        mark_gap_max=None if gap is None else float(gap),
        reopen_stage_ns=round(params["reopen_stage_s"] * NS_PER_SECOND),
        reopen_sources=int(params["reopen_sources"]),
    )
    shares = [rules.withdrawal_share, *(limit.share for limit in rules.outflows)]
    if not all(0 <= share <= 1 for share in shares):
        raise InputError("gates", "a share is not between 0 and 1", "mend the table")
    return rules


@dataclass(frozen=True, slots=True)
class GateState:
    """What the gates remember; it follows from the journal's batches alone.

    By instrument: ``phase_since_ns``, when its phase was last set (0: never), ``set_phase``, what
    events from outside last set it to. By limit, once something has left: ``window`` [limits], the
    number of the window in which it last did; ``left`` and ``held`` [limits, assets], units that
    have left in it and units that the venue held when it was opened.
    """

    phase_since_ns: Int64s
    set_phase: Int8s
    window: Int64s
    left: Floats
    held: Floats

    @classmethod
    def of(cls, book: Book) -> "GateState":
        """The state before the first batch."""
        count = len(book.instruments)
        nothing = np.zeros((0, len(book.instruments.assets.names)))
        return cls(
            phase_since_ns=np.zeros(count, dtype=np.int64),
            set_phase=np.full(count, MarketPhase.NORMAL, dtype=np.int8),
            window=np.zeros(0, dtype=np.int64),
            left=nothing,
            held=nothing,
        )

    def after(
        self, book: Book | LiveBook, batch: EventBatch, rules: GateRules, *, decided: bool
    ) -> "GateState":
        """The state after a batch on ``book``, the book before it; ``decided`` by the engine."""
        state, chosen = self, batch.phases.instrument
        if chosen.size:
            since, given = state.phase_since_ns.copy(), state.set_phase.copy()
            since[chosen] = batch.time_ns
            if not decided:
                given[chosen] = batch.phases.phase
            state = replace(state, phase_since_ns=since, set_phase=given)
        left = withdrawn(book, batch)
        if left is None or not rules.outflows:
            return state
        opened = state.opened(book, batch.time_ns, rules)
        return replace(opened, left=opened.left + left)

    def opened(self, book: Book | LiveBook, time_ns: int, rules: GateRules) -> "GateState":
        """The state with the windows that ``time_ns`` falls into; those that are new are empty."""
        lengths = np.array([limit.window_ns for limit in rules.outflows], dtype=np.int64)
        window = time_ns // lengths
        is_new = np.ones(window.size, dtype=np.bool_)
        left = np.zeros((window.size, self.left.shape[1]))
        held = left.copy()
        if self.window.size:
            is_new = window != self.window
            left, held = self.left.copy(), self.held.copy()
        if is_new.any():
            left[is_new], held[is_new] = 0.0, holdings_of_venue(book)
        return replace(self, window=window, left=left, held=held)


def withdrawn(book: Book | LiveBook, batch: EventBatch) -> Floats | None:
    """Units of each asset that a batch's withdrawals take out; None where there are none."""
    moved = batch.transfers
    rows = np.flatnonzero(moved.reason == TransferReason.WITHDRAWAL)
    if not rows.size:
        return None
    amounts = np.abs(moved.amount[rows]).astype(np.float64)
    count = len(book.instruments.assets.names)
    return sum_by(moved.asset[rows], amounts, count)


def holdings_of_venue(book: Book | LiveBook) -> Floats:
    """Units of each asset that the world outside has brought in and not taken back."""
    rows, held = book.rows, np.zeros(len(book.instruments.assets.names))
    first, end = rows.balance_begin[SystemPool.WORLD], rows.balance_end[SystemPool.WORLD]
    held[rows.asset[first:end]] = -rows.amount[first:end].astype(np.float64)
    return np.maximum(held, 0.0)
