"""Errors for the door and for broken invariants.

PlimsollError
    InputError    what came from outside cannot be used; says where and what to do
    LedgerError   a batch breaks a rule of the ledger; nothing was changed
    JournalError  a stored journal is damaged or not a journal
"""

import difflib
from collections.abc import Iterable


class PlimsollError(Exception):
    """Base of all errors; its text is one line: ``place: problem; remedy``."""

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        super().__init__(place, problem, remedy)
        self.place = place
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return " ".join(f"{self.place}: {self.problem}; {self.remedy}".split())


class InputError(PlimsollError):
    """Input from outside that cannot be used. Exit code 2 on the command line."""


class LedgerError(PlimsollError):
    """A batch that breaks a rule of the ledger. The book is unchanged."""


class JournalError(PlimsollError):
    """A stored journal that is damaged, foreign or incomplete."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A remedy: the closest known name, or the first few there are."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    if not names:
        return "there are none to choose from"
    shown = ", ".join(f"'{item}'" for item in names[:5])
    return f"known: {shown}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
