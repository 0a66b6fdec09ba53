"""Lines of ``tests/vectors``: a document, what is expected of it, and how near it must come."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from plimsoll.connectors import build_portfolio, decode_document
from plimsoll.core import InputError, Status
from plimsoll.margin import Explanation, explain, load_models
from tools.vectors.cases import Tolerance

FORMULA = "formula:"
FIGURES = (
    "equity",
    "collateral_value",
    "initial_margin",
    "maintenance_margin",
    "excess_margin",
    "margin_ratio",
)


class _Raw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    case: str
    source: str
    document: dict[str, Any]
    expected: dict[str, Any]
    tolerance: float | dict[str, float] = 1e-9
    account: str = ""
    pool: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One case. ``expected`` maps figures to numbers, "status" to a name.

    Figures: those of the assessment, ``charges.<name>.initial`` or ``.maintenance``, and
    ``<detail>.<row label>.<column>``; null expects no number.
    """

    file: str
    case: str
    source: str
    document: Mapping[str, Any]
    expected: Mapping[str, Any]
    tolerance: Tolerance
    account: str
    pool: int

    @property
    def model(self) -> str:
        """The model of the account that is judged."""
        accounts = self.document["accounts"]
        named = next((a for a in accounts if a["id"] == self.account), accounts[0])
        return str(named.get("model", "plimsoll.standard"))

    @property
    def is_published(self) -> bool:
        """Whether the expected figures were published, not worked out from the rule."""
        return not self.source.startswith(FORMULA)


@dataclass(frozen=True, slots=True)
class LineResult:
    """What became of a line: its relative errors by figure, and those that are too large."""

    line: Line
    errors: Mapping[str, float]
    failures: tuple[str, ...]


def read_lines(folder: Path) -> tuple[Line, ...]:
    """The lines of every file that holds documents, by file name and in order."""
    lines = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if '"document"' in text:
                lines.append(_parse(path.stem, number, text))
    return tuple(lines)


def _parse(file: str, number: int, text: str) -> Line:
    try:
        raw = msgspec.json.decode(text, type=_Raw)
    except msgspec.DecodeError as error:
        raise InputError(f"{file}.jsonl:{number}", str(error), "mend the line") from None
    stated = raw.tolerance
    tolerance = (
        Tolerance(stated["rel"], is_relative=True)
        if isinstance(stated, dict)
        else Tolerance(stated, is_relative=False)
    )
    return Line(
        file, raw.case, raw.source, raw.document, raw.expected, tolerance, raw.account, raw.pool
    )


def run_line(line: Line) -> LineResult:
    """A line through the front door: document, book, assessment, comparison."""
    document = decode_document(msgspec.json.encode(line.document), f"{line.file}: {line.case}")
    portfolio = build_portfolio(document)
    book, market = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, market.as_of_ns)
    account = line.account or book.account_ids[0]
    explained = explain(book, market, models, account)[line.pool]
    errors: dict[str, float] = {}
    failures = []
    for name, expected in line.expected.items():
        found = _figure(explained, name)
        if name == "status":
            if found != expected:
                failures.append(f"status: {found} where {expected} is expected")
            continue
        off, error = _difference(found, expected)
        errors[name] = error
        if not line.tolerance.allows(off, 0.0 if expected is None else expected):
            failures.append(f"{name}: {found!r} where {expected!r} is expected")
    return LineResult(line, errors, tuple(failures))


def _figure(explained: Explanation, name: str) -> Any:
    if name == "status":
        return Status(explained.status).name
    if name in FIGURES:
        return getattr(explained, name)
    table, _, rest = name.partition(".")
    label, _, column = rest.rpartition(".")
    if table == "charges":
        found = next((c for c in explained.charges if c.name == label), None)
        if found is None:
            raise KeyError(name)
        return getattr(found, column)
    detail = explained.detail(table)
    row = next((values for row_label, values in detail.rows if row_label == label), None)
    if row is None:
        raise KeyError(name)
    return row[detail.columns.index(column)]


def _difference(found: float, expected: float | None) -> tuple[float, float]:
    """Absolute and relative difference; no number is equal to no number."""
    if expected is None:
        off = 0.0 if math.isnan(found) else math.inf
        return off, off
    off = abs(found - expected) if math.isfinite(found) else math.inf
    return off, off / abs(expected) if expected else off
