"""One price of several sources: who counts, how many must, and within what bounds.

All functions work on columns over the rows of ``Market.price``, or on [sources, rows].
"""

import numpy as np

from plimsoll.core import Bools, Floats, Int8s, Int64s
from plimsoll.instruments import InstrumentTable
from plimsoll.market.market import Quality
from plimsoll.market.sanity import Reference, SanityRules


def row_of(table: InstrumentTable, name: str) -> int:
    """Row of a symbol's mark or an asset's index; -1 where the table knows neither."""
    if name in table.index:
        return table.index[name]
    names = table.assets.names
    return len(table) + names.index(name) if name in names else -1


def rows_of_names(table: InstrumentTable, names: tuple[str, ...]) -> Bools:
    """Which rows are among the names; names that the table does not know say nothing."""
    chosen = np.zeros(len(table) + len(table.assets.names), dtype=np.bool_)
    rows = [row_of(table, name) for name in names]
    chosen[[row for row in rows if row >= 0]] = True
    return chosen


def agreeing(price: Floats, usable: Bools, apart_max: float) -> Bools:
    """Sources near at least half of the other usable ones, shape [sources, rows].

    Those near each other are then a majority, so one wrong source of three or more is left out
    whatever it says, and of two that disagree neither counts. A mean or a median of the others
    would itself be moved by the wrong one.
    """
    count = price.shape[0]
    if count == 1:
        return usable
    near = np.zeros(price.shape, dtype=np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        for one in range(count):
            for other in range(one + 1, count):
                larger = np.maximum(np.abs(price[one]), np.abs(price[other]))
                close = np.abs(price[one] - price[other]) <= apart_max * larger
                close &= usable[one] & usable[other]
                near[one] += close
                near[other] += close
    others = usable.sum(axis=0) - 1
    return np.asarray(usable & (2 * near >= others))


def median_of(price: Floats, usable: Bools) -> Floats:
    """Median over the usable sources of each row; NaN where there is none."""
    if price.shape[0] == 1:
        return np.where(usable[0], price[0], np.nan)
    ranked = np.sort(np.where(usable, price, np.inf), axis=0)
    count = usable.sum(axis=0)
    low = np.take_along_axis(ranked, np.maximum(count - 1, 0)[None, :] // 2, axis=0)[0]
    high = np.take_along_axis(ranked, (count // 2)[None, :].clip(max=price.shape[0] - 1), axis=0)[0]
    return np.where(count > 0, 0.5 * (low + high), np.nan)


def sources_needed(
    table: InstrumentTable, sources: int, rules: SanityRules, is_back: Bools | None
) -> Int64s:
    """How many sources each row needs; ``is_back`` marks those that come back after an outage."""
    needed = np.full(len(table) + len(table.assets.names), rules.quorum, dtype=np.int64)
    if is_back is not None:
        resumed = max(rules.quorum, min(rules.resume_quorum, sources))
        needed[is_back] = resumed
    if rules.single_source:
        needed[rows_of_names(table, rules.single_source)] = 1
    return needed


def check_references(
    table: InstrumentTable, references: tuple[Reference, ...], price: Floats, used: Int64s,
    confirmed_by: int, quality: Int8s,
) -> None:  # fmt: skip
    """Write OFF_REFERENCE where a price is far from its reference and too few sources say it."""
    for reference in references:
        row = row_of(table, reference.name)
        if row < 0 or quality[row] != Quality.GOOD:
            continue
        low, high = reference.price / reference.factor, reference.price * reference.factor
        if not low <= price[row] <= high and used[row] < confirmed_by:
            quality[row] = Quality.OFF_REFERENCE


def bound_prices(
    table: InstrumentTable, rules: SanityRules, price: Floats, average: Floats, quality: Int8s
) -> None:
    """Hold prices, in place, within the band of their average and of what they redeem for.

    A price whose anchor is not usable, or is further off than its ``pause_gap``, is DIVERGED.
    """
    for band in rules.bands:
        row = row_of(table, band.name)
        if row >= 0 and np.isfinite(average[row]):
            low, high = average[row] / band.factor, average[row] * band.factor
            price[row] = min(max(price[row], low), high)
    for anchor in rules.anchors:
        row, into = row_of(table, anchor.asset), row_of(table, anchor.into)
        if row < 0 or quality[row] != Quality.GOOD:
            continue
        is_known = anchor.into == "USD" or (into >= 0 and quality[into] == Quality.GOOD)
        unit = 1.0 if anchor.into == "USD" else price[into]
        worth = anchor.rate * unit if is_known else np.nan
        gap = abs(price[row] / worth - 1.0)
        if not is_known or (anchor.pause_gap is not None and not gap < anchor.pause_gap):
            quality[row] = Quality.DIVERGED
            continue
        price[row] = min(max(price[row], worth * (1 - anchor.band)), worth * (1 + anchor.band))
