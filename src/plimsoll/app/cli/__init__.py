"""The command line: ``plimsoll margin``, ``replay``, ``verify``, ``models``, ``book``, ``demo``.

Entry point: ``main``. Invariants: results go to standard output, as tables for people or JSON
for machines; everything else goes to standard error; bad input is one line and exit code 2.
"""

from plimsoll.app.cli.main import main

__all__ = ["main"]
