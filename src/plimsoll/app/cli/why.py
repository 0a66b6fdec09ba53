"""``plimsoll why``: why an account was liquidated, from a journal, as text, JSON or a page."""

import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from plimsoll.app.cli.margin import print_charges
from plimsoll.app.cli.render import money, new_table, percent, print_json, stderr, stdout
from plimsoll.app.report.why_page import write_why_report
from plimsoll.app.why import (
    decimal_text,
    headline,
    liquidation_document,
    price_text,
    source_text,
    story_sentences,
)
from plimsoll.book import PoolState
from plimsoll.core import InputError, format_time
from plimsoll.engine.explain import (
    TRADE_WORDS,
    TRANSFER_WORDS,
    Chronicle,
    Liquidation,
    Procedure,
    StepTaken,
    closest_approach,
    explain_tick,
    read_chronicle,
)
from plimsoll.ledger import TradeReason, TransferReason


@dataclass(frozen=True, slots=True)
class WhyRequest:
    """What ``plimsoll why`` is asked; ``at_ns`` None for the last liquidation."""

    journal: Path
    account: str
    at_ns: int | None
    html: Path | None
    as_json: bool


def run_why(request: WhyRequest) -> None:
    """Print the explanation; raises InputError on an unknown account or an idle moment."""
    chronicle = read_chronicle(request.journal)
    pools = chronicle.pools_of(request.account)
    procedures = chronicle.procedures(pools)
    if not procedures:
        _tell_never(request, chronicle, pools)
        return
    chosen = _chosen(request, procedures)
    found = explain_tick(request.journal, chronicle, chosen)
    if request.html is not None:
        write_why_report(found, request.html)
        stderr().print(f"Page written to {request.html}")
    times = tuple(dict.fromkeys(one.began_ns for one in procedures))
    if request.as_json:
        pages = [liquidation_document(one) for one in found]
        liquidations = [format_time(time_ns) for time_ns in times]
        document = {"account": request.account, "liquidations": liquidations, "pools": pages}
        print_json(document)
        return
    for one in found:
        _print_liquidation(one)
    _tell_others(times, found[0].began_ns)


def _chosen(request: WhyRequest, procedures: tuple[Procedure, ...]) -> tuple[Procedure, ...]:
    """The procedures that began at the step asked for: the last one at or before the time."""
    begun = [one for one in procedures if request.at_ns is None or one.began_ns <= request.at_ns]
    if not begun:
        first = format_time(procedures[0].began_ns)
        problem = f"no liquidation of '{request.account}' had begun by then"
        raise InputError("--at", problem, f"its first began at {first}")
    return tuple(one for one in begun if one.tick == begun[-1].tick)


def _tell_never(request: WhyRequest, chronicle: Chronicle, pools: tuple[int, ...]) -> None:
    """Say that there was no liquidation, how near the account came, and what others did to it."""
    approach = closest_approach(request.journal, chronicle, request.account)
    called = [e for e in chronicle.states if e.pool in pools and e.state != PoolState.NORMAL]
    touched = [one for one in chronicle.touches if one.pool in pools]
    if request.as_json:
        nearest = None
        if approach is not None:
            nearest = {
                "pool": approach.pool,
                "time": format_time(approach.time_ns),
                "margin_ratio": approach.margin_ratio,
                "status": approach.status.name,
            }
        calls = [{"time": format_time(e.time_ns), "state": e.state.name} for e in called]
        losses = [{"time": format_time(e.time_ns), "reason": e.reason.name} for e in touched]
        print_json(
            {
                "account": request.account,
                "liquidations": [],
                "closest_approach": nearest,
                "levels": calls,
                "losses_of_others": losses,
            }
        )
        return
    console = stdout()
    span = f"{format_time(chronicle.first_ns)} to {format_time(chronicle.last_ns)}"
    console.print(f"{request.account} was not liquidated in this journal, {span}.")
    if approach is None:
        console.print("Its margin ratio was never known, or it held nothing.")
    else:
        console.print(
            f"Closest approach: margin ratio {percent(approach.margin_ratio)} of {approach.pool} "
            f"at {format_time(approach.time_ns)}; 100 % is liquidation."
        )
    for event in called:
        words = event.state.name.lower().replace("_", " ")
        console.print(f"{format_time(event.time_ns)}: {words}.")
    for one in touched:
        console.print(f"{format_time(one.time_ns)}: {_words(one.reason)}.")


