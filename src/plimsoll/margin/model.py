"""What a margin model is: data and two pure functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from plimsoll.instruments import InstrumentTable
from plimsoll.margin.assessment import Requirement
from plimsoll.margin.exposure import Exposure
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class Model:
    """A margin model, as the registry lists it.

    ``resolve`` turns a table's parameters into columns aligned with an instrument table; where
    it refuses one it names the place it is given. ``require`` turns exposures into
    requirements. ``table`` names the TOML file beside the rule file. ``exemptions`` maps rules
    of the entry exam that the model may break to reasons.
    """

    name: str
    title: str
    table: str
    resolve: Callable[[Mapping[str, Any], InstrumentTable, str], Any]
    require: Callable[[Exposure, Market, Any], Requirement]
    exemptions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model with the parameters in force, ready to run.

    ``margin_call_ratio`` is the ratio from which a pool is called, ``..._clear_ratio`` the
    one below which the call is over.
    """

    model: Model
    params: Any
    currency: str
    margin_call_ratio: float
    margin_call_clear_ratio: float


@dataclass(frozen=True, slots=True)
class ModelSet:
    """The resolved models of a book, in the order of ``Book.models``."""

    models: tuple[ResolvedModel, ...]
