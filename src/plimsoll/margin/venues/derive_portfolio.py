"""What Derive's two portfolio managers share: one underlying's book under their scenarios.

1. A manager has one underlying. An account's is the one it names, else that of its positions;
   positions in two underlyings, or in one without a manager, have no rule: UNKNOWN. So is a coin
   that the manager does not take, and any coin while the manager is not known.
2. Mark to market = unsettled profit of perpetuals + options at rule 1 of ``derive_pricing`` +
   coins at their price. Cash is the stablecoin at one; figures are in USD, so both at its index.
3. Scenario profit = dampening × (perpetuals × their price × (factor - 1) + coins that move with
   the underlying × (factor - 1) + per expiry: shocked value × static discount - value). Under a
   skew each expiry's own part counts as a loss, whichever way it goes.
4. Basis contingency, per expiry: the worse of spot × up and spot × down, if a loss, × (add +
   mult × years), without a static discount; summed over expiries.
5. The loss is the worst of rules 3 and 4, which compete. Ties go to the basis contingency, then
   to the first scenario.
6. Naked shorts, per strike and expiry: calls and puts net, what is then short is naked. A short
   call against a long put of one strike and expiry, a forward sold, is not.
7. Low confidence: where the least confidence of an amount is below the threshold (not at it),
   (1 - confidence) × factor × amount. Of perpetuals it is the least of spot's and their own; of
   an expiry also its options'; the perpetual's is read only where one is held.

Resting orders are not on chain and need nothing here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int32s, Int64s, did_you_mean, sum_by
from plimsoll.instruments import InstrumentTable, Kind, Payoff
from plimsoll.margin.assessment import ACCOUNT_ROW, Charge, Detail, Requirement
from plimsoll.margin.charges import group_pool, slot_pool
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.kernels import scan_slots
from plimsoll.margin.parameters import number
from plimsoll.margin.venues.derive_pricing import (
    FACTOR_MAX,
    Options,
    Scenarios,
    Shock,
    SkewRules,
    StaticDiscount,
    Unstated,
    VolRules,
    discounts,
    fill_unstated,
    option_values,
    pick_options,
    shocked_vols,
    static_factors,
)
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class Listing:
    """Whom a table speaks of: asset numbers, -1 for none, and which instruments have a rule.

    ``cash`` is the stablecoin, ``stated`` the manager's underlying that an account names.
    ``is_underlying`` is [assets]; ``has_rule`` and ``is_option`` are [instruments].
    """

    cash: int
    stated: int
    is_underlying: Bools
    has_rule: Bools
    is_option: Bools
    unstated: Unstated


def read_listing(
    params: Mapping[str, Any], unstated: Unstated, instruments: InstrumentTable, place: str
) -> Listing:
    """Who is listed, aligned to a book; InputError where an account names another underlying."""
    names = instruments.assets.names
    listed, stated = params["underlyings"], params["underlying"]
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise InputError(f"{place}.underlyings", f"{listed!r} is no list", 'write ["BTC"]')
    if stated and stated not in listed:
        problem = f"no manager of {str(stated)[:60]!r}"
        raise InputError(f"{place}.underlying", problem, did_you_mean(str(stated), listed))
    is_underlying = np.array([name in listed for name in names], dtype=np.bool_)
    has_rule, is_option = listed_contracts(instruments, str(params["cash"]))
    return Listing(
        names.index(params["cash"]) if params["cash"] in names else -1,
        names.index(stated) if stated in names else -1,
        is_underlying if not stated else is_underlying & (np.array(names) == stated),
        has_rule & is_underlying[instruments.base],
        is_option,
        unstated,
    )


def listed_contracts(instruments: InstrumentTable, cash: str) -> tuple[Bools, Bools]:
    """Perpetuals and options that settle in the stablecoin; and which of all are options."""
    has_rule = [
        row.settle == cash and row.payoff != Payoff.INVERSE and not row.leg
        for row in instruments.rows
    ]
    is_option = instruments.of_kind(Kind.OPTION)
    is_contract = is_option | instruments.of_kind(Kind.PERPETUAL)
    return np.array(has_rule, dtype=np.bool_) & is_contract, is_option


@dataclass(frozen=True, slots=True)
class Coins:
    """Coins by row: ``pool``, ``asset``, value in USD and the price feed's ``confidence``."""

    pool: Int64s
    asset: Int32s
    value: Floats
    confidence: Floats


