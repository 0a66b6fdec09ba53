"""Realistic books of accounts, seeded: who holds how much of what, against which collateral.

Every account is one of four kinds:

    directional   long or short throughout, cross margin
    isolated      the same, each position in a pool of its own
    pair          long one underlying, short as many dollars of another
    carry         coin collateral, hedged by a short inverse perpetual of the same value

Sizes, leverage and shares come from ``population.toml``; what is chosen here is named below.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, inf, log10
from statistics import NormalDist
from typing import Any

import numpy as np

from plimsoll.book import SystemPool
from plimsoll.core import (
    Bools,
    DatedTable,
    Floats,
    InputError,
    Int64s,
    did_you_mean,
    load_tables,
    offsets_from_counts,
    stream,
    table_at,
)
from plimsoll.instruments import (
    Instrument,
    InstrumentTable,
    Kind,
    Payoff,
    parse_symbol,
    value_coefficient,
)
from plimsoll.ledger import (
    EventBatch,
    NewAccounts,
    NewPools,
    Placements,
    TradeReason,
    Trades,
    TransferReason,
    Transfers,
    price_to_units,
)
from plimsoll.margin.charges import schedules, size_scaled_excess

INVERSE_BASES = ("BTC", "ETH")
STABLE_ASSETS = ("USD", "USDC", "USDT")
STABLE_DECIMALS = 6
COIN_DECIMALS = 8
TICK_MAX = 1e-6
"""Largest price tick, as a fraction of the price."""
STEP_USD_MAX = 0.1
"""Largest quantity step of a linear contract, in USD; an inverse contract is 1 USD whole."""

NOTIONAL_MIN_USD = 10.0
"""Venues refuse smaller orders."""
INTEREST_SHARE_MAX = 0.03
"""Largest position, as a fraction of the open interest in its underlying: the table's largest
position was 3 % of that in bitcoin."""
MARGIN_HEADROOM = 2.0
"""Least collateral of a position, over the house model's initial margin for it alone: it pays
for haircuts, fees, the loss since entry and what resting orders add."""
ENTRY_MOVE_MAX = 0.03
ENTRY_LOSS_MAX = 0.1
"""Positions were entered up to a fraction of the price away, and up to a fraction of their own
collateral in profit or loss."""
CARRY_SHARE = 0.5
"""Of the hedged accounts, those that hedge coin collateral; the others hold pairs."""
COLLATERAL_CONCENTRATION = 4.0
"""Weights of a multi-asset account are Dirichlet; the higher, the closer to the mean mix."""
ORDER_DISTANCE = (0.005, 0.05)
ORDER_SIZE = (0.05, 0.25)
"""Resting orders: distance from the price, and quantity as a fraction of the position."""


@dataclass(frozen=True, slots=True)
class PopulationSummary:
    """Figures of a generated population, valued at given prices.

    ``long_share`` is long over gross notional, ``top_percent_share`` the share of the gross
    notional that the largest hundredth of the accounts hold, ``leverage_median`` the median
    over accounts of gross notional over deposits.
    """

    accounts: int
    positions: int
    orders: int
    gross_notional_usd: float
    long_share: float
    top_percent_share: float
    leverage_median: float


@dataclass(frozen=True, slots=True)
class _World:
    """What is drawn from; ``house`` holds the parameters of ``plimsoll.standard``.

    Shape [underlyings]: ``bases``; ``linear`` and ``inverse``, instrument rows, -1 for none;
    ``coin_usd``, prices; ``interest_usd``, open interest. Shape [instruments]: ``prices``;
    ``unit_usd``, the value of one exact unit of quantity. Shape [assets]: ``index``.
    """

    seed: int
    params: Mapping[str, Any]
    house: Mapping[str, Any]
    instruments: InstrumentTable
    prices: Floats
    index: Floats
    bases: tuple[str, ...]
    linear: Int64s
    inverse: Int64s
    coin_usd: Floats
    interest_usd: Floats
    unit_usd: Floats

    def stream(self, purpose: str) -> np.random.Generator:
        """The random numbers of one purpose."""
        return stream(self.seed, "population", purpose)


@dataclass(frozen=True, slots=True)
class _Accounts:
    """Shape [accounts]. ``direction`` is +1 or -1, for pairs that of the first leg."""

    notional_usd: Floats
    leverage: Floats
    direction: Int64s
    positions: Int64s
    is_pair: Bools
    is_carry: Bools
    is_isolated: Bools
    is_multi_asset: Bools


@dataclass(frozen=True, slots=True)
class _Positions:
    """Shape [positions], account after account; ``quantity`` in exact units, signed."""

    account: Int64s
    pool: Int64s
    instrument: Int64s
    quantity: Int64s
    notional_usd: Floats
    collateral_usd: Floats


def population_table(time_ns: int) -> DatedTable:
    """The parameters of the population at ``time_ns``, with their sources."""
    return table_at(load_tables("plimsoll.simulation", "population"), time_ns)


def population_instruments(
    symbols: tuple[str, ...], prices: Floats, params: Mapping[str, Any]
) -> InstrumentTable:
    """The linear perpetuals ``symbols``, then the inverse perpetuals of BTC and ETH among them.

    ``prices`` (shape [symbols], quote currency) set the exact units: ticks of at most a
    millionth of the price, steps of at most 0.1 USD. An inverse perpetual is marked at its
    underlying's price. Raises InputError for another kind of symbol, an underlying without open
    interest in ``params`` or a price that is not positive.
    """
    rows = [
        _linear(symbol, float(price), params) for symbol, price in zip(symbols, prices, strict=True)
    ]
    if params["inverse_share"] > 0:
        ticks = {row.base: row.price_decimals for row in rows}
        rows += [
            replace(
                parse_symbol(f"{base}/USD:{base}"), quantity_decimals=0, price_decimals=ticks[base]
            )
            for base in INVERSE_BASES
            if base in ticks
        ]
    decimals = dict.fromkeys(params["collateral_mix"], COIN_DECIMALS)
    decimals |= dict.fromkeys(STABLE_ASSETS, STABLE_DECIMALS)
    return InstrumentTable.build(rows, decimals)


def _linear(symbol: str, price: float, params: Mapping[str, Any]) -> Instrument:
    named = parse_symbol(symbol)
    if named.kind != Kind.PERPETUAL or named.payoff != Payoff.LINEAR:
        raise InputError(symbol, "is not a linear perpetual", "name it as BTC/USDT:USDT")
    if named.base not in params["open_interest_usd"]:
        remedy = did_you_mean(named.base, params["open_interest_usd"])
        raise InputError(symbol, f"the table has no open interest of {named.base}", remedy)
    if not 0 < price < inf:
        raise InputError(symbol, f"{price} is not a price", "give its price in the quote asset")
    return replace(
        named,
        quantity_decimals=max(0, ceil(log10(price / STEP_USD_MAX))),
        price_decimals=max(0, ceil(-log10(price * TICK_MAX))),
    )


def generate_population(
    accounts: int,
    seed: int,
    table: DatedTable,
    instruments: InstrumentTable,
    prices: Floats,
    index: Floats,
    time_ns: int,
    model: int = 0,
) -> EventBatch:
    """One batch that opens and funds ``accounts`` accounts and their positions and orders.

    For an empty book of ``instruments``. ``prices`` (shape [instruments], quote currency) and
    ``index`` (shape [assets], USD) may be NaN; what has no price is neither traded nor posted.
    Deposits come from WORLD, and MARKET is the other side of every trade. No account starts
    beyond its initial margin under ``plimsoll.standard`` as of ``time_ns``, so large positions
    have less leverage. Raises InputError where there is no account or nothing to draw.
    """
    if accounts < 1:
        raise InputError("accounts", f"{accounts} is too few", "ask for at least one")
    house = table_at(load_tables("plimsoll.margin.venues", "plimsoll_standard"), time_ns)
    world = _build_world(seed, table.params, house.params, instruments, prices, index)
    people = _draw_accounts(world, accounts)
    held = _draw_positions(world, people)
    return EventBatch(
        time_ns,
        accounts=NewAccounts(
            tuple([f"A{k:07d}" for k in range(1, accounts + 1)]),
            np.full(accounts, model, dtype=np.int32),
        ),
        pools=NewPools.isolated(held.account[people.is_isolated[held.account]].astype(np.int32)),
        placements=_orders(world, people, held),
        trades=_trades(world, held),
        transfers=_deposits(world, people, held),
    )


def _build_world(
    seed: int,
    params: Mapping[str, Any],
    house: Mapping[str, Any],
    instruments: InstrumentTable,
    prices: Floats,
    index: Floats,
) -> _World:
    unit_usd = _unit_usd(instruments, prices, index)
    usable = np.isfinite(unit_usd) & instruments.of_kind(Kind.PERPETUAL)
    inverse = _by_base(instruments, usable & instruments.of_payoff(Payoff.INVERSE))
    interest = params["open_interest_usd"]
    linear = _by_base(instruments, usable & instruments.of_payoff(Payoff.LINEAR))
    bases = tuple(base for base in linear if base in interest)
    if not bases:
        problem, remedy = "no linear perpetual has a price", "start where prices are known"
        raise InputError("population", problem, remedy)
    rows = np.array([linear[base] for base in bases], dtype=np.int64)
    return _World(
        seed=seed,
        params=params,
        house=house,
        instruments=instruments,
        prices=prices,
        index=index,
        bases=bases,
        linear=rows,
        inverse=np.array([inverse.get(base, -1) for base in bases], dtype=np.int64),
        coin_usd=prices[rows] * index[instruments.quote[rows]],
        interest_usd=np.array([float(interest[base]) for base in bases]),
        unit_usd=unit_usd,
    )


def _by_base(instruments: InstrumentTable, mask: Bools) -> dict[str, int]:
    """One instrument per base asset, so that an account meets no underlying twice."""
    return {instruments.rows[i].base: i for i in np.flatnonzero(mask).tolist()}


def _unit_usd(instruments: InstrumentTable, prices: Floats, index: Floats) -> Floats:
    """USD value of one exact unit of quantity, shape [instruments]; NaN without a price."""
    value = value_coefficient(instruments.is_inverse, instruments.multiplier, prices)
    return np.asarray(np.abs(value) * index[instruments.settle] * instruments.quantity_unit)


def _draw_accounts(world: _World, accounts: int) -> _Accounts:
    params, kind = world.params, world.stream("kind")
    style, form, multi, side = kind.random((4, accounts))
    is_hedged = style < params["hedged_share"]
    is_isolated = ~is_hedged & (style < params["hedged_share"] + params["isolated_share"])
    can_pair, can_carry = world.linear.size > 1, bool(np.any(world.inverse >= 0))
    carry_share = (CARRY_SHARE if can_pair else 1.0) if can_carry else 0.0
    is_carry = is_hedged & (form < carry_share)
    is_pair = is_hedged & ~is_carry & can_pair
    # The share is one of all accounts, but only these can post several assets.
    can_mix = ~is_isolated & ~is_carry
    mix_share = params["multi_asset_collateral_share"] * accounts / max(can_mix.sum(), 1)
    weights = params["positions_per_account"]
    counts = np.minimum(1 + kind.choice(len(weights), accounts, p=weights), world.linear.size)
    leverage = world.stream("leverage").lognormal(
        np.log(params["leverage_median"]), params["leverage_log_sigma"], accounts
    )
    return _Accounts(
        notional_usd=_draw_notional(world, accounts),
        leverage=np.where(is_carry, 1.0, np.minimum(leverage, params["leverage_max"])),
        direction=np.where(~is_carry & (side < params["long_share"]), 1, -1),
        positions=np.select([is_carry, is_pair], [1, 2], default=counts),
        is_pair=is_pair,
        is_carry=is_carry,
        is_isolated=is_isolated,
        is_multi_asset=can_mix & (multi < mix_share),
    )


def _draw_notional(world: _World, accounts: int) -> Floats:
    """Gross notional in USD: a lognormal body under a Pareto tail, cut at the largest."""
    random = world.stream("size")
    body, rank = random.standard_normal(accounts), random.random(accounts)
    params = world.params
    joint = NormalDist().inv_cdf(1 - params["notional_tail_share"])
    start = np.exp(params["notional_log_sigma"] * joint)
    tail = start * (1 - rank) ** (-1 / params["notional_tail_exponent"])
    scale = np.where(body > joint, tail, np.exp(params["notional_log_sigma"] * body))
    notional: Floats = params["notional_median_usd"] * scale
    return np.clip(notional, NOTIONAL_MIN_USD, params["notional_max_usd"])


def _draw_positions(world: _World, people: _Accounts) -> _Positions:
    account = np.repeat(np.arange(people.positions.size), people.positions)
    underlying = _draw_underlyings(world, people)
    wanted = _split_notional(world, people, account, underlying)
    instrument = _draw_instruments(world, people.is_carry[account], underlying)
    unit_usd = world.unit_usd[instrument]
    size = np.maximum(np.rint(wanted / unit_usd), 1)
    notional = size * unit_usd
    direction = people.direction[account]
    direction[np.flatnonzero(people.is_pair[account])[1::2]] *= -1
    alone = _initial_margin(world, underlying, notional)
    collateral = np.maximum(notional / people.leverage[account], MARGIN_HEADROOM * alone)
    is_isolated = people.is_isolated[account]
    own_pool = people.positions.size + np.cumsum(is_isolated) - 1
    return _Positions(
        account=account,
        pool=len(SystemPool) + np.where(is_isolated, own_pool, account),
        instrument=instrument,
        quantity=direction * size.astype(np.int64),
        notional_usd=notional,
        collateral_usd=collateral,
    )


def _initial_margin(world: _World, underlying: Int64s, notional: Floats) -> Floats:
    """USD that the house model's brackets and size rule ask for each position by itself."""
    tiers = schedules(world.house["brackets"], world.bases, 2, "plimsoll_standard.brackets")
    slopes = np.array([world.house["size_slopes"].get(base, 0.0) for base in world.bases])
    ids, price = underlying.astype(np.int32), world.coin_usd[underlying]
    tiered = tiers.amount(ids, notional)
    return tiered + size_scaled_excess(ids, notional, price, tiers.first_rate, slopes, tiered)


