"""Columns for the watch: rules as it reads them, and an empty ladder of a given size."""

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plimsoll.book import Book, Rows
from plimsoll.core import Floats, Int8s, Int32s, Int64s, offsets_from_counts
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.charges import MarginalTiers
from plimsoll.margin.model import ModelSet
from plimsoll.margin.venues import plimsoll_standard
from plimsoll.margin.watch.compiled import entry
from plimsoll.margin.watch.contract import ASSESSED, FIGURES, JOINT, RANGES, TIERED, Desk, Slopes
from plimsoll.margin.watch.ladder import (
    CARD,
    CHUNK,
    ENTRY,
    FREE_CHUNKS,
    FREE_COLD,
    FREE_HOT,
    GOLDEN,
    GUARD,
    LEGS_END,
    LEVELS,
    LIST,
    TALLIES,
    Ladder,
)
from plimsoll.margin.watch.machine import Log, Rungs
from plimsoll.margin.watch.market_rows import MarketRows
from plimsoll.margin.watch.scenario import is_joint, joint_house, joint_scratch
from plimsoll.margin.watch.standard import (
    INVERSE,
    LINEAR,
    QUANTO,
    SPOT,
    SUMS,
    UNRULED,
    House,
    Scratch,
)

Pairs: TypeAlias = tuple[tuple[float, float], ...]
"""Margin ratios, each with the ratio that it clears below."""

LOG_ROWS = 4096
PHASES_MAX = 16
LEGS_PER_PHASE = 1024
"""Lists of a row that has more legs than this come in phases."""
POOLS_PER_BOX, LEGS_PER_EDGE = 2048, 8
"""Pools that share a box, at least: what is judged at most when a row leaves it; and legs per row
of all boxes together, so that boxes take 2 bytes a leg."""
HOT_SHARE = 8
"""One guard in so many has a place among the hot ones."""


class Watched(Protocol):
    """What a watch needs of a book that changes in place."""

    @property
    def instruments(self) -> InstrumentTable:
        """What is traded and owned."""

    @property
    def account_model(self) -> Int32s:
        """The model of each account."""

    @property
    def pool_account(self) -> Int32s:
        """The account of each pool, -1 for the system's."""

    @property
    def pool_count(self) -> int:
        """Pools there are."""

    @property
    def rows(self) -> Rows:
        """Columns; the same object for as long as none of them has been replaced."""

    def take(self, pools: Int64s) -> Book:
        """A book of some pools alone, in that order."""


def codes_of(models: ModelSet) -> Int8s:
    """How pools of each model are judged, shape [models]."""
    is_tiered = [m.model is plimsoll_standard.MODEL for m in models.models]
    return np.select([is_tiered, is_joint(models)], [TIERED, JOINT], ASSESSED).astype(np.int8)


def house_of(models: ModelSet, table: InstrumentTable) -> House:
    """The rules of a book's tiered models; others get none."""
    assets, count = len(table.assets.names), len(models.models)
    code = np.full(len(table), LINEAR, dtype=np.int8)
    code[table.of_payoff(Payoff.INVERSE)] = INVERSE
    code[table.of_payoff(Payoff.QUANTO)] = QUANTO
    code[table.of_kind(Kind.OPTION)] = UNRULED
    code[table.of_kind(Kind.SPOT)] = SPOT
    known = [
        m.params if c == TIERED else None
        for m, c in zip(models.models, codes_of(models), strict=True)
    ]
    money = np.where(code == QUANTO, table.settle, table.quote).astype(np.int32)
    none = MarginalTiers.build([()] * assets)
    margin = _stack([none if p is None else p.maintenance for p in known])
    haircut = _stack([none if p is None else p.haircuts for p in known])
    initial = _stack([none if p is None else p.initial for p in known])
    slope, fee = np.zeros((count, assets)), np.zeros(count)
    for k, params in enumerate(known):
        if params is not None:
            slope[k], fee[k] = params.size_slope, params.fee_rate
    return House(
        code, table.quantity_unit * table.multiplier, table.base, money, table.settle,
        table.assets.unit,
        margin.offsets, margin.floors, margin.rates, margin.cumulative,
        haircut.offsets, haircut.floors, haircut.rates, haircut.cumulative,
        np.diff(initial.offsets) > 0, slope.ravel(), fee,
    )  # fmt: skip


def _stack(tiers: list[MarginalTiers]) -> MarginalTiers:
    """Schedules of several tables as those of one."""
    counts = np.concatenate([np.diff(each.offsets) for each in tiers])
    return MarginalTiers(
        offsets_from_counts(counts),
        np.concatenate([each.floors for each in tiers]),
        np.concatenate([each.rates for each in tiers]),
        np.concatenate([each.cumulative for each in tiers]),
    )


