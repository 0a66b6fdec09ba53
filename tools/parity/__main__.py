"""python -m tools.parity [--check]

Writes docs/parity.md from a run of tests/vectors. With --check writes nothing and exits with 1
where the page is not what a run gives. Exit code 1, too, where a case fails.
"""

import sys
from pathlib import Path

from tools.parity import read_lines, render_page, run_line

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "parity.md"


def main(arguments: list[str]) -> int:
    """Write or check the page; returns the exit code."""
    results = [run_line(line) for line in read_lines(ROOT / "tests" / "vectors")]
    page = render_page(results)
    failed = [result for result in results if result.failures]
    for result in failed:
        sys.stderr.write(f"{result.line.file}: {result.line.case}: {result.failures[0]}\n")
    if "--check" in arguments:
        is_current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page
        return 0 if is_current and not failed else 1
    PAGE.write_text(page, encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)}: {len(results)} cases, {len(failed)} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
