"""What a margin model is: data and pure functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from plimsoll.book import Rows
from plimsoll.core import Floats
from plimsoll.instruments import InstrumentTable
from plimsoll.margin.assessment import Assessment, Requirement
from plimsoll.margin.exposure import Exposure
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class PositionPrices:
    """Prices that a venue shows beside a position, shape [slots]; NaN where there is none.

    At ``liquidation`` of the position's mark, all else held, the venue starts to liquidate; at
    ``bankruptcy`` the position's own margin is gone.
    """

    liquidation: Floats
    bankruptcy: Floats


@dataclass(frozen=True, slots=True)
class Sweep:
    """How a model assesses pools straight from their rows: no exposures, no layout, no details.

    ``prepare`` writes a sheet, what the rules say of contracts and assets at one market; ``run``
    assesses some pools, or all where None, from that sheet. The figures are those of ``require``
    to the last bit, at a fraction of the cost. ``room`` makes working memory for one pool, which
    ``run`` takes as a fourth argument, one call at a time.
    """

    prepare: Callable[[Market, "ResolvedModel"], Any]
    run: Callable[..., Assessment]
    room: Callable[[Rows, Any], Any]


@dataclass(frozen=True, slots=True)
class Model:
    """A margin model, as the registry lists it.

    ``resolve`` turns a table's parameters into columns aligned with an instrument table; where
    it refuses one it names the place it is given. ``require`` turns exposures into
    requirements. ``table`` names the TOML file in ``package``, beside the rule file.
    ``exemptions`` maps rules of the entry exam that the model may break to reasons.
    ``is_segregated`` says that every settle asset is margined by itself, so that accounts get
    one pool for each.
    ``reprices_options`` says that options need an implied volatility and a forward.
    ``prices`` gives the venue's own liquidation and bankruptcy prices, if it states a formula.
    ``dollar`` is the one asset that the venue's linear contracts settle in and its collateral
    is, empty where it takes several.
    ``sweep``, if there is one, is what ``assess`` uses instead of ``require``.
    """

    name: str
    title: str
    table: str
    resolve: Callable[[Mapping[str, Any], InstrumentTable, str], Any]
    require: Callable[[Exposure, Market, Any], Requirement]
    exemptions: tuple[tuple[str, str], ...] = ()
    is_segregated: bool = False
    reprices_options: bool = False
    prices: Callable[[Exposure, Requirement, Market, Any], PositionPrices] | None = None
    sweep: Sweep | None = None
    package: str = "plimsoll.margin.venues"
    dollar: str = ""


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model with the parameters in force, ready to run.

    ``margin_call_ratio`` is the ratio from which a pool is called, ``..._clear_ratio`` the
    one below which the call is over. ``unconfirmed`` says which parameters no source confirms.
    ``sheet`` is a market and what its ``Sweep`` prepared for it, so that who assesses often at one
    market prepares once.
    """

    model: Model
    params: Any
    currency: str
    margin_call_ratio: float
    margin_call_clear_ratio: float
    unconfirmed: tuple[tuple[str, str], ...] = ()
    sheet: tuple[Market, Any] | None = None

    def sheet_at(self, market: Market) -> Any:
        """What the model's sweep needs at a market: as kept for it, or made now."""
        if self.sheet is not None and self.sheet[0] is market:
            return self.sheet[1]
        return None if self.model.sweep is None else self.model.sweep.prepare(market, self)


@dataclass(frozen=True, slots=True)
class ModelSet:
    """The resolved models of a book, in the order of ``Book.models``."""

    models: tuple[ResolvedModel, ...]

    def at(self, market: Market) -> "ModelSet":
        """The same models with their sheets at a market kept; the figures do not change."""
        kept = (
            item
            if item.model.sweep is None
            else replace(item, sheet=(market, item.sheet_at(market)))
            for item in self.models
        )
        return ModelSet(tuple(kept))
