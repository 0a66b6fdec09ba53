"""From a replay's figures to the story its report tells."""

from types import MappingProxyType

import numpy as np

from plimsoll.app.feed import feed_of
from plimsoll.app.replay import Casualty, ReplayResult
from plimsoll.app.report import Casualty as CasualtyRow
from plimsoll.app.report import ReplayStory
from plimsoll.app.report.text import format_usd
from plimsoll.core import DatedTable, Status, format_time, table_at
from plimsoll.instruments import profit
from plimsoll.liquidation.waterfall.preset import waterfall_tables
from plimsoll.margin import MODELS
from plimsoll.margin.registry import model_tables
from plimsoll.simulation import population_table

CASUALTIES_SHOWN = 15


def summary_of(result: ReplayResult) -> dict[str, object]:
    """The figures of a replay, exact counts and USD amounts, in the order people ask."""
    history, request = result.history, result.request
    path = request.path
    return {
        "accounts": request.accounts,
        "pools": int(result.closing_book.pool_count),
        "positions": result.population.positions,
        "gross_notional": round(result.population.gross_notional_usd, 2),
        "ticks": int(path.time_ns.size),
        "from": format_time(int(path.time_ns[0])),
        "to": format_time(int(path.time_ns[-1])),
        "events": result.events,
        "margin_calls": int(history.margin_calls.sum()),
        "liquidated_accounts": result.liquidated_accounts,
        "liquidated_notional": round(float(history.closed_notional.sum()), 2),
        "taken_over": len(result.casualties),
        "unknown_account_ticks": int(history.status_counts[:, Status.UNKNOWN].sum()),
        "insurance_fund_start": round(result.insurance_fund_start, 2),
        "insurance_fund_end": round(float(history.insurance_fund[-1]), 2),
        "bad_debt": round(float(history.bad_debt[-1]), 2),
        "deleveraged_notional": round(float(history.deleveraged.sum()), 2),
        "socialised": round(float(history.socialised.sum()), 2),
        "bad_debt_uncovered": round(result.bad_debt_uncovered, 2),
        "conservation_residual": result.conservation_residual,
        "journal_hash": result.journal_hash,
        "state_hash": result.state_hash,
    }


LABELS = MappingProxyType(
    {
        "accounts": "Accounts",
        "gross_notional": "Gross notional",
        "margin_calls": "Margin calls",
        "liquidated_accounts": "Accounts liquidated",
        "liquidated_notional": "Notional liquidated",
        "insurance_fund_start": "Insurance fund, start",
        "insurance_fund_end": "Insurance fund, end",
        "bad_debt": "Losses past zero equity",
        "deleveraged_notional": "Deleveraged notional",
        "socialised": "Losses shared among users",
        "bad_debt_uncovered": "Bad debt uncovered",
        "conservation_residual": "Conservation residual",
        "events": "Events journaled",
        "journal_hash": "Journal hash",
        "state_hash": "State hash",
    }
)
"""What the report shows of the summary, and under which words."""

MONEY = frozenset(
    {"gross_notional", "liquidated_notional", "insurance_fund_start", "insurance_fund_end",
     "bad_debt", "deleveraged_notional", "socialised", "bad_debt_uncovered"}
)  # fmt: skip


def format_figure(name: str, value: object) -> str:
    """A summary figure for people."""
    if name in MONEY and isinstance(value, float):
        return f"{value:,.0f} USD"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _tile(name: str, value: object) -> str:
    """A figure short enough for a tile of the report."""
    if name in MONEY and isinstance(value, float):
        return format_usd(value)
    return format_figure(name, value)


def story_of(result: ReplayResult, title: str) -> ReplayStory:
    """The story of a replay."""
    path, history = result.request.path, result.history
    feed = feed_of(path, result.instruments)
    padded = np.column_stack([path.price, np.ones(path.time_ns.size)])
    summary = summary_of(result)
    return ReplayStory(
        title=title,
        subtitle=f"{result.request.accounts:,} generated accounts, seed {result.request.seed}; "
        f"prices: {path.source}",
        time_ns=path.time_ns,
        symbols=result.instruments.symbols,
        price=padded[:, feed.column[: len(result.instruments)]],
        status_counts=history.status_counts,
        liquidated_notional=history.closed_notional,
        insurance_fund=history.insurance_fund,
        bad_debt=history.bad_debt,
        margin_calls=history.margin_calls,
        margin_ratio_before=result.ratio_before,
        margin_ratio_after=result.ratio_after,
        casualties=_worst(result),
        figures=tuple((text, _tile(name, summary[name])) for name, text in LABELS.items()),
        notes=_notes(result),
    )


def _worst(result: ReplayResult) -> tuple[CasualtyRow, ...]:
    ranked = sorted(result.casualties, key=lambda c: (c.equity_end, c.pool))
    return tuple(_describe(result, casualty) for casualty in ranked[:CASUALTIES_SHOWN])


def _describe(result: ReplayResult, casualty: Casualty) -> CasualtyRow:
    """One row: what the pool held at the start and which position cost it most by then."""
    book, market, path = result.opening_book, result.opening_market, result.request.path
    table = result.instruments
    feed = feed_of(path, table)
    held = slice(book.positions.offsets[casualty.pool], book.positions.offsets[casualty.pool + 1])
    i = book.positions.instrument[held]
    quantity = book.positions.quantity[held] * table.quantity_unit[i]
    prices = np.full(len(table) + len(table.assets.names), np.nan)
    prices[feed.row] = feed.last_prices(casualty.tick)
    then, index = prices[: len(table)], prices[len(table) :]
    gained = index[table.settle[i]] * profit(
        table.is_inverse[i], table.multiplier[i], quantity, market.mark[i], then[i]
    )
    worst = int(np.argmin(gained))
    symbol, move = table.symbols[i[worst]], then[i[worst]] / market.mark[i[worst]] - 1
    notional = float(result.opening_notional(casualty.pool))
    side = "long" if quantity[worst] > 0 else "short"
    leverage = notional / casualty.equity_start if casualty.equity_start > 0 else float("inf")
    why = (
        f"{i.size} position{'s' if i.size > 1 else ''} at {leverage:.1f}x; {side} {symbol} lost "
        f"{-gained[worst]:,.0f} USD as it moved {move:+.1%} from the start"
    )
    return CasualtyRow(
        account=book.pool_name(casualty.pool),
        time_ns=int(path.time_ns[casualty.tick]),
        notional=notional,
        equity_before=casualty.equity_start,
        equity_at_liquidation=casualty.equity_end,
        deficit=max(-casualty.equity_end, 0.0),
        why=why,
    )


def _notes(result: ReplayResult) -> tuple[str, ...]:
    path = result.request.path
    time_ns, share = int(path.time_ns[0]), result.request.insurance_fund_share
    notes = [
        "Contracts are marked, and coins valued, at the perpetual's price; stablecoins at 1 USD.",
        "Forced orders trade at mark less a fixed slippage: price impact is not modelled here.",
        f"The insurance fund starts at {share:.1%} of gross notional (house choice).",
    ]
    tables: list[DatedTable] = [population_table(time_ns)]
    tables.append(table_at(waterfall_tables("house"), time_ns))
    tables += [table_at(model_tables(model), time_ns) for model in MODELS]
    for table in tables:
        notes += [f"{table.name}: {name} is unconfirmed ({why})"
                  for name, why in table.unconfirmed.items()]  # fmt: skip
    return tuple(notes)
