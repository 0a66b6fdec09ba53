"""drift.v2: weighted collateral against margin requirements on Drift v2, in integers or in floats.

1. Three kinds: initial margin to take risk, maintenance margin to keep it, and one at the average
   of their ratios and weights to fill orders. For each, total collateral and a margin requirement;
   it is met where collateral is not below the requirement. Initial margin is strict: it values
   tokens, the quote token of profits too, at the worse of oracle and 5-minute average.
2. Size factors (IMF). With s the root of 1 and ten times the size in 1e-9, rounded down: a
   liability weight or margin ratio w becomes max(w, 0.8 × w + s × factor / 1e5), an asset weight
   min(w, 1.1 / (1 + s × factor / 1e5)).
3. Where all deposits of a token are worth the start of scaling or more, its initial asset weight
   is w × start / that worth, at the oracle's price in strict margin, too.
4. USDC is collateral, or a requirement where borrowed, at par. Any other token is taken with all
   bids or all asks filled at the higher price, whichever leaves less free (asks where both leave
   the same): its weighted value is collateral or requirement, the quote that orders receive or
   pay is so at par.
5. A perpetual requires ratio × |position with all bids or all asks filled|, the larger (asks where
   equal), at the oracle's price and the higher price of USDC. Each open order requires a cent.
6. Profit and funding: a loss counts in full at the higher price of USDC, a gain at the lower price
   and a weight: for maintenance its own; else the initial weight, multiplied by max_imbalance /
   net_user_pnl where the market's users have won more than that, then lowered by size. For
   initial margin a position's gain counts up to ``initial_profit_cap``.
7. An account may choose a higher ratio r, for all (``max_margin_ratio``) or for one market
   (``position_margin_ratio``); both bind initial margin alone. ``margin_ratio_override`` binds all
   kinds. A perpetual's ratio is then at least r; a token's weight is the initial one, at most
   1 - r or at least 1 + r, on the side that rule 4 has chosen without r.
8. Liquidation begins where maintenance collateral is below its requirement (strictly, so that the
   account's column says no where our status, at a ratio of 1, says yes). Once begun it goes on
   until collateral less buffer × losses is not below requirement + buffer × liabilities.
9. An isolated position is a calculation of its own with the USDC set aside for it. Risk may be
   taken only where every pool of the account meets what it must.

The mark of a perpetual is its oracle's price, the index of an asset that of its token's oracle.
Reduce-only orders count like all others: the program lets none be larger than the position.
``unsettled`` is what a market owes the cross pool beyond quantity × (mark - entry), funding
included, with or without a position; ``isolated_unsettled`` the same of an isolated position.
Collateral value is maintenance collateral; initial margin is what it exceeds the initial excess by.
Spot orders are known against USDC; other contracts, and markets not listed, are UNKNOWN.
"""

from typing import NamedTuple, TypeVar

import numpy as np

from plimsoll.core import Bools, Floats, Int64s, offsets_from_counts, sum_by
from plimsoll.instruments import Kind
from plimsoll.margin.assessment import ACCOUNT_ROW, Charge, Detail, Requirement
from plimsoll.margin.charges import slot_pool
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.venues.drift_margin import (
    BASE,
    IMF,
    QUOTE,
    WEIGHT,
    ContractMargin,
    Contracts,
    Margin,
    MarginKind,
    Terms,
    TokenMargin,
    Tokens,
    contract_margin,
    custom_ratio,
    token_margin,
    total_margin,
)
from plimsoll.margin.venues.drift_parameters import Params, resolve
from plimsoll.market import Market

Rows = TypeVar("Rows", Tokens, Contracts)
Figures = TypeVar("Figures", TokenMargin, ContractMargin)


class _TokenRows(NamedTuple):
    """Tokens: the cells of the layout, then bases of spot orders that have no cell."""

    pool: Int64s
    asset: Int64s
    amount: Floats
    bids: Floats
    asks: Floats
    orders: Floats


class _ContractRows(NamedTuple):
    """Slots of contracts, then markets where a pool has but unsettled profit; coins and USDC."""

    pool: Int64s
    instrument: Int64s
    base: Floats
    cost: Floats
    unsettled: Floats
    bids: Floats
    asks: Floats
    orders: Floats


