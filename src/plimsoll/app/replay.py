"""A replay: a generated book carried along a price path by the live engine."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np

from plimsoll.app.feed import Feed, feed_of
from plimsoll.book import Book, ModelChoice, PoolKind, SystemPool
from plimsoll.core import NS_PER_SECOND, Floats, InputError, Int64s, Status
from plimsoll.engine import EngineState, Inputs, Outcome, Session
from plimsoll.instruments import InstrumentTable
from plimsoll.ledger import EventBatch, TransferReason, Transfers, conservation_residual
from plimsoll.ledger.events import join_transfers
from plimsoll.liquidation import load_policy
from plimsoll.liquidation.closing import holdings_of
from plimsoll.margin import Assessment
from plimsoll.margin.exposure import notional_coefficient
from plimsoll.market import Market, PricePath, SanityRules
from plimsoll.simulation import (
    PopulationSummary,
    describe_population,
    generate_population,
    population_instruments,
    population_table,
)

MODEL = ModelChoice("plimsoll.standard")


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What to replay. ``insurance_fund_share`` is the fund's start over gross notional."""

    path: PricePath
    accounts: int
    seed: int
    journal: Path
    insurance_fund_share: float = 0.01


@dataclass(frozen=True, slots=True)
class Casualty:
    """A pool that was taken over: equity in USD at the start and when it was taken."""

    pool: int
    tick: int
    equity_start: float
    equity_end: float


