"""Cases of how protocols on chain liquidate, from their own tests, in their own integers.

Mango's and Derive's are floats: Mango's numbers have 48 binary places, and both a tolerance.
"""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from plimsoll.core import InputError, parse_time
from plimsoll.liquidation.protocols import derive, drift_v2, dydx_v4, mango_v4, vega
from plimsoll.margin.arithmetic import EXACT, FLOAT
from plimsoll.margin.venues import vega_cross, vega_isolated
from plimsoll.margin.venues.dydx_v4 import maintenance_margin, net_notional
from plimsoll.margin.venues.mango_health import health
from plimsoll.margin.venues.mango_parameters import HealthKind
from plimsoll.margin.venues.vega_markets import FRACTION_DIGITS, Terms, decimal_units
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.adapters.documents import AS_OF
from tools.vectors.adapters.mango import health_columns
from tools.vectors.cases import Case

AS_OF_NS = parse_time(AS_OF, "cases")
BTC_RESOLUTION = -8
"""Of the coin of dYdX's tests, where a case states a price in USD and no market."""


def dydx_bankruptcy(case: Case) -> dict[str, int]:
    """Quote that closing a part of a position at its bankruptcy price brings."""
    return {"delta_quote_quantums": _dydx_bankruptcy(case, int(case.inputs["delta_quantums"]))}


def dydx_fillable(case: Case) -> dict[str, Fraction]:
    """Price at which a liquidation order is placed, exactly."""
    inputs = case.inputs
    collateral, maintenance = _dydx_account(inputs)
    name = str(inputs["liquidate_perp"])
    quantums = int(inputs["positions"][name])
    notional, margin = _dydx_position(inputs["markets"][name], quantums)
    parameters = replace(
        dydx_v4.load_parameters(AS_OF_NS),
        bankruptcy_adjustment_ppm=int(inputs["bankruptcy_adjustment_ppm"]),
        spread_to_maintenance_ppm=int(inputs["spread_to_mmr_ppm"]),
    )
    price = dydx_v4.fillable_price(
        EXACT, quantums, notional, margin, collateral, maintenance, parameters
    )
    return {"price": price}


def dydx_insurance(case: Case) -> dict[str, int]:
    """What a fill of a liquidation order adds to the insurance fund."""
    inputs = case.inputs
    quantums = int(inputs["fill_quantums"])
    quote = dydx_v4.fill_quote(
        EXACT, int(inputs["subticks"]), quantums, int(inputs["quantum_conversion_exponent"])
    )
    side = 1 if inputs["is_buy"] else -1
    # Every case has one position, the one that is liquidated.
    bankruptcy = _dydx_bankruptcy(case, side * quantums)
    fee = int(inputs["max_liquidation_fee_ppm"])
    delta = dydx_v4.insurance_fund_delta(EXACT, -side * quote, bankruptcy, fee)
    return {"insurance_fund_delta": int(delta)}


def dydx_limits(case: Case) -> dict[str, int]:
    """Least and most notional of a position that a block liquidates."""
    inputs = case.inputs
    notional = net_notional(
        EXACT, int(inputs["quantums"]), int(inputs["price_usd"]), 0, BTC_RESOLUTION
    )
    parameters = replace(
        dydx_v4.load_parameters(AS_OF_NS),
        position_notional_min=int(inputs["min_position_notional"]),
        position_portion_max_ppm=int(inputs["max_portion_ppm"]),
    )
    limits = dydx_v4.block_limits(EXACT, notional, parameters)
    return {"min": int(limits.least), "max": int(limits.most)}


def _dydx_bankruptcy(case: Case, delta: int) -> int:
    inputs = case.inputs
    collateral, maintenance = _dydx_account(inputs)
    name = str(inputs.get("liquidate_perp", next(iter(inputs["positions"]))))
    quantums = int(inputs["positions"][name])
    before = _dydx_position(inputs["markets"][name], quantums)
    after = _dydx_position(inputs["markets"][name], quantums + delta)
    notional, margin = (new - old for new, old in zip(after, before, strict=True))
    quote = dydx_v4.bankruptcy_quote(EXACT, notional, margin, collateral, maintenance)
    return int(quote)


