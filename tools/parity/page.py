"""docs/parity.md: model by model, how near it comes to what its venue published."""

import math
import statistics
from collections.abc import Sequence

from plimsoll.core import DatedTable, format_time
from plimsoll.margin import MODELS, Model
from plimsoll.margin.registry import model_tables
from tools.parity.lines import LineResult

INTRODUCTION = """\
# Parity

How near each margin model comes to its venue. Written by `make parity` from the cases in
`tests/vectors`; nothing on it is written by hand.

*Published* counts cases whose expected figures a venue published or its API returned; *formula*
counts cases worked out from the rule, mostly its edges. Errors are relative, over the figures of
the published cases alone, and mostly what rounding of the published figure leaves. An
unconfirmed parameter or step is one that no source at hand confirms: read the reason before you
trust a figure that rests on it. Where a table says nothing of an underlying, the status is
UNKNOWN and nothing is guessed; an account's `params` may supply what the venue's API gives.

| Model | Table in force from | Retrieved | Published | Formula | Median error | Largest error | Unconfirmed | Exemptions |
|---|---|---|---|---|---|---|---|---|
"""  # noqa: E501


def render_page(results: Sequence[LineResult]) -> str:
    """The page as Markdown."""
    rows = [_row(model, _of(model, results)) for model in MODELS]
    sections = [_section(model, _of(model, results)) for model in MODELS]
    return INTRODUCTION + "\n".join(rows) + "\n\n" + "\n".join(sections)


def _of(model: Model, results: Sequence[LineResult]) -> list[LineResult]:
    return [result for result in results if result.line.model == model.name]


def _row(model: Model, results: list[LineResult]) -> str:
    newest = model_tables(model)[-1]
    published = [result for result in results if result.line.is_published]
    formula = [result for result in results if not result.line.is_published]
    errors = [error for result in published for error in result.errors.values()]
    cells = (
        f"[`{model.name}`](#{model.name.replace('.', '')})",
        format_time(newest.effective_from_ns)[:10],
        newest.retrieved,
        _passed(published),
        _passed(formula),
        _error(statistics.median(errors)) if errors else "–",
        _error(max(errors)) if errors else "–",
        str(len(newest.unconfirmed) or "–"),
        str(len(model.exemptions) or "–"),
    )
    return f"| {' | '.join(cells)} |"


def _passed(results: list[LineResult]) -> str:
    if not results:
        return "–"
    passed = sum(not result.failures for result in results)
    return f"{passed} of {len(results)}"


def _error(error: float) -> str:
    """To a power of ten: more digits differ between machines and mean nothing."""
    if error < 1e-12:
        return "< 1e-12"
    return "none" if not math.isfinite(error) else f"{10.0 ** math.ceil(math.log10(error)):.0e}"


def _section(model: Model, results: list[LineResult]) -> str:
    lines = [f"## {model.name}", "", f"{model.title}.", ""]
    for table in model_tables(model):
        since = format_time(table.effective_from_ns)[:10]
        lines.append(f"- From {since} (retrieved {table.retrieved}): {table.source}.")
    lines += ["", *_unconfirmed(model_tables(model)[-1])]
    if model.exemptions:
        lines += ["Excused from a rule of the entry exam:", ""]
        lines += [f"- `{rule}`: {reason}." for rule, reason in model.exemptions] + [""]
    failed = [result for result in results if result.failures]
    if failed:
        lines += ["Cases that fail:", ""]
        lines += [f"- {r.line.case}: {'; '.join(r.failures)}" for r in failed] + [""]
    return "\n".join(lines)


def _unconfirmed(table: DatedTable) -> list[str]:
    if not table.unconfirmed:
        return ["Every parameter in force has a source.", ""]
    listed = [f"- `{name}`: {why}." for name, why in table.unconfirmed.items()]
    return ["Unconfirmed:", "", *listed, ""]
