"""Partial liquidation by a share: every position reduced by the same fraction, for a penalty.

The maintenance margin falls in proportion and the account pays
penalty = share × fee rate × maintenance margin, so its new margin ratio is known beforehand.
Source: Paradex docs, "Liquidations", whose worked table this reproduces.
"""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats


@dataclass(frozen=True, slots=True)
class PartialClose:
    """An account after the reduction; shapes as given, amounts in the account's currency.

    ``margin_ratio`` is maintenance margin over account value, infinite where that is used up.
    """

    maintenance_margin: Floats
    penalty: Floats
    account_value: Floats
    margin_ratio: Floats


def partial_close(
    account_value: Floats, maintenance_margin: Floats, share: Floats, fee_rate: float
) -> PartialClose:
    """The account once ``share`` (0 to 1) of every position is closed at mark; NaN stays NaN."""
    penalty = share * fee_rate * maintenance_margin
    kept, value = maintenance_margin * (1.0 - share), account_value - penalty
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = kept / value
    spent = (value <= 0) & ((kept > 0) | (value < 0))
    ratio = np.where(spent, np.inf, np.where((value == 0) & (kept == 0), 0.0, ratio))
    return PartialClose(kept, penalty, value, ratio)


def least_share(
    account_value: Floats,
    maintenance_margin: Floats,
    fee_rate: float,
    steps: int,
    ratio_target: float,
) -> Floats:
    """The least of 1/steps, 2/steps, ..., 1 that brings the margin ratio below the target.

    1 where no share does: the account is closed. NaN where either amount is.
    """
    found = np.where(np.isnan(account_value + maintenance_margin), np.nan, 1.0)
    for step in range(steps, 0, -1):
        share = np.full(found.shape, step / steps)
        after = partial_close(account_value, maintenance_margin, share, fee_rate)
        found = np.where(after.margin_ratio < ratio_target, share, found)
    return found
