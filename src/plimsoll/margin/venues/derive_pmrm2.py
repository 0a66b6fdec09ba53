"""derive.pmrm2: Derive's portfolio manager (PMRM_2): one underlying's book under scenarios.

Rules 1 to 7 of ``derive_portfolio`` hold: who is listed, mark to market, scenarios, the basis
contingency, the loss, naked shorts, low confidence. Values are discounted at the feed's rate.
Coins that ``cancels_risk`` move with the underlying; the others only have haircuts.

8. Maintenance excess = mark to market + cash - loss × maintenance factor - maintenance
   contingencies. Below 0 an account is liquidated.
9. Initial excess = mark to market + cash - loss × (initial factor + peg loss) - maintenance and
   initial contingencies - low confidence. Peg loss = max(0, threshold - stablecoin) × factor.
10. Contingencies: perpetuals on spot, naked shorts on spot, coins at their value, each × a
    maintenance and a further initial fraction.
11. Low confidence of coins takes the least of their own and spot's alone, never the
    perpetual's: the manager reads that one later. Coins count at their value.
12. Buffer margin = maintenance excess + buffer × (maintenance excess - mark to market - cash).
    A liquidation ends where it is back at 0, above where it began.

With an initial factor below the maintenance factor, an initial margin below maintenance is what
the rules give.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from plimsoll.core import Bools, Floats, InputError, sum_by
from plimsoll.instruments import InstrumentTable
from plimsoll.margin.assessment import Charge, Requirement
from plimsoll.margin.exposure import Exposure
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import number
from plimsoll.margin.venues.derive_portfolio import (
    Listing,
    Portfolios,
    Scan,
    ScanRules,
    low_confidence,
    measure_portfolios,
    naked_shorts,
    option_confidence,
    peg_loss,
    read_basis_rules,
    read_listing,
    scan,
    state_requirement,
    times,
)
from plimsoll.margin.venues.derive_pricing import (
    FACTOR_MAX,
    Options,
    instrument_options,
    read_scenarios,
    read_skew_rules,
    read_static_discount,
    read_unstated,
    read_vol_rules,
)
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class CoinRules:
    """By manager's underlying and asset, shape [assets + 1, assets]; NaN where not taken."""

    maintenance_haircut: Floats
    initial_haircut: Floats
    cancels_risk: Bools


@dataclass(frozen=True, slots=True)
class Rules:
    """The figures of rules 8 to 12 and of the scan; pairs are maintenance, then initial."""

    scan: ScanRules
    maintenance_factor: float
    initial_factor: float
    perpetual: tuple[float, float]
    option: tuple[float, float]
    confidence: tuple[float, float]
    peg: tuple[float, float]
    buffer_fraction: float
    coins: CoinRules