def _draw_underlyings(world: _World, people: _Accounts) -> Int64s:
    """Underlying of each position by open interest, none twice in an account."""
    random = world.stream("underlying")
    offsets = offsets_from_counts(people.positions)
    drawn = np.empty(offsets[-1], dtype=np.int64)
    everything = np.arange(world.linear.size)
    coins = np.flatnonzero(world.inverse >= 0)
    groups = [(1, people.is_carry, coins)] + [
        (count, ~people.is_carry & (people.positions == count), everything)
        for count in range(1, int(people.positions.max()) + 1)
    ]
    for count, members, choice in groups:
        accounts = np.flatnonzero(members)
        if accounts.size:
            # Of exponential clocks that tick at the weights, the first to ring are a weighted
            # draw without replacement.
            clocks = random.standard_exponential((accounts.size, choice.size))
            clocks /= world.interest_usd[choice]
            first = np.argpartition(clocks, count - 1, axis=1)[:, :count]
            # The order of a partition differs between machines, its set does not.
            drawn[offsets[accounts][:, None] + np.arange(count)] = choice[np.sort(first, axis=1)]
    return drawn


def _split_notional(
    world: _World, people: _Accounts, account: Int64s, underlying: Int64s
) -> Floats:
    """USD of each position: uneven parts of the account's, equal for pairs, capped by size."""
    part = world.stream("split").standard_gamma(2.0, account.size)
    part[people.is_pair[account]] = 1.0
    whole = np.bincount(account, part)
    wanted = people.notional_usd[account] * part / whole[account]
    wanted = np.minimum(wanted, INTEREST_SHARE_MAX * world.interest_usd[underlying])
    legs = np.flatnonzero(people.is_pair[account]).reshape(-1, 2)
    wanted[legs] = wanted[legs].min(axis=1, keepdims=True)
    return wanted


