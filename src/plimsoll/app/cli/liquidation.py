"""``plimsoll liquidation``: prices at which pools are liquidated, as tables, JSON or a page."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer

from plimsoll.app.cli.levels import Ladders, level_document, print_levels
from plimsoll.app.cli.margin import ladders_of, models_of, named
from plimsoll.app.cli.render import (
    money,
    new_table,
    percent,
    print_json,
    status_text,
    stderr,
    stdout,
)
from plimsoll.app.liquidation import (
    HORIZONS,
    Account,
    Line,
    PoolStudy,
    Question,
    account_for,
    account_names,
    draw_curve,
    parse_direction,
    parse_vol,
    study_account,
)
from plimsoll.app.report.liquidation_page import write_liquidation_report
from plimsoll.connectors import (
    Portfolio,
    apply_what_if,
    build_portfolio,
    read_document,
    read_what_if,
)
from plimsoll.core import Status, format_time
from plimsoll.liquidation.prices import (
    FACTOR_MAX,
    Crossing,
    LiquidationPrice,
    Remedy,
    RemedyKind,
)
from plimsoll.market import Market

_PLOT_WIDTH, _PLOT_HEIGHT = 76, 12
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_REMEDIES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class LiquidationRequest:
    """What ``plimsoll liquidation`` is asked."""

    path: Path
    account: str | None
    assets: tuple[str, ...]
    directions: tuple[str, ...]
    daily_vols: tuple[str, ...]
    what_if: Path | None
    target: float | None
    fee: float
    with_explanation: bool
    html: Path | None
    as_json: bool


def run_liquidation(request: LiquidationRequest) -> bool:
    """Print liquidation prices; True where a pool's status is UNKNOWN."""
    question = Question(
        request.assets,
        tuple(parse_direction(text) for text in request.directions),
        tuple(parse_vol(text) for text in request.daily_vols),
        request.target,
        request.fee,
    )
    portfolio, before = _load(request)
    studies = _study(request, portfolio, question)
    earlier = () if before is None else _study(request, before, question)
    ladders = ladders_of(portfolio, request.path)
    if request.html is not None:
        write_liquidation_report(studies, portfolio.market.as_of_ns, request.html)
        stderr().print(f"Page written to {request.html}")
    if request.as_json:
        print_json(_document(request, portfolio.market, studies, earlier, ladders))
    else:
        _print(request, portfolio.market, studies, earlier, ladders)
    return _tell_unknown(request.path, studies)


def _load(request: LiquidationRequest) -> tuple[Portfolio, Portfolio | None]:
    """The portfolio asked about and, where differences are tried out, the one before them."""
    document = read_document(request.path)
    if request.what_if is None:
        return named(request.path, lambda: build_portfolio(document)), None
    differences = read_what_if(request.what_if)
    named(request.path, lambda: build_portfolio(document))
    change = named(request.what_if, lambda: apply_what_if(document, differences))
    return change.after, change.before


def _study(
    request: LiquidationRequest, portfolio: Portfolio, question: Question
) -> tuple[PoolStudy, ...]:
    models = models_of(portfolio, request.path)
    return tuple(
        study
        for name in account_names(portfolio.book, request.account)
        for study in study_account(portfolio, models, name, question)
    )


def _tell_unknown(path: Path, studies: tuple[PoolStudy, ...]) -> bool:
    for study in studies:
        for reason in study.now.reasons:
            remedy = "give a fresh price or mend the position"
            typer.echo(f"{path}: {study.name}: status UNKNOWN: {reason}; {remedy}", err=True)
    return any(study.now.status == Status.UNKNOWN for study in studies)


