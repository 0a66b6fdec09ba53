"""Drift v2: how much a liquidator takes over, what the insurance fund earns, who bears the rest.

Units as in ``margin.venues.drift_margin``: prices and amounts of quote 1e-6, base of contracts
1e-9, margin ratios and weights 1e-4; fees and multipliers 1e-6, parts of a liquidation 1e-4. Exact
arithmetic gives the program's integers, which truncate each division, so that an amount that covers
a shortage may fall short by a unit; floats cover it.

1. A shortage is margin requirement - total collateral, both with the liquidation buffer. Closing a
   perpetual frees its margin ratio and costs the two fees; taking over a liability and the asset
   that pays for it frees the difference of their weights.
2. The insurance fund's fee is what the position frees beyond the shortage, less a twentieth for
   perpetuals, up to the market's maximum.
3. The liquidator's fee rises with the slots since the account was last active.
4. One transaction may cover only a part of the shortage, which grows with time; a small one all.
5. What an account cannot pay comes from the insurance fund, as far as the market's claim goes and
   all but one unit; then it is shared: over all base by the funding rate, over deposits by their
   interest index, both rounded up so that nothing is left over.

Source: drift-labs/protocol-v2 at commit 0fd8f61c and later, programs/drift/src/math/liquidation.rs
and its tests at commit 0ae3e3b1 (2026-04-01); the twentieth, the ramp and the small shortage, which
stand in later commits than we have, from the same functions of the program's successor (velocity).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from plimsoll.core import InputError, load_tables, table_at
from plimsoll.liquidation.sizing import (
    Piece,
    Rounding,
    Sized,
    above_zero,
    least_amount,
    quotient,
    smaller,
)
from plimsoll.margin.arithmetic import Arithmetic, Numbers, choose
from plimsoll.margin.venues.drift_margin import BASE, QUOTE, WEIGHT

FEE = 10**6
PART = 10**4
RATIO_TO_FEE = FEE // WEIGHT
FINER = 10
"""Weights are taken ten times as fine where they are multiplied."""

BASE_MAX = 2**64 - 1
TOKENS_MAX = 2**128 - 1
KEPT = (19, 20)
"""What a perpetual's fee leaves of its room, so that the fee itself does not bankrupt."""

FUNDING_TO_QUOTE = 10**3


@dataclass(frozen=True, slots=True)
class Parameters:
    """Thresholds in quote; ``fee_increase`` 1e-6 a slot; parts of a liquidation 1e-4."""

    shortage_small: int
    position_small: int
    fee_grace_slots: int
    fee_increase: int
    fee_multiple_max: int
    initial_part: int
    duration_slots: int


class Side(NamedTuple):
    """One side of a transfer: tokens (>= 0), their decimals and price, and the fee's multiplier.

    The liquidator's fee makes it more than ``FEE`` for the asset taken, less for the liability.
    """

    amount: Numbers
    multiplier: Numbers
    decimals: int
    price: Numbers


def load_parameters(as_of_ns: int) -> Parameters:
    """The parameters in force at a time."""
    tables = load_tables("plimsoll.liquidation.protocols", "drift_v2")
    return Parameters(**table_at(tables, as_of_ns).params)


def base_to_cover(
    arithmetic: Arithmetic,
    shortage: Numbers,
    margin_ratio: Numbers,
    liquidator_fee: Numbers,
    fund_fee: Numbers,
    price: Numbers,
    quote_price: Numbers,
) -> Numbers:
    """Base that covers a shortage > 0 (rule 1); ``BASE_MAX`` where no base does.

    ``margin_ratio`` has the buffer in it. Exact amounts round down. The rates come from divisions
    that truncate, as the program's do; the search is ``sizing.least_amount``.
    """
    freed = margin_ratio * RATIO_TO_FEE - liquidator_fee
    quote = arithmetic.floor(price * quote_price, QUOTE)
    gain = arithmetic.floor(quote * freed, FEE) - arithmetic.floor(price * fund_fee, FEE)
    return _covering(arithmetic, shortage, choose(freed > 0, gain, 0 * gain), BASE, BASE_MAX).amount