def desk_of(models: ModelSet, layout: MarketRows, table: InstrumentTable, model: Int32s) -> Desk:
    """Rules, each pool's model, and room for one pool."""
    assets, rows, codes = len(table.assets.names), layout.count, codes_of(models)
    scratch = Scratch(
        np.zeros(assets * SUMS), np.zeros(assets, dtype=np.bool_),
        np.zeros(assets, dtype=np.int32), np.zeros(1, dtype=np.int64),
    )  # fmt: skip
    slopes = Slopes(
        np.zeros(rows, dtype=np.int32), np.zeros(rows * RANGES), np.zeros(rows, dtype=np.int32),
        np.zeros(rows), np.zeros(rows), np.zeros(rows), np.zeros(rows, dtype=np.int32),
        np.zeros(1, dtype=np.int64),
    )  # fmt: skip
    # Nothing where there is no such model, so that no code for it is compiled (``dispatch``).
    joint: Any = ()
    joint_room: Any = ()
    if np.any(codes == JOINT):
        joint = joint_house(models, table, layout.origin_ns)
        joint_room = joint_scratch(joint)
    return Desk(
        codes, model, house_of(models, table), scratch, joint, joint_room, slopes,
        np.zeros(FIGURES),
    )  # fmt: skip


def ratios_of(
    models: ModelSet, levels: Pairs, holds: bool, own: tuple[Pairs, ...] = ()
) -> tuple[Floats, Floats, Int8s]:
    """The ratios watched and those they clear at, [models, levels]: levels, margin call, and 1.

    Where it ``holds``, a margin call clears below the model's clear ratio and 1 at an event
    alone. ``own`` are further levels of each model, of which one may stand for its margin call.
    The third column counts those of them that a rung has reached, [models, levels + 2].
    """
    rows, mine = [], []
    for number, m in enumerate(models.models):
        extra = list(own[number]) if own else []
        called = m.margin_call_ratio, m.margin_call_clear_ratio if holds else m.margin_call_ratio
        if m.margin_call_ratio not in [ratio for ratio, _ in extra]:
            extra.append(called)
        rows.append(sorted([*levels, *extra, (1.0, 0.0 if holds else 1.0)]))
        mine.append(set(own[number]) if own else set())
    width = max((len(row) for row in rows), default=2)
    # A level that is there twice is reached twice at once.
    padded = [row[:1] * (width - len(row)) + row for row in rows]
    pairs = np.array(padded, dtype=np.float64).reshape(len(rows), width, 2)
    reached = np.zeros((len(rows), width + 2), dtype=np.int8)
    for number, row in enumerate(padded):
        for rung in range(width + 2):
            reached[number, rung] = len(mine[number] & set(row[:rung]))
    return pairs[:, :, 0].copy(), pairs[:, :, 1].copy(), reached


def rungs_of(ratios: Floats, clears: Floats, pools: int) -> Rungs:
    """All pools on rung 0."""
    return Rungs(ratios, clears, np.zeros(pools, dtype=np.int8))


def empty_log(rows: int = LOG_ROWS) -> Log:
    """A log with room for some changes."""
    ids, codes = np.zeros(rows, dtype=np.int32), np.zeros(rows, dtype=np.int8)
    return Log(ids, ids.copy(), codes, codes.copy(), np.zeros(1, dtype=np.int64))


@entry
def count_rows(begin: Int64s, end: Int64s, ids: Int32s, out: Int64s) -> None:
    """Add up in ``out`` how many rows with each id pools own; others may lie between."""
    for pool in range(begin.size):
        for row in range(begin[pool], end[pool]):
            out[ids[row]] += 1


def legs_by_row(rows: Rows, layout: MarketRows, models: ModelSet, table: InstrumentTable,
    pools: int) -> tuple[Int64s, Int64s]:  # fmt: skip
    """Legs to make room for and legs there may be, by row of the market.

    Under the scenario model a position may also move with its underlying's index and with time.
    """
    by_contract = np.zeros(layout.instruments, dtype=np.int64)
    by_asset = np.zeros(layout.assets, dtype=np.int64)
    count_rows(rows.position_begin, rows.position_end, rows.instrument, by_contract)
    count_rows(rows.balance_begin, rows.balance_end, rows.asset, by_asset)
    expected = np.zeros(layout.count, dtype=np.int64)
    expected[: layout.instruments] = by_contract
    expected[layout.index : layout.index + layout.assets] = by_asset + 64
    most = expected.copy()
    if np.any(codes_of(models) == JOINT):
        options = by_contract * table.of_kind(Kind.OPTION)
        for first in (layout.forward, layout.vol):
            expected[first : first + layout.instruments] = options
            most[first : first + layout.instruments] = options
        for asset in (table.base, table.quote, table.settle):
            np.add.at(most, layout.index + asset, by_contract)
        most[layout.time] = pools
    return expected, np.minimum(most, pools)


