"""Assessments of ``plimsoll.portfolio`` in one pass, without what only explanations need."""

from dataclasses import dataclass

import numba as nb
import numpy as np

from plimsoll.book import Rows
from plimsoll.core import Floats, InputError, Int8s, Int64s
from plimsoll.instruments import InstrumentTable, Kind, Payoff, value_coefficient
from plimsoll.margin.assessment import Assessment, Charge
from plimsoll.margin.charges import ClosingTime, JointColumns, MarginalTiers, roll_rates
from plimsoll.margin.sweep.joint_kernels import BLOCK, sweep_joint_blocks, sweep_joint_pools
from plimsoll.margin.sweep.joint_lines import (
    CHARGES,
    COLLATERAL,
    EQUITY_LINE,
    FEES_LINE,
    FIGURES,
    INITIAL,
    MAINTENANCE,
    ORDERS_LINE,
)
from plimsoll.margin.sweep.joint_reprice import Repricing
from plimsoll.margin.sweep.joint_tables import (
    CASES,
    FACTOR,
    INVERSE,
    LANE_COLUMNS,
    LINEAR,
    LISTED,
    MARKS,
    POOL_COLUMNS,
    POOL_ROWS,
    POOLS,
    ROWS_MIN,
    SLOT_COLUMNS,
    SPOT,
    SUM_COLUMNS,
    WORD_BITS,
    JointRoom,
    JointTables,
)
from plimsoll.margin.sweep.plain.columns import BOUND_COLUMNS, fill_plain
from plimsoll.margin.sweep.vectors import LANES, Width, pad_rows, width_of, zero_rows
from plimsoll.market import Market

LINE_NAMES = (
    "joint_scan",
    "offset_limit",
    "short_option_minimum",
    "concentration",
    "basis",
    "depeg",
)
PADDING = 8


@dataclass(frozen=True, slots=True)
class JointTerms:
    """What the rule sheet says of contracts and assets at a market.

    By instrument, of one contract: ``profits`` [instruments, scenarios], weighted USD; ``delta``,
    ``fee`` to close, ``floor`` if sold and ``owed`` of the quote, USD. By asset: ``fall`` and
    ``rise`` off a peg, ``closing`` (NaN where not scanned), ``basis_year`` and ``basis_min``,
    ``haircuts`` with a tier or more for each.
    """

    profits: Floats
    delta: Floats
    fee: Floats
    floor: Floats
    owed: Floats
    columns: JointColumns
    fall: Floats
    rise: Floats
    closing: ClosingTime
    basis_year: Floats
    basis_min: Floats
    haircuts: MarginalTiers
    repricing: Repricing
    initial_factor: float
    call_ratio: float
    currency: str


