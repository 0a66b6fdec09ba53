"""How true the models are: our own vectors run, and docs/parity.md written from them.

Entry points: ``read_lines``, ``run_line``; ``python -m tools.parity`` writes the page.
Invariants: every figure on the page comes from a run, none is written by hand; a line whose
source is a formula is not counted as published.
"""

from tools.parity.lines import Line, LineResult, read_lines, run_line
from tools.parity.page import render_page

__all__ = ["Line", "LineResult", "read_lines", "render_page", "run_line"]