@dataclass(frozen=True, slots=True)
class Portfolios:
    """What accounts of the managers hold, as columns; NaN where a price or a rule is missing.

    By pool, in USD: ``cash`` with the unsettled profit of perpetuals; ``perpetual_value``, the
    signed position at its price, and ``perpetual_notional``, its size on spot; ``spot`` is one
    coin on the scale of what settles (spot × the stablecoin's price); ``confidence`` is spot's,
    ``joint_confidence`` the least of spot's and the held perpetual's. ``underlying`` is an asset,
    -1 where no manager is known. ``legs`` are options held: pool, row of ``Options``, coins.
    """

    stable_price: float
    underlying: Int64s
    cash: Floats
    perpetual_value: Floats
    perpetual_notional: Floats
    spot: Floats
    confidence: Floats
    joint_confidence: Floats
    coins: Coins
    leg_pool: Int64s
    leg_option: Int32s
    leg_amount: Floats


def measure_portfolios(exposure: Exposure, market: Market, listing: Listing) -> Portfolios:
    """The columns of every pool."""
    layout, table = exposure.layout, exposure.instruments
    pools = exposure.is_isolated.size
    slots = np.flatnonzero(exposure.quantity)
    pool, held = slot_pool(exposure)[slots], layout.slot_instrument[slots]
    amount = exposure.quantity[slots] * table.multiplier[held]
    underlying, unknown = _managers(exposure, listing, slots)
    stable = market.index[listing.cash] if listing.cash >= 0 else np.nan
    state = market.state
    # The last row stands for no underlying at all.
    spot = np.append(market.index, np.nan)[underlying] * stable
    feeds = np.append(fill_unstated(state.asset_confidence, listing.unstated.confidence), np.nan)
    perpetual = ~listing.is_option[held]
    rows = pool[perpetual]
    own = fill_unstated(state.confidence, listing.unstated.confidence)[held[perpetual]]
    joint = least_by(rows, own, feeds[underlying])
    profit = exposure.quantity[slots] * exposure.contract_value[held] - exposure.cost[slots]
    unsettled = sum_by(rows, (profit * stable)[perpetual], pools)
    value = sum_by(rows, (amount * market.mark[held] * stable)[perpetual], pools)
    coins = sum_by(rows, np.abs(amount[perpetual]), pools)
    cash, others = _balances(exposure, market, listing)
    return Portfolios(
        stable_price=float(stable),
        underlying=underlying,
        cash=cash + unsettled + unknown,
        perpetual_value=value,
        perpetual_notional=times(coins, spot),
        spot=spot,
        confidence=feeds[underlying],
        joint_confidence=joint,
        coins=others,
        leg_pool=pool[~perpetual],
        leg_option=held[~perpetual],
        leg_amount=amount[~perpetual],
    )


def least_by(ids: Int64s, values: Floats, start: Floats) -> Floats:
    """The least of ``start`` and the values of each id, shape as ``start``; NaN stays NaN."""
    out = start.copy()
    with np.errstate(invalid="ignore"):
        np.minimum.at(out, ids, values)
    return out


def times(amount: Floats, each: Floats) -> Floats:
    """Products, 0 where there is no amount whatever it would be worth each."""
    return np.where(amount == 0, 0.0, amount * each)


def _managers(exposure: Exposure, listing: Listing, slots: Int64s) -> tuple[Int64s, Floats]:
    """Rule 1: the underlying of each pool's manager, and NaN for pools that have no rule."""
    layout, pools = exposure.layout, exposure.is_isolated.size
    is_held = np.zeros(layout.group_underlying.size, dtype=np.bool_)
    is_held[layout.slot_group[slots]] = True
    pool, held = group_pool(exposure)[is_held], layout.group_underlying[is_held]
    found = np.full(pools, listing.stated, dtype=np.int64)
    found[pool] = held
    unknown = np.where(np.bincount(pool, minlength=pools) > 1, np.nan, 0.0)
    unknown[pool[~listing.is_underlying[held]]] = np.nan
    has_rule = listing.has_rule[layout.slot_instrument[slots]]
    unknown[slot_pool(exposure)[slots[~has_rule]]] = np.nan
    return np.where(np.isnan(unknown), -1, found), unknown