def _print(
    request: LiquidationRequest,
    market: Market,
    studies: tuple[PoolStudy, ...],
    earlier: tuple[PoolStudy, ...],
    ladders: Ladders,
) -> None:
    console = stdout()
    if earlier:
        _print_prices(f"Liquidation prices before {request.what_if}", earlier)
        console.print()
    after = f", after {request.what_if}" if earlier else ""
    _print_prices(f"Liquidation prices at {format_time(market.as_of_ns)}{after}", studies)
    console.print(
        "Down and up: where the whole pool is liquidated as the price falls or rises, everything "
        "on the asset\nmoving with it, all else held. none: nowhere between "
        f"1/{FACTOR_MAX:,.0f} and {FACTOR_MAX:,.0f} times today's price."
    )
    if any(study.now.status >= Status.LIQUIDATABLE for study in studies):
        console.print("safe: the pool is past the line, and safe again from that price on.")
    console.print()
    print_levels((ladders[_account_of(study)], study.now) for study in studies)
    _print_passages(studies)
    for study in studies:
        _print_zones(study)
        for assumption in dict.fromkeys(a for line in study.lines for a in line.price.assumptions):
            console.print(f"{study.name}: {assumption}.")
        _print_remedies(study)
        if study.nearest is None:
            continue
        line, crossing = study.nearest
        if request.with_explanation or len(studies) == 1:
            _print_plot(study, line)
        if request.with_explanation:
            _print_account(study, account_for(study, line, crossing))


def _print_prices(title: str, studies: tuple[PoolStudy, ...]) -> None:
    columns = ("Pool", "Status", "Along", "Price", "Down", "Move", "Up", "Move")
    table = new_table(title, columns, texts=3)
    for study in studies:
        for number, line in enumerate(study.lines):
            price = line.price
            first = number == 0
            table.add_row(
                study.name if first else "",
                status_text(study.now.status.name) if first else "",
                price.direction.name,
                _figure(price.price),
                *_border(price, price.down),
                *_border(price, price.up),
            )
        if not study.lines:
            table.add_row(study.name, status_text(study.now.status.name), "nothing", *[""] * 5)
    stdout().print(table)


def _border(price: LiquidationPrice, crossing: Crossing | None) -> tuple[str, str]:
    """Price and move of a border, in words where it is not the beginning of a liquidation."""
    if price.status == Status.UNKNOWN:
        return "unknown", "—"
    if crossing is None:
        return "none", "—"
    word = ""
    if crossing.beyond == Status.UNKNOWN:
        word = "unknown "
    elif price.status >= Status.LIQUIDATABLE:
        word = "safe "
    return word + _figure(crossing.price), _move(crossing.move)


def _figure(value: float) -> str:
    """A price with seven digits, as liquidation prices are compared to the tick."""
    if math.isnan(value):
        return "—"
    return f"{value:,.2f}" if abs(value) >= 1000 else f"{value:.7g}"


def _move(value: float) -> str:
    return f"{value:+.2%}" if abs(value) < 10 else f"×{1 + value:,.0f}"


def _print_zones(study: PoolStudy) -> None:
    """Where a pool is safe, in words, where there is more than one border on a side."""
    for line in study.lines:
        crossings = line.price.crossings
        above = sum(crossing.factor > 1 for crossing in crossings)
        if max(above, len(crossings) - above) < 2:
            continue
        words = [
            f"{'above' if crossing.is_safe_above else 'below'} {_figure(crossing.price)}"
            for crossing in crossings
        ]
        text = ", ".join(words)
        stdout().print(f"{study.name}, {line.price.direction.name}: safe just {text}.")


def _print_passages(studies: tuple[PoolStudy, ...]) -> None:
    rows = [
        (study, line, line.passage)
        for study in studies
        for line in study.lines
        if line.passage is not None
    ]
    if not rows:
        return
    days = [f"{horizon:g} d" for horizon in HORIZONS]
    columns = ("Pool", "Along", "Daily vol", *days, "Median days")
    table = new_table("Probability of reaching it, without drift", columns, texts=2)
    for study, line, passage in rows:
        chances = (f"{chance:.2%}" for chance in passage.probabilities)
        median = _days(passage.median_days)
        name = line.price.direction.name
        table.add_row(study.name, name, f"{passage.daily_vol:.2%}", *chances, median)
    stdout().print(table)


def _days(days: float) -> str:
    """Days with a decimal, fewer than one with two digits."""
    if not math.isfinite(days):
        return "∞"
    return f"{days:,.1f}" if days >= 1 or days == 0 else f"{days:.2g}"


