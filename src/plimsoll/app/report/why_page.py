"""Why an account was liquidated, as one HTML file that opens offline."""

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from pathlib import Path

from plimsoll.app.report.frame import render_frame, render_header, render_notes, render_tiles
from plimsoll.app.why import decimal_text, headline, price_text, source_text, story_sentences
from plimsoll.core import InputError, format_time
from plimsoll.engine.explain import TRANSFER_WORDS, Liquidation, StepTaken

NOTES = (
    """Every figure comes from the journal alone: it is folded up to the step, and the step is made
    again and must reach the decisions that are recorded.""",
    """Amounts are exact. What is booked of a trade is the profit or loss that it realised, before
    its fee; start, events and end of each balance and position agree to the last unit.""",
    """A margin ratio is maintenance margin over collateral value; 100 % is the line.""",
)


def write_why_report(found: tuple[Liquidation, ...], path: Path) -> None:
    """Writes the page. Raises InputError where ``path`` cannot be written."""
    try:
        path.write_text(render_why_report(found), encoding="utf-8")
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        raise InputError(str(path), problem, "choose another --html") from error


def render_why_report(found: tuple[Liquidation, ...]) -> str:
    """The page as text, a few kilobytes; the same liquidations give the same text."""
    title = f"Why {found[0].account} was liquidated"
    sections = [part for one in found for part in _sections(one)]
    return render_frame(title, (*sections, render_notes(NOTES)), has_charts=False)


def _sections(one: Liquidation) -> tuple[str, ...]:
    found = one.found
    ratio = f"{found.margin_ratio:.1%}" if math.isfinite(found.margin_ratio) else "∞"
    tiles = (
        ("Margin ratio", ratio),
        (f"Equity, {found.currency}", f"{found.equity:,.2f}"),
        (f"Collateral value, {found.currency}", f"{found.collateral_value:,.2f}"),
        (f"Maintenance margin, {found.currency}", f"{found.maintenance_margin:,.2f}"),
        ("Status", found.status.name),
    )
    summary = " ".join(story_sentences(one))
    return (
        render_header(headline(one), f"{found.model}, record {one.record} of the journal", summary),
        render_tiles(tiles),
        _prices(one),
        _charges(one),
        *(_table(f"{one.pool}: {table.name}", (table.by, *_plain(table.columns)), 1,
                 ((label, *(_number(value) for value in values)) for label, values in table.rows))
          for table in found.details if table.rows),
        *(_step(number, step) for number, step in enumerate(one.steps, start=1)),
        _balances(one),
        _positions(one),
    )  # fmt: skip


def _plain(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name.replace("_", " ") for name in names)


def _number(value: float) -> str:
    return "—" if math.isnan(value) else f"{value:,.8g}"


def _prices(one: Liquidation) -> str:
    rows = []
    for price in one.prices:
        move = price.price / price.previous - 1 if price.previous > 0 else math.nan
        rows.append(
            (
                price.name, price.kind, price.quality.name, source_text(price, one.began_ns),
                price_text(price.price), price_text(price.previous),
                "—" if math.isnan(move) else f"{move:+.2%}",
                f"{(one.began_ns - price.time_ns) / 1e9:,.0f} s",
            )
        )  # fmt: skip
    columns = ("Price of", "Kind", "Verdict", "Sources", "Then", "Before", "Move", "Age")
    return _table("Prices", columns, 4, rows)


def _charges(one: Liquidation) -> str:
    found = one.found
    rows = [(c.name, f"{c.initial:,.2f}", f"{c.maintenance:,.2f}") for c in found.charges]
    total = f"{found.initial_margin:,.2f}", f"{found.maintenance_margin:,.2f}"
    title = f"Requirement, {found.currency}"
    return _table(title, ("Charge", "Initial", "Maintenance"), 1, [*rows, ("requirement", *total)])


def _step(number: int, step: StepTaken) -> str:
    fills = [
        (
            fill.symbol, fill.reason.name.lower(), fill.counterparty, decimal_text(fill.quantity),
            decimal_text(fill.price),
            ", ".join(f"{decimal_text(a.value)} {a.asset}" for a in fill.booked) or "0",
            f"{decimal_text(fill.fee.value)} {fill.fee.asset}", decimal_text(fill.left),
        )
        for fill in step.fills
    ]  # fmt: skip
    moved = [
        (
            TRANSFER_WORDS[one.reason],
            one.counterparty,
            f"{decimal_text(one.amount.value)} {one.amount.asset}",
        )
        for one in step.movements
    ]
    columns = ("Contract", "Why", "Against", "Quantity", "Price", "Booked", "Fee", "Left")
    before, after = (
        f"{ratio:.1%}" if math.isfinite(ratio) else "∞"
        for ratio in (step.ratio_before, step.ratio_after)
    )
    who = "decided by the engine" if step.is_decision else "from outside"
    caption = (
        f"{format_time(step.time_ns)}, {who}. Margin ratio {before} to {after}, equity "
        f"{step.equity_before:,.2f} to {step.equity_after:,.2f} USD; "
        f"{step.orders_cancelled} orders cancelled."
    )
    return (
        f"<section><h2>{number}. {escape(', '.join(step.stages))}</h2>"
        f'<p class="caption">{escape(caption)}</p>'
        f"{_rows(columns, 3, fills) if fills else ''}"
        f"{_rows(('Transfer', 'With', 'Amount'), 2, moved) if moved else ''}</section>"
    )


def _balances(one: Liquidation) -> str:
    rows = []
    for line in one.balances:
        moved = sum((amount for _, amount in line.moved), Decimal(0))
        figures = (line.start, line.booked, line.fees, moved, line.end)
        rows.append((line.asset, *map(decimal_text, figures)))
    return _table("Balances", ("Asset", "Start", "Booked", "Fees", "Transfers", "End"), 1, rows)


def _positions(one: Liquidation) -> str:
    rows = [
        (line.symbol, *map(decimal_text, (line.start, line.traded, line.end)))
        for line in one.positions
    ]
    return _table("Positions", ("Contract", "Start", "Traded", "End"), 1, rows)


def _table(title: str, columns: Sequence[str], texts: int, rows: Iterable[tuple[str, ...]]) -> str:
    return f"<section><h2>{escape(title)}</h2>{_rows(columns, texts, rows)}</section>"


def _rows(columns: Sequence[str], texts: int, rows: Iterable[tuple[str, ...]]) -> str:
    """A table whose first ``texts`` columns are words."""

    def cell(tag: str, number: int, text: str) -> str:
        # In the style itself: the sheet's own rule for heads counts columns of another table.
        side = "left" if number < texts else "right"
        return f'<{tag} style="text-align:{side}">{escape(text)}</{tag}>'

    head = "".join(cell("th", number, name) for number, name in enumerate(columns))
    body = "".join(
        f"<tr>{''.join(cell('td', number, text) for number, text in enumerate(row))}</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