def _draw_instruments(world: _World, is_carry: Bools, underlying: Int64s) -> Int64s:
    """The contract of each position: inverse for carries, and for others up to the share."""
    has_inverse = world.inverse[underlying] >= 0
    free = has_inverse & ~is_carry
    missing = world.params["inverse_share"] * has_inverse.sum() - is_carry.sum()
    chance = world.stream("inverse").random(underlying.size)
    is_inverse = is_carry | (free & (chance * free.sum() < missing))
    return np.where(is_inverse, world.inverse[underlying], world.linear[underlying])


def _trades(world: _World, held: _Positions) -> Trades:
    move = world.stream("entry").uniform(-1.0, 1.0, held.account.size)
    move *= np.minimum(ENTRY_MOVE_MAX, ENTRY_LOSS_MAX * held.collateral_usd / held.notional_usd)
    row = held.instrument.astype(np.int32)
    count = row.size
    return Trades(
        pool=held.pool.astype(np.int32),
        counterparty=np.full(count, SystemPool.MARKET, dtype=np.int32),
        instrument=row,
        quantity=held.quantity,
        price=price_to_units(world.instruments, row, world.prices[row] * (1 + move)),
        fee=np.zeros(count, dtype=np.int64),
        reason=np.full(count, TradeReason.FILL, dtype=np.int8),
    )


