"""What a trade is worth, exactly: the one place where prices become ledger amounts."""

import numpy as np

from plimsoll.core import Floats, Int32s, Int64s
from plimsoll.core.exact import divide_half_even, to_int64
from plimsoll.instruments import InstrumentTable
from plimsoll.instruments.exact import divides_by_price, value_ratio
from plimsoll.ledger.kernels import NOWHERE, value_trades


def price_to_units(table: InstrumentTable, instrument: Int32s, price: Floats) -> Int64s:
    """Prices rounded to the instruments' price units, at least one unit."""
    units = np.rint(price * 10.0 ** table.price_decimals[instrument])
    return np.maximum(units, 1).astype(np.int64)


def trade_values(
    table: InstrumentTable, instrument: Int32s, quantity: Int64s, price: Int64s
) -> Int64s:
    """Value of each trade in units of the settle asset, rounded once, half to even.

    Linear, quanto, spot and options: quantity * multiplier * price. Inverse futures:
    -quantity * multiplier / price. Raises LedgerError where a value cannot be stored.
    """
    values = np.empty(quantity.size, dtype=np.int64)
    traded, size, limit = (plain_int64s(column) for column in (instrument, quantity, price))
    value_trades(table.exact, traded, size, limit, values)
    wide = np.flatnonzero(values == NOWHERE)
    if wide.size:
        exact = [_value(table, int(instrument[k]), int(quantity[k]), int(price[k])) for k in wide]
        values[wide] = to_int64(np.array(exact, dtype=object), "trades")
    return values


def plain_int64s(column: Int32s | Int64s) -> Int64s:
    """A column as compiled code wants it, however it lies in memory: a copy only where it must."""
    flags = column.flags
    if column.dtype == np.int64 and flags.c_contiguous and flags.writeable:
        return np.asarray(column)
    return column.astype(np.int64)


def _value(table: InstrumentTable, i: int, quantity: int, price: int) -> int:
    """The same in unbounded integers."""
    row = table.rows[i]
    top, bottom = value_ratio(row, table.assets.decimals[table.settle[i]])
    if divides_by_price(row):
        return divide_half_even(-quantity * top, bottom * price)
    return divide_half_even(quantity * top * price, bottom)
