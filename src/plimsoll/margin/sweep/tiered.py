"""Assessments of tiered margin in one pass, without what only explanations need."""

from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray

from plimsoll.book import Rows
from plimsoll.core import Bools, Floats, Int8s, Int64s
from plimsoll.instruments import InstrumentTable, Kind, value_coefficient
from plimsoll.margin.assessment import Assessment, Charge
from plimsoll.margin.charges import MarginalTiers
from plimsoll.margin.exposure import notional_coefficient
from plimsoll.margin.sweep.columns import (
    ALONE,
    CHUNK,
    CONTRACT,
    FEES,
    FIGURES,
    INVERSE,
    LANES,
    LINEAR,
    OPTION,
    ORDERS,
    RATES,
    SIZE_INITIAL,
    SPOT,
    TIERED_INITIAL,
    Contracts,
    Room,
    Rules,
    open_room,
)
from plimsoll.margin.sweep.kernels import sweep_blocks, sweep_pools
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class TieredRules:
    """Rules by asset as the sweep reads them.

    Asset a has the brackets from a << ``shift`` on: ``floors`` [brackets] are those of the second
    and the following, padded with infinity, ``rates`` [brackets * 4] initial rate, maintenance
    rate and their constants. ``haircuts`` [rows, 3] hold floor, rate and constant, one row or
    more for every asset. ``size_slope`` is a rate per coin, ``is_unruled`` [instruments] marks
    contracts that no rule covers; it is empty where none is. ``held`` and ``code`` are those
    columns of ``Contracts`` at no prices.
    """

    shift: np.uint64
    floors: Floats
    rates: Floats
    haircut_offsets: Int64s
    haircuts: Floats
    size_slope: Floats
    fee_rate: float
    is_unruled: Bools
    held: NDArray[np.void]
    code: Int8s

    @classmethod
    def build(
        cls, table: InstrumentTable, initial: MarginalTiers, maintenance: MarginalTiers,
        haircuts: MarginalTiers, size_slope: Floats, fee_rate: float, is_unruled: Bools,
    ) -> "TieredRules":  # fmt: skip
        """Rules from schedules by asset; ``initial`` and ``maintenance`` have the same floors.

        An asset without brackets makes what it margins NaN, one without haircuts is worth
        nothing as collateral.
        """
        haircut_offsets, rows = _rows(
            haircuts.offsets,
            (haircuts.floors, haircuts.rates, haircuts.cumulative),
            (0.0, 1.0, 0.0),
        )
        listed = is_unruled if is_unruled.any() else np.zeros(0, dtype=np.bool_)
        shift, floors, rates = _brackets(initial, maintenance)
        held = np.zeros(len(table), dtype=CONTRACT)
        held["unit"], held["settle_unit"] = table.quantity_unit, table.assets.unit[table.settle]
        held["base"], held["settle"] = table.base, table.settle
        code = np.select(
            [table.of_kind(Kind.SPOT), table.is_option, table.is_inverse],
            [SPOT, OPTION, INVERSE],
            default=LINEAR,
        ).astype(np.int8)
        return cls(
            shift, floors, rates, haircut_offsets, rows, size_slope, fee_rate, listed, held, code
        )


def _brackets(
    initial: MarginalTiers, maintenance: MarginalTiers
) -> tuple[np.uint64, Floats, Floats]:
    """Brackets side by side, as many places for every asset: a power of two of them."""
    offsets = maintenance.offsets
    count = np.diff(offsets)
    most, assets = int(count.max(initial=1)), count.size
    shift = (max(most, LANES) - 1).bit_length()
    width = 1 << shift
    floors, rates = np.full((assets, width), np.inf), np.full((assets, width, RATES), np.nan)
    asset = np.repeat(np.arange(assets), count)
    place = np.arange(offsets[-1]) - offsets[asset]
    columns = initial.rates, maintenance.rates, initial.cumulative, maintenance.cumulative
    rates[asset, place] = np.stack(columns, axis=1)
    later = place > 0
    floors[asset[later], place[later] - 1] = maintenance.floors[later]
    return np.uint64(shift), floors.ravel(), rates.ravel()


