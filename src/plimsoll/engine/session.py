"""A journal around the state machine: nothing is acknowledged before it is written down."""

from pathlib import Path
from types import TracebackType
from typing import Self, final

import msgspec

from plimsoll.book import Book, ModelChoice, digest_book
from plimsoll.core import PlimsollError
from plimsoll.engine.codec import Header, Seal, encode_prices
from plimsoll.engine.fold import fold, read_header, rules_of
from plimsoll.engine.gates import GateRules
from plimsoll.engine.rules import Rules, load_rules
from plimsoll.engine.state import EngineState, Inputs, Outcome
from plimsoll.engine.step import open_state, step
from plimsoll.instruments import InstrumentTable
from plimsoll.ledger import EventBatch, Journal, encode_batch
from plimsoll.liquidation import window_seconds
from plimsoll.market import SanityRules


@final
class Session:
    """An engine with its journal; use it as a context manager.

    ``commit`` makes everything so far durable; leaving the context in order seals the journal
    with the state's digest. Left by an error, the journal ends unsealed and can be recovered.
    """

    def __init__(self, journal: Journal, state: EngineState, rules: Rules) -> None:
        self.journal = journal
        self.state = state
        self.rules = rules
        self.event_count = 0

    @classmethod
    def create(
        cls,
        path: Path,
        instruments: InstrumentTable,
        choices: tuple[ModelChoice, ...],
        sources: tuple[str, ...],
        sanity: SanityRules,
        as_of_ns: int,
        gates: GateRules | None = None,
    ) -> Self:
        """A new journal with an empty book. InputError where the file exists."""
        rules = load_rules(instruments, choices, sanity, as_of_ns, gates)
        state = open_state(Book.empty(instruments, choices), sources)
        journal = Journal.create(path)
        header = Header.of(state, rules, as_of_ns)
        journal.append(as_of_ns, "header", msgspec.json.encode(header))
        journal.commit()
        return cls(journal, state, rules)

    @classmethod
    def recover(cls, path: Path) -> Self:
        """Go on with a journal: fold what it holds, then append. Raises JournalError."""
        journal = Journal.open(path)
        try:
            records = journal.records()
            header, first = read_header(records, str(path))
            rules = rules_of(header, first, str(path))
            window_s = window_seconds(rules.policies)
            folded = fold(header, first, records, str(path), window_s)
        except PlimsollError:
            journal.close()
            raise
        return cls(journal, folded.state, rules)

    def handle(self, inputs: Inputs) -> Outcome:
        """Step, then write down inputs and decisions; refused inputs leave no trace.

        A step has no effect of its own, so nothing may leave the engine before ``commit``
        has made its records durable.
        """
        state, outcome = step(self.state, self.rules, inputs)
        self.journal.append(inputs.time_ns, "tick", encode_prices(inputs.prices))
        self._record("input", inputs.events)
        for batch in outcome.decisions:
            self._record("decision", batch)
        # Only now: the journal may refuse what the step did not, such as a time that goes back.
        self.state = state
        return outcome

    def _record(self, kind: str, batch: EventBatch) -> None:
        if batch.event_count:
            self.journal.append(batch.time_ns, kind, encode_batch(batch))
            self.event_count += batch.event_count

    def commit(self) -> None:
        """Make everything so far durable."""
        self.journal.commit()

    @property
    def head_hash(self) -> str:
        """Hash of the journal's last record."""
        return self.journal.head_hash

    @property
    def state_hash(self) -> str:
        """Digest of the book."""
        return digest_book(self.state.book)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            seal = Seal(self.state_hash)
            time_ns = self.journal.head.time_ns
            self.journal.append(time_ns, "close", msgspec.json.encode(seal))
            self.journal.commit()
        self.journal.close()