def liability_to_cover(
    arithmetic: Arithmetic,
    shortage: Numbers,
    asset_weight: Numbers,
    liability_weight: Numbers,
    asset_multiplier: Numbers,
    liability: Side,
    fund_fee: Numbers,
) -> Numbers:
    """Tokens of a liability whose transfer covers a shortage > 0 (rule 1).

    Weights have the buffer in them; the amount of ``liability`` does not matter. ``TOKENS_MAX``
    where no transfer covers it. Exact amounts round down.
    """
    weighted = arithmetic.floor(asset_weight * FINER * asset_multiplier, liability.multiplier)
    fee = arithmetic.floor(liability.price * fund_fee, FEE) * liability_weight * FINER
    gain = liability.price * (liability_weight * FINER - weighted) - fee
    unit = 10**liability.decimals * WEIGHT * FINER
    return _covering(arithmetic, shortage, gain, unit, TOKENS_MAX).amount


def liability_implied(arithmetic: Arithmetic, asset: Side, liability: Side) -> Numbers:
    """Tokens of a liability that an amount of the asset pays for, exact rounded up."""
    more, less = arithmetic.power(10, liability.decimals - asset.decimals)
    worth = asset.amount * more * asset.price * liability.multiplier
    return arithmetic.ceil(worth, liability.price * asset.multiplier * less)


def asset_for_liability(
    arithmetic: Arithmetic, asset: Side, liability: Side, dust: Numbers = QUOTE
) -> Numbers:
    """Tokens of an asset that pay for a liability, exact rounded down.

    All of the asset's balance where what would be left, or be lacking, is worth less than ``dust``.
    """
    more, less = arithmetic.power(10, asset.decimals - liability.decimals)
    worth = liability.amount * more * liability.price * asset.multiplier
    wanted = arithmetic.floor(worth, asset.price * liability.multiplier * less)
    left = arithmetic.floor(abs(wanted - asset.amount) * asset.price, 10**asset.decimals)
    return choose(left < dust, asset.amount, wanted)


def perp_fund_fee(
    arithmetic: Arithmetic,
    shortage: Numbers,
    base: Numbers,
    margin_ratio: Numbers,
    liquidator_fee: Numbers,
    price: Numbers,
    quote_price: Numbers,
    fee_max: Numbers,
) -> Numbers:
    """The insurance fund's fee on a perpetual (rule 2); 0 without a price or a position.

    ``base`` >= 0. Exact fees round down.
    """
    freed = margin_ratio * RATIO_TO_FEE - liquidator_fee
    quote = arithmetic.floor(price * quote_price, QUOTE)
    is_known = (price > 0) & (quote > 0) & (base > 0) & (freed > 0)
    per_base = arithmetic.floor(shortage * BASE, choose(is_known, base, 1))
    needed = arithmetic.floor(per_base * QUOTE, choose(is_known, quote, 1))
    # A price of zero asks for nothing, one that is unknown stays so.
    room = choose(is_known, above_zero(freed - needed), 0 * (freed + quote))
    fee = arithmetic.floor(room * KEPT[0], KEPT[1])
    return smaller(fee, fee_max)


def spot_fund_fee(
    arithmetic: Arithmetic,
    shortage: Numbers,
    asset_weight: Numbers,
    liability_weight: Numbers,
    asset_multiplier: Numbers,
    liability: Side,
    fee_max: Numbers,
) -> Numbers:
    """The insurance fund's fee on a liability of ``liability.amount`` tokens (rule 2)."""
    is_known = (asset_weight < liability_weight) & (liability.price > 0) & (liability.amount > 0)
    scale = FEE // WEIGHT
    weighted = arithmetic.floor(asset_weight * scale * asset_multiplier, liability.multiplier)
    per_token = arithmetic.floor(
        shortage * FEE * 10**liability.decimals, choose(is_known, liability.amount, 1)
    )
    needed = arithmetic.floor(per_token, choose(is_known, liability.price, 1))
    room = liability_weight * scale - weighted - needed
    room = choose(is_known, above_zero(room), 0 * (room + liability.price))
    fee = arithmetic.floor(room * FEE, liability_weight * scale)
    return smaller(fee, fee_max)


