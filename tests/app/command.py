"""The command line, called in this process: exit code, standard output and standard error."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec

from plimsoll.app.cli import main

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples"


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be JSON and nothing else."""
        return msgspec.json.decode(self.out)


def plimsoll(*arguments: object) -> Finished:
    """``plimsoll`` with these arguments, as the shell would run it."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        patch.object(sys, "argv", ["plimsoll", *map(str, arguments)]),
    ):
        try:
            main()
        except SystemExit as error:
            code = error.code or 0
    assert isinstance(code, int)
    return Finished(code, out.getvalue(), err.getvalue())


def run_python(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own, with these arguments."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
