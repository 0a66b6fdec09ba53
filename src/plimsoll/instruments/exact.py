"""What a contract is worth in the ledger's integers: one row of factors per instrument."""

from collections.abc import Sequence

import numpy as np

from plimsoll.core import Int64s
from plimsoll.core.exact import UNITS_MAX
from plimsoll.instruments.assets import AssetTable
from plimsoll.instruments.instrument import Instrument, Kind, Payoff

SETTLE, BASE, PAYMENT, DIVIDES, TOP, BOTTOM, COINS = range(7)
COLUMNS = 7
"""Columns of ``exact_units``."""
COST, PREMIUM, EXCHANGE = range(3)
"""How a trade is paid: kept as cost (futures), at once (options), against coins (spot)."""


def value_ratio(row: Instrument, settle_decimals: int) -> tuple[int, int]:
    """(top, bottom): units of the settle asset that one unit of quantity stands for.

    Linear, quanto, spot and options: quantity * price * top / bottom. Inverse futures:
    -quantity * top / (bottom * price). Both in units; neither is bounded.
    """
    _, digits, exponent = row.contract_multiplier.as_tuple()
    scale = int(exponent) + settle_decimals - row.quantity_decimals
    scale += row.price_decimals if divides_by_price(row) else -row.price_decimals
    factor = int("".join(map(str, digits)))
    return factor * 10 ** max(scale, 0), 10 ** max(-scale, 0)


def divides_by_price(row: Instrument) -> bool:
    """Whether the value falls with the price."""
    return row.payoff == Payoff.INVERSE and row.kind != Kind.OPTION


def exact_units(
    rows: Sequence[Instrument], assets: AssetTable, base: Sequence[int], settle: Sequence[int]
) -> Int64s:
    """Factors for compiled code, shape [instruments, 7].

    ``TOP`` and ``BOTTOM`` are ``value_ratio``'s, 0 where they do not fit the ledger. ``COINS``
    is what one unit of quantity exchanges in units of the base asset: 0 where that does not
    fit, -1 where the quantity is finer than the asset.
    """
    units = np.zeros((len(rows), COLUMNS), dtype=np.int64)
    for i, row in enumerate(rows):
        top, bottom = value_ratio(row, assets.decimals[settle[i]])
        fits = max(top, bottom) <= UNITS_MAX
        places = assets.decimals[base[i]] - row.quantity_decimals
        coins = -1 if places < 0 else 10**places
        payment = {Kind.SPOT: EXCHANGE, Kind.OPTION: PREMIUM}.get(row.kind, COST)
        units[i] = (
            settle[i],
            base[i],
            payment,
            divides_by_price(row),
            top if fits else 0,
            bottom if fits else 0,
            coins if coins <= UNITS_MAX else 0,
        )
    return units
