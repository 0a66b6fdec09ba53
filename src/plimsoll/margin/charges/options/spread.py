"""Options on one underlying that expire together settle at one price: what they can lose at most.

The payoff of a group bends only at its strikes, so its worst is at zero, at a strike, or, where
calls are net short, without end above the last one. Sources: Paradex docs, "Option spread
margin"; Derive's standard manager measures the same settlement loss.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Bools, Floats, Int64s, sum_by
from plimsoll.margin.exposure import Exposure


@dataclass(frozen=True, slots=True)
class ExpiryGroups:
    """Options of one pool, underlying and expiry: ``slots`` that are options, and their ``group``.

    ``pool`` is [groups].
    """

    slots: Int64s
    group: Int64s
    pool: Int64s


def expiry_groups(exposure: Exposure, is_option: Bools) -> ExpiryGroups:
    """Option slots by pool, underlying and expiry; ``is_option`` is [instruments]."""
    layout, table = exposure.layout, exposure.instruments
    slots = np.flatnonzero(is_option[layout.slot_instrument])
    expiries, turn = np.unique(table.expiry_ns, return_inverse=True)
    width = max(expiries.size, 1)
    keys = layout.slot_group[slots] * width + turn[layout.slot_instrument[slots]]
    distinct, group = np.unique(keys, return_inverse=True)
    offsets = layout.group_offsets
    owner = np.repeat(np.arange(offsets.size - 1, dtype=np.int64), np.diff(offsets))
    return ExpiryGroups(slots, group.astype(np.int64), owner[distinct // width])


def settlement_losses(
    group: Int64s, count: int, strike: Floats, is_call: Bools, units: Floats, value: Floats
) -> Floats:
    """The most each group can lose from its mark value at settlement, >= 0, shape [count].

    One row per leg: ``units`` of the underlying (long > 0), ``value`` of the leg at mark; losses
    above the last strike, where calls are net short, are not in it. NaN stays NaN.
    """
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group, minlength=count)
    first = np.cumsum(sizes) - sizes
    # Prices to look at: zero for each group, then the strike of every leg that is held.
    held_strike = np.where(units == 0, 0.0, strike)
    node_group = np.concatenate([np.arange(count), group[order]])
    node_price = np.concatenate([np.zeros(count), held_strike[order]])
    legs = sizes[node_group]
    node = np.repeat(np.arange(node_group.size), legs)
    step = np.arange(node.size) - np.repeat(np.cumsum(legs) - legs, legs)
    leg = order[first[node_group[node]] + step]
    gap = (node_price[node] - strike[leg]) * np.where(is_call[leg], 1.0, -1.0)
    worth = sum_by(node, units[leg] * np.maximum(gap, 0.0), node_group.size)
    loss = np.zeros(count)
    # The unbuffered maximum warns of the NaN that it keeps.
    with np.errstate(invalid="ignore"):
        np.maximum.at(loss, node_group, sum_by(group, value, count)[node_group] - worth)
    return loss
