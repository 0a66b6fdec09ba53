"""deribit.segregated_pm: Deribit's segregated portfolio margin (S:PM).

1. Every settlement currency is a book of its own. The margin balance is its equity: balance,
   profit of futures, value of options at mark. Liquidation when MM reaches it; no margin call.
2. Risk matrix, by underlying: nine price moves, from -price_range to +price_range, each with
   volatility up, same and down. Options are revalued by Black-76 at rate zero on their expiry's
   forward. Up: max(iv × (1 + range_up × (30/days)^power), min_volatility_for_shock_up); down:
   iv × (1 - range_down × (30/days)^power), at least 0; days count from 1, and the power is the
   short-term one below 30 days. Profits are against the mark, at which the equity counts them.
3. Extended table: far moves, volatility up, at extended_table_factor × price_range / |move| of
   their result. The dampener then forgives each loss up to
   (max(|move|/price_range, 1) - 1) × extended_dampener USD.
4. Profits and losses of one currency are netted first; a profit then counts for pnl_offset of
   itself, up to max_offsetable_pnl USD. Worst case: the largest loss of any cell.
5. In a coin's own book everything is in coin: a near cell at its own price, a far one at the
   price of the range's edge.
6. Roll shock: per expiry |net delta| × max(min_annualised_move, e^(annualised_move_risk × T) - 1);
   perpetuals take the first. Options count with their delta.
7. Delta shock: D is the delta of futures and short options, less what long options take from
   it; min(max(|D| × S - delta_total_liq_shock_threshold, 0) × |D| × m_inc,
   max_delta_shock × |D| × S) in USD.
8. RMM = worst case + roll shock + delta shock + correlation contingency, which is zero. IM =
   RMM + open orders, margined as under standard margin, + market maker protection (stated by
   the account) + what open spot orders lock. MM = mm_factor × RMM.

Underlyings without a price range are UNKNOWN, and so are quanto contracts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Floats, InputError, Int64s, sum_by
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import Charge, Detail, Requirement
from plimsoll.margin.charges import (
    CellRules,
    ExtendedGrid,
    Moves,
    RiskVectors,
    SpotValues,
    VolRanges,
    contract_delta,
    contract_profits,
    delta_shock_charge,
    exposed_delta,
    extended_grid,
    in_usd,
    net_by_expiry,
    risk_vectors,
    roll_shock,
    scan_vectors,
    slot_pool,
    sum_segmented,
    vol_moves,
    weigh_cells,
    worst_of_units,
)
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import asset_column, number
from plimsoll.margin.venues.deribit_standard import (
    OrderRates,
    currency_view,
    in_index,
    order_margins,
    resolve_order_rates,
)
from plimsoll.market import Market
from plimsoll.pricing import TenorLaw


@dataclass(frozen=True, slots=True)
class Matrix:
    """Parameters of the risk matrix; columns over assets but ``instrument_grid``.

    The venue calls those of an underlying currency_pair, those of a settlement currency
    currency. A grid's number is its underlying's, -1 where there is none.
    """

    grid: ExtendedGrid
    vols: VolRanges
    asset_grid: Int64s
    instrument_grid: Int64s
    m_inc: Floats
    delta_threshold: Floats
    delta_shock_max: Floats
    dampener: Floats
    pnl_offset: Floats
    offset_max: Floats
    move_risk: Floats
    move_min: Floats


@dataclass(frozen=True, slots=True)
class Params:
    """The matrix, rates of open orders, market maker protection in each asset, MM / RMM."""

    matrix: Matrix
    orders: OrderRates
    mmp_margin: Floats
    mm_factor: float


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets and instruments of a book."""
    mmp = asset_column(params["mmp_margin"], instruments.assets.names, f"{place}.mmp_margin")
    return Params(
        matrix=resolve_matrix(params, instruments, place),
        orders=resolve_order_rates(params, instruments, place),
        mmp_margin=np.where(np.isnan(mmp), 0.0, mmp),
        mm_factor=number(params["mm_factor"], f"{place}.mm_factor", 0.0, 1.0),
    )