def liquidator_fee(
    base_fee: Numbers, fee_max: Numbers, elapsed: Numbers, parameters: Parameters
) -> Numbers:
    """The liquidator's fee ``elapsed`` slots after the account was last active (rule 3).

    It stays for the grace period, then counts all slots, those of the period too.
    """
    ramped = base_fee + elapsed * parameters.fee_increase
    return choose(elapsed < parameters.fee_grace_slots, base_fee, smaller(ramped, fee_max))


def liquidator_fee_max(base_fee: Numbers, margin_ratio: Numbers, parameters: Parameters) -> Numbers:
    """Where the ramp ends: a multiple of the fee, at most the maintenance margin ratio (1e-4)."""
    return smaller(base_fee * parameters.fee_multiple_max, margin_ratio * RATIO_TO_FEE)


def part_to_liquidate(
    arithmetic: Arithmetic,
    shortage: Numbers,
    freed: Numbers,
    elapsed: Numbers,
    parameters: Parameters,
) -> Numbers:
    """The part (1e-4) of a shortage that a transaction may cover (rule 4), exact rounded down.

    ``freed`` is the margin that earlier transactions of this liquidation have freed, ``elapsed``
    the slots since the account was last active.
    """
    duration = parameters.duration_slots
    passed = arithmetic.floor(elapsed * PART, duration) if duration else PART
    part = smaller(passed + parameters.initial_part, PART)
    allowed = above_zero(arithmetic.floor((shortage + freed) * part, PART) - freed)
    found = arithmetic.floor(allowed * PART, choose(shortage > 0, shortage, 1))
    return choose(shortage < parameters.shortage_small, PART, found)


def base_to_take(
    arithmetic: Arithmetic,
    base: Numbers,
    covering: Numbers,
    part: Numbers,
    value: Numbers,
    parameters: Parameters,
) -> Numbers:
    """Base of a position (>= 0) that a transaction takes over: a part of what covers the shortage.

    At most all of it, and all where it is worth less than ``position_small``.
    """
    found = arithmetic.floor(covering * part, PART)
    return choose(value < parameters.position_small, base, smaller(found, base))


def insurance_payment(loss: Numbers, vault: Numbers, claim_left: Numbers) -> Numbers:
    """What the insurance fund pays of a loss >= 0 (rule 5); one unit stays in its vault."""
    return smaller(smaller(loss, above_zero(vault - 1)), claim_left)


def funding_delta(
    arithmetic: Arithmetic, loss: Numbers, base_long: Numbers, base_short: Numbers
) -> Numbers:
    """What the cumulative funding rate (1e-9) moves by to share a loss (any sign) over all base.

    Longs' rate rises, shorts' falls by it, so that everybody pays by size, gaining or losing.
    Rounded up. Raises InputError where nobody has base.
    """
    total = abs(base_long) + abs(base_short)
    _check_shared(total, "base")
    return arithmetic.ceil(abs(loss) * BASE, total) * FUNDING_TO_QUOTE


def deposit_interest_delta(
    arithmetic: Arithmetic, borrowed: Numbers, index: Numbers, deposits: Numbers
) -> Numbers:
    """What the cumulative interest of all deposits falls by to share a loan's loss, rounded up.

    Raises InputError where there are no deposits.
    """
    _check_shared(deposits, "deposits")
    return arithmetic.ceil(index * borrowed, deposits)


def _check_shared(total: Numbers, what: str) -> None:
    if np.any(total == 0):
        raise InputError(what, "nobody is left to share a loss", "book it as bad debt")


def _covering(
    arithmetic: Arithmetic, shortage: Numbers, gain: Numbers, unit: Numbers, most: int
) -> Sized:
    """The least amount that frees ``shortage``, where ``unit`` of it free ``gain``."""
    piece = Piece(most, quotient(arithmetic, gain, unit))
    step = 1 if arithmetic.is_exact else None
    return least_amount(arithmetic, shortage, [piece], step, Rounding.DOWN)