def _rows(
    offsets: Int64s, columns: tuple[Floats, ...], nothing: tuple[float, ...]
) -> tuple[Int64s, Floats]:
    """Columns side by side, with a row of ``nothing`` for every empty schedule."""
    empty = np.flatnonzero(np.diff(offsets) == 0)
    rows = np.insert(np.stack(columns, axis=1), offsets[empty], nothing, axis=0)
    added = np.concatenate([[0], np.cumsum(np.diff(offsets) == 0)])
    return offsets + added, np.ascontiguousarray(rows)


@dataclass(frozen=True, slots=True)
class TieredSheet:
    """What the rules say of contracts and assets at one market; serves any pools."""

    contracts: Contracts
    rules: Rules
    currency: str


def prepare_tiered(
    market: Market, rules: TieredRules, call_ratio: float, currency: str
) -> TieredSheet:
    """The sheet of ``plimsoll.standard`` at a market."""
    columns = _rules(market.instruments, market, rules, call_ratio)
    return TieredSheet(_contracts(market, rules), columns, currency)


def sweep_tiered(
    rows: Rows, pools: Int64s | None, sheet: TieredSheet, room: Room | None = None
) -> Assessment:
    """Assessment of some pools, or all: the rules of ``plimsoll.standard``.

    Figures equal those of ``measure_exposure`` and ``plimsoll_standard.require`` bit for bit,
    whatever the number of threads. Who asks for few pools often may keep a ``room`` from
    ``tiered_room``.
    """
    chosen = np.zeros(0, dtype=np.int64) if pools is None else pools
    count = rows.kind.size if pools is None else pools.size
    figures, status = np.zeros((FIGURES, count)), np.empty(count, dtype=np.int8)
    if room is None:
        room = tiered_room(rows, sheet, count)
    if count <= ALONE:
        sweep_pools(0, count, 0, chosen, rows, sheet.contracts, sheet.rules, room, figures, status)
    else:
        sweep_blocks(chosen, rows, sheet.contracts, sheet.rules, room, figures, status)
    return _assessment(figures, status, sheet.currency)


def tiered_room(rows: Rows, sheet: TieredSheet, count: int = 1) -> Room:
    """Working memory for sweeps of up to ``count`` pools of such rows, one at a time."""
    assets, instruments = sheet.rules.unit.size, sheet.contracts.code.size
    threads = nb.get_num_threads() if count > ALONE else 1
    has_orders = rows.order_instrument.size > 0
    return open_room(assets, instruments, has_orders, max(1, min(count, CHUNK)), threads)


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


def _contracts(market: Market, rules: TieredRules) -> Contracts:
    table, index, held = market.instruments, market.index, rules.held.copy()
    held["value"] = value_coefficient(table.is_inverse, table.multiplier, market.mark)
    held["notional"] = notional_coefficient(table, market.mark, index)
    ordered = np.empty((len(table), 6))
    ordered[:, 0], ordered[:, 1], ordered[:, 2] = table.price_unit, table.multiplier, market.mark
    ordered[:, 3], ordered[:, 4] = index[table.base], index[table.quote]
    ordered[:, 5] = index[table.settle]
    return Contracts(held, ordered, rules.code, rules.is_unruled)


def _rules(table: InstrumentTable, market: Market, rules: TieredRules, call_ratio: float) -> Rules:
    slope = rules.size_slope
    return Rules(
        table.assets.unit, np.ascontiguousarray(market.index),
        rules.shift, rules.floors, rules.rates, rules.haircut_offsets, rules.haircuts,
        slope if slope.any() else slope[:0], rules.fee_rate, call_ratio,
    )  # fmt: skip