def _print_remedies(study: PoolStudy) -> None:
    if study.now.status == Status.UNKNOWN or study.now.margin_ratio < study.target_ratio:
        return
    console = stdout()
    below = percent(study.target_ratio)
    if not study.remedies:
        console.print(f"{study.name}: no single step brings the ratio below {below}.")
        return
    title = f"{study.name}: one of these brings the ratio below {below}"
    table = new_table(title, ("Step", "Amount", "USD", "Ratio then"))
    for remedy in study.remedies[:_REMEDIES_SHOWN]:
        table.add_row(
            _step(remedy), f"{_rounded_up(remedy.amount):,.8g}", money(math.ceil(remedy.usd)),
            percent(remedy.margin_ratio),
        )  # fmt: skip
    console.print(table)


def _step(remedy: Remedy) -> str:
    if remedy.kind == RemedyKind.CANCEL:
        subject = remedy.subject
        return "cancel all orders" if subject == "all" else f"cancel orders in {subject}"
    return f"{remedy.kind.value} {remedy.subject}"


def _rounded_up(amount: float) -> float:
    """To eight digits, never down: less would not be enough."""
    unit = 10.0 ** (math.floor(math.log10(amount)) - 7) if amount > 0 else 1.0
    return math.ceil(amount / unit - 1e-6) * unit


def _print_account(study: PoolStudy, account: Account) -> None:
    """The requirement at the border beside today's, contracts, and what would move it."""
    console = stdout()
    crossing, now, there = account.crossing, account.now, account.there
    name = account.line.price.direction.assets[0]
    title = f"{study.name}: {name} at {_figure(crossing.price)} ({_move(crossing.move)})"
    table = new_table(f"{title}, {now.currency}", ("", "Today", "There", "Change"))
    figures = [("equity", now.equity, there.equity)]
    figures += [("collateral value", now.collateral_value, there.collateral_value)]
    figures += [
        (f"maintenance: {old.name}", old.maintenance, new.maintenance)
        for old, new in zip(now.charges, there.charges, strict=True)
        if old.maintenance or new.maintenance
    ]
    figures += [("maintenance margin", now.maintenance_margin, there.maintenance_margin)]
    figures += [("excess margin", now.excess_margin, there.excess_margin)]
    for label, old_value, new_value in figures:
        table.add_row(label, money(old_value), money(new_value), money(new_value - old_value))
    console.print(table)
    if account.contracts:
        columns = ("Contract", "Quantity", "Mark", "Mark there", "Venue's own")
        table = new_table("Marks at that price", columns)
        for row in account.contracts:
            table.add_row(row.symbol, f"{row.quantity:,.8g}", f"{row.mark:,.8g}",
                          f"{row.mark_there:,.8g}", _figure(row.venue_price))  # fmt: skip
        console.print(table)
    if any(math.isfinite(row.venue_price) for row in account.contracts):
        console.print(
            f"Venue's own: {now.model}'s formula for one position, the others held at today's "
            "figures, on the\nvenue's tick where the table has one; — where it states none."
        )
    table = new_table("What would move it", ("Today", "Price", "Move"))
    for one in account.influences:
        shifted = crossing.price * (1.0 + one.move)
        if math.isfinite(shifted):
            table.add_row(one.what, _figure(max(shifted, 0.0)), f"{one.move:+.2%}")
    console.print(table)


def _print_plot(study: PoolStudy, line: Line) -> None:
    """Excess margin over price in braille dots, today and the zero line marked."""
    curve = draw_curve(study, line, points=2 * _PLOT_WIDTH)
    known = curve.excess_margin[np.isfinite(curve.excess_margin)]
    low, high = min(float(known.min()), 0.0), max(float(known.max()), 0.0)
    rows = 4 * _PLOT_HEIGHT
    scale = (rows - 1) / ((high - low) or 1.0)
    cells = [[0] * _PLOT_WIDTH for _ in range(_PLOT_HEIGHT)]

    def dot(x: int, value: float) -> None:
        y = rows - 1 - round((value - low) * scale)
        cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]

    for x, value in enumerate(curve.excess_margin.tolist()):
        if x % 4 == 0:
            dot(x, 0.0)
        if math.isfinite(value):
            dot(x, value)
    console = stdout()
    name = line.price.direction.name
    console.print()
    console.print(f"{study.name}: excess margin over the price of {name}, USD", style="bold")
    zero = (rows - 1 - round(-low * scale)) // 4
    labels = {0: high, _PLOT_HEIGHT - 1: low, zero: 0.0}
    for number, row in enumerate(cells):
        label = f"{labels[number]:,.0f}" if number in labels else ""
        console.print(f"{label:>16} │{''.join(chr(0x2800 + cell) for cell in row)}")
    ends = [_figure(float(curve.price[k])) for k in (0, -1)]
    today = f"today {_figure(line.price.price)}"
    gap = _PLOT_WIDTH - len(ends[0]) - len(ends[1]) - len(today)
    console.print(f"{'':>16} └{ends[0]}{' ' * (gap // 2)}{today}{' ' * (gap - gap // 2)}{ends[1]}")


