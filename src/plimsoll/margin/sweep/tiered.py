"""Assessments of tiered margin in one pass, without what only explanations need."""

from dataclasses import dataclass

import numba as nb
import numpy as np

from plimsoll.book import Rows
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
    ORDERS,
    SIZE_INITIAL,
    SLOT_COLUMNS,
    SPOT,
    TIERED_INITIAL,
    Contracts,
    Room,
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


def sweep_tiered(rows: Rows, pools: Int64s | None, sheet: TieredSheet) -> Assessment:
    """Assessment of some pools, or all: the rules of ``plimsoll.standard``.

    Figures equal those of ``measure_exposure`` and ``plimsoll_standard.require`` bit for bit,
    whatever the number of threads.
    """
    chosen = np.zeros(0, dtype=np.int64) if pools is None else pools
    count = rows.kind.size if pools is None else pools.size
    figures, status = np.empty((FIGURES, count)), np.empty(count, dtype=np.int8)
    assets, instruments = sheet.rules.unit.size, sheet.contracts.code.size
    if count <= BLOCK:
        room = _room(assets, instruments, 1)
        sweep_pools(0, count, 0, chosen, rows, sheet.contracts, sheet.rules, room, figures, status)
    else:
        room = _room(assets, instruments, nb.get_num_threads())
        sweep_blocks(chosen, rows, sheet.contracts, sheet.rules, room, figures, status)
    return _assessment(figures, status, sheet.currency)


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
    table, index = market.instruments, market.index
    notional = notional_coefficient(table, market.mark, index)
    held = (
        table.quantity_unit,
        value_coefficient(table.kind, table.payoff, table.multiplier, market.mark),
        table.assets.unit[table.settle],
        notional,
    )
    ordered = (
        price_units(table), table.multiplier, market.mark,
        index[table.base], index[table.quote], index[table.settle],
    )  # fmt: skip
    code = np.select(
        [table.of_kind(Kind.SPOT), table.of_kind(Kind.OPTION), table.of_payoff(Payoff.INVERSE)],
        [SPOT, OPTION, INVERSE],
        default=LINEAR,
    ).astype(np.int8)
    columns = np.stack(held, axis=1), np.stack(ordered, axis=1)
    return Contracts(table.base, table.settle, *columns, code, rules.is_unruled)


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


def _room(assets: int, count: int, threads: int) -> Room:
    """Zeros; padded, so that threads do not write to one cache line."""
    return Room(
        np.zeros((threads, assets + PADDING)),
        np.zeros((threads, assets + 1, GROUP_COLUMNS)),
        np.zeros((threads, count + 1, SLOT_COLUMNS)),
        *(
            np.zeros((threads, _words(items) + PADDING), dtype=np.uint64)
            for items in (assets, assets, count)
        ),
    )
