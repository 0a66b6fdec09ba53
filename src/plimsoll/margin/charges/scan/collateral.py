"""Collateral that a scan revalues, and what is left for haircuts and depegs.

A coin that falls with the positions it backs belongs in their scenarios (wrong-way risk). Its
published haircut speaks of the same fall, and of its size; so only what the haircut exceeds the
scanned range by is still taken. What the scan does not move, stablecoins above all, has
scenarios of its own, independent of the market's, which therefore add to it as squares.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from plimsoll.core import Floats, sum_by
from plimsoll.instruments import Kind, Payoff
from plimsoll.margin.charges.scan.contracts import contract_delta
from plimsoll.margin.charges.tiers.marginal import MarginalTiers, schedules
from plimsoll.margin.exposure import Exposure
from plimsoll.market import Market


def residual_haircuts(
    haircuts: Mapping[str, Sequence[Sequence[float]]],
    names: Sequence[str],
    scanned: Floats,
    place: str,
) -> MarginalTiers:
    """Haircut tiers of each asset less what scenarios take of it already, at least 0.

    ``scanned``, [assets], is that fraction. An asset without tiers has a haircut of 1. Raises
    InputError as ``schedules`` does.
    """
    whole = ((0.0, 1.0),)
    listed = {name: haircuts.get(name, whole) for name in names}
    read = schedules(listed, names, 1, place)
    rows = [
        [
            (float(floor), max(float(rate) - float(taken), 0.0))
            for floor, rate in zip(read.floors[start:end], read.rates[start:end], strict=True)
        ]
        for start, end, taken in zip(read.offsets[:-1], read.offsets[1:], scanned, strict=True)
    ]
    return MarginalTiers.build(rows)


def quote_notional(market: Market) -> Floats:
    """USD of the quote asset that one long contract owes, shape [instruments].

    A contract quoted and settled in one asset gains where that asset falls, since its mark
    rises: its worth in USD stays, what it was bought for shrinks. Linear: the notional. Options:
    delta × forward. 0 for what settles in another asset than it is quoted in.
    """
    table = market.instruments
    is_option = table.of_kind(Kind.OPTION)
    price = np.where(is_option, market.forward, market.mark)
    owed = contract_delta(market) * price * market.index[table.quote]
    applies = table.of_payoff(Payoff.LINEAR) & ~table.of_kind(Kind.SPOT)
    return np.where(applies, owed, 0.0)


def depeg_loss(
    exposure: Exposure, cell_value: Floats, owed: Floats, fall: Floats, rise: Floats
) -> Floats:
    """Loss of each cell where its asset leaves its peg the worse way, USD >= 0, shape [cells].

    ``cell_value`` is USD, ``owed`` as from ``quote_notional``; ``fall`` and ``rise`` are
    fractions >= 0, [assets].
    """
    layout, quantity = exposure.layout, exposure.quantity
    contracts = np.where(quantity == 0, 0.0, quantity * owed[layout.slot_instrument])
    open_value = cell_value - sum_by(layout.slot_cell, contracts, layout.cell_asset.size)
    asset = layout.cell_asset
    moves = np.where(open_value > 0, fall[asset], rise[asset])
    # What cannot move needs no price; an unknown value against a move stays unknown.
    return np.where((moves == 0) | (open_value == 0), 0.0, np.abs(open_value) * moves)


def independent_excess(charged: Floats, loss: Floats) -> Floats:
    """What an independent loss adds to a charge: sqrt(charged² + loss²) - charged, >= 0."""
    # Not hypot(), whose last bit depends on the machine's library.
    whole = np.sqrt(charged * charged + loss * loss)
    return np.where(loss == 0, 0.0, np.maximum(whole - charged, 0.0))
