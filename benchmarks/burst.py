"""Claim: a tick with more forced closes than the worst second of 10 October 2025 takes under 5 s.

All 162 perpetuals of a book of 437,723 accounts fall at once, until at least 22,558 positions
are closed by force, as many as bore one timestamp on Hyperliquid. ``closed`` has a fund that
pays for all it takes over; ``deleveraged`` one of 1,000 USD, so that lost positions are closed
against all who gain, in shares. A tick is timed from its prices to decisions that are posted,
``journaled`` to a commit on disk, ``live`` by the engine whose book changes in place. Accuracy
compares every pool's figures after it with a fresh sweep; it is infinite where a pool is left
beyond its line, the fund is short, a unit appeared or vanished, or another way of posting (the
journal read back, the live book) comes to another book. The limit is reading the book's rows once.

The journals lie in the folder for temporary files; name another disk with TMPDIR.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.assess_standard import FIGURES, bytes_read
from benchmarks.futures_book import DAILY_VOLATILITY, DOLLAR, FuturesBook, futures_on
from benchmarks.lines import Line, Load, Race, relative_difference
from benchmarks.live_engine import prices_at
from benchmarks.machine import stream_lap
from benchmarks.timing import lap, seconds, time_laps
from plimsoll.book import SystemPool, digest_book
from plimsoll.core import NS_PER_SECOND, Floats, Status, stream
from plimsoll.engine import (
    EngineState,
    Inputs,
    LiveEngine,
    Outcome,
    Rules,
    Session,
    load_rules,
    open_state,
    step,
)
from plimsoll.ledger import (
    EventBatch,
    Journal,
    TradeReason,
    TransferReason,
    Transfers,
    apply,
    conservation_residual,
    decode_batch,
    read_records,
)
from plimsoll.ledger.events import one_row
from plimsoll.liquidation import fund_value
from plimsoll.margin import assess
from plimsoll.market import SanityRules

SEED = 1
MARKETS = 162
SANITY = SanityRules(jump_max=100.0)


@dataclass(frozen=True, slots=True)
class Case:
    """How large the fund is, USD, and the falls that are tried, each market to its own part."""

    name: str
    fund_usd: int
    falls: tuple[float, ...]
    repeats_max: int


CLOSED = Case("closed", 10**9, (0.03, 0.06, 0.12, 0.25, 0.5), 7)
DELEVERAGED = Case("deleveraged", 1000, (0.06, 0.12, 0.25, 0.5), 3)
CASES = (CLOSED, DELEVERAGED)


@dataclass(frozen=True, slots=True)
class Burst:
    """An engine before the tick, and the tick."""

    world: FuturesBook
    state: EngineState
    rules: Rules
    inputs: Inputs

    def handle(self) -> tuple[EngineState, Outcome]:
        """The tick."""
        return step(self.state, self.rules, self.inputs)


def measure(load: Load) -> Iterator[Line]:
    """Both cases, each as a bare step and journaled; the one in the market live too."""
    world = open_markets(load.peak_accounts)
    for case in CASES:
        burst = open_burst(world, case, load.peak_trades)
        closes = forced_closes(burst.handle()[1])
        repeats = min(load.repeats, case.repeats_max)
        yield _bare(burst, f"burst.{case.name}.{closes}", repeats)
        yield _beside(burst, f"burst.{case.name}_journaled.{closes}", repeats, _Journaled(burst))
        if case is CLOSED:
            yield _beside(burst, f"burst.{case.name}_live.{closes}", repeats, _Live(burst))


def open_markets(accounts: int) -> FuturesBook:
    """A book of that many accounts, about ten positions each, on as many markets as fell."""
    draw = stream(SEED, "benchmarks", "burst")
    names = [f"C{number:03d}/{DOLLAR}:{DOLLAR}" for number in range(MARKETS)]
    prices = np.exp(draw.normal(3.0, 3.0, MARKETS))
    return futures_on(names, prices, draw.uniform(*DAILY_VOLATILITY, MARKETS), accounts)


def open_burst(world: FuturesBook, case: Case, closes_min: int) -> Burst:
    """An engine that has seen its first prices, and the first fall with so many forced closes."""
    market, time_ns = world.market, world.market.as_of_ns + NS_PER_SECOND
    rows = np.arange(market.price.size, dtype=np.int32)
    rules = load_rules(world.book.instruments, world.book.models, SANITY, market.as_of_ns)
    first = prices_at(time_ns, rows, market.price)
    state, _ = step(open_state(world.book, ("feed",)), rules, first)
    asset = world.book.instruments.assets.find(DOLLAR, "burst")
    units = case.fund_usd * 10 ** world.book.instruments.assets.decimals[asset]
    row = (SystemPool.WORLD, SystemPool.INSURANCE_FUND, asset, units, TransferReason.DEPOSIT)
    deposit = EventBatch(time_ns, transfers=one_row(Transfers(), row))
    state = replace(state, book=apply(state.book, deposit))
    for fall in case.falls:
        tick = prices_at(time_ns + NS_PER_SECOND, rows, _fallen(world, fall))
        burst = Burst(world, state, rules, tick)
        if forced_closes(burst.handle()[1]) >= closes_min:
            break
    return burst


def _fallen(world: FuturesBook, fall: float) -> Floats:
    """Prices after marks, and the indices of their underlyings, fell by up to ``fall``."""
    table, price = world.book.instruments, world.market.price.copy()
    kept = 1.0 - fall * stream(SEED, "benchmarks", "fall").uniform(0.3, 1.0, len(table))
    price[: len(table)] *= kept
    price[len(table) + table.base] *= kept
    return price


def forced_closes(outcome: Outcome) -> int:
    """Positions closed in the market or taken over; those closed against others come on top."""
    reasons = (TradeReason.LIQUIDATION, TradeReason.TAKEOVER)
    return sum(int(np.isin(each.trades.reason, reasons).sum()) for each in outcome.decisions)


def _bare(burst: Burst, name: str, repeats: int) -> Line:
    book, rules = burst.state.book, burst.rules
    after, outcome = burst.handle()
    race = Race(
        *time_laps(
            repeats,
            lap(burst.handle),
            lap(lambda: assess(book, outcome.market, rules.models)),
            stream_lap(bytes_read(burst.world)),
        )
    )
    fresh = assess(after.book, outcome.market, rules.models)
    accuracy = relative_difference(
        (getattr(outcome.assessment, figure), getattr(fresh, figure)) for figure in FIGURES
    )
    is_left = (fresh.status >= Status.LIQUIDATABLE).any()
    is_short = fund_value(after.book, outcome.market) < 0
    is_conserved = conservation_residual(after.book) == conservation_residual(book)
    if is_left or is_short or not is_conserved:
        accuracy = float("inf")
    return race.milliseconds(name, "one bare assess", accuracy)


class _Journaled:
    """The tick through a session: stepped, written down and committed."""

    def __init__(self, burst: Burst) -> None:
        self.burst = burst

    def run(self) -> tuple[float, str]:
        """Seconds, and the digest of the book that the journal's decisions lead to."""
        burst = self.burst
        with tempfile.TemporaryDirectory(prefix="plimsoll-benchmarks-") as folder:
            path = Path(folder) / "journal.db"
            session = Session(Journal.create(path), burst.state, burst.rules)

            def tick() -> None:
                session.handle(burst.inputs)
                session.commit()

            taken = seconds(tick)
            session.journal.close()
            book = burst.state.book
            for record in read_records(path):
                if record.kind == "decision":
                    book = apply(book, decode_batch(record.payload))
        return taken, digest_book(book)


class _Live:
    """The tick through an engine whose book changes in place; to open it does not count."""

    def __init__(self, burst: Burst) -> None:
        self.burst = burst

    def run(self) -> tuple[float, str]:
        """Seconds, and the digest of the engine's book."""
        engine = LiveEngine.open(self.burst.state, self.burst.rules)
        taken = seconds(lambda: engine.step(self.burst.inputs))
        return taken, digest_book(engine.book.snapshot())


def _beside(burst: Burst, name: str, repeats: int, other: _Journaled | _Live) -> Line:
    """Another way through the tick, whose book must be that of ``step``."""
    digests = {digest_book(burst.handle()[0].book)}

    def run() -> float:
        taken, digest = other.run()
        digests.add(digest)
        return taken

    race = Race(*time_laps(repeats, run, lap(burst.handle), stream_lap(bytes_read(burst.world))))
    return race.milliseconds(name, "a bare step", 0.0 if len(digests) == 1 else float("inf"))
