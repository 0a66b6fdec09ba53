"""Closing against counterparties: who holds the other side, and who gives up how much.

A lost pool's position that the fund may not pay for is closed against profitable positions on
the other side of its instrument, at a price that leaves the pool nothing, or at mark. What their
capacity does not reach is left over.
"""

from dataclasses import dataclass, replace

import numpy as np

from plimsoll.book import Book, PoolKind, rows_of
from plimsoll.core import Floats, Int32s, Int64s, Status, offsets_from_counts, sum_exact
from plimsoll.core.exact import UNITS_MAX
from plimsoll.ledger import price_to_units, trade_values
from plimsoll.liquidation.closing import Holdings, holdings_of, pick_rows, takeover_price
from plimsoll.liquidation.deleveraging import (
    Candidates,
    DeleveragingPolicy,
    RankForm,
    contract_capacity,
    deleverage,
    hedged_part,
)
from plimsoll.liquidation.deleveraging.allocation import integers
from plimsoll.liquidation.deleveraging.rules import ClosePrice
from plimsoll.liquidation.waterfall.scene import Scene
from plimsoll.liquidation.waterfall.stages import AutoDeleveraging
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
    """Everyone who is not in question: positions on all sides, and how their pools stand.

    ``held`` lies by pool, ``offsets`` [pools + 1] say where each begins; ``by_instrument`` sorts
    its rows by instrument, ``starts`` [instruments + 1] says where each begins there.
    """

    held: Holdings
    offsets: Int64s
    by_instrument: Int64s
    starts: Int64s
    found: Assessment
    pools: Int64s

    def facing(self, instrument: int, is_long: bool) -> Int64s:
        """Rows on the other side of a position."""
        rows = self.by_instrument[self.starts[instrument] : self.starts[instrument + 1]]
        return np.asarray(rows[(self.held.quantity[rows] > 0) != is_long])


def others_of(book: Book, scene: Scene, in_question: Int64s, found: Assessment) -> Others:
    """Customers who stand: known, solvent and not in question; ``found`` has all pools."""
    stands = (book.pool_kind != PoolKind.SYSTEM) & (found.status != Status.UNKNOWN)
    stands &= (found.status < Status.LIQUIDATABLE) & (found.equity > 0)
    stands[in_question] = False
    pools = np.flatnonzero(stands)
    market, count = scene.market, len(book.instruments)
    notional = notional_coefficient(book.instruments, market.mark, market.index)
    held = holdings_of(book, pools, notional)
    return Others(
        held=held,
        offsets=offsets_from_counts(np.bincount(held.owner, minlength=pools.size)),
        by_instrument=np.argsort(held.instrument, kind="stable"),
        starts=offsets_from_counts(np.bincount(held.instrument, minlength=count)),
        found=found,
        pools=pools,
    )


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
    parts: list[tuple[Int64s, Int64s, Int64s]] = []
    left = np.abs(held.quantity)
    key = 2 * held.instrument.astype(np.int64) + (held.quantity > 0)
    for each in np.unique(key[wanted > 0]).tolist():
        rows = np.flatnonzero((wanted > 0) & (key == each))
        rows = rows[np.lexsort((held.pool[rows], rank[held.owner[rows]]))]
        instrument, is_long = each // 2, bool(each % 2)
        facing = others.facing(instrument, is_long)
        if not facing.size or not scene.may_close[instrument]:
            continue
        lost = pick_rows(held, rows)
        lost = replace(lost, quantity=np.sign(lost.quantity) * wanted[rows])
        deficit = _deficit(book, scene, lost, price[rows])
        closed = _closes(book, scene, stage, others, facing, lost, deficit)
        parts.append(_pair(rows, wanted[rows], facing, closed))
    if not parts:
        return Matches.nothing(held)
    row, place, quantity = (np.concatenate(column) for column in zip(*parts, strict=True))
    np.subtract.at(left, row, quantity)
    return Matches(row, others.held.pool[place], quantity, left)


