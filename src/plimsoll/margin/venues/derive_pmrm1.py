"""derive.pmrm1: Derive's first portfolio manager (PMRM): scenarios, basis, static contingencies.

Rules 1 to 7 of ``derive_portfolio`` hold, with options undiscounted, no skews, no dampening, and
a static discount on an expiry only where it is worth something after the shock. The one coin
taken is the underlying itself; it moves with spot in full.

8. Static contingency = (perpetuals + underlying held) × a fraction each, on spot, + naked shorts
   on spot × a fraction.
9. Maintenance excess = mark to market + cash - loss - static contingency. Below 0 an account is
   liquidated.
10. Initial excess = mark to market + cash - (loss + static contingency) × (initial factor + peg
    loss) - low confidence. Peg loss = max(0, threshold - stablecoin) × factor: unlike in the
    manager's successor the contingency is inside the factor.
11. Low confidence of perpetuals and of the underlying held takes the least of spot's and the
    perpetual's, on spot.
12. Buffer margin as in derive.pmrm2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from plimsoll.core import Floats, sum_by
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
    StaticDiscount,
    instrument_options,
    read_scenarios,
    read_unstated,
    read_vol_rules,
)
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class Rules:
    """The figures of rules 8 to 12 and of the scan."""

    scan: ScanRules
    initial_factor: float
    perpetual: float
    underlying: float
    option: float
    confidence: tuple[float, float]
    peg: tuple[float, float]
    buffer_fraction: float


@dataclass(frozen=True, slots=True)
class Params:
    """Rules aligned to a book, and whom they speak of."""

    rules: Rules
    listing: Listing


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the instruments of a book."""

    def figure(table: str, name: str) -> float:
        return number(params[table].get(name), f"{place}.{table}.{name}", 0.0, FACTOR_MAX)

    gains = [figure("static_discount", name) for name in ("base", "rate_scale", "add")]
    return Params(
        Rules(
            scan=ScanRules(
                read_scenarios(params["scenarios"], f"{place}.scenarios", has_skews=False),
                # A shock up has no floor here.
                read_vol_rules({"vol_min_up": 0, **params["vol_shock"]}, f"{place}.vol_shock"),
                None,
                StaticDiscount(gains[0], gains[1], gains[2], 1.0, 0.0, 0.0),
                read_basis_rules(params["basis"], f"{place}.basis"),
                discounts_values=False,
            ),
            initial_factor=number(params["initial_factor"], f"{place}.initial_factor", 1.0),
            perpetual=figure("contingencies", "perpetual"),
            underlying=figure("contingencies", "underlying"),
            option=figure("contingencies", "option"),
            confidence=(figure("confidence", "threshold"), figure("confidence", "factor")),
            peg=(figure("peg_loss", "threshold"), figure("peg_loss", "factor")),
            buffer_fraction=number(params["buffer_fraction"], f"{place}.buffer_fraction"),
        ),
        read_listing(
            params, read_unstated(params["unstated"], f"{place}.unstated"), instruments, place
        ),
    )


class Margins(NamedTuple):
    """Rules 8 to 11, USD, shape [pools]. ``value`` is mark to market + cash.

    ``contingencies`` >= 0 are of perpetuals, the underlying held and naked shorts, before the
    initial factor.
    """

    value: Floats
    scan: Scan
    contingencies: tuple[Floats, Floats, Floats]
    peg: Floats
    confidence: Floats


def measure_margins(portfolios: Portfolios, options: Options, rules: Rules) -> Margins:
    """The rules over columns: portfolios of any accounts, options that their legs name."""
    coins, pools = portfolios.coins, portfolios.cash.size
    taken = coins.asset == portfolios.underlying[coins.pool]
    owned = sum_by(coins.pool, np.where(taken, coins.value, np.nan), pools)
    scanned = scan(portfolios, options, portfolios.perpetual_value + owned, rules.scan)
    # On the scale of what settles, as spot is everywhere but in the value of coins.
    on_spot = times(owned, np.full(pools, portfolios.stable_price))
    notional = portfolios.perpetual_notional
    naked = times(naked_shorts(portfolios, options), portfolios.spot)
    contingencies = (
        notional * rules.perpetual,
        on_spot * rules.underlying,
        naked * rules.option,
    )
    lost = scanned.loss + contingencies[0] + contingencies[1] + contingencies[2]
    peg = np.full(pools, peg_loss(portfolios.stable_price, *rules.peg))
    unsure = low_confidence(notional + on_spot, portfolios.joint_confidence, *rules.confidence)
    return Margins(
        value=portfolios.cash + scanned.option_value + owned,
        scan=scanned,
        contingencies=contingencies,
        peg=times(lost, peg),
        confidence=unsure + option_confidence(portfolios, options, *rules.confidence),
    )


def require(exposure: Exposure, market: Market, params: Params) -> Requirement:
    """Requirement of every pool, in USD; the details in the stablecoin, as the venue has it."""
    portfolios = measure_portfolios(exposure, market, params.listing)
    options = instrument_options(market, params.listing.unstated)
    found = measure_margins(portfolios, options, params.rules)
    none, factor = np.zeros(found.value.size), params.rules.initial_factor
    names = ("perpetual_contingency", "collateral_contingency", "option_contingency")
    charges = (
        Charge("scenario_loss", found.scan.loss * factor, found.scan.loss),
        *(
            Charge(name, amount * factor, amount)
            for name, amount in zip(names, found.contingencies, strict=True)
        ),
        Charge("peg_loss", found.peg, none),
        Charge("low_confidence", found.confidence, none),
    )
    buffer = params.rules.buffer_fraction
    return state_requirement(portfolios, found.value, charges, found.scan, buffer)


MODEL = Model(
    name="derive.pmrm1",
    title="Derive portfolio margin (first PMRM): scenarios, basis and static contingencies",
    table="derive_pmrm1",
    resolve=resolve,
    require=require,
    dollar="USDC",
    reprices_options=True,
)
