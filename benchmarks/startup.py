"""Claim: the command line answers at once; help loads no engine, a margin no more than it needs."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lines import Line, Load, Race
from benchmarks.timing import Lap, lap, time_laps

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "desk.yaml"
# What the installed script does, so that no script need be on the path.
PLIMSOLL = "import sys; sys.argv[0] = 'plimsoll'; from plimsoll.app.cli import main; main()"


def measure(load: Load) -> Iterator[Line]:
    """Wall time of whole processes, with warm caches; the limit is a Python that does nothing."""
    for name, arguments in (("help", ["--help"]), ("margin", ["margin", str(EXAMPLE)])):
        laps = (_lap(PLIMSOLL, *arguments), _lap("import numpy"), _lap("pass"))
        race = Race(*time_laps(load.repeats, *laps))
        yield race.milliseconds(f"startup.{name}", "python -c 'import numpy'", None)


def _lap(program: str, *arguments: str) -> Lap:
    command = [sys.executable, "-c", program, *arguments]
    return lap(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
