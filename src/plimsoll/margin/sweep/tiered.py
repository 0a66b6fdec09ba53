"""Assessments of tiered margin in one pass, without what only explanations need."""

from dataclasses import dataclass

import numba as nb
import numpy as np

from plimsoll.book import Book
from plimsoll.core import Bools, Floats, Int8s, Int64s
from plimsoll.instruments import InstrumentTable, Kind, Payoff, value_coefficient
from plimsoll.margin.assessment import Assessment, Charge
from plimsoll.margin.charges import MarginalTiers
from plimsoll.margin.exposure import notional_coefficient, price_units
from plimsoll.margin.sweep.kernels import (
    BLOCK,
    FEES,
    FIGURES,
    GROUP_COLUMNS,
    INVERSE,
    LINEAR,
    OPTION,
    ORDER_COLUMNS,
    ORDERS,
    SIZE_INITIAL,
    SLOT_COLUMNS,
    SPOT,
    TIERED_INITIAL,
    Contracts,
    Room,
    Rows,
    Rules,
    sweep_blocks,
    sweep_pools,
)
from plimsoll.market import Market

WORD_BITS = 64
PADDING = 8


@dataclass(frozen=True, slots=True)
class TieredRules:
    """Rules by asset as the sweep reads them: tiers as rows, one or more for every asset.

    ``brackets`` [rows, 5] hold floor, initial rate and constant, maintenance rate and constant,
    ``haircuts`` [rows, 3] floor, rate and constant. ``size_slope`` is a rate per coin,
    ``is_unruled`` [instruments] marks contracts that no rule covers; it is empty where none is.
    """

    bracket_offsets: Int64s
    brackets: Floats
    haircut_offsets: Int64s
    haircuts: Floats
    size_slope: Floats
    fee_rate: float
    is_unruled: Bools

    @classmethod
    def build(
        cls, initial: MarginalTiers, maintenance: MarginalTiers, haircuts: MarginalTiers,
        size_slope: Floats, fee_rate: float, is_unruled: Bools,
    ) -> "TieredRules":  # fmt: skip
        """Rules from schedules by asset; ``initial`` and ``maintenance`` have the same floors.

        An asset without brackets makes what it margins NaN, one without haircuts is worth
        nothing as collateral.
        """
        unknown = (0.0, np.nan, np.nan, np.nan, np.nan)
        offsets, brackets = _rows(
            maintenance.offsets,
            (maintenance.floors, initial.rates, initial.cumulative,
             maintenance.rates, maintenance.cumulative),
            unknown,
        )  # fmt: skip
        haircut_offsets, rows = _rows(
            haircuts.offsets,
            (haircuts.floors, haircuts.rates, haircuts.cumulative),
            (0.0, 1.0, 0.0),
        )
        listed = is_unruled if is_unruled.any() else np.zeros(0, dtype=np.bool_)
        return cls(offsets, brackets, haircut_offsets, rows, size_slope, fee_rate, listed)


def _rows(
    offsets: Int64s, columns: tuple[Floats, ...], nothing: tuple[float, ...]
) -> tuple[Int64s, Floats]:
    """Columns side by side, with a row of ``nothing`` for every empty schedule."""
    empty = np.flatnonzero(np.diff(offsets) == 0)
    rows = np.insert(np.stack(columns, axis=1), offsets[empty], nothing, axis=0)
    added = np.concatenate([[0], np.cumsum(np.diff(offsets) == 0)])
    return offsets + added, np.ascontiguousarray(rows)


def sweep_tiered(
    book: Book, pools: Int64s | None, market: Market, rules: TieredRules, call_ratio: float,
    currency: str,
) -> Assessment:  # fmt: skip
    """Assessment of some pools of a book, or all: the rules of ``plimsoll.standard``.

    Figures equal those of ``measure_exposure`` and ``plimsoll_standard.require`` bit for bit,
    whatever the number of threads.
    """
    chosen = np.zeros(0, dtype=np.int64) if pools is None else pools
    count = book.pool_count if pools is None else pools.size
    figures, status = np.empty((FIGURES, count)), np.empty(count, dtype=np.int8)
    if count:
        columns = _book_rows(book, chosen), _contracts(book, market, rules)
        tables = _rules(book.instruments, market, rules, call_ratio)
        if count <= BLOCK:
            room = _room(book.instruments, 1)
            sweep_pools(0, count, 0, *columns, tables, room, figures, status)
        else:
            room = _room(book.instruments, nb.get_num_threads())
            sweep_blocks(*columns, tables, room, figures, status)
    return _assessment(figures, status, currency)


