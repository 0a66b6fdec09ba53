"""The adapters there are: one line each."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tools.vectors.adapters import options, sizes, tiers
from tools.vectors.cases import Case


@dataclass(frozen=True, slots=True)
class Adapter:
    """Which cases a function answers.

    ``party``, ``subject`` and the blank-separated ``inputs`` are patterns as in file names, the
    first two in lower case. Every input of a case must match a pattern and every pattern, but
    one that ends in ``?``, an input, so that a case with one more input, which may change its
    meaning, is not taken.
    """

    party: str
    subject: str
    inputs: str
    answer: Callable[[Case], Any]

    @property
    def name(self) -> str:
        """The function's name, for lists and reports."""
        return self.answer.__name__

    @property
    def title(self) -> str:
        """The first sentence of what the function says of itself."""
        return (self.answer.__doc__ or "").partition(".")[0]

    def takes(self, case: Case) -> bool:
        """Whether this adapter answers a case."""
        words = self.inputs.split()
        patterns = [word.removesuffix("?") for word in words]
        needed = [word for word in words if not word.endswith("?")]
        return (
            fnmatchcase(case.party.lower(), self.party)
            and fnmatchcase(case.subject.lower(), self.subject)
            and all(any(fnmatchcase(name, p) for p in patterns) for name in case.inputs)
            and all(any(fnmatchcase(name, p) for name in case.inputs) for p in needed)
        )


ADAPTERS = (
    Adapter(
        "binance", "*maintenance amount*", "floor_* mmr_n mmr_prev cum_prev", tiers.next_constant
    ),
    Adapter("binance", "*maintenance amount*", "floors_* mmr position_*", tiers.constant_at),
    Adapter("binance", "*bracket*", "floors_mmr", tiers.constants_by_level),
    Adapter("binance", "*bracket*", "columns rows", tiers.bracket_table),
    Adapter("bybit", "*risk-limit*", "caps mmr", tiers.deductions),
    Adapter("bybit", "*tiered maintenance*", "tiers qty entry leverage", tiers.tiered_position),
    Adapter("okx", "*discount rate*", "amount price tiers", tiers.discounted_asset),
    Adapter(
        "deribit",
        "standard margin*linear*",
        "base_rate slope_per_coin position_coin index_price",
        sizes.linear_maintenance,
    ),
    Adapter(
        "deribit",
        "standard margin, inverse*position",
        "instrument size_currency im_base mm_base slope_per_coin",
        sizes.inverse_position,
    ),
    Adapter("", "1-options", "cp? K S q r T vol note?", options.spot_option),
    Adapter("", "1-options", "F K r T vol", options.forward_option),
    Adapter("", "1-options", "K delivery premium_btc", options.settled_in_coin),
    Adapter("", "1-options", "F K T q undiscounted_price", options.implied),
    Adapter("", "1-options", "a b m rho sigma t", options.jump_wings_of),
    Adapter("", "1-options", "a b m rho sigma t grid", options.least_density),
    Adapter("", "1-options", "v psi p", options.symmetric_wings),
    Adapter("", "1-options", "theta rho eta gamma k", options.power_law_smile),
    Adapter("", "1-options", "rule dte", options.tenor_multipliers),
    Adapter("", "1-options", "dte base", options.scaled_shock),
    Adapter("", "1-options", "I0 basis T Q cont shock", options.shocked_future),
)


def find_adapter(case: Case) -> Adapter | None:
    """The first adapter that takes a case; None where its model is not there yet."""
    return next((adapter for adapter in ADAPTERS if adapter.takes(case)), None)