@dataclass(frozen=True, slots=True)
class JointSheet:
    """What the rules say of contracts and assets at one market; serves any pools.

    ``reprice_rows`` writes rows of ``tables`` at other prices, with ``repricing``.
    """

    width: Width
    legs: Width
    sides: tuple[Width, Width]
    tables: JointTables
    repricing: Repricing
    currency: str

    def room(self, threads: int) -> JointRoom:
        """Working space of some threads; padded, so that they share no cache line."""
        instruments, assets = len(self.tables.numbers), len(self.tables.assets)
        cells = zero_rows(threads * (CASES * assets + POOL_ROWS), self.tables.coins.shape[1])
        nets = zero_rows(threads, max(len(self.tables.rates) * CASES, 1))
        entries = -(-max(CASES * assets, ROWS_MIN) // POOLS) * POOLS
        losses, sides = (
            zero_rows(threads, 4 * entries).reshape(threads, entries, 4) for _ in range(2)
        )
        return JointRoom(
            cells.reshape(threads, -1, cells.shape[1]),
            zero_rows(threads * assets, SUM_COLUMNS).reshape(threads, assets, SUM_COLUMNS),
            nets,
            np.zeros((threads, instruments, SLOT_COLUMNS)),
            np.zeros((threads, MARKS, -(-assets // WORD_BITS) + PADDING), dtype=np.uint64)[
                :, :, : -(-assets // WORD_BITS)
            ],
            np.zeros((threads, -(-instruments // WORD_BITS) + PADDING), dtype=np.uint64)[
                :, : -(-instruments // WORD_BITS)
            ],
            losses,
            sides,
            zero_rows(threads, entries * LANE_COLUMNS),
            zero_rows(threads, POOLS * POOL_COLUMNS),
            np.zeros((threads, POOLS + 1 + PADDING), dtype=np.uint64),
            np.zeros((threads, LISTED), dtype=np.uint64),
        )

    def own_room(self) -> JointRoom:
        """Working space of one thread, which may serve call after call of ``sweep_joint``."""
        return JointRoom(*(each[0] for each in self.room(1)))


def prepare_joint(market: Market, terms: JointTerms) -> JointSheet:
    """The sheet of ``plimsoll.portfolio`` at a market."""
    table = market.instruments
    leg, rates = _legs(table, market.as_of_ns, terms)
    order, sides = _order(terms.columns.direction[~np.isnan(terms.closing.price_range)])
    bars, bar = _bars(terms.columns, order)
    tiers, closing = terms.haircuts, terms.closing
    is_inverse = table.of_payoff(Payoff.INVERSE) & ~table.of_kind(Kind.OPTION)
    payoff = np.select([table.of_kind(Kind.SPOT), is_inverse], [SPOT, INVERSE], default=LINEAR)
    worth = value_coefficient(table.is_inverse, table.multiplier, market.mark)
    index = market.index
    tables = JointTables(
        profits=pad_rows(terms.profits[:, order]),
        numbers=_rows(
            table.quantity_unit, terms.fee, worth, terms.owed, terms.floor,
            odds_of(terms.profits), terms.delta, table.assets.unit[table.settle],
        ),
        ids=np.stack([table.base, table.settle, leg, payoff], axis=1).astype(np.uint32),
        keys=np.zeros(len(table), dtype=np.uint64),
        bounds=zero_rows(2 * len(table), BOUND_COLUMNS),
        terms=_rows(
            table.price_unit, table.multiplier, index[table.settle], index[table.quote],
            index[table.base],
        ),
        rates=rates,
        coins=pad_rows(terms.columns.coin_profit[:, order]),
        bars=bars,
        assets=_rows(
            table.assets.unit, index, terms.fall, terms.rise, 2.0 * terms.columns.offset,
            closing.stretch, closing.growth_max, ~np.isnan(closing.price_range),
        ),
        asset_ids=np.stack(
            [bar, tiers.offsets[:-1], tiers.offsets[1:] - 1], axis=1
        ).astype(np.uint32),
        tiers=np.stack([tiers.floors, tiers.rates, tiers.cumulative], axis=1),
        rules=np.array([terms.initial_factor, terms.call_ratio]),
    )  # fmt: skip
    fill_plain(np.arange(len(table), dtype=np.int32), tables)
    repricing = terms.repricing._replace(
        moves=np.ascontiguousarray(terms.repricing.moves[:, :, order]),
        growth=np.ascontiguousarray(terms.repricing.growth[:, order]),
        weight=np.ascontiguousarray(terms.repricing.weight[:, order]),
        vol_units=np.ascontiguousarray(terms.repricing.vol_units[order]),
    )
    legs = width_of(len(rates) // max(len(table.assets.names), 1))
    width = width_of(terms.profits.shape[1])
    return JointSheet(width, legs, sides, tables, repricing, terms.currency)


def odds_of(profits: Floats) -> Floats:
    """0, or NaN where a profit is; shape [instruments]."""
    return np.where(np.isnan(profits).any(axis=1), np.nan, 0.0)


def _rows(*columns: Floats) -> Floats:
    """Columns side by side in rows of whole cache lines."""
    out = zero_rows(columns[0].size, len(columns))
    for k, column in enumerate(columns):
        out[:, k] = column
    return out


def _legs(table: InstrumentTable, as_of_ns: int, terms: JointTerms) -> tuple[Int64s, Floats]:
    """Where each instrument's base and expiry has its net, and the basis rates, [legs, 4].

    An asset's expiries rise from a multiple of as many whole vectors as any asset needs.
    """
    assets = len(table.assets.names)
    expiries, turn = np.unique(table.expiry_ns, return_inverse=True)
    width = max(expiries.size, 1)
    keys = np.unique(table.base * width + turn.astype(np.int64))
    base, expiry = keys // width, keys % width
    first = np.searchsorted(base, np.arange(assets + 1))
    span = LANES * -(-int(np.diff(first).max(initial=1)) // LANES)
    rank = np.arange(keys.size) - first[base]
    rates = zero_rows(-(-assets * span // 2), 2 * 4).reshape(-1, 4)[: assets * span]
    rates[:, :2] = 1.0
    rates[base * span + rank, 2:] = roll_rates(
        expiries[expiry], as_of_ns, terms.basis_year[base], terms.basis_min[base]
    )[:, np.newaxis]
    net = base * span * CASES + rank
    return net[np.searchsorted(keys, table.base * width + turn)], rates


def _order(direction: Int8s) -> tuple[Int64s, tuple[Width, Width]]:
    """An order of scenarios with whole vectors of falls of all assets first, then of rises.

    How many vectors there are is by the lengths of tuples, less one.
    """
    falls, rises = (np.flatnonzero((direction * sign > 0).all(axis=0)) for sign in (-1, 1))
    down, up = (each.size // LANES if direction.size else 0 for each in (falls, rises))
    front = np.concatenate([falls[: down * LANES], rises[: up * LANES]])
    rest = np.setdiff1d(np.arange(direction.shape[1]), front)
    return np.concatenate([front, rest]), ((0,) * (down + 1), (0,) * (up + 1))


def _bars(columns: JointColumns, order: Int64s) -> tuple[Floats, Int64s]:
    """Three rows for each way in which assets move, and the first row of each asset's."""
    is_alone = columns.reach <= columns.alone[:, np.newaxis]
    counts = np.stack([columns.direction < 0, columns.direction > 0, is_alone], axis=1)
    assets, _, scenarios = counts.shape
    ways, way = np.unique(counts.reshape(assets, -1), axis=0, return_inverse=True)
    bars = np.where(ways.reshape(-1, scenarios), 0.0, np.inf)
    return pad_rows(bars[:, order]), 3 * way.reshape(-1).astype(np.int64)


def sweep_joint(
    rows: Rows, pools: Int64s | None, sheet: JointSheet, room: JointRoom | None = None,
    out: Floats | None = None,
) -> Assessment:  # fmt: skip
    """Assessment of some pools, or all: the rules of ``plimsoll.portfolio``.

    Figures equal those of ``measure_exposure`` and ``plimsoll_portfolio.require`` bit for bit,
    whatever the number of threads. ``room``, from ``JointSheet.own_room``, saves making one for a
    few pools; it serves one call at a time. ``out``, from ``zero_figures``, saves making one for
    many: the assessment's amounts are views of it, those of a call before are lost. Raises
    InputError where its shape does not fit.
    """
    chosen = np.zeros(0, dtype=np.int64) if pools is None else pools
    count = rows.kind.size if pools is None else pools.size
    figures, status = zero_figures(count) if out is None else out, np.empty(count, dtype=np.int8)
    if figures.shape != (FIGURES, count):
        problem = f"out of shape {figures.shape} for {count} pools"
        raise InputError("sweep_joint", problem, "make it with zero_figures, of as many pools")
    tables, shape = sheet.tables, (sheet.width, sheet.legs, sheet.sides)
    if count <= BLOCK:
        mine = sheet.own_room() if room is None else room
        sweep_joint_pools(shape, 0, count, chosen, rows, tables, mine, out is None, figures, status)
    else:
        shared = sheet.room(nb.get_num_threads())
        sweep_joint_blocks(
            sheet.width, sheet.legs, *sheet.sides, chosen, rows, tables, shared, out is None,
            figures, status,
        )  # fmt: skip
    return _assessment(figures, status, float(tables.rules[FACTOR]), sheet.currency)


def zero_figures(pools: int) -> Floats:
    """What ``sweep_joint`` fills for that many pools, zero; it may serve call after call."""
    return np.zeros((FIGURES, pools))


def _assessment(figures: Floats, status: Int8s, factor: float, currency: str) -> Assessment:
    """Columns are views of one block, as one large allocation costs less than many."""
    fees = figures[FEES_LINE]
    return Assessment(
        status=status,
        equity=figures[EQUITY_LINE],
        collateral_value=figures[COLLATERAL],
        initial_margin=figures[INITIAL],
        maintenance_margin=figures[MAINTENANCE],
        charges=(
            *(
                Charge(name, figures[CHARGES + k], figures[CHARGES + k], factor=factor)
                for k, name in enumerate(LINE_NAMES)
            ),
            Charge("open_orders", figures[ORDERS_LINE], np.zeros(status.size)),
            Charge("fee_provision", fees, fees),
        ),
        currency=currency,
    )