def empty_ladder(pools: int, legs_of: Int64s, most: Int64s) -> Ladder:
    """A ladder without guards for pools, with room for about ``legs_of`` [rows] legs.

    Lists of a row come in phases by the ``most`` [rows] that it may have.
    """
    rows, legs = legs_of.size, int(legs_of.sum())
    phases = [1, *(min(PHASES_MAX, 2 ** (level // 2)) for level in range(1, LEVELS))]
    first = offsets_from_counts(np.array(phases, dtype=np.int64)).astype(np.int32)
    phase = np.concatenate(
        [(np.arange(count) + level * GOLDEN % 1.0) / count for level, count in enumerate(phases)]
    )
    factor = np.repeat([0.0, *(2.0**level for level in range(LEVELS - 1))], phases)
    chunks, places = legs // CHUNK + 4 * rows + 64, pools + pools // 16 + 64
    hot = pools // HOT_SHARE + 16
    lists = np.zeros(rows * phase.size, dtype=LIST)
    lists["head"] = -1
    cards = np.zeros(hot + places, dtype=CARD)
    cards["owner"] = -1
    tally = np.zeros(TALLIES, dtype=np.int64)
    tally[FREE_CHUNKS], tally[FREE_HOT], tally[FREE_COLD] = chunks, hot, places
    boxes = max(min(pools // POOLS_PER_BOX, legs // (rows * LEGS_PER_EDGE)), 1)
    box = np.full((boxes, rows), np.nan)
    nowhere = np.full(rows, np.nan)
    spread = np.clip(most // LEGS_PER_PHASE, 1, PHASES_MAX).astype(np.int32)
    return Ladder(
        nowhere, box, box.copy(), nowhere.copy(), nowhere.copy(),
        np.full(rows, -np.inf), np.full(rows, np.inf), np.zeros(rows), np.ones(rows), spread,
        lists, first, factor, phase,
        np.zeros(chunks * CHUNK, dtype=ENTRY), np.zeros(chunks, dtype=np.int32),
        np.zeros(chunks, dtype=np.int32),
        _falling(0, chunks),
        np.zeros(hot + places, dtype=GUARD), cards, _falling(0, hot), _falling(hot, places),
        np.zeros(legs + legs // 32 + 4 * rows, dtype=np.int32),
        np.full(rows + 1, -1, dtype=np.int32), np.zeros(hot + places, dtype=np.int32),
        np.zeros(pools, dtype=np.int32),
        np.full(2 * pools, -1, dtype=np.int32), tally,
    )  # fmt: skip


def _falling(first: int, count: int) -> Int32s:
    """A stack of numbers from ``first`` on, the first on top."""
    return np.arange(first, first + count, dtype=np.int32)[::-1].copy()


def grown(ladder: Ladder, legs: int) -> Ladder:
    """The same ladder with some more room for whatever is short for two pools' legs."""
    chunks, places, tally = ladder.chain.size, ladder.guards.size, ladder.tally.copy()
    if tally[FREE_CHUNKS] <= 2 * legs:
        more = chunks // 16 + 2 * legs
        ladder = ladder._replace(
            entries=longer(ladder.entries, more * CHUNK),
            chain=longer(ladder.chain, more),
            home=longer(ladder.home, more),
            free_chunks=_stacked(ladder.free_chunks, int(tally[FREE_CHUNKS]), chunks, more),
        )
        tally[FREE_CHUNKS] += more
    if tally[FREE_COLD] <= 2:
        more = places // 8 + 64
        cards = longer(ladder.cards, more)
        cards["owner"][places:] = -1
        ladder = ladder._replace(
            guards=longer(ladder.guards, more),
            cards=cards,
            free_cold=_stacked(ladder.free_cold, int(tally[FREE_COLD]), places, more),
            fired=longer(ladder.fired, more),
        )
        tally[FREE_COLD] += more
    if tally[LEGS_END] + 2 * legs >= ladder.legs.size:
        ladder = ladder._replace(legs=longer(ladder.legs, ladder.legs.size // 16 + 2 * legs))
    return ladder._replace(tally=tally)


def longer(column: NDArray[Any], by: int, fill: int = 0) -> NDArray[Any]:
    """A column with ``by`` more rows of ``fill``."""
    more = np.zeros(by, dtype=column.dtype)
    if fill:
        more[:] = fill
    return np.concatenate([column, more])


def _stacked(stack: Int32s, height: int, first: int, more: int) -> Int32s:
    """A stack with ``more`` numbers from ``first`` on put on it."""
    out = longer(stack, more)
    out[height : height + more] = np.arange(first, first + more)
    return out


def with_pools(ladder: Ladder, more: int) -> Ladder:
    """The same for ``more`` pools."""
    return ladder._replace(
        by_pool=longer(ladder.by_pool, 2 * more, -1), asked=longer(ladder.asked, more)
    )