def resolve_matrix(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Matrix:
    """The matrix of a table, aligned to the assets and instruments of a book."""
    names = instruments.assets.names

    def column(name: str, low: float = 0.0, high: float = np.inf) -> Floats:
        return asset_column(params[name], names, f"{place}.{name}", low, high)

    price_range = column("price_range", 0.001, 0.99)
    known = np.where(np.isnan(price_range), -1, np.arange(price_range.size))
    quanto = instruments.of_payoff(Payoff.QUANTO)
    powers = zip(column("short_term_vega_power"), column("long_term_vega_power"), strict=True)
    return Matrix(
        grid=extended_grid(
            price_range, *_scenarios(params, place), column("extended_table_factor")
        ),
        vols=VolRanges(
            up=column("volatility_range_up"),
            down=column("volatility_range_down", 0.0, 1.0),
            floor_up=column("min_volatility_for_shock_up"),
            laws=tuple(
                TenorLaw(float(short), float(long), split_is_short=False, whole_days=False)
                for short, long in powers
            ),
        ),
        asset_grid=known,
        instrument_grid=np.where(quanto, -1, known[instruments.base]),
        m_inc=column("m_inc"),
        delta_threshold=column("delta_total_liq_shock_threshold"),
        delta_shock_max=column("max_delta_shock"),
        dampener=column("extended_dampener"),
        pnl_offset=column("pnl_offset", 0.0, 1.0),
        offset_max=column("max_offsetable_pnl"),
        move_risk=column("annualised_move_risk"),
        move_min=column("min_annualised_move"),
    )


def _scenarios(params: Mapping[str, Any], place: str) -> tuple[int, list[float]]:
    """Buckets on each side of zero, and the far moves."""
    inner = f"{place}.buckets_count"
    buckets = number(params["buckets_count"], inner, 1, 100)
    if not buckets.is_integer():
        raise InputError(inner, f"{buckets:g} is not whole", "mend it")
    inner, far = f"{place}.extended_moves", params["extended_moves"]
    if not isinstance(far, list) or 0 in far:
        raise InputError(inner, "is no list of moves other than 0", "write [-0.33, 0.5]")
    return int(buckets), [number(move, inner, -0.99, 100.0) for move in far]


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    nothing = np.zeros(0, dtype=np.int64)
    spot = SpotValues(nothing, nothing, np.zeros(0))
    scanned = scan_matrix(exposure, market, params.matrix, spot, coin_books=True)
    charges, detail = matrix_charges(exposure, market, params, scanned)
    equity = sum_segmented(exposure.layout.cell_offsets, in_index(exposure, exposure.cell_equity))
    bare = Requirement(equity, equity.copy(), charges, ())
    return Requirement(
        equity, bare.collateral_value, charges, (currency_view(exposure, bare), detail)
    )


@dataclass(frozen=True, slots=True)
class ScannedMatrix:
    """The matrix of every vector: ``cells``, [vectors, scenarios], is USD that counts."""

    vectors: RiskVectors
    cells: Floats


def scan_matrix(
    exposure: Exposure, market: Market, matrix: Matrix, spot: SpotValues, *, coin_books: bool
) -> ScannedMatrix:
    """Rules 2 to 5 up to the worst case.

    ``spot`` are assets held that the matrix moves too. ``coin_books`` says that what settles in
    its own coin is margined in that coin.
    """
    moves = Moves(
        matrix.grid.price_move,
        matrix.instrument_grid,
        vol_moves(market, matrix.instrument_grid, matrix.grid.vol_side, matrix.vols),
    )
    profits = in_usd(contract_profits(market, moves, from_mark=True), market, moves)
    vectors = risk_vectors(exposure, spot)
    cells = scan_vectors(exposure, vectors, spot, profits, moves)
    rules = CellRules(
        grid=matrix.asset_grid[vectors.underlying],
        in_coin=(vectors.settle == vectors.underlying) & coin_books,
        dampener=matrix.dampener[vectors.settle],
        gain_share=matrix.pnl_offset[vectors.settle],
        gain_max=matrix.offset_max[vectors.settle],
    )
    weigh_cells(cells, matrix.grid, rules)
    return ScannedMatrix(vectors, cells)


def matrix_charges(
    exposure: Exposure, market: Market, params: Params, scanned: ScannedMatrix
) -> tuple[tuple[Charge, ...], Detail]:
    """Rules 4 and 6 to 8: the charges by pool, and the matrix by underlying for people."""
    layout, vectors, matrix = exposure.layout, scanned.vectors, params.matrix
    pools = layout.slot_offsets.size - 1
    held = layout.slot_instrument
    delta = np.where(exposure.quantity == 0, 0.0, exposure.quantity * contract_delta(market)[held])
    is_long_option = exposure.instruments.of_kind(Kind.OPTION)[held] & (exposure.quantity > 0)
    rows = vectors.pool.size
    long = sum_by(vectors.slot_row, np.where(is_long_option, delta, 0.0), rows)
    others = sum_by(vectors.slot_row, np.where(is_long_option, 0.0, delta), rows)
    price = market.index[vectors.underlying]
    expiries = net_by_expiry(vectors.slot_row, exposure.instruments.expiry_ns[held], delta)
    roll = roll_shock(
        expiries, market.as_of_ns, matrix.move_risk[vectors.settle], matrix.move_min[vectors.settle]
    )
    shock = delta_shock_charge(
        exposed_delta(long, others), price, matrix.delta_threshold[vectors.underlying],
        matrix.m_inc[vectors.underlying], matrix.delta_shock_max[vectors.underlying],
    )  # fmt: skip
    units = {
        "worst_case": worst_of_units(scanned.cells, vectors),
        "roll_shock": sum_segmented(vectors.unit_offsets, np.where(roll == 0, 0.0, roll * price)),
        "delta_shock": sum_segmented(vectors.unit_offsets, shock),
    }
    lines = {name: sum_by(vectors.unit_pool, line, pools) for name, line in units.items()}
    orders = sum_by(slot_pool(exposure), order_margins(exposure, market, params.orders), pools)
    mmp = in_index(exposure, params.mmp_margin[layout.cell_asset])
    extra = {"open_orders": orders, "mmp": sum_segmented(layout.cell_offsets, mmp)}
    net = sum_segmented(vectors.unit_offsets, long + others)
    return (
        *(Charge(name, line, params.mm_factor * line) for name, line in lines.items()),
        *(Charge(name, line, np.zeros(pools)) for name, line in extra.items()),
    ), Detail(
        "risk_matrix",
        np.searchsorted(vectors.unit_pool, np.arange(pools + 1)).astype(np.int64),
        vectors.unit_underlying.astype(np.int32),
        (*units.items(), ("delta", net)),
    )


MODEL = Model(
    name="deribit.segregated_pm",
    title="Deribit S:PM: risk matrix with extended table, roll and delta shocks, by currency",
    table="deribit_segregated_pm",
    resolve=resolve,
    require=require,
    dollar="USDC",
    is_segregated=True,
    reprices_options=True,
)
