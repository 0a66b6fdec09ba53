"""Closing against counterparties: who holds the other side, and who gives up how much.

A lost pool's position that the fund may not pay for is closed against profitable positions on
the other side of its instrument, at a price that leaves the pool nothing, or at mark. What their
capacity does not reach is left over.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.book import Book, PoolKind
from plimsoll.core import (
    Floats,
    Int32s,
    Int64s,
    Status,
    distinct,
    offsets_from_counts,
    sum_exact,
)
from plimsoll.core.exact import UNITS_MAX
from plimsoll.ledger import price_to_units, trade_values
from plimsoll.liquidation.closing import Holdings, holdings_of, takeover_price
from plimsoll.liquidation.deleveraging import (
    Candidates,
    DeleveragingPolicy,
    HedgeRule,
    RankForm,
    contract_capacity,
    deleverage,
    hedged_part,
)
from plimsoll.liquidation.deleveraging.allocation import scale_whole
from plimsoll.liquidation.deleveraging.kernels import number_groups, sort_rows
from plimsoll.liquidation.waterfall.scene import Scene
from plimsoll.liquidation.waterfall.stages import AutoDeleveraging, ClosePrice
from plimsoll.margin import Assessment
from plimsoll.margin.exposure import notional_coefficient


@dataclass(frozen=True, slots=True)
class Matches:
    """Closes between two pools: ``row`` of the lost pools' holdings, ``pool`` on the other side.

    ``quantity`` > 0 counts units. ``left`` is what remains of each row of the holdings.
    """

    row: Int64s
    pool: Int32s
    quantity: Int64s
    left: Int64s

    @classmethod
    def nothing(cls, held: Holdings) -> "Matches":
        """Nobody is closed."""
        ids = np.zeros(0, dtype=np.int64)
        return cls(ids, ids.astype(np.int32), ids, np.abs(held.quantity))


@dataclass(frozen=True, slots=True)
class Others:
    """Everyone who is not in question: their positions, pool after pool, and how all stand."""

    held: Holdings
    found: Assessment
    pools: Int64s


@dataclass(frozen=True, slots=True)
class Facing:
    """Positions in profit that lost ones may be closed against, by side and then by pool.

    A side is 2 * instrument, plus 1 for longs. ``rows`` are those of the others' holdings,
    ``candidates`` has the same order; a side begins at ``starts`` [sides + 1].
    """

    rows: Int64s
    starts: Int64s
    candidates: Candidates

    def against(self, side: int) -> tuple[Int64s, Candidates]:
        """The positions on the other side of one."""
        at = slice(self.starts[side ^ 1], self.starts[(side ^ 1) + 1])
        columns = (getattr(self.candidates, name)[at] for name in Candidates.__slots__)
        return self.rows[at], Candidates(*columns)


def others_of(book: Book, scene: Scene, in_question: Int64s, found: Assessment) -> Others:
    """Customers who stand: known, solvent and not in question; ``found`` has all pools."""
    stands = (book.pool_kind != PoolKind.SYSTEM) & (found.status != Status.UNKNOWN)
    stands &= (found.status < Status.LIQUIDATABLE) & (found.equity > 0)
    stands[in_question] = False
    pools = np.flatnonzero(stands)
    market = scene.market
    notional = notional_coefficient(book.instruments, market.mark, market.index)
    return Others(holdings_of(book, pools, notional), found, pools)


def deleveraging_price(
    book: Book, scene: Scene, stage: AutoDeleveraging, held: Holdings, bankruptcy: Int64s
) -> Int64s:
    """Price units at which each lost position is closed against counterparties."""
    if stage.price == ClosePrice.BANKRUPTCY:
        return bankruptcy
    mark = scene.market.mark
    if stage.price == ClosePrice.PREVIOUS_ORACLE:
        mark = np.where(np.isfinite(scene.previous_mark), scene.previous_mark, mark)
    return price_to_units(book.instruments, held.instrument, mark[held.instrument])


def match_positions(
    book: Book, scene: Scene, stage: AutoDeleveraging, held: Holdings, wanted: Int64s,
    price: Int64s, rank: Int64s, others: Others,
) -> Matches:  # fmt: skip
    """Who is closed against ``wanted`` units of lost pools' rows, market by market, side by side.

    ``price`` is by row; lost pools are served in the order of ``rank`` (by owner).
    """
    side = _sides(held)
    # A market where no forced close may trade is left alone.
    rows = np.flatnonzero((wanted > 0) & scene.may_close[held.instrument])
    rows = rows[np.lexsort((held.pool[rows], rank[held.owner[rows]], side[rows]))]
    if not rows.size:
        return Matches.nothing(held)
    facing = _facing(book, scene, stage, others, distinct(side[rows]))
    lost = _worse_than_mark(book, scene, held, rows, wanted, price)
    ends = np.append(np.flatnonzero(np.diff(side[rows])) + 1, rows.size).tolist()
    parts, start = [], 0
    for end in ends:
        at, start = slice(start, end), end
        places, candidates = facing.against(int(side[rows[at.start]]))
        if places.size:
            size, deficit = wanted[rows[at]], max(sum_exact(lost[at]), 0)
            settle = book.instruments.settle[held.instrument[rows[at.start]]]
            unit = 10 ** int(book.instruments.assets.decimals[settle])
            closed = _closes(stage, candidates, sum_exact(size), deficit, unit)
            parts.append(_pair(rows[at], size, places, closed))
    if not parts:
        return Matches.nothing(held)
    row, place, quantity = (np.concatenate(column) for column in zip(*parts, strict=True))
    left = np.abs(held.quantity)
    np.subtract.at(left, row, quantity)
    return Matches(row, others.held.pool[place], quantity, left)


def _sides(held: Holdings) -> Int64s:
    return 2 * held.instrument.astype(np.int64) + (held.quantity > 0)


def _mark_units(book: Book, scene: Scene) -> Int64s:
    """Marks in price units, shape [instruments]; 1 where there is none."""
    table, mark = book.instruments, scene.market.mark
    instruments = np.arange(len(table), dtype=np.int32)
    return price_to_units(table, instruments, np.where(np.isfinite(mark), mark, 0.0))


def _worse_than_mark(
    book: Book, scene: Scene, held: Holdings, rows: Int64s, wanted: Int64s, price: Int64s
) -> Int64s:
    """Settle units that counterparties give up against mark on ``wanted`` of each of ``rows``."""
    table, i = book.instruments, held.instrument[rows]
    quantity = np.sign(held.quantity[rows]) * wanted[rows]
    mark = _mark_units(book, scene)[i]
    return trade_values(table, i, quantity, price[rows]) - trade_values(table, i, quantity, mark)


def _closes(
    stage: AutoDeleveraging, candidates: Candidates, budget: int, deficit: int, currency_unit: int
) -> Int64s:
    """What is closed of each candidate. Where it costs nobody anything, as far as he holds it."""
    capacity = contract_capacity(candidates, budget, deficit)
    if deficit > 0:
        # Nobody is closed into a debt, however large the profit of the one position.
        capacity = scale_whole(np.maximum(candidates.equity, 0), budget, deficit, capacity)
    policy = DeleveragingPolicy(
        key=stage.key,
        rank=stage.rank or RankForm.HYPERLIQUID_DECOMPILED,
        hedges=stage.hedges,
        hedge_share_millionths=round(stage.hedge_share_max * 10**6),
        currency_unit=currency_unit,
    )
    closed: Int64s = deleverage(candidates, capacity, np.ones_like(capacity), budget, policy).closed
    return closed


def _facing(
    book: Book, scene: Scene, stage: AutoDeleveraging, others: Others, sides: Int64s
) -> Facing:
    """The positions in profit on the other side of each of ``sides``."""
    held, table = others.held, book.instruments
    side, is_faced = _sides(held), np.zeros(2 * len(table), dtype=np.bool_)
    is_faced[sides ^ 1] = True
    rows = np.flatnonzero(is_faced[side])
    instrument = held.instrument[rows]
    mark = _mark_units(book, scene)[instrument]
    value = trade_values(table, instrument, held.quantity[rows], mark)
    gains = np.flatnonzero(value > held.cost[rows])
    side = side[rows[gains]]
    starts = offsets_from_counts(np.bincount(side, minlength=is_faced.size))
    order = np.empty(side.size, dtype=np.int64)
    sort_rows(side, starts[:-1].copy(), order)
    gains = gains[order]
    rows, value = rows[gains], value[gains]
    return Facing(rows, starts, _candidates(book, scene, stage, others, rows, value))


def _candidates(
    book: Book, scene: Scene, stage: AutoDeleveraging, others: Others, rows: Int64s, value: Int64s
) -> Candidates:
    """Some positions and their ``value`` at mark, in units of their settle assets."""
    held, table, market = others.held, book.instruments, scene.market
    instrument, quantity = held.instrument[rows], held.quantity[rows]
    settle = table.settle[instrument]
    unit = table.assets.unit[settle] * market.index[settle]
    pool, gone = held.pool[rows].astype(np.int64), value
    if stage.rank == RankForm.BITMEX:
        price = takeover_price(book, market, held, others.found.equity[others.pools])[rows]
        gone = trade_values(table, instrument, quantity, price)

    def units(usd: Floats) -> Int64s:
        bound = float(UNITS_MAX - 1)
        return np.clip(np.floor(usd[pool] / unit), -bound, bound).astype(np.int64)

    return Candidates(
        account=pool,
        quantity=np.abs(quantity),
        mark_value=value,
        entry_value=held.cost[rows],
        bankrupt_value=gone,
        equity=units(others.found.equity),
        maintenance_margin=units(others.found.maintenance_margin),
        hedged=_hedged(book, others, rows, stage.hedges),
    )


def _hedged(book: Book, others: Others, rows: Int64s, rule: HedgeRule) -> Int64s:
    """How much of each of ``rows`` offsets others of its pool in the same underlying."""
    held, base = others.held, book.instruments.base
    # One contract alone offsets nothing.
    has_others = (np.bincount(base) > 1)[base]
    if rule == HedgeRule.OPEN or not has_others[held.instrument[rows]].any():
        return np.zeros(rows.size, dtype=np.int64)
    near = np.flatnonzero(has_others[held.instrument])
    group, seen = np.empty(near.size, dtype=np.int64), np.full(base.max() + 1, -1, dtype=np.int64)
    groups = number_groups(held.owner[near], base[held.instrument[near]], seen, group)
    # By notional in whole cents: contracts of one underlying differ in size and payoff.
    delta = np.rint(np.sign(held.quantity[near]) * held.notional[near] * 100.0).astype(np.int64)
    part = np.zeros(held.pool.size, dtype=np.int64)
    part[near] = hedged_part(group, delta, groups)
    whole = np.maximum(np.rint(held.notional[rows] * 100.0), 1.0)
    size = np.abs(held.quantity[rows])
    hedged = np.ceil(size * np.minimum(part[rows] / whole, 1.0)).astype(np.int64)
    return np.asarray(np.minimum(hedged, size))


def _pair(
    rows: Int64s, wanted: Int64s, facing: Int64s, closed: Int64s
) -> tuple[Int64s, Int64s, Int64s]:
    """Lay two lists of quantities side by side: (row, place, quantity) of each common stretch.

    What exceeds the sum of ``wanted`` on the other side is let go: no lot here is above a unit.
    """
    ends_one, ends_two = np.cumsum(wanted), np.cumsum(closed)
    total = min(int(ends_one[-1]), int(ends_two[-1]))
    if total == 0:
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing, nothing
    cuts = distinct(np.concatenate([ends_one[ends_one < total], ends_two[ends_two < total]]))
    ends = np.append(cuts[cuts > 0], total)
    starts = np.concatenate([[0], ends[:-1]])
    one = np.searchsorted(ends_one, starts, side="right")
    two = np.searchsorted(ends_two, starts, side="right")
    return rows[one], facing[two], ends - starts