def _assessment(figures: Floats, status: Int8s, currency: str) -> Assessment:
    """Columns are views of one block, as one large allocation costs less than ten."""
    equity, collateral, initial, maintenance = figures[:4]
    tiered, size = figures[TIERED_INITIAL:SIZE_INITIAL], figures[SIZE_INITIAL:ORDERS]
    return Assessment(
        status=status,
        equity=equity,
        collateral_value=collateral,
        initial_margin=initial,
        maintenance_margin=maintenance,
        charges=(
            Charge("tiered_notional", tiered[0], tiered[1]),
            Charge("size_scaled", size[0], size[1]),
            Charge("open_orders", figures[ORDERS], np.zeros(status.size)),
            Charge("fee_provision", figures[FEES], figures[FEES]),
        ),
        currency=currency,
    )


def _book_rows(book: Book, pools: Int64s) -> Rows:
    held, owned, orders = book.positions, book.balances, book.orders
    return Rows(
        pools, book.pool_kind,
        held.offsets, held.instrument, held.quantity, held.cost,
        owned.offsets, owned.asset, owned.amount,
        orders.offsets, orders.instrument, orders.quantity, orders.price, orders.is_reduce_only,
    )  # fmt: skip


def _contracts(book: Book, market: Market, rules: TieredRules) -> Contracts:
    table, index = book.instruments, market.index
    notional = notional_coefficient(table, market.mark, index)
    held = (
        table.quantity_unit,
        value_coefficient(table.kind, table.payoff, table.multiplier, market.mark),
        table.assets.unit[table.settle],
        notional,
    )
    ordered = np.zeros((0, ORDER_COLUMNS))
    if book.orders.order_id.size:
        columns = (
            price_units(table), table.multiplier, market.mark,
            index[table.base], index[table.quote], index[table.settle],
        )  # fmt: skip
        ordered = np.stack(columns, axis=1)
    code = np.select(
        [table.of_kind(Kind.SPOT), table.of_kind(Kind.OPTION), table.of_payoff(Payoff.INVERSE)],
        [SPOT, OPTION, INVERSE],
        default=LINEAR,
    ).astype(np.int8)
    held_columns = np.stack(held, axis=1)
    return Contracts(table.base, table.settle, held_columns, ordered, code, rules.is_unruled)


def _rules(table: InstrumentTable, market: Market, rules: TieredRules, call_ratio: float) -> Rules:
    sloped = np.zeros(_words(rules.size_slope.size), dtype=np.uint64)
    for asset in np.flatnonzero(rules.size_slope):
        sloped[asset // WORD_BITS] |= np.uint64(1) << np.uint64(asset % WORD_BITS)
    return Rules(
        table.assets.unit, np.ascontiguousarray(market.index),
        rules.bracket_offsets, rules.brackets, rules.haircut_offsets, rules.haircuts,
        rules.size_slope, sloped, rules.fee_rate, call_ratio,
    )  # fmt: skip


def _words(count: int) -> int:
    return -(-count // WORD_BITS)


def _room(table: InstrumentTable, threads: int) -> Room:
    """Zeros; padded, so that threads do not write to one cache line."""
    assets, count = len(table.assets.names), len(table)
    return Room(
        np.zeros((threads, assets + PADDING)),
        np.zeros((threads, assets + 1, GROUP_COLUMNS)),
        np.zeros((threads, count + 1, SLOT_COLUMNS)),
        *(
            np.zeros((threads, _words(items) + PADDING), dtype=np.uint64)
            for items in (assets, assets, count)
        ),
    )