def _balances(exposure: Exposure, market: Market, listing: Listing) -> tuple[Floats, Coins]:
    """Cash of every pool in USD, and the coins beside it."""
    layout, pools = exposure.layout, exposure.is_isolated.size
    pool = np.repeat(np.arange(pools, dtype=np.int64), np.diff(layout.cell_offsets))
    balance = exposure.cell_balance
    value = times(balance, exposure.cell_price)
    is_cash = layout.cell_asset == listing.cash
    rows = np.flatnonzero(~is_cash & (balance != 0))
    asset = layout.cell_asset[rows]
    confidence = fill_unstated(market.state.asset_confidence, listing.unstated.confidence)
    coins = Coins(
        pool[rows],
        asset,
        # No manager lends coins.
        np.where(balance[rows] < 0, np.nan, value[rows]),
        confidence[asset],
    )
    return sum_by(pool[is_cash], value[is_cash], pools), coins


@dataclass(frozen=True, slots=True)
class BasisRules:
    """Rule 4's factors on spot and what scales the worse loss."""

    up: float
    down: float
    add: float
    mult: float


def read_basis_rules(entry: Mapping[str, Any], place: str) -> BasisRules:
    """Rule 4's figures; InputError where one is missing or the factors do not straddle 1."""
    rules = BasisRules(
        *(
            number(entry.get(name), f"{place}.{name}", 0.0, FACTOR_MAX)
            for name in ("spot_up", "spot_down", "add", "mult")
        )
    )
    if not rules.down <= 1 <= rules.up:
        raise InputError(place, "spot_down and spot_up do not straddle 1", "mend them")
    return rules


@dataclass(frozen=True, slots=True)
class ScanRules:
    """Rules 3 and 4. ``discounts_values`` says whether values are discounted at the rate."""

    scenarios: Scenarios
    vol: VolRules
    skew: SkewRules | None
    static: StaticDiscount
    basis: BasisRules
    discounts_values: bool


class Scan(NamedTuple):
    """Figures of every pool, USD: value of its options, profits [pools, scenarios], basis

    contingency <= 0, loss >= 0 and the number of the scenario it comes from, the number of
    scenarios standing for the basis contingency.
    """

    option_value: Floats
    profits: Floats
    basis: Floats
    loss: Floats
    worst: Int64s


def scan(portfolios: Portfolios, options: Options, moved: Floats, rules: ScanRules) -> Scan:
    """Rules 3 to 5. ``moved``, [pools], is the USD value that moves with spot in full."""
    scenarios, pools = rules.scenarios, portfolios.cash.size
    expiries = hold_expiries(portfolios, options)
    is_held = np.bincount(portfolios.leg_option, minlength=options.seconds.size) > 0
    used, row = pick_options(options, np.flatnonzero(is_held)), np.cumsum(is_held) - 1
    discount = discounts(used) if rules.discounts_values else np.ones(used.seconds.size)
    # The first three states are today's and those of the basis contingency.
    factor = np.concatenate([[1.0, rules.basis.up, rules.basis.down], scenarios.factor])
    shock = np.concatenate([np.full(3, int(Shock.NONE)), scenarios.shock]).astype(np.int64)
    vol = shocked_vols(used, shock, rules.vol, rules.skew)
    unit = option_values(used, factor, vol, discount) * portfolios.stable_price
    values = np.zeros((expiries.pool.size, factor.size))
    scan_slots(
        portfolios.leg_amount, row[portfolios.leg_option].astype(np.int32), expiries.group,
        np.ascontiguousarray(unit), values,
    )  # fmt: skip
    first = row[expiries.option]
    gain, debt = (side[first, np.newaxis] for side in static_factors(used, discount, rules.static))
    shocked = values[:, 3:]
    parts = shocked * np.where(shocked >= 0, gain, debt) - values[:, :1]
    parts = parts * scenarios.dampening
    parts = np.where(scenarios.shock >= Shock.LINEAR, -np.abs(parts), parts)
    profits = moved[:, np.newaxis] * (scenarios.dampening * (scenarios.factor - 1.0))
    for k in range(profits.shape[1]):
        profits[:, k] += sum_by(expiries.pool, parts[:, k], pools)
    swing = np.minimum(np.minimum(values[:, 1], values[:, 2]) - values[:, 0], 0.0)
    width = rules.basis.add + rules.basis.mult * used.years[first]
    basis = sum_by(expiries.pool, swing * width, pools)
    return _worst(sum_by(expiries.pool, values[:, 0], pools), profits, basis)


def _worst(option_value: Floats, profits: Floats, basis: Floats) -> Scan:
    """Rule 5. Where anything is NaN, so is the loss."""
    best = np.argmin(profits, axis=1)
    lowest = profits[np.arange(best.size), best]
    worst = np.where(lowest < basis, best, profits.shape[1])
    return Scan(option_value, profits, basis, np.maximum(-np.minimum(lowest, basis), 0.0), worst)