@dataclass(frozen=True, slots=True)
class History:
    """Figures per tick, shape [ticks] or [ticks, ...]; USD where money.

    ``status_counts`` counts accounts by their worst pool, as found at each price.
    """

    status_counts: Int64s
    margin_calls: Int64s
    closed_notional: Floats
    insurance_fund: Floats
    bad_debt: Floats
    deleveraged: Floats
    socialised: Floats


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay found; everything the summary and the report need."""

    request: ReplayRequest
    instruments: InstrumentTable
    population: PopulationSummary
    history: History
    casualties: tuple[Casualty, ...]
    ratio_before: Floats
    ratio_after: Floats
    opening_book: Book
    opening_market: Market
    closing_book: Book
    events: int
    liquidated_accounts: int
    insurance_fund_start: float
    bad_debt_uncovered: float
    conservation_residual: int
    journal_hash: str
    state_hash: str

    def opening_notional(self, pool: int) -> float:
        """Gross USD notional of a pool at the start."""
        rates = notional_coefficient(
            self.instruments, self.opening_market.mark, self.opening_market.index
        )
        held = holdings_of(self.opening_book, np.array([pool], dtype=np.int64), rates)
        return float(held.notional.sum())


def opening_batch(
    path: PricePath, accounts: int, seed: int, insurance_fund_share: float
) -> tuple[InstrumentTable, EventBatch, PopulationSummary]:
    """Instruments, the batch that opens the book and the fund, and what the book is like."""
    if accounts < 1:
        raise InputError("accounts", f"{accounts} is no number of accounts", "give at least 1")
    time_ns = int(path.time_ns[0])
    table = population_table(time_ns)
    instruments = population_instruments(path.symbols, path.price[0], table.params)
    feed = feed_of(path, instruments)
    prices = np.full(len(instruments) + len(instruments.assets.names), np.nan)
    prices[feed.row] = feed.prices(0)
    marks, index = prices[: len(instruments)], prices[len(instruments) :]
    batch = generate_population(accounts, seed, table, instruments, marks, index, time_ns)
    summary = describe_population(batch, instruments, marks, index)
    fund = _seed_fund(instruments, summary.gross_notional_usd * insurance_fund_share, time_ns)
    return instruments, replace(batch, transfers=join_transfers((batch.transfers, fund))), summary


def _seed_fund(instruments: InstrumentTable, amount_usd: float, time_ns: int) -> Transfers:
    reserve = load_policy(instruments, time_ns).reserve_asset
    units = round(amount_usd) * 10 ** instruments.assets.decimals[reserve]
    return Transfers(
        np.array([SystemPool.WORLD], dtype=np.int32),
        np.array([SystemPool.INSURANCE_FUND], dtype=np.int32),
        np.array([reserve], dtype=np.int32),
        np.array([units], dtype=np.int64),
        np.array([TransferReason.DEPOSIT], dtype=np.int8),
    )


def path_sanity(path: PricePath) -> SanityRules:
    """Sanity rules for a path: a price older than three steps is stale."""
    step_ns = int(np.max(np.diff(path.time_ns))) if path.time_ns.size > 1 else 60 * NS_PER_SECOND
    return SanityRules(age_ns_max=3 * step_ns)


def run_replay(request: ReplayRequest, on_tick: Callable[[int, Outcome], None]) -> ReplayResult:
    """Replay a path, journaling every step; ``on_tick`` hears each one as it is done."""
    path = request.path
    instruments, opening, summary = opening_batch(
        path, request.accounts, request.seed, request.insurance_fund_share
    )
    feed = feed_of(path, instruments)
    session = Session.create(
        request.journal, instruments, (MODEL,), (path.source,), path_sanity(path),
        int(path.time_ns[0]),
    )  # fmt: skip
    recorder = _Recorder(path.time_ns.size, request.accounts, len(instruments))
    with session:
        first = session.handle(_inputs(feed, 0, opening))
        session.commit()
        book, begins = session.state.book, first
        recorder.record(0, session.state, first, begins)
        on_tick(0, first)
        outcome = first
        for tick in range(1, path.time_ns.size):
            outcome = session.handle(_inputs(feed, tick, None))
            session.commit()
            recorder.record(tick, session.state, outcome, begins)
            on_tick(tick, outcome)
        closing = session.state.book
    return ReplayResult(
        request=request,
        instruments=instruments,
        population=summary,
        history=recorder.history(),
        casualties=tuple(recorder.casualties),
        ratio_before=_ratios(begins.assessment),
        ratio_after=_ratios(outcome.assessment),
        opening_book=book,
        opening_market=begins.market,
        closing_book=closing,
        events=session.event_count,
        liquidated_accounts=len(recorder.liquidated),
        insurance_fund_start=begins.insurance_fund,
        bad_debt_uncovered=_uncovered(closing, outcome.market),
        conservation_residual=sum(abs(x) for x in conservation_residual(closing)),
        journal_hash=session.head_hash,
        state_hash=session.state_hash,
    )


def _inputs(feed: Feed, tick: int, events: EventBatch | None) -> Inputs:
    time_ns = int(feed.path.time_ns[tick])
    return Inputs(time_ns, feed.observations(tick), events or EventBatch(time_ns))


def _ratios(assessment: Assessment) -> Floats:
    """Margin ratios of the pools that hold positions."""
    return np.asarray(assessment.margin_ratio[assessment.maintenance_margin > 0])


def _uncovered(book: Book, market: Market) -> float:
    """USD that the bad debt pool had to put up."""
    first, end = book.balances.offsets[SystemPool.BAD_DEBT : SystemPool.BAD_DEBT + 2]
    asset = book.balances.asset[first:end]
    amount = book.balances.amount[first:end] * book.instruments.assets.unit[asset]
    return float(-np.sum(amount * market.index[asset]) + 0.0)


BY_SEVERITY = (
    Status.OK,
    Status.MARGIN_CALL,
    Status.LIQUIDATABLE,
    Status.BANKRUPT,
    Status.UNKNOWN,
)
"""The worst pool speaks for its account, and not knowing is the worst."""


@final
class _Recorder:
    """Collects figures tick by tick."""

    def __init__(self, ticks: int, accounts: int, instruments: int) -> None:
        self.accounts = accounts
        self.status_counts = np.zeros((ticks, len(Status)), dtype=np.int64)
        self.margin_calls = np.zeros(ticks, dtype=np.int64)
        self.closed = np.zeros((ticks, instruments))
        self.fund = np.zeros(ticks)
        self.deficit, self.deleveraged, self.socialised = np.zeros((3, ticks))
        self.casualties: list[Casualty] = []
        self.liquidated: set[int] = set()

    def record(self, tick: int, state: EngineState, outcome: Outcome, first: Outcome) -> None:
        book = state.book
        customer = book.pool_kind != PoolKind.SYSTEM
        worst = np.zeros(self.accounts, dtype=np.int8)
        severity = np.argsort(BY_SEVERITY).astype(np.int8)
        np.maximum.at(worst, book.pool_account[customer], severity[outcome.found.status[customer]])
        counts = np.bincount(worst, minlength=len(Status))
        self.status_counts[tick, list(BY_SEVERITY)] = counts
        self.margin_calls[tick] = outcome.called.size
        self.closed[tick] = outcome.closed_notional
        self.fund[tick] = outcome.insurance_fund
        self.deficit[tick] = -np.minimum(outcome.taken_over_equity, 0.0).sum()
        self.deleveraged[tick], self.socialised[tick] = outcome.deleveraged, outcome.socialised
        self.liquidated.update(book.pool_account[outcome.begun].tolist())
        for pool, equity in zip(outcome.taken_over, outcome.taken_over_equity, strict=True):
            start = float(first.assessment.equity[pool])
            self.casualties.append(Casualty(int(pool), tick, start, float(equity)))

    def history(self) -> History:
        return History(
            self.status_counts, self.margin_calls, self.closed, self.fund,
            np.cumsum(self.deficit), self.deleveraged, self.socialised,
        )  # fmt: skip