class _Measured(NamedTuple):
    """One kind of margin by token, by contract and by pool, in the program's units; NaN unknown."""

    tokens: TokenMargin
    contracts: ContractMargin
    total: Margin


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD."""
    contracts = _contract_rows(exposure, params)
    tokens = _token_rows(exposure, params)
    pools = exposure.is_isolated.size
    measured = tuple(
        _measure(kind, exposure, market, params, tokens, contracts) for kind in MarginKind
    )
    initial, _, maintenance = measured
    margin = _order_margin(params)
    orders = sum_by(tokens.pool, tokens.orders, pools)
    orders = (orders + sum_by(contracts.pool, contracts.orders, pools)) * margin / QUOTE
    return Requirement(
        equity=_equity(exposure, market, params, contracts),
        collateral_value=maintenance.total.collateral / QUOTE,
        charges=(
            _charge("tokens", tokens.pool, tokens.orders * margin, initial.tokens.margin,
                    maintenance.tokens.margin, pools),
            _charge("perps", contracts.pool, contracts.orders * margin, initial.contracts.margin,
                    maintenance.contracts.margin, pools),
            Charge("open_orders", orders, orders.copy()),
        ),
        details=(
            _account_detail(measured),
            _token_detail(tokens, initial.tokens, maintenance.tokens, market.index, pools),
            _contract_detail(contracts, initial.contracts, maintenance.contracts, pools),
        ),
    )  # fmt: skip


def _charge(
    name: str, pool: Int64s, orders: Floats, initial: Margin, maintenance: Margin, pools: int
) -> Charge:
    """What rows require by pool but for their ``orders``, and how much less free initial margin

    leaves them: row by row at least nothing, so that initial margin covers maintenance margin.
    """
    needed = maintenance.requirement - orders
    kept = maintenance.collateral - maintenance.requirement
    less = kept - (initial.collateral - initial.requirement)
    stricter = np.where(less <= 0, 0.0, less)
    return Charge(
        name, sum_by(pool, needed + stricter, pools) / QUOTE, sum_by(pool, needed, pools) / QUOTE
    )


def _order_margin(params: Params) -> float:
    margin = params.order_margin * QUOTE
    return float(np.rint(margin)) if params.arithmetic.is_exact else margin


def _equity(exposure: Exposure, market: Market, params: Params, contracts: _ContractRows) -> Floats:
    """Balances and profit at the oracle's prices, USD by pool."""
    layout, pools = exposure.layout, exposure.is_isolated.size
    pool = np.repeat(np.arange(pools), np.diff(layout.cell_offsets))
    value = np.where(exposure.cell_equity == 0, 0.0, exposure.cell_equity * exposure.cell_price)
    owed = contracts.unsettled
    owed = np.where(owed == 0, 0.0, owed * _quote_price(market.index, params))
    return sum_by(pool, value, pools) + sum_by(contracts.pool, owed, pools)


def _quote_price(prices: Floats, params: Params) -> float:
    return float(prices[params.quote]) if params.quote >= 0 else np.nan


# -- what pools hold --------------------------------------------------------------------------