def _document(
    request: LiquidationRequest,
    market: Market,
    studies: tuple[PoolStudy, ...],
    earlier: tuple[PoolStudy, ...],
    ladders: Ladders,
) -> dict[str, object]:
    parts = {"before": [_pool(request, one, ladders) for one in earlier]} if earlier else {}
    pools = [_pool(request, study, ladders) for study in studies]
    return {"as_of": format_time(market.as_of_ns), **parts, "pools": pools}


def _account_of(study: PoolStudy) -> str:
    return study.path.account.account_ids[0]


def _pool(request: LiquidationRequest, study: PoolStudy, ladders: Ladders) -> dict[str, object]:
    document: dict[str, object] = {
        "pool": study.name,
        "account": _account_of(study),
        "model": study.now.model,
        "status": study.now.status.name,
        "reasons": list(study.now.reasons),
        "margin_ratio": study.now.margin_ratio,
        "levels": level_document(ladders[_account_of(study)], study.now),
        "prices": [_line(line) for line in study.lines],
        "target_ratio": study.target_ratio,
        "remedies": [
            {
                "kind": remedy.kind.value,
                "subject": remedy.subject,
                "amount": remedy.amount,
                "usd": remedy.usd,
                "margin_ratio": remedy.margin_ratio,
                "status": remedy.status.name,
            }
            for remedy in study.remedies
        ],
    }
    if request.with_explanation and study.nearest is not None:
        document["explanation"] = _explanation(account_for(study, *study.nearest))
    return document


def _line(line: Line) -> dict[str, object]:
    price, passage = line.price, line.passage
    nearest = {"down": price.down, "up": price.up}
    document: dict[str, object] = {
        "along": dict(zip(price.direction.assets, price.direction.betas, strict=True)),
        "price": price.price,
        "priced_by": price.priced_by,
        "status": price.status.name,
        **{side: None if found is None else _crossing(found) for side, found in nearest.items()},
        "crossings": [_crossing(crossing) for crossing in price.crossings],
        "assumptions": list(price.assumptions),
    }
    if passage is not None:
        chances = zip(HORIZONS, passage.probabilities, strict=True)
        document["daily_vol"] = passage.daily_vol
        document["probability_by_days"] = {f"{days:g}": chance for days, chance in chances}
        document["median_days"] = passage.median_days
    return document


def _crossing(crossing: Crossing) -> dict[str, object]:
    return {
        "price": crossing.price,
        "move": crossing.move,
        "safe_side": "above" if crossing.is_safe_above else "below",
        "beyond": crossing.beyond.name,
    }


def _explanation(account: Account) -> dict[str, object]:
    there = account.there
    return {
        "along": account.line.price.direction.name,
        "price": account.crossing.price,
        "equity": there.equity,
        "collateral_value": there.collateral_value,
        "maintenance_margin": there.maintenance_margin,
        "charges": [{"name": line.name, "maintenance": line.maintenance} for line in there.charges],
        "contracts": [
            {
                "symbol": row.symbol,
                "quantity": row.quantity,
                "mark": row.mark,
                "mark_there": row.mark_there,
                "venue_liquidation_price": row.venue_price,
            }
            for row in account.contracts
        ],
        "influences": [{"what": one.what, "move": one.move} for one in account.influences],
    }