@dataclass(frozen=True, slots=True)
class Params:
    """Rules aligned to a book, and whom they speak of."""

    rules: Rules
    listing: Listing


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments of a book."""

    def figure(table: str, name: str, high: float = FACTOR_MAX) -> float:
        return number(params[table].get(name), f"{place}.{table}.{name}", 0.0, high)

    scenarios = read_scenarios(params["scenarios"], f"{place}.scenarios", has_skews=True)
    return Params(
        Rules(
            scan=ScanRules(
                scenarios,
                read_vol_rules(params["vol_shock"], f"{place}.vol_shock"),
                read_skew_rules(params["skew_shock"], f"{place}.skew_shock"),
                read_static_discount(params["static_discount"], f"{place}.static_discount"),
                read_basis_rules(params["basis"], f"{place}.basis"),
                discounts_values=True,
            ),
            maintenance_factor=figure("loss_factors", "maintenance"),
            initial_factor=figure("loss_factors", "initial"),
            perpetual=(
                figure("contingencies", "perpetual_maintenance"),
                figure("contingencies", "perpetual_initial"),
            ),
            option=(
                figure("contingencies", "option_maintenance"),
                figure("contingencies", "option_initial"),
            ),
            confidence=(figure("confidence", "threshold"), figure("confidence", "factor")),
            peg=(figure("peg_loss", "threshold"), figure("peg_loss", "factor")),
            buffer_fraction=number(params["buffer_fraction"], f"{place}.buffer_fraction"),
            coins=_coin_rules(params["collateral"], instruments, f"{place}.collateral"),
        ),
        read_listing(
            params, read_unstated(params["unstated"], f"{place}.unstated"), instruments, place
        ),
    )


def _coin_rules(table: Mapping[str, Any], instruments: InstrumentTable, place: str) -> CoinRules:
    names = instruments.assets.names
    shape = (len(names) + 1, len(names))
    haircuts, cancels = np.full((2, *shape), np.nan), np.zeros(shape, dtype=np.bool_)
    for manager, coins in table.items():
        for name, entry in coins.items():
            where = f"{place}.{manager}.{name}"
            pair = [
                number(entry.get(key), f"{where}.{key}", 0.0, 1.0)
                for key in ("maintenance_haircut", "initial_haircut")
            ]
            if not isinstance(entry.get("cancels_risk"), bool):
                raise InputError(f"{where}.cancels_risk", "is no yes or no", "write true or false")
            if manager in names and name in names:
                at = names.index(manager), names.index(name)
                haircuts[:, *at] = pair
                cancels[at] = entry["cancels_risk"]
    return CoinRules(haircuts[0], haircuts[1], cancels)


class Margins(NamedTuple):
    """Rules 8 to 12, USD, shape [pools]. ``value`` is mark to market + cash.

    Pairs are initial and maintenance charges >= 0; ``peg`` and ``confidence`` are initial.
    """

    value: Floats
    scan: Scan
    loss: tuple[Floats, Floats]
    peg: Floats
    perpetual: tuple[Floats, Floats]
    option: tuple[Floats, Floats]
    coins: tuple[Floats, Floats]
    confidence: Floats


def measure_margins(portfolios: Portfolios, options: Options, rules: Rules) -> Margins:
    """The rules over columns: portfolios of any accounts, options that their legs name."""
    coins, pools = portfolios.coins, portfolios.cash.size
    at = portfolios.underlying[coins.pool], coins.asset
    first, more = (
        times(coins.value, haircut[at])
        for haircut in (rules.coins.maintenance_haircut, rules.coins.initial_haircut)
    )
    # A coin without haircuts is one that the manager does not take.
    value = coins.value + 0.0 * first
    moving = np.where(rules.coins.cancels_risk[at], value, 0.0)
    moved = portfolios.perpetual_value + sum_by(coins.pool, moving, pools)
    scanned = scan(portfolios, options, moved, rules.scan)
    notional = portfolios.perpetual_notional
    naked = times(naked_shorts(portfolios, options), portfolios.spot)
    maintenance_haircut = sum_by(coins.pool, first, pools)
    least = np.minimum(coins.confidence, portfolios.confidence[coins.pool])
    unsure = sum_by(coins.pool, low_confidence(value, least, *rules.confidence), pools)
    unsure = low_confidence(notional, portfolios.joint_confidence, *rules.confidence) + unsure
    unsure = unsure + option_confidence(portfolios, options, *rules.confidence)
    peg = np.full(pools, peg_loss(portfolios.stable_price, *rules.peg))

    def both(amount: Floats, fractions: tuple[float, float]) -> tuple[Floats, Floats]:
        return amount * (fractions[0] + fractions[1]), amount * fractions[0]

    return Margins(
        value=portfolios.cash + scanned.option_value + sum_by(coins.pool, value, pools),
        scan=scanned,
        loss=(scanned.loss * rules.initial_factor, scanned.loss * rules.maintenance_factor),
        peg=times(scanned.loss, peg),
        perpetual=both(notional, rules.perpetual),
        option=both(naked, rules.option),
        coins=(maintenance_haircut + sum_by(coins.pool, more, pools), maintenance_haircut),
        confidence=unsure,
    )


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD; the details in the stablecoin, as the venue has it."""
    portfolios = measure_portfolios(exposure, market, params.listing)
    options = instrument_options(market, params.listing.unstated)
    found = measure_margins(portfolios, options, params.rules)
    none = np.zeros(found.value.size)
    charges = (
        Charge("scenario_loss", *found.loss),
        Charge("peg_loss", found.peg, none),
        Charge("perpetual_contingency", *found.perpetual),
        Charge("option_contingency", *found.option),
        Charge("collateral_haircut", *found.coins),
        Charge("low_confidence", found.confidence, none),
    )
    buffer = params.rules.buffer_fraction
    return state_requirement(portfolios, found.value, charges, found.scan, buffer)


MODEL = Model(
    name="derive.pmrm2",
    title="Derive portfolio margin (PMRM 2): scenarios, skews, static discounts, contingencies",
    table="derive_pmrm2",
    resolve=resolve,
    require=require,
    dollar="USDC",
    reprices_options=True,
)
