"""What a journal says of accounts' procedures, read from its events alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plimsoll.book import PoolState, SystemPool
from plimsoll.core import InputError, did_you_mean
from plimsoll.engine.fold import batch_of, read_header
from plimsoll.ledger import EventBatch, Record, TradeReason, TransferReason, read_records
from plimsoll.ledger.events import new_pools

LOSSES_SHARED = frozenset({TransferReason.SOCIALISED_LOSS})
"""Transfers that take from accounts which did nothing wrong."""


@dataclass(frozen=True, slots=True)
class StateEvent:
    """A pool's state from ``time_ns`` on; ``tick`` is the record that opened the step."""

    tick: int
    time_ns: int
    pool: int
    state: PoolState


@dataclass(frozen=True, slots=True)
class Touch:
    """Something that a liquidation of others did to a pool."""

    time_ns: int
    pool: int
    reason: TradeReason | TransferReason


@dataclass(frozen=True, slots=True)
class Procedure:
    """A pool in liquidation, from the step that record ``tick`` opened; open where not ended.

    ``called_ns`` is when the level that stood before was announced, None for none.
    """

    tick: int
    pool: int
    began_ns: int
    ended_ns: int | None
    called_ns: int | None


@dataclass(frozen=True, slots=True)
class Chronicle:
    """All accounts of a journal, whose each pool is, and what was said and done to them."""

    account_ids: tuple[str, ...]
    pool_account: tuple[int, ...]
    states: tuple[StateEvent, ...]
    touches: tuple[Touch, ...]
    first_ns: int
    last_ns: int

    def pools_of(self, account_id: str) -> tuple[int, ...]:
        """The pool numbers of an account. Raises InputError where it is unknown."""
        if account_id not in self.account_ids:
            remedy = did_you_mean(account_id, self.account_ids)
            raise InputError("ACCOUNT", f"unknown account '{account_id[:60]}'", remedy)
        account = self.account_ids.index(account_id)
        return tuple(pool for pool, owner in enumerate(self.pool_account) if owner == account)

    def procedures(self, pools: tuple[int, ...]) -> tuple[Procedure, ...]:
        """Every liquidation of some pools, in the order in which they began."""
        wanted, found = set(pools), []
        for pool in wanted:
            mine = [event for event in self.states if event.pool == pool]
            for number, event in enumerate(mine):
                if event.state != PoolState.LIQUIDATING:
                    continue
                last = mine[number - 1] if number else None
                is_called = last is not None and last.state != PoolState.NORMAL
                after = mine[number + 1].time_ns if number + 1 < len(mine) else None
                called = last.time_ns if is_called and last is not None else None
                found.append(Procedure(event.tick, pool, event.time_ns, after, called))
        return tuple(sorted(found, key=lambda one: (one.tick, one.pool)))


def read_chronicle(path: Path) -> Chronicle:
    """The chronicle of a journal. Raises JournalError where it is damaged."""
    place = str(path)
    records = read_records(path)
    _, first = read_header(records, place)
    accounts: list[str] = []
    pools = [-1] * len(SystemPool)
    states: list[StateEvent] = []
    touches: list[Touch] = []
    tick, times = first.sequence, [first.time_ns]
    for record in records:
        if record.kind == "tick":
            tick = record.sequence
            times.append(record.time_ns)
        if record.kind not in ("input", "decision"):
            continue
        batch = batch_of(record, place)
        owners, _ = new_pools(len(accounts), batch)
        accounts.extend(batch.accounts.ids)
        pools.extend(owners.tolist())
        states.extend(_state_events(batch, record, tick))
        touches.extend(_touches(batch))
    return Chronicle(
        tuple(accounts), tuple(pools), tuple(states), tuple(touches), times[min(1, len(times) - 1)],
        times[-1],
    )  # fmt: skip


def _state_events(batch: EventBatch, record: Record, tick: int) -> Iterator[StateEvent]:
    changes = batch.states
    for pool, state in zip(changes.pool.tolist(), changes.state.tolist(), strict=True):
        yield StateEvent(tick, record.time_ns, pool, PoolState(state))


def _touches(batch: EventBatch) -> Iterator[Touch]:
    trades, moved = batch.trades, batch.transfers
    for row in np.flatnonzero(trades.reason == TradeReason.DELEVERAGING).tolist():
        for pool in (int(trades.pool[row]), int(trades.counterparty[row])):
            yield Touch(batch.time_ns, pool, TradeReason.DELEVERAGING)
    for reason in LOSSES_SHARED:
        for row in np.flatnonzero(moved.reason == reason).tolist():
            for pool in (int(moved.source[row]), int(moved.target[row])):
                yield Touch(batch.time_ns, pool, reason)
