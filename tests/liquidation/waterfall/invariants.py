"""What must hold after every step of any sequence, and after every batch that the step decided.

Sums are made here in Python's integers, not with the ledger's own check.
"""

from collections import Counter

import numpy as np

from plimsoll.book import (
    Book,
    MarketPhase,
    PoolKind,
    PoolState,
    SystemPool,
    digest_book,
    take_pools,
)
from plimsoll.core import Status
from plimsoll.engine import EngineState
from plimsoll.ledger import EventBatch, TradeReason, TransferReason, apply
from plimsoll.liquidation import Policy
from plimsoll.margin import assess, model_of_pools
from tests.liquidation.waterfall.sequences import Moment, Setting

FUND, DEBT = int(SystemPool.INSURANCE_FUND), int(SystemPool.BAD_DEBT)
SYSTEM = len(SystemPool)


def unit_sums(book: Book) -> Counter[tuple[str, int]]:
    """Balances less costs by asset, and quantities by instrument, in units."""
    sums: Counter[tuple[str, int]] = Counter()
    owned, held = book.balances, book.positions
    for asset, amount in zip(owned.asset.tolist(), owned.amount.tolist(), strict=True):
        sums["asset", asset] += amount
    settle = book.instruments.settle[held.instrument].tolist()
    columns = (held.instrument.tolist(), held.quantity.tolist(), held.cost.tolist(), settle)
    for instrument, quantity, cost, asset in zip(*columns, strict=True):
        sums["instrument", instrument] += quantity
        sums["asset", asset] -= cost
    return sums


def residuals(book: Book) -> dict[tuple[str, int], int]:
    """What has appeared or vanished, by asset and by instrument, in whole units; sound is empty."""
    return {place: total for place, total in unit_sums(book).items() if total}


def is_empty(book: Book, pool: int) -> bool:
    """Whether a pool holds exactly nothing: no balance, position, cost or order."""
    owned, held = book.balances, book.positions
    balances = owned.amount[owned.offsets[pool] : owned.offsets[pool + 1]]
    rows = slice(held.offsets[pool], held.offsets[pool + 1])
    return not (balances.any() or held.quantity[rows].any() or held.cost[rows].any())


def balances_of(book: Book, pool: int) -> dict[int, int]:
    """What a pool has or owes, by asset, in units."""
    rows = slice(book.balances.offsets[pool], book.balances.offsets[pool + 1])
    found = zip(
        book.balances.asset[rows].tolist(), book.balances.amount[rows].tolist(), strict=True
    )
    return {asset: amount for asset, amount in found if amount}


def waits_for(
    setting: Setting, policy: Policy, state: EngineState, pool: int, now_ns: int
) -> str | None:
    """Why a waterfall leaves a pool beyond its line to a later step; None where it may not."""
    book, held = state.book, state.book.positions
    rows = slice(held.offsets[pool], held.offsets[pool + 1])
    instruments = held.instrument[rows][held.quantity[rows] != 0]
    if (book.market_phase[instruments] > MarketPhase.REDUCE_ONLY).any():
        return "halt"
    if policy.auction is not None and instruments.size:
        return "auction"
    stage = policy.close_out
    if stage is None:
        return None
    rested = now_ns - int(book.pool_since_ns[pool])
    if stage.cooldown_s and rested < stage.cooldown_s * 1e9:
        return "rest"
    bounds = stage.throttle
    limits = (bounds.tick_notional_max, bounds.window_notional_max, bounds.depth_share_max)
    return "throttle" if any(limit is not None for limit in limits) else None


