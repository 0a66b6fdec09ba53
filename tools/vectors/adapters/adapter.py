"""What an adapter is: a function and the cases it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tools.vectors.cases import Case

NAMING = frozenset(("symbol", "coin", "instId", "instrument", "as_of", "date", "note", "comment"))
"""Inputs that name or date an example: one more of them changes no other figure's meaning."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """Which cases a function answers.

    ``party``, ``subject`` and the blank-separated ``inputs`` are patterns as in file names, the
    first two in lower case. Every input of a case must match a pattern and every pattern, but
    one that ends in ``?``, an input, so that a case with one more input, which may change its
    meaning, is not taken. What only names an example may be added.
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
        stated = [name for name in case.inputs if name not in NAMING]
        return (
            fnmatchcase(case.party.lower(), self.party)
            and fnmatchcase(case.subject.lower(), self.subject)
            and all(any(fnmatchcase(name, p) for p in patterns) for name in stated)
            and all(any(fnmatchcase(name, p) for name in case.inputs) for p in needed)
        )
