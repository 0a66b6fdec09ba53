"""``plimsoll vol``: an option chain's surface as tables, JSON or a page."""

from pathlib import Path

import numpy as np

from plimsoll.app.cli.render import new_table, print_json, stderr, stdout
from plimsoll.app.report.text import format_minute
from plimsoll.app.report.vol_page import write_vol_report
from plimsoll.app.vol import (
    ExpiryFigures,
    FittedChain,
    arbitrage_words,
    expiry_figures,
    fit_chain_file,
    overall_rmse,
    time_remark,
    vol_points,
)
from plimsoll.core import format_time
from plimsoll.market.surface import svi_total_variance

_BARS = "▁▂▃▄▅▆▇█"
_SPARK_POINTS = 9
_SPARK_DEVIATIONS = 2.0


def run_vol(
    path: Path, time_ns: int | None, snapshot: str | None, html: Path | None, as_json: bool
) -> None:
    """Fit a chain and print what became of it; with ``html`` write the page too."""
    fitted = fit_chain_file(path, time_ns, snapshot)
    rows = expiry_figures(fitted)
    if html is not None:
        write_vol_report(fitted, html)
        stderr().print(f"Page written to {html}")
    if as_json:
        print_json(_document(fitted, rows))
        return
    _print_expiries(fitted, rows)
    if any(row.dropped for row in rows):
        _print_dropped(rows)
    _print_verdict(fitted)


def _document(fitted: FittedChain, rows: tuple[ExpiryFigures, ...]) -> dict[str, object]:
    chain, raw = fitted.chain, fitted.fit.surface.raw
    return {
        "chain": str(fitted.path),
        "underlying": chain.underlying or None,
        "time": format_time(chain.time_ns),
        "time_source": chain.time_source.name.lower(),
        "time_error_seconds": chain.time_error_ns / 1e9,
        "snapshot": fitted.number,
        "snapshots": fitted.count,
        "quotes": fitted.fit.flag.size,
        "quotes_fitted": sum(row.used for row in rows),
        "rmse": overall_rmse(fitted),
        "arbitrage_violations": fitted.fit.arbitrage.violations,
        "expiries": [
            {
                "expiry": format_time(row.expiry_ns),
                "days": row.days,
                "forward": row.forward,
                "forward_source": row.forward_source,
                "quotes_fitted": row.used,
                "quotes_dropped": dict(row.dropped),
                "at_money_vol": row.at_money,
                "risk_reversal_25_delta": row.risk_reversal,
                "butterfly_25_delta": row.butterfly,
                "rmse": row.rmse,
                "model": row.model or None,
                "svi": None if row.row is None else _parameters(raw[row.row].tolist()),
                "arbitrage": dict(row.arbitrage),
            }
            for row in rows
        ],
    }


def _parameters(raw: list[float]) -> dict[str, float]:
    return dict(zip(("a", "b", "rho", "m", "sigma"), raw, strict=True))


def _print_expiries(fitted: FittedChain, rows: tuple[ExpiryFigures, ...]) -> None:
    title = f"Volatility surface of {fitted.name} at {format_minute(fitted.chain.time_ns)} UTC"
    columns = ("Expiry", "Model", "From", "Arbitrage", "Days", "Forward", "Quotes", "ATM %",
               "RR 25Δ", "BF 25Δ", "RMSE", "Smile")  # fmt: skip
    table = new_table(title, columns, texts=4)
    table.collapse_padding = True
    for row in rows:
        table.add_row(
            format_time(row.expiry_ns)[:10],
            row.model or "—",
            row.forward_source,
            arbitrage_words(row),
            f"{row.days:.1f}",
            f"{row.forward:,.2f}" if np.isfinite(row.forward) else "—",
            f"{row.used}/{row.used + sum(count for _, count in row.dropped)}",
            vol_points(row.at_money, 1),
            vol_points(row.risk_reversal, 2),
            vol_points(row.butterfly, 2),
            vol_points(row.rmse, 2),
            _sparkline(fitted, row),
        )
    stdout().print(table)


def _sparkline(fitted: FittedChain, row: ExpiryFigures) -> str:
    """The fitted smile to two standard deviations either side, on its own scale."""
    if row.row is None:
        return ""
    raw = fitted.fit.surface.raw[row.row]
    width = _SPARK_DEVIATIONS * np.sqrt(svi_total_variance(raw, np.zeros(1)))
    vol = np.sqrt(svi_total_variance(raw, np.linspace(-width[0], width[0], _SPARK_POINTS)))
    height = (vol - vol.min()) / max(float(np.ptp(vol)), 1e-12)
    return "".join(_BARS[int(share)] for share in np.rint(height * (len(_BARS) - 1)))


def _print_dropped(rows: tuple[ExpiryFigures, ...]) -> None:
    counts = [dict(row.dropped) for row in rows]
    reasons = list(dict.fromkeys(reason for dropped in counts for reason in dropped))
    table = new_table("Not fitted, and why", ("Expiry", *reasons))
    for row, dropped in zip(rows, counts, strict=True):
        if dropped:
            cells = (str(dropped.get(reason, "")) for reason in reasons)
            table.add_row(format_time(row.expiry_ns)[:10], *cells)
    table.add_section()
    totals = (sum(dropped.get(reason, 0) for dropped in counts) for reason in reasons)
    table.add_row("all", *map(str, totals))
    stdout().print(table)


def _print_verdict(fitted: FittedChain) -> None:
    console = stdout()
    if time_remark(fitted):
        console.print(time_remark(fitted))
    violations = fitted.fit.arbitrage.violations
    console.print(
        f"RMSE {vol_points(overall_rmse(fitted), 2)} vol points within two standard deviations. "
        + (f"Arbitrage: {violations} violations." if violations else "No arbitrage found."),
        style="" if violations == 0 else "bold red",
    )
    console.print(
        "From: where the forward is from. RR = call − put vol, BF = their mean − ATM, in points. "
        "Smile: the\nfit to ±2 standard deviations, each on a scale of its own."
    )