def _dydx_account(inputs: Mapping[str, Any]) -> tuple[int, int]:
    """Net collateral and maintenance margin."""
    figures = [
        _dydx_position(inputs["markets"][name], int(quantums))
        for name, quantums in inputs["positions"].items()
    ]
    notional, margin = (sum(column) for column in zip(*figures, strict=True))
    return int(inputs["usdc_balance"]) + notional, margin


def _dydx_position(market: Mapping[str, Any], quantums: int) -> tuple[int, int]:
    """Net notional and maintenance margin."""
    exponent, resolution = int(market["exponent"]), int(market["atomic_resolution"])
    notional = net_notional(EXACT, quantums, int(market["price"]), exponent, resolution)
    rates = int(market["im_ppm"]), int(market["maint_fraction_ppm"])
    return int(notional), int(maintenance_margin(EXACT, notional, *rates))


def drift_base(case: Case) -> dict[str, int]:
    """Base that covers a margin shortage."""
    names = (
        "margin_shortage", "margin_ratio", "liquidation_fee", "if_liquidation_fee", "oracle_price",
        "quote_oracle_price",
    )  # fmt: skip
    return {"base": int(drift_v2.base_to_cover(EXACT, *_integers(case, *names)))}


def drift_liability(case: Case) -> dict[str, int]:
    """Tokens of a liability whose transfer covers a margin shortage."""
    shortage, asset_weight, weight, asset_multiplier, fee = _integers(
        case, "margin_shortage", "asset_weight", "liab_weight", "asset_liq_mult", "if_fee"
    )
    multiplier, decimals, price = _integers(case, "liab_liq_mult", "liab_decimals", "liab_price")
    found = drift_v2.liability_to_cover(
        EXACT, shortage, asset_weight, weight, asset_multiplier,
        drift_v2.Side(0, multiplier, decimals, price), fee,
    )  # fmt: skip
    return {"liability_transfer": int(found)}


def drift_implied(case: Case) -> dict[str, int]:
    """Tokens of a liability that an amount of the asset pays for."""
    asset = drift_v2.Side(
        *_integers(case, "asset_amount", "asset_mult", "asset_dec", "asset_price")
    )
    liability = drift_v2.Side(0, *_integers(case, "liab_mult", "liab_dec", "liab_price"))
    return {"liability_transfer": int(drift_v2.liability_implied(EXACT, asset, liability))}


def drift_asset(case: Case) -> dict[str, int]:
    """Tokens of an asset that pay for a liability."""
    sides = [
        drift_v2.Side(*_integers(case, *(f"{side}_{name}" for name in SIDE)))
        for side in ("asset", "liab")
    ]
    return {"asset_transfer": int(drift_v2.asset_for_liability(EXACT, *sides))}


def drift_perp_fee(case: Case) -> dict[str, int]:
    """The insurance fund's fee on a perpetual."""
    names = (
        "margin_shortage", "base", "margin_ratio", "liquidator_fee", "oracle", "quote_oracle",
        "max_if_fee",
    )  # fmt: skip
    return {"fee": int(drift_v2.perp_fund_fee(EXACT, *_integers(case, *names)))}


def drift_spot_fee(case: Case) -> dict[str, int]:
    """The insurance fund's fee on a liability."""
    shortage, asset_weight, weight, asset_multiplier, most = _integers(
        case, "margin_shortage", "asset_weight", "liab_weight", "asset_mult", "max_if_fee"
    )
    liability = drift_v2.Side(
        *_integers(case, "token_amount", "liab_mult", "liab_dec", "liab_price")
    )
    fee = drift_v2.spot_fund_fee(
        EXACT, shortage, asset_weight, weight, asset_multiplier, liability, most
    )
    return {"fee": int(fee)}