class Expiries(NamedTuple):
    """Options of one pool that expire together: ``group`` of each leg; by group its pool and the

    option of its first leg, which speaks for what all of an expiry have in common.
    """

    group: Int64s
    pool: Int64s
    option: Int32s


def hold_expiries(portfolios: Portfolios, options: Options) -> Expiries:
    """The legs by pool and expiry, in that order."""
    width = options.expiry.size
    keys = portfolios.leg_pool * width + options.expiry[portfolios.leg_option]
    distinct, first, group = np.unique(keys, return_index=True, return_inverse=True)
    option = portfolios.leg_option[first]
    return Expiries(group.astype(np.int64), distinct // max(width, 1), option)


def naked_shorts(portfolios: Portfolios, options: Options) -> Floats:
    """Rule 6: coins of naked options, shape [pools], >= 0."""
    strikes, turn = np.unique(options.strike, return_inverse=True)
    spot = options.expiry * max(strikes.size, 1) + turn
    width = int(spot.max(initial=0)) + 1
    keys = portfolios.leg_pool * width + spot[portfolios.leg_option]
    distinct, place = np.unique(keys, return_inverse=True)
    net = sum_by(place, portfolios.leg_amount, distinct.size)
    return sum_by(distinct // width, np.maximum(-net, 0.0), portfolios.cash.size)


def low_confidence(amount: Floats, confidence: Floats, threshold: float, factor: float) -> Floats:
    """Rule 7, elementwise; an unknown confidence is an unknown charge."""
    short = np.where(confidence < threshold, (1.0 - confidence) * factor * amount, 0.0)
    return np.where(amount == 0, 0.0, np.where(np.isnan(confidence), np.nan, short))


def option_confidence(
    portfolios: Portfolios, options: Options, threshold: float, factor: float
) -> Floats:
    """Rule 7 for options: all coins of an expiry, long and short, on spot; USD, shape [pools]."""
    expiries = hold_expiries(portfolios, options)
    own = options.confidence[portfolios.leg_option]
    least = least_by(expiries.group, own, portfolios.joint_confidence[expiries.pool])
    coins = sum_by(expiries.group, np.abs(portfolios.leg_amount), least.size)
    amount = times(coins, portfolios.spot[expiries.pool])
    charge = low_confidence(amount, least, threshold, factor)
    return sum_by(expiries.pool, charge, portfolios.cash.size)


def peg_loss(stable_price: float, threshold: float, factor: float) -> float:
    """How much the stablecoin's fall below the threshold adds to a factor."""
    return float(np.maximum(threshold - stable_price, 0.0)) * factor


def buffer_margin(maintenance: Floats, marked: Floats, fraction: float) -> Floats:
    """Maintenance excess with a buffer: a liquidation that has begun ends where it is >= 0."""
    return maintenance + (maintenance - marked) * fraction


def state_requirement(
    portfolios: Portfolios,
    value: Floats,
    charges: tuple[Charge, ...],
    scanned: Scan,
    buffer_fraction: float,
) -> Requirement:
    """The requirement of every pool in USD, from its value (mark to market + cash) and charges.

    Its details are the manager's own figures, in the stablecoin, and its profit in every
    scenario, in order.
    """
    partial = Requirement(value, value, charges, ())
    stable = portfolios.stable_price
    maintenance = value - partial.maintenance_margin
    figures = (
        ("mark_to_market", value / stable),
        ("initial_excess", (value - partial.initial_margin) / stable),
        ("maintenance_excess", maintenance / stable),
        ("buffer_margin", buffer_margin(maintenance, value, buffer_fraction) / stable),
        ("basis_contingency", scanned.basis / stable),
        ("worst_scenario", scanned.worst.astype(np.float64)),
    )
    pools, scenarios = scanned.profits.shape
    rows = np.arange(pools + 1, dtype=np.int64)
    details = (
        Detail("account", rows, np.full(pools, ACCOUNT_ROW, dtype=np.int32), figures),
        Detail(
            "scenarios", rows * scenarios, np.full(pools * scenarios, ACCOUNT_ROW, dtype=np.int32),
            (("scenario", np.tile(np.arange(scenarios, dtype=np.float64), pools)),
             ("profit", scanned.profits.ravel() / stable)),
        ),
    )  # fmt: skip
    return Requirement(value, value, charges, details)