def _words(reason: TradeReason | TransferReason) -> str:
    return TRADE_WORDS[reason] if isinstance(reason, TradeReason) else TRANSFER_WORDS[reason]


def _tell_others(times: tuple[int, ...], shown: int) -> None:
    if len(times) > 1:
        others = ", ".join(format_time(time_ns) for time_ns in times if time_ns != shown)
        stdout().print(f"Liquidated {len(times)} times; the others, for --at: {others}.")


def _print_liquidation(one: Liquidation) -> None:
    console = stdout()
    console.print(headline(one), style="bold")
    for sentence in story_sentences(one):
        console.print(sentence)
    console.print()
    _print_prices(one)
    print_charges(one.found, with_unconfirmed=False)
    console.print()
    for number, step in enumerate(one.steps, start=1):
        _print_step(number, step)
    _print_balances(one)
    _print_positions(one)
    console.print("Start, events and end agree to the last unit.")


def _print_prices(one: Liquidation) -> None:
    """Each price with the one before it, its age, and what its sources said."""
    table = new_table(
        "Prices", ("Price of", "", "Verdict", "Then", "Before", "Move", "Age"), texts=3
    )
    for price in one.prices:
        move = price.price / price.previous - 1 if price.previous > 0 else math.nan
        table.add_row(
            price.name,
            price.kind,
            price.quality.name,
            price_text(price.price),
            price_text(price.previous),
            "—" if math.isnan(move) else f"{move:+.2%}",
            f"{(one.began_ns - price.time_ns) / 1e9:,.0f} s",
        )
    console = stdout()
    console.print(table)
    for line in dict.fromkeys(source_text(price, one.began_ns) for price in one.prices):
        console.print(line)


def _print_step(number: int, step: StepTaken) -> None:
    console = stdout()
    who = "" if step.is_decision else " (from outside)"
    ratios = f"ratio {percent(step.ratio_before)} to {percent(step.ratio_after)}"
    equity = f"equity {money(step.equity_before)} to {money(step.equity_after)} USD"
    console.print(f"{number}. {', '.join(step.stages)}{who}; {ratios}, {equity}", style="bold")
    if step.orders_cancelled:
        console.print(f"   Orders cancelled: {step.orders_cancelled}.")
    if step.fills:
        columns = ("Contract", "Why", "Against", "Quantity", "Price", "Booked", "Fee", "Left")
        table = new_table(None, columns, texts=3)
        for fill in step.fills:
            booked = ", ".join(f"{decimal_text(a.value)} {a.asset}" for a in fill.booked)
            table.add_row(
                fill.symbol, fill.reason.name.lower(), fill.counterparty,
                decimal_text(fill.quantity), decimal_text(fill.price), booked or "0",
                f"{decimal_text(fill.fee.value)} {fill.fee.asset}", decimal_text(fill.left),
            )  # fmt: skip
        console.print(table)
    if step.movements:
        table = new_table(None, ("Transfer", "With", "Amount"), texts=2)
        for one in step.movements:
            amount = f"{decimal_text(one.amount.value)} {one.amount.asset}"
            table.add_row(TRANSFER_WORDS[one.reason], one.counterparty, amount)
        console.print(table)


def _print_balances(one: Liquidation) -> None:
    table = new_table("Balances", ("Asset", "Start", "Booked", "Fees", "Transfers", "End"))
    for line in one.balances:
        moved = sum((amount for _, amount in line.moved), Decimal(0))
        figures = (line.start, line.booked, line.fees, moved, line.end)
        table.add_row(line.asset, *map(decimal_text, figures))
    stdout().print(table)


def _print_positions(one: Liquidation) -> None:
    table = new_table("Positions", ("Contract", "Start", "Traded", "End"))
    for line in one.positions:
        table.add_row(line.symbol, *map(decimal_text, (line.start, line.traded, line.end)))
    stdout().print(table)