def drift_fee_ramp(case: Case) -> dict[str, int]:
    """The liquidator's fee after a time."""
    base, most, last, now, grace, increase = _integers(
        case, "base_fee", "max_fee", "last_active_slot", "current_slot", "grace_slots",
        "increase_per_slot",
    )  # fmt: skip
    parameters = replace(
        drift_v2.load_parameters(AS_OF_NS), fee_grace_slots=grace, fee_increase=increase
    )
    return {"fee": int(drift_v2.liquidator_fee(base, most, now - last, parameters))}


def drift_part(case: Case) -> dict[str, int]:
    """The part of a shortage that one transaction may cover."""
    shortage, slot, last, freed, initial, duration = _integers(
        case, "margin_shortage", "slot", "last_active_slot", "liquidation_margin_freed",
        "initial_pct", "duration",
    )  # fmt: skip
    parameters = replace(
        drift_v2.load_parameters(AS_OF_NS), initial_part=initial, duration_slots=duration
    )
    part = drift_v2.part_to_liquidate(EXACT, shortage, freed, slot - last, parameters)
    return {"pct": int(part)}


def drift_funding(case: Case) -> dict[str, int]:
    """What the funding rate moves by to share a loss."""
    names = ("loss", "base_long", "base_short")
    return {"delta": int(drift_v2.funding_delta(EXACT, *_integers(case, *names)))}


def _integers(case: Case, *names: str) -> list[int]:
    return [int(case.inputs[name]) for name in names]


def mango_token(case: Case) -> dict[str, Any]:
    """Deposits and debts after a token is liquidated with a token, or a refusal."""
    inputs = case.inputs
    tokens, perps, orders = health_columns(inputs, HealthKind.LIQUIDATION_END)
    found = health(tokens, perps, orders, 1)
    rows = {t["idx"]: k for k, t in enumerate(inputs["tokens"])}
    asset, liability = (
        _mango_token(tokens, found.balance, rows[inputs[name]])
        for name in ("asset_token", "liab_token")
    )
    fees = mango_v4.Fees(float(inputs["fees"]), 0.0)
    try:
        moved = mango_v4.liquidate_token(
            FLOAT, float(found.total[0]), asset, liability,
            float(inputs["max_liab_transfer"]), fees, fees,
        )  # fmt: skip
    except InputError:
        return {"error": True}
    return {"asset": asset.balance - moved.asset, "liab": liability.balance + moved.liability}


def mango_perp(case: Case) -> dict[str, float]:
    """Deposits, base and quote after a perpetual is liquidated."""
    inputs = case.inputs
    tokens, perps, orders = health_columns(inputs, HealthKind.LIQUIDATION_END)
    found = health(tokens, perps, orders, 1)
    ((position),) = inputs["perps"]
    perp = mango_v4.Perp(
        position["base_lots"], float(position["quote"]), position["lot"],
        float(perps.sides.asset_price[0]), float(perps.sides.asset_weight[0]),
        float(perps.sides.liability_weight[0]), float(perps.overall_weight[0]),
    )  # fmt: skip
    token = _mango_token(tokens, found.balance, int(perps.token[0]))
    moved = mango_v4.liquidate_perp(
        FLOAT, float(found.total[0]), perp, token, abs(inputs["max_base"]), inputs["max_pnl"],
        mango_v4.Fees(inputs["base_liq_fee"], 0.0), inputs["positive_pnl_liq_fee"],
        mango_v4.load_parameters(AS_OF_NS),
    )  # fmt: skip
    return {
        "spot": token.balance + moved.paid,
        "base_lots": perp.lots + moved.lots,
        "quote": perp.quote + moved.quote - moved.profit,
    }