def _contract_rows(exposure: Exposure, params: Params) -> _ContractRows:
    layout, table, terms = exposure.layout, exposure.instruments, params.contracts
    slots = np.flatnonzero(~table.of_kind(Kind.SPOT)[layout.slot_instrument])
    pool, held = slot_pool(exposure)[slots], layout.slot_instrument[slots].astype(np.int64)
    bids, asks, orders = (column[slots] for column in _slot_orders(exposure))
    is_alone = exposure.is_isolated[pool]
    unsettled = np.where(is_alone, terms.isolated_unsettled[held], terms.unsettled[held])
    multiplier = table.multiplier[held]
    # A cross pool is owed in markets where it holds nothing, too.
    width, owed = len(table), np.flatnonzero(terms.unsettled)
    wanted = (np.flatnonzero(~exposure.is_isolated)[:, None] * width + owed[None, :]).ravel()
    more = wanted[~np.isin(wanted, pool * width + held)] if owed.size else wanted
    none = np.zeros(more.size)
    return _ContractRows(
        np.concatenate([pool, more // width]),
        np.concatenate([held, more % width]),
        np.concatenate([exposure.quantity[slots] * multiplier, none]),
        np.concatenate([exposure.cost[slots], none]),
        np.concatenate([unsettled, terms.unsettled[more % width]]),
        np.concatenate([bids * multiplier, none]),
        np.concatenate([asks * multiplier, none]),
        np.concatenate([orders, none]),
    )


def _slot_orders(exposure: Exposure) -> tuple[Floats, Floats, Floats]:
    """Contracts bid (>= 0) and asked (<= 0), and the number of orders, by slot."""
    rows, slots = exposure.orders, exposure.layout.slot_instrument.size
    return (
        sum_by(rows.slot, np.maximum(rows.quantity, 0.0), slots),
        sum_by(rows.slot, np.minimum(rows.quantity, 0.0), slots),
        sum_by(rows.slot, (rows.quantity != 0).astype(np.float64), slots),
    )


def _token_rows(exposure: Exposure, params: Params) -> _TokenRows:
    layout, table = exposure.layout, exposure.instruments
    bids, asks, orders = _slot_orders(exposure)
    cells, width = layout.cell_asset.size, len(table.assets.names)
    cell_pool = np.repeat(np.arange(exposure.is_isolated.size), np.diff(layout.cell_offsets))
    is_spot = table.of_kind(Kind.SPOT)[layout.slot_instrument]
    spot = np.flatnonzero(is_spot & (orders > 0))
    held = layout.slot_instrument[spot]
    # Cells stand in the order of pool and asset, so a base's cell, if any, is found by bisection.
    keys = cell_pool * width + layout.cell_asset
    wanted = slot_pool(exposure)[spot] * width + table.base[held]
    place = np.searchsorted(keys, wanted)
    is_known = (place < cells) & (keys[np.minimum(place, cells - 1)] == wanted)
    more = np.unique(wanted[~is_known])
    row = np.where(is_known, place, cells + np.searchsorted(more, wanted))
    count = cells + more.size
    # Spot trades against USDC alone: what fills of another market bring, no rule says.
    bidden = np.where(params.is_spot_market[held], bids[spot], np.nan)
    return _TokenRows(
        np.concatenate([cell_pool, more // width]),
        np.concatenate([layout.cell_asset, more % width]),
        np.concatenate([exposure.cell_balance, np.zeros(more.size)]),
        sum_by(row, bidden, count),
        sum_by(row, asks[spot], count),
        sum_by(row, orders[spot], count),
    )


# -- one kind of margin -----------------------------------------------------------------------


def _measure(
    kind: MarginKind, exposure: Exposure, market: Market, params: Params, tokens: _TokenRows,
    contracts: _ContractRows,
) -> _Measured:  # fmt: skip
    exact = params.arithmetic.is_exact
    scaled = (_order_margin(params), params.profit_cap * QUOTE, params.buffer * WEIGHT)
    terms = Terms(*(int(np.rint(value)) if exact else value for value in scaled))
    token_columns = _token_columns(kind, market, params, tokens)
    held = (tokens.amount != 0) | (tokens.bids != 0) | (tokens.asks != 0)
    rows, at = _known(token_columns, held, params)
    found = token_margin(params.arithmetic, kind, rows, terms)
    by_token = TokenMargin(
        Margin(*(_spread(column, at, held) for column in found.margin)),
        *(_spread(column, at, held) for column in found[1:]),
    )
    contract_columns = _contract_columns(kind, market, params, contracts)
    held = (contracts.base != 0) | (contracts.unsettled != 0) | (contracts.orders != 0)
    lots, at = _known(contract_columns, held, params)
    made = contract_margin(params.arithmetic, kind, lots, terms)
    by_contract = ContractMargin(
        Margin(*(_spread(column, at, held) for column in made.margin)),
        *(_spread(column, at, held) for column in made[1:]),
    )
    pools = exposure.is_isolated.size
    total = total_margin(by_token.margin, tokens.pool, by_contract.margin, contracts.pool, pools)
    return _Measured(by_token, by_contract, total)


def _known(columns: Rows, held: Bools, params: Params) -> tuple[Rows, Int64s]:
    """The rows that hold something of which everything is known, in the arithmetic's numbers."""
    finite = held.copy()
    for column in columns:
        finite &= np.isfinite(column)
    at = np.flatnonzero(finite)
    arithmetic = params.arithmetic
    picked = (
        arithmetic.numbers(np.rint(column[at]) if arithmetic.is_exact else column[at])
        for column in columns
    )
    return type(columns)(*picked), at


def _spread(values: Floats, at: Int64s, held: Bools) -> Floats:
    """Figures of the rows ``at`` among all: 0 where nothing is held, NaN where it is unknown."""
    column = np.where(held, np.nan, 0.0)
    column[at] = np.asarray(values, dtype=np.float64)
    return column


def _token_columns(kind: MarginKind, market: Market, params: Params, rows: _TokenRows) -> Tokens:
    """What ``token_margin`` needs, in its units but not yet rounded."""
    asset, terms = rows.asset, params.tokens
    unit, start = terms.unit[asset], terms.scale_start[asset]
    price = market.index[asset]
    average = market.state.asset_twap[asset] if _is_strict(kind, params) else price
    # Deposits matter only where scaling may touch an asset.
    is_scaled = (start > 0) & (np.maximum(rows.amount, rows.amount + rows.bids) > 0)
    is_scaled &= (kind != MarginKind.MAINTENANCE) | (params.override_ratio > 0)
    return Tokens(
        unit=unit,
        amount=rows.amount * unit,
        bids=rows.bids * unit,
        asks=rows.asks * unit,
        orders=rows.orders,
        price=price * QUOTE,
        low=np.minimum(price, average) * QUOTE,
        high=np.maximum(price, average) * QUOTE,
        initial_asset_weight=terms.initial_asset_weight[asset] * WEIGHT,
        maintenance_asset_weight=terms.maintenance_asset_weight[asset] * WEIGHT,
        initial_liability_weight=terms.initial_liability_weight[asset] * WEIGHT,
        maintenance_liability_weight=terms.maintenance_liability_weight[asset] * WEIGHT,
        imf_factor=terms.imf_factor[asset] * IMF,
        scale_start=start * QUOTE,
        deposits=np.where(is_scaled, market.state.deposits[asset] * unit, 0.0),
        custom_ratio=np.where(asset == params.quote, 0.0, _own_ratio(kind, params) * WEIGHT),
    )


def _contract_columns(
    kind: MarginKind, market: Market, params: Params, rows: _ContractRows
) -> Contracts:
    """What ``contract_margin`` needs, in its units but not yet rounded."""
    held, terms = rows.instrument, params.contracts
    price = np.full(held.size, _quote_price(market.index, params))
    average = price
    if _is_strict(kind, params):
        average = np.full(held.size, _quote_price(market.state.asset_twap, params))
    mark, imbalance = market.mark[held], terms.max_imbalance[held]
    # A market that holds no base needs no price.
    is_bare = (rows.base == 0) & (rows.bids == 0) & (rows.asks == 0)
    mark = np.where(is_bare, 0.0, mark)
    quote = rows.unsettled - rows.cost
    gain = rows.base * mark + quote > 0
    is_shrunk = (imbalance > 0) & gain & (kind != MarginKind.MAINTENANCE)
    chosen = terms.custom_ratio[held] if kind == MarginKind.INITIAL else 0.0
    return Contracts(
        base=rows.base * BASE,
        quote=quote * QUOTE,
        bids=rows.bids * BASE,
        asks=rows.asks * BASE,
        orders=rows.orders,
        price=mark * QUOTE,
        quote_low=np.minimum(price, average) * QUOTE,
        quote_high=np.maximum(price, average) * QUOTE,
        initial_ratio=terms.initial_ratio[held] * WEIGHT,
        maintenance_ratio=terms.maintenance_ratio[held] * WEIGHT,
        imf_factor=terms.imf_factor[held] * IMF,
        initial_pnl_weight=terms.initial_pnl_weight[held] * WEIGHT,
        maintenance_pnl_weight=terms.maintenance_pnl_weight[held] * WEIGHT,
        pnl_imf_factor=terms.pnl_imf_factor[held] * IMF,
        max_imbalance=imbalance * QUOTE,
        net_user_pnl=np.where(is_shrunk, market.state.net_user_pnl[held] * QUOTE, 0.0),
        custom_ratio=np.maximum(_own_ratio(kind, params), chosen) * WEIGHT + 0.0 * price,
    )


def _is_strict(kind: MarginKind, params: Params) -> bool:
    return params.is_strict and kind == MarginKind.INITIAL


def _own_ratio(kind: MarginKind, params: Params) -> float:
    return float(custom_ratio(kind, params.chosen_ratio, params.override_ratio))


# -- the protocol's own figures ---------------------------------------------------------------


def _account_detail(measured: tuple[_Measured, ...]) -> Detail:
    """Collateral and requirement by kind, USD, one row for each pool; ``measured`` is by kind."""
    by_kind = [
        (f"{kind.name.lower()}_{name}", column / QUOTE)
        for kind, found in zip(MarginKind, measured, strict=True)
        for name, column in (
            ("total_collateral", found.total.collateral),
            ("margin_requirement", found.total.requirement),
        )
    ]
    initial, _, kept = (found.total for found in measured)
    free = initial.collateral - initial.requirement
    collateral = kept.collateral + kept.collateral_buffer
    requirement = kept.requirement + kept.requirement_buffer
    columns = (
        *by_kind,
        ("free_collateral", np.where(free <= 0, 0.0, free) / QUOTE),
        ("total_collateral_plus_buffer", collateral / QUOTE),
        ("margin_requirement_plus_buffer", requirement / QUOTE),
        ("is_liquidatable", _claim(kept.collateral, kept.requirement, is_below=True)),
        ("may_end_liquidation", _claim(collateral, requirement, is_below=False)),
    )
    pools = free.size
    label = np.full(pools, ACCOUNT_ROW, dtype=np.int32)
    return Detail("account", np.arange(pools + 1, dtype=np.int64), label, columns)


def _claim(collateral: Floats, requirement: Floats, is_below: bool) -> Floats:
    """1 where collateral is below the requirement, or is not; 0 otherwise, NaN where unknown."""
    holds = (collateral < requirement) == is_below
    return np.where(np.isnan(collateral + requirement), np.nan, holds)


def _token_detail(
    rows: _TokenRows, initial: TokenMargin, maintenance: TokenMargin, prices: Floats, pools: int
) -> Detail:
    """Balances, their value after the fills that count, weights on it, what it leaves free."""
    columns = (
        ("balance", rows.amount),
        ("bids", rows.bids),
        ("asks", rows.asks),
        ("index_price", prices[rows.asset]),
        ("initial_value", initial.value / QUOTE),
        ("initial_weight", initial.weight / WEIGHT),
        ("initial_free", (initial.margin.collateral - initial.margin.requirement) / QUOTE),
        ("maintenance_value", maintenance.value / QUOTE),
        ("maintenance_weight", maintenance.weight / WEIGHT),
        ("maintenance_free",
         (maintenance.margin.collateral - maintenance.margin.requirement) / QUOTE),
    )  # fmt: skip
    order, offsets = _by_pool(rows.pool, pools)
    shown = tuple((name, column[order]) for name, column in columns)
    return Detail("tokens", offsets, rows.asset[order].astype(np.int32), shown)


def _contract_detail(
    rows: _ContractRows, initial: ContractMargin, maintenance: ContractMargin, pools: int
) -> Detail:
    """Positions, the fills that count, ratios on them, and profit as far as it counts."""
    columns = (
        ("base", rows.base),
        ("quote", rows.unsettled - rows.cost),
        ("worst_base", maintenance.base / BASE),
        ("liability_value", maintenance.liability / QUOTE),
        ("initial_margin_ratio", initial.ratio / WEIGHT),
        ("maintenance_margin_ratio", maintenance.ratio / WEIGHT),
        ("initial_margin_requirement", initial.margin.requirement / QUOTE),
        ("maintenance_margin_requirement", maintenance.margin.requirement / QUOTE),
        ("unrealized_pnl", maintenance.pnl / QUOTE),
        ("initial_pnl_weight", initial.pnl_weight / WEIGHT),
        ("initial_pnl", initial.margin.collateral / QUOTE),
        ("maintenance_pnl", maintenance.margin.collateral / QUOTE),
    )
    order, offsets = _by_pool(rows.pool, pools)
    shown = tuple((name, column[order]) for name, column in columns)
    held = rows.instrument[order].astype(np.int32)
    return Detail("perps", offsets, held, shown, by_instrument=True)


def _by_pool(pool: Int64s, pools: int) -> tuple[Int64s, Int64s]:
    """The order that brings the rows of a pool together, and where each pool's begin."""
    offsets = offsets_from_counts(np.bincount(pool, minlength=pools).astype(np.int64))
    return np.argsort(pool, kind="stable"), offsets


MODEL = Model(
    name="drift.v2",
    title="Drift v2: weighted collateral, size factors, strict oracles, exact integers",
    table="drift_v2",
    resolve=resolve,
    require=require,
    dollar="USDC",
    exemptions=(
        (
            "twice_the_book_is_twice_the_equity_and_no_cheaper",
            "an open order requires a cent, whatever its size",
        ),
    ),
)
