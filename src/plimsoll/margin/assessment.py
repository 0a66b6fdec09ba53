"""What an assessment says, as columns over pools."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from plimsoll.core import Floats, Int8s, Int32s, Int64s, Status

ACCOUNT_ROW = -1
"""The label of a detail's row that speaks of the pool as a whole."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of the requirement per pool, shape [pools].

    ``initial`` is ``opening`` times ``factor``: a line that opening multiplies needs no column of
    its own.
    """

    name: str
    opening: Floats
    maintenance: Floats
    factor: float = field(default=1.0, kw_only=True)

    @property
    def initial(self) -> Floats:
        """What the line adds to the initial margin."""
        return self.opening if self.factor == 1.0 else self.factor * self.opening


@dataclass(frozen=True, slots=True)
class Detail:
    """Rows behind a pool's figures, for people: pool p owns offsets[p] to offsets[p + 1].

    ``label`` indexes the assets, or the instruments where ``by_instrument``, or is
    ``ACCOUNT_ROW``; ``columns`` are named figures, one value per row.
    """

    name: str
    offsets: Int64s
    label: Int32s
    columns: tuple[tuple[str, Floats], ...]
    by_instrument: bool = False


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a model returns for each pool, in its currency; NaN where it cannot know.

    ``initial_margin`` and ``maintenance_margin`` are the charges added in order.
    """

    equity: Floats
    collateral_value: Floats
    charges: tuple[Charge, ...]
    details: tuple[Detail, ...]

    @property
    def initial_margin(self) -> Floats:
        """Sum of the charges, first to last."""
        return _add([charge.initial for charge in self.charges], self.equity)

    @property
    def maintenance_margin(self) -> Floats:
        """Sum of the charges, first to last."""
        return _add([charge.maintenance for charge in self.charges], self.equity)


def _add(columns: list[Floats], like: Floats) -> Floats:
    total = np.zeros(like.size)
    for column in columns:
        total += column
    return total


@dataclass(frozen=True, slots=True)
class Assessment:
    """The state of every pool of a book at one market, shape [pools] each.

    ``margin_ratio`` is maintenance margin over collateral value: 1 is liquidation.
    ``excess_margin`` is collateral value minus maintenance margin. The system's pools are not
    margined: they read OK and zero.
    """

    status: Int8s
    equity: Floats
    collateral_value: Floats
    initial_margin: Floats
    maintenance_margin: Floats
    charges: tuple[Charge, ...]
    currency: str

    @property
    def excess_margin(self) -> Floats:
        """Collateral value minus maintenance margin."""
        return self.collateral_value - self.maintenance_margin

    @property
    def margin_ratio(self) -> Floats:
        """Maintenance margin over collateral value; 0 without positions, inf past the end."""
        return margin_ratio(self.collateral_value, self.maintenance_margin)


def patch_assessment(whole: Assessment, part: Assessment, pools: Int64s) -> Assessment:
    """``whole`` with the rows of ``pools`` from ``part``, which assessed them alone.

    Both must come from one set of models: a pool's bits do not depend on who else is assessed.
    """

    def patched(old: Any, new: Any) -> Any:
        rows = old.copy()
        rows[pools] = new
        return rows

    return replace(
        whole,
        status=patched(whole.status, part.status),
        equity=patched(whole.equity, part.equity),
        collateral_value=patched(whole.collateral_value, part.collateral_value),
        initial_margin=patched(whole.initial_margin, part.initial_margin),
        maintenance_margin=patched(whole.maintenance_margin, part.maintenance_margin),
        charges=tuple(
            Charge(old.name, patched(old.initial, new.initial),
                   patched(old.maintenance, new.maintenance))
            for old, new in zip(whole.charges, part.charges, strict=True)
        ),
    )  # fmt: skip


def margin_ratio(collateral_value: Floats, maintenance_margin: Floats) -> Floats:
    """Ratio that is 1 at liquidation; NaN in, NaN out."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = maintenance_margin / collateral_value
    none_left = (collateral_value <= 0) & ((maintenance_margin > 0) | (collateral_value < 0))
    idle = (collateral_value >= 0) & (maintenance_margin == 0)
    return np.where(none_left, np.inf, np.where(idle, 0.0, ratio))


def status_of(
    equity: Floats,
    collateral_value: Floats,
    initial_margin: Floats,
    maintenance_margin: Floats,
    margin_call_ratio: float,
) -> Int8s:
    """Status per pool. Anything not finite is UNKNOWN before any comparison is made."""
    ratio = margin_ratio(collateral_value, maintenance_margin)
    finite = (
        np.isfinite(equity)
        & np.isfinite(collateral_value)
        & np.isfinite(initial_margin)
        & np.isfinite(maintenance_margin)
    )
    return np.select(
        [~finite, equity < 0, ratio >= 1, ratio >= margin_call_ratio],
        [Status.UNKNOWN, Status.BANKRUPT, Status.LIQUIDATABLE, Status.MARGIN_CALL],
        default=Status.OK,
    ).astype(np.int8)