def mango_loss(case: Case) -> dict[str, float]:
    """Both parties, the fund and everybody's funding after a perpetual's loss is dealt with."""
    inputs = case.inputs
    ((position),) = inputs["perps"]
    tokens, perps, orders = health_columns(inputs, HealthKind.LIQUIDATION_END)
    found = health(tokens, perps, orders, 1)
    without = {**inputs, "perps": [{**position, "quote": 0}]}
    settling = health_columns(without, HealthKind.MAINTENANCE)
    settle = health(*settling, 1)
    row, loss = int(perps.token[0]), -float(position["quote"])
    moved = mango_v4.settle_loss(
        FLOAT, float(found.total[0]), float(settle.total[0]), loss,
        _mango_token(tokens, found.balance, row), _mango_token(settling[0], settle.balance, row),
        inputs["max_liab_transfer"], inputs["pnl_settle_limit"],
        mango_v4.Insurance(inputs["insurance_amount"], inputs["insurance_price"]), inputs["fee"],
    )  # fmt: skip
    taken = moved.settled + moved.insured
    longs, _ = mango_v4.funding_change(FLOAT, moved.socialized, inputs["open_interest"])
    return {
        "liqee_spot": float(tokens.balance[row]) - moved.settled,
        "liqee_perp": -loss + taken + moved.socialized,
        "liqor_spot": moved.settled,
        "liqor_perp": -taken,
        "ins": float(moved.insurance),
        "social": longs,
    }


def _mango_token(tokens: Any, effective: Any, row: int) -> mango_v4.Token:
    """One token of an account at the weights and prices of its columns."""
    sides = tokens.sides
    columns = (
        tokens.balance, effective, sides.asset_weight, sides.liability_weight, sides.asset_price
    )  # fmt: skip
    return mango_v4.Token(*(float(column[row]) for column in columns))


def derive_solvent(case: Case) -> dict[str, float]:
    """A bid in the auction of a solvent account."""
    inputs, terms = case.inputs, case.inputs["auction_params"]
    parameters = replace(
        derive.load_parameters(AS_OF_NS), start=terms["start"], cutoff=terms["cutoff"],
        fast_length=terms["fast"], slow_length=terms["slow"], fee_rate=terms["fee_rate"],
        buffer=terms["buffer"],
    )  # fmt: skip
    account = derive.Account(
        *(inputs[name] for name in ("mark_to_market", "maintenance_margin", "reserved_cash"))
    )
    elapsed = inputs["time_since_start"]
    price = derive.discount(FLOAT, elapsed, parameters)
    bid = derive.solvent_bid(FLOAT, account, inputs["percent_wanted"], elapsed, parameters)
    return {
        "buffer_margin": derive.buffer_margin(account, parameters),
        "max_proportion": derive.share_max(FLOAT, account, price, parameters),
        "bid_price": bid.price,
        "final_percent": bid.share,
    }


def vega_close_out(case: Case) -> dict[str, int]:
    """An isolated position marked to market until it is closed."""
    inputs = case.inputs
    size, last = int(inputs["size"]), int(inputs["entry"])
    short, linear, factor = (
        decimal_units(inputs[name], FRACTION_DIGITS)
        for name in ("rf_short", "linear_slippage", "margin_factor")
    )
    terms = Terms(0, short, linear, 0, 10**FRACTION_DIGITS, 1)
    balance = int(vega_isolated.margin_of(EXACT, abs(size) * last, factor, terms))
    answer: dict[str, int] = {}
    for number, mark in enumerate(map(int, inputs["marks"]), start=1):
        marked = vega.mark_to_market(size, balance, last, mark)
        held = vega_cross.Held(size, 0, 0, 0, 0, 0)
        maintenance = int(vega_cross.maintenance_lines(EXACT, held, mark, terms).total)
        closed = vega.isolated_close_out(size, marked.balance, maintenance)
        answer |= {
            f"margin_after_mark{number}": marked.balance,
            f"mtm{number}": balance - marked.balance,
            f"maint_mark{number}": maintenance,
            "to_insurance": closed.to_insurance,
        }
        balance, size, last = closed.balance, size - closed.size, mark
    return answer


