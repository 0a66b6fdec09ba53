"""The worst volatility at each price: one column of a price × volatility grid for a whole book.

Where a venue lets volatility move one way for all options of an underlying at once, the worst
column is chosen for their sum, not for each option, and anew at each price. Source: Bybit, GET
/v5/asset/portfolio-margin (``maxLossIvShockList`` has one entry per price).
"""

import numpy as np

from plimsoll.core import Floats, Int64s


def worst_columns(cells: Floats, vols: int) -> tuple[Floats, Int64s]:
    """Smallest profit at each price, and the volatility move it comes with, [rows, prices] each.

    ``cells`` is [rows, prices × vols], all moves of volatility at the first price first. NaN
    where a cell at that price is NaN.
    """
    by_price = cells.reshape(len(cells), cells.shape[1] // vols, vols)
    # A NaN counts as smallest here, and so reaches the result.
    column = np.argmin(by_price, axis=2)
    worst = np.take_along_axis(by_price, column[:, :, np.newaxis], axis=2)[:, :, 0]
    return worst, column.astype(np.int64)
