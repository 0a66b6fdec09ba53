"""``plimsoll replay``, ``demo`` and ``book generate``."""

from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from plimsoll.app.cli.render import pairs_table, print_json, stderr, stdout
from plimsoll.app.feed import known_part
from plimsoll.app.replay import (
    MODEL,
    ReplayRequest,
    ReplayResult,
    opening_batch,
    path_sanity,
    run_replay,
)
from plimsoll.core import NS_PER_SECOND, InputError, Status, format_time
from plimsoll.engine import Inputs, Outcome, Session
from plimsoll.market import PriceBatch, PricePath
from plimsoll.simulation import CRASH_START_NS, crash_path, crash_table, population_table

DEMO_STEP_NS = 60 * NS_PER_SECOND
INSURANCE_FUND_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Scope:
    """Which prices to replay, and from when to when (UTC ns, end exclusive)."""

    prices: Path | None
    start_ns: int | None
    end_ns: int | None


def run_replay_command(
    scope: Scope,
    accounts: int,
    seed: int,
    insurance_fund_share: float,
    journal: Path,
    report: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Replay, then print the summary and write the report."""
    from plimsoll.app.story import summary_of

    path = _load_path(scope, seed)
    if report is not None and not report.absolute().parent.is_dir():
        raise InputError(str(report), "its folder does not exist", "make it first")
    # Last, so that an old journal survives a command that cannot run.
    if force:
        journal.unlink(missing_ok=True)
    request = ReplayRequest(path, accounts, seed, journal, insurance_fund_share)
    result = _with_progress(request)
    if report is not None:
        _write_report(result, report)
    summary = summary_of(result)
    if as_json:
        print_json(summary)
        return
    _print_summary(summary, journal, report)


def run_demo(accounts: int, folder: Path) -> None:
    """The built-in crash: journal, summary, report, and where to go next."""
    folder.mkdir(parents=True, exist_ok=True)
    journal, report = folder / "demo.db", folder / "demo.html"
    run_replay_command(
        Scope(None, None, None), accounts, 7, INSURANCE_FUND_SHARE, journal, report, True, False
    )
    stdout().print(
        f"\nOpen {report} in a browser. Check the journal: plimsoll verify {journal}\n"
        "On real prices: plimsoll replay --prices FILE.parquet --start 2025-10-10 "
        "--end 2025-10-12 (columns symbol, date, open, high, low, close; Binance's public "
        "klines have them)",
        soft_wrap=True,
    )


def run_book_generate(accounts: int, seed: int, journal: Path | None, as_json: bool) -> None:
    """Generate a book on the opening prices of the built-in path and say what it is like."""
    path = crash_path(crash_table(), seed, DEMO_STEP_NS)
    instruments, batch, summary = opening_batch(path, accounts, seed, INSURANCE_FUND_SHARE)
    if journal is not None:
        time_ns = batch.time_ns
        with Session.create(
            journal, instruments, (MODEL,), (path.source,), path_sanity(path), time_ns
        ) as session:
            session.handle(Inputs(time_ns, PriceBatch.nothing(), batch))
    if as_json:
        print_json(summary)
        return
    rows = (
        ("Accounts", f"{summary.accounts:,}"),
        ("Positions", f"{summary.positions:,}"),
        ("Open orders", f"{summary.orders:,}"),
        ("Gross notional", f"{summary.gross_notional_usd:,.0f} USD"),
        ("Long share of notional", f"{summary.long_share:.1%}"),
        ("Held by the largest 1 % of accounts", f"{summary.top_percent_share:.1%}"),
        ("Median leverage", f"{summary.leverage_median:.2f}x"),
    )
    stdout().print(pairs_table(f"Generated book, seed {seed}", rows, texts=1))
    if journal is not None:
        stdout().print(f"Written to {journal}; check it with: plimsoll verify {journal}")


def _load_path(scope: Scope, seed: int) -> PricePath:
    if scope.prices is None:
        return _within(crash_path(crash_table(), seed, DEMO_STEP_NS), scope)
    # Reading price files needs polars, which only this branch may pay for.
    from plimsoll.connectors.prices import read_price_path

    if scope.start_ns is None or scope.end_ns is None:
        raise InputError("--start, --end", "are missing", "give both with --prices")
    path = read_price_path(scope.prices, scope.start_ns, scope.end_ns)
    known = known_part(path, population_table(int(path.time_ns[0])).params["open_interest_usd"])
    if len(known.symbols) < len(path.symbols):
        stderr().print(
            f"Replaying {len(known.symbols)} of {len(path.symbols)} symbols: the generator has no "
            "open interest, or the file no first price, for the others"
        )
    return known


def _within(path: PricePath, scope: Scope) -> PricePath:
    keep = path.time_ns >= (scope.start_ns or CRASH_START_NS)
    if scope.end_ns is not None:
        keep &= path.time_ns < scope.end_ns
    if not keep.any():
        span = f"{format_time(int(path.time_ns[0]))} to {format_time(int(path.time_ns[-1]))}"
        raise InputError("--start, --end", "leave no prices", f"the built-in path covers {span}")
    return PricePath(path.symbols, path.time_ns[keep], path.price[keep], path.source)


def _with_progress(request: ReplayRequest) -> ReplayResult:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn(), TextColumn("{task.fields[now]}"))  # fmt: skip
    ticks = request.path.time_ns.size
    with Progress(*columns, console=stderr()) as progress:
        task = progress.add_task("Replaying", total=ticks, now="")
        total = 0

        def on_tick(tick: int, outcome: Outcome) -> None:
            nonlocal total
            total += outcome.begun.size
            now = f"{format_time(outcome.market.as_of_ns)[:16]}Z  {total:,} liquidations"
            progress.update(task, completed=tick + 1, now=now)

        return run_replay(request, on_tick)


def _write_report(result: ReplayResult, report: Path) -> None:
    from plimsoll.app.report import write_report
    from plimsoll.app.story import story_of

    write_report(story_of(result, "A crash, account by account"), report)


def _print_summary(summary: dict[str, object], journal: Path, report: Path | None) -> None:
    from plimsoll.app.story import LABELS, format_figure

    rows = ((label, format_figure(name, summary[name])) for name, label in LABELS.items())
    console = stdout()
    console.print(pairs_table(f"Replay, {summary['from']} to {summary['to']}", rows, texts=1))
    # Outside the table, so that no path is broken over lines.
    console.print(f"Journal: {journal}", soft_wrap=True)
    if report is not None:
        console.print(f"Report: {report}", soft_wrap=True)
    if summary["unknown_account_ticks"]:
        stderr().print(
            f"{summary['unknown_account_ticks']:,} account-ticks were {Status.UNKNOWN.name}: "
            "prices were missing or not yet confirmed; nothing was liquidated on them"
        )