SIDE = ("amount", "mult", "dec", "price")
ACCOUNT = "markets usdc_balance positions"
WEIGHTED = "margin_shortage asset_weight liab_weight"
BOOK = "tokens spot_orders perps"
ADAPTERS: tuple[Adapter, ...] = (
    Adapter(
        "dydx*", "dydx_bankruptcy_price", f"{ACCOUNT} liquidate_perp delta_quantums",
        dydx_bankruptcy,
    ),
    Adapter(
        "dydx*", "dydx_fillable_price",
        f"{ACCOUNT} liquidate_perp bankruptcy_adjustment_ppm spread_to_mmr_ppm", dydx_fillable,
    ),
    Adapter(
        "dydx*", "dydx_insurance_delta",
        f"{ACCOUNT} is_buy fill_quantums subticks quantum_conversion_exponent "
        "max_liquidation_fee_ppm",
        dydx_insurance,
    ),
    Adapter(
        "dydx*", "dydx_block_limits", "min_position_notional max_portion_ppm quantums price_usd",
        dydx_limits,
    ),
    Adapter(
        "drift*", "drift_base_to_cover",
        "margin_shortage margin_ratio liquidation_fee if_liquidation_fee oracle_price "
        "quote_oracle_price",
        drift_base,
    ),
    Adapter(
        "drift*", "drift_liab_to_cover",
        f"{WEIGHTED} asset_liq_mult liab_liq_mult liab_decimals liab_price if_fee",
        drift_liability,
    ),
    Adapter(
        "drift*", "drift_liab_implied",
        "asset_amount asset_mult asset_dec asset_price liab_mult liab_dec liab_price",
        drift_implied,
    ),
    Adapter(
        "drift*", "drift_asset_for_liab",
        " ".join(f"{side}_{name}" for side in ("asset", "liab") for name in SIDE), drift_asset,
    ),
    Adapter(
        "drift*", "drift_perp_if_fee",
        "margin_shortage base margin_ratio liquidator_fee oracle quote_oracle max_if_fee",
        drift_perp_fee,
    ),
    Adapter(
        "drift*", "drift_spot_if_fee",
        f"{WEIGHTED} token_amount asset_mult liab_mult liab_dec liab_price max_if_fee",
        drift_spot_fee,
    ),
    Adapter(
        "drift*", "drift_liq_fee_ramp",
        "base_fee max_fee last_active_slot current_slot grace_slots increase_per_slot",
        drift_fee_ramp,
    ),
    Adapter(
        "drift*", "drift_max_pct",
        "margin_shortage slot last_active_slot liquidation_margin_freed initial_pct duration",
        drift_part,
    ),
    Adapter("drift*", "drift_socialise_perp", "loss base_long base_short", drift_funding),
    Adapter(
        "mango*", "mango_token_liq", f"{BOOK} asset_token liab_token max_liab_transfer fees",
        mango_token,
    ),
    Adapter(
        "mango*", "mango_perp_liq",
        f"{BOOK} max_base max_pnl positive_pnl_liq_fee base_liq_fee", mango_perp,
    ),
    Adapter(
        "mango*", "mango_bankruptcy",
        f"{BOOK} max_liab_transfer pnl_settle_limit insurance_amount insurance_price "
        "open_interest fee",
        mango_loss,
    ),
    Adapter(
        "derive*", "derive_dutch_auction_solvent",
        "time_since_start mark_to_market maintenance_margin reserved_cash percent_wanted "
        "auction_params",
        derive_solvent,
    ),
    Adapter(
        "vega*", "vega_isolated_closeout",
        "entry size margin_factor marks rf_short linear_slippage", vega_close_out,
    ),
)  # fmt: skip