def _deficit(book: Book, scene: Scene, lost: Holdings, price: Int64s) -> int:
    """Settle units by which counterparties trade worse than mark, >= 0."""
    table, i = book.instruments, lost.instrument
    mark = price_to_units(table, i, scene.market.mark[i])
    given = trade_values(table, i, lost.quantity, price)
    worth = trade_values(table, i, lost.quantity, mark)
    return max(sum_exact(given) - sum_exact(worth), 0)


def _closes(
    book: Book, scene: Scene, stage: AutoDeleveraging, others: Others, facing: Int64s,
    lost: Holdings, deficit: int,
) -> Int64s:  # fmt: skip
    budget = sum_exact(np.abs(lost.quantity))
    candidates = _candidates(book, scene, others, facing, stage.rank == RankForm.BITMEX)
    capacity = contract_capacity(candidates, budget, deficit)
    # Where closing costs nobody anything, only those in profit are closed; nobody is closed
    # into a debt, however large the profit of the one position.
    capacity = np.where(candidates.profit > 0, capacity, 0)
    if deficit > 0:
        worth = integers(np.maximum(candidates.equity, 0)) * budget // deficit
        capacity = np.minimum(integers(capacity), worth).astype(np.int64)
    unit = book.instruments.assets.decimals[book.instruments.settle[lost.instrument[0]]]
    policy = DeleveragingPolicy(
        key=stage.key,
        rank=stage.rank or RankForm.HYPERLIQUID_DECOMPILED,
        hedges=stage.hedges,
        hedge_share_millionths=round(stage.hedge_share_max * 10**6),
        currency_unit=10**unit,
    )
    lot = np.ones(facing.size, dtype=np.int64)
    closed: Int64s = deleverage(candidates, capacity, lot, budget, policy).closed
    return closed


def _candidates(
    book: Book, scene: Scene, others: Others, facing: Int64s, needs_bankruptcy: bool
) -> Candidates:
    """Positions facing a market, in units of its settle asset."""
    held, table = pick_rows(others.held, facing), book.instruments
    i, market = held.instrument, scene.market
    settle = table.settle[i]
    unit = table.assets.unit[settle] * market.index[settle]
    pool = held.pool.astype(np.int64)
    price = price_to_units(table, i, market.mark[i])
    gone = price
    if needs_bankruptcy:
        equity = others.found.equity[others.pools]
        gone = takeover_price(book, market, others.held, equity)[facing]

    def units(usd: Floats) -> Int64s:
        bound = float(UNITS_MAX - 1)
        return np.clip(np.floor(usd / unit), -bound, bound).astype(np.int64)

    return Candidates(
        account=pool,
        quantity=np.abs(held.quantity),
        mark_value=trade_values(table, i, held.quantity, price),
        entry_value=held.cost,
        bankrupt_value=trade_values(table, i, held.quantity, gone),
        equity=units(others.found.equity[pool]),
        maintenance_margin=units(others.found.maintenance_margin[pool]),
        hedged=_hedged(book, others, facing),
    )


def _hedged(book: Book, others: Others, facing: Int64s) -> Int64s:
    """How much of each facing position offsets others of its pool in the same underlying."""
    held, table = others.held, book.instruments
    base = int(table.base[held.instrument[facing[0]]])
    near, _ = rows_of(others.offsets, held.owner[facing])
    near = near[table.base[held.instrument[near]] == base]
    # By notional in whole cents: contracts of one underlying differ in size and payoff.
    delta = np.rint(np.sign(held.quantity[near]) * held.notional[near] * 100.0).astype(np.int64)
    part = hedged_part(held.pool[near].astype(np.int64), delta)
    part = part[np.searchsorted(near, facing)]
    whole = np.maximum(np.rint(held.notional[facing] * 100.0), 1.0)
    size = np.abs(held.quantity[facing])
    hedged = np.ceil(size * np.minimum(part / whole, 1.0)).astype(np.int64)
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
    cuts = np.union1d(ends_one[ends_one < total], ends_two[ends_two < total])
    ends = np.append(cuts[cuts > 0], total)
    starts = np.concatenate([[0], ends[:-1]])
    one = np.searchsorted(ends_one, starts, side="right")
    two = np.searchsorted(ends_two, starts, side="right")
    return rows[one], facing[two], ends - starts
