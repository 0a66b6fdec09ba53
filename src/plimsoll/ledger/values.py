"""What a trade is worth, exactly: the one place where prices become ledger amounts."""

import numpy as np

from plimsoll.core import Floats, Int32s, Int64s
from plimsoll.core.exact import UNITS_MAX, divide_all_half_even, to_int64
from plimsoll.instruments import InstrumentTable, Kind, Payoff


def price_to_units(table: InstrumentTable, instrument: Int32s, price: Floats) -> Int64s:
    """Prices rounded to the instruments' price units, at least one unit."""
    decimals = np.array([row.price_decimals for row in table.rows], dtype=np.int64)
    return np.maximum(np.rint(price * 10.0 ** decimals[instrument]), 1).astype(np.int64)


def trade_values(
    table: InstrumentTable, instrument: Int32s, quantity: Int64s, price: Int64s
) -> Int64s:
    """Value of each trade in units of the settle asset, rounded once, half to even.

    Linear, quanto, spot and options: quantity * multiplier * price. Inverse futures:
    -quantity * multiplier / price.
    """
    result = np.zeros(quantity.size, dtype=np.int64)
    for i in np.unique(instrument):
        row = table.rows[i]
        at = np.flatnonzero(instrument == i)
        sign, digits, exponent = row.contract_multiplier.as_tuple()
        factor = int("".join(map(str, digits))) * (-1 if sign else 1)
        scale = int(exponent) + table.assets.decimals[table.settle[i]] - row.quantity_decimals
        if row.payoff == Payoff.INVERSE and row.kind != Kind.OPTION:
            scale += row.price_decimals
            result[at] = _scaled(-quantity[at], factor, scale, price[at])
        else:
            scale -= row.price_decimals
            result[at] = _scaled(quantity[at], factor, scale, None, price[at])
    return result


def _scaled(
    quantity: Int64s,
    factor: int,
    exponent: int,
    divisor: Int64s | None,
    multiplicand: Int64s | None = None,
) -> Int64s:
    """quantity * multiplicand * factor * 10**exponent / divisor, in integers.

    int64 where the largest product surely fits, else Python's own integers.
    """
    up, down = 10 ** max(exponent, 0), 10 ** max(-exponent, 0)
    largest = float(np.abs(quantity).max()) * abs(factor) * up
    if multiplicand is not None:
        largest *= float(np.abs(multiplicand).max())
    lower = float(down) if divisor is None else float(np.abs(divisor).max()) * down
    exact = np.int64 if max(largest, lower) < UNITS_MAX / 4 else object
    top = quantity.astype(exact) * (factor * up)
    if multiplicand is not None:
        top = top * multiplicand.astype(exact)
    if divisor is not None:
        bottom = divisor.astype(exact) * down
    elif down == 1:
        return to_int64(top, "trades")
    else:
        bottom = np.full(quantity.size, down, dtype=exact)
    return to_int64(divide_all_half_even(top, bottom), "trades")