def _deposits(world: _World, people: _Accounts, held: _Positions) -> Transfers:
    """Collateral of each pool: what its positions settle in, or several assets by the mix."""
    table, index, mix = world.instruments.assets, world.index, world.params["collateral_mix"]
    names = table.names
    assets = np.array([i for i, name in enumerate(names) if name in mix and np.isfinite(index[i])])
    if not assets.size:
        problem, remedy = "none of its assets has a price", "give their index prices"
        raise InputError("collateral_mix", problem, remedy)
    weights = np.array([mix[names[i]] for i in assets])
    mixed = np.flatnonzero(people.is_multi_asset)
    parts = world.stream("collateral").standard_gamma(
        COLLATERAL_CONCENTRATION * weights / weights.sum(), (mixed.size, assets.size)
    )
    total = np.bincount(held.account, held.collateral_usd)
    parts *= (total[mixed] / parts.sum(axis=1))[:, None]
    plain = ~people.is_multi_asset[held.account]
    settle = world.instruments.settle[held.instrument[plain]]
    pool = np.concatenate([held.pool[plain], np.repeat(len(SystemPool) + mixed, assets.size)])
    asset = np.concatenate([settle, np.tile(assets, mixed.size)])
    value = np.concatenate([held.collateral_usd[plain], parts.ravel()])
    keys, place = np.unique(pool * len(names) + asset, return_inverse=True)
    asset = keys % len(names)
    amount = np.rint(np.bincount(place, value) / (index * table.unit)[asset])
    keys, asset, amount = keys[amount > 0], asset[amount > 0], amount[amount > 0]
    return Transfers(
        source=np.full(keys.size, SystemPool.WORLD, dtype=np.int32),
        target=(keys // len(names)).astype(np.int32),
        asset=asset.astype(np.int32),
        amount=amount.astype(np.int64),
        reason=np.full(keys.size, TransferReason.DEPOSIT, dtype=np.int8),
    )


def _orders(world: _World, people: _Accounts, held: _Positions) -> Placements:
    """One resting order beside each position of some accounts: half add, half only reduce."""
    random = world.stream("orders")
    has_orders = random.random(people.positions.size) < world.params["orders_share"]
    at = np.flatnonzero(has_orders[held.account])
    reduces = random.random(at.size) < 0.5
    side = np.sign(held.quantity[at]) * np.where(reduces, -1, 1)
    size = np.rint(np.abs(held.quantity[at]) * random.uniform(*ORDER_SIZE, at.size))
    # Buys rest below the price and sells above it.
    move = -side * random.uniform(*ORDER_DISTANCE, at.size)
    row = held.instrument[at].astype(np.int32)
    return Placements(
        pool=held.pool[at].astype(np.int32),
        order_id=np.arange(1, at.size + 1, dtype=np.int64),
        instrument=row,
        quantity=side * np.maximum(size, 1).astype(np.int64),
        price=price_to_units(world.instruments, row, world.prices[row] * (1 + move)),
        is_reduce_only=reduces,
    )


def describe_population(
    batch: EventBatch, instruments: InstrumentTable, prices: Floats, index: Floats
) -> PopulationSummary:
    """Summary of a batch that ``generate_population`` made, at the prices it was made at."""
    accounts, trades, moved = len(batch.accounts.ids), batch.trades, batch.transfers
    cross = np.arange(accounts, dtype=np.int64)
    owner = np.concatenate([cross, batch.pools.account])
    notional = trades.quantity * _unit_usd(instruments, prices, index)[trades.instrument]
    gross = np.bincount(owner[trades.pool - len(SystemPool)], np.abs(notional), accounts)
    deposit = moved.amount * (index * instruments.assets.unit)[moved.asset]
    deposits = np.bincount(owner[moved.target - len(SystemPool)], deposit, accounts)
    total = float(gross.sum())
    largest = np.sort(gross)[accounts - ceil(accounts / 100) :]
    return PopulationSummary(
        accounts=accounts,
        positions=trades.pool.size,
        orders=batch.placements.pool.size,
        gross_notional_usd=total,
        long_share=float(notional[notional > 0].sum()) / total,
        top_percent_share=float(largest.sum()) / total,
        leverage_median=float(np.median(gross / deposits)),
    )