def check_moment(setting: Setting, moment: Moment) -> Counter[str]:
    """Asserts what must hold after a step; says what happened in it."""
    book, outcome = moment.after.book, moment.outcome
    assert not residuals(book)
    found, later = outcome.found, outcome.assessment
    customer = book.pool_kind != PoolKind.SYSTEM
    unknown = found.status == Status.UNKNOWN
    assert np.array_equal(later.status == Status.UNKNOWN, unknown)
    seen: Counter[str] = Counter(steps=1, refused=int(moment.refused is not None))
    check_batches(setting, moment, seen)
    # Whoever can be judged is not left beyond the line but for a reason; he owes no more than is
    # owned, and stands in no procedure.
    judged = customer & ~unknown
    beyond = judged & (later.status >= Status.LIQUIDATABLE)
    model = model_of_pools(book)
    for pool in np.flatnonzero(beyond).tolist():
        policy = setting.rules.policies[model[pool]]
        reason = waits_for(setting, policy, moment.after, pool, moment.inputs.time_ns)
        assert reason is not None, (pool, policy.waterfall.name, later.margin_ratio[pool])
        assert book.pool_state[pool] == PoolState.LIQUIDATING
        seen[f"waits for {reason}"] += 1
    for pool in outcome.taken_over.tolist():
        assert is_empty(book, pool)
        assert book.pool_state[pool] == PoolState.NORMAL
    seen["unknown"] += int(unknown.any())
    seen["taken over"] += outcome.taken_over.size
    seen["begun"] += outcome.begun.size
    seen["deleveraged"] += outcome.deleveraged > 0
    seen["socialised"] += outcome.socialised > 0
    return seen


def backstops_of(batch: EventBatch) -> np.ndarray:
    """Accounts' pools that took over others in a batch."""
    taken = batch.trades.counterparty[batch.trades.reason == TradeReason.TAKEOVER]
    return np.unique(taken[taken >= SYSTEM]).astype(np.int64)


def check_batches(setting: Setting, moment: Moment, seen: Counter[str]) -> None:
    """Applies what was decided batch by batch: nothing is made, the fund is never in debt.

    A backstop keeps something. The batches lead to the very book of the step; others than those
    in question are untouched, and nobody's position grows or turns but a backstop's.
    """
    outcome = moment.outcome
    if not outcome.decisions:
        return
    book = moment.before.book
    if moment.inputs.events.event_count:
        book = apply(book, moment.inputs.events)
    begun = book
    for batch in outcome.decisions:
        book = apply(book, batch)
        assert not residuals(book)
        owes = {asset: x for asset, x in balances_of(book, FUND).items() if x < 0}
        assert not owes, owes
        # What the venue has written off it does not get back here.
        assert all(amount < 0 for amount in balances_of(book, DEBT).values())
        count_batch(batch, seen)
        backstops = backstops_of(batch)
        if backstops.size:
            found = assess(take_pools(book, backstops), outcome.market, setting.rules.models)
            assert (found.equity >= 0).all()
            seen["backed"] += 1
    assert digest_book(book) == digest_book(moment.after.book)
    check_bystanders(moment, begun)


def count_batch(batch: EventBatch, seen: Counter[str]) -> None:
    """Counts a decided batch, and what is in it."""
    seen["batches"] += 1
    for reason in np.unique(batch.trades.reason).tolist():
        seen[TradeReason(reason).name] += 1
    for reason in np.unique(batch.transfers.reason).tolist():
        seen[TransferReason(reason).name] += 1


def rows_by_place(book: Book) -> dict[tuple[int, int], tuple[int, int]]:
    """(quantity, cost) by pool and instrument."""
    held = book.positions
    pools = np.repeat(np.arange(book.pool_count), np.diff(held.offsets)).tolist()
    columns = (pools, held.instrument.tolist(), held.quantity.tolist(), held.cost.tolist())
    return {(p, i): (q, c) for p, i, q, c in zip(*columns, strict=True) if q or c}


def check_bystanders(moment: Moment, begun: Book) -> None:
    """Only pools in question or touched have changed since the events."""
    outcome, book = moment.outcome, moment.after.book
    was_in = begun.pool_state == PoolState.LIQUIDATING
    unknown = outcome.found.status == Status.UNKNOWN
    failed = (outcome.found.status >= Status.LIQUIDATABLE) | (was_in & ~unknown)
    may_change = failed.copy()
    may_change[outcome.touched] = True
    may_change[:SYSTEM] = True
    backed = {int(pool) for batch in outcome.decisions for pool in backstops_of(batch)}
    old, new = rows_by_place(begun), rows_by_place(book)
    for (pool, instrument), (quantity, _) in new.items():
        if pool >= SYSTEM and pool not in backed:
            held = old[pool, instrument][0]
            assert quantity * held >= 0
            assert abs(quantity) <= abs(held)
    for pool in np.flatnonzero(~may_change).tolist():
        assert balances_of(book, pool) == balances_of(begun, pool)
        assert {k: v for k, v in old.items() if k[0] == pool} == {
            k: v for k, v in new.items() if k[0] == pool
        }
