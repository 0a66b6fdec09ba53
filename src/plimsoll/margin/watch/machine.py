"""All that a watch holds, as one reference that compiled code takes in a microsecond.

A call with the columns themselves, some eighty arrays, would spend ten on unpacking them.
"""

from typing import Any, NamedTuple, final

from numba.core import types
from numba.experimental import structref

from plimsoll.core import Floats, Int8s, Int32s, Int64s
from plimsoll.margin.watch.compiled import entry


class Rungs(NamedTuple):
    """How pools stand. ``ratios`` [models, levels] are the margin ratios that are watched, rising.

    A pool's ``rung`` counts those it has reached, one more where it is bankrupt, -1 where it is
    UNKNOWN. A level that is reached is kept until the ratio is below its entry in ``clears``, at
    0 until an event.
    """

    ratios: Floats
    clears: Floats
    rung: Int8s


class Log(NamedTuple):
    """Changes of rung in order; ``tally`` [1] of them."""

    tick: Int32s
    pool: Int32s
    before: Int8s
    after: Int8s
    tally: Int64s


@final
@structref.register
class MachineType(types.StructRef):
    """Numba's type of a ``Machine``."""

    def preprocess_fields(self, fields: Any) -> Any:
        """Fields hold any value of their type."""
        return tuple((name, types.unliteral(kind)) for name, kind in fields)  # type: ignore[no-untyped-call]


@final
class Machine(structref.StructRefProxy):
    """``ladder``, ``desk``, ``rows``, ``rungs`` and ``log`` behind one reference."""


structref.define_proxy(  # type: ignore[no-untyped-call]
    Machine, MachineType, ["ladder", "desk", "rows", "rungs", "log"]
)


@entry
def make_machine(ladder: Any, desk: Any, rows: Any, rungs: Any, log: Any) -> Any:
    """A machine of these parts."""
    return Machine(ladder, desk, rows, rungs, log)  # type: ignore[no-untyped-call]


@entry
def set_ladder(machine: Any, ladder: Any) -> None:
    """Go on with other columns of guards."""
    machine.ladder = ladder


@entry
def set_desk(machine: Any, desk: Any) -> None:
    """Go on with other rules."""
    machine.desk = desk


@entry
def set_rows(machine: Any, rows: Any) -> None:
    """Go on with other rows of the book."""
    machine.rows = rows


@entry
def set_rungs(machine: Any, rungs: Any) -> None:
    """Go on with other columns of standing."""
    machine.rungs = rungs


@entry
def set_log(machine: Any, log: Any) -> None:
    """Go on with another log."""
    machine.log = log
