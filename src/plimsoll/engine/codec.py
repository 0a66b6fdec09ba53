"""Records of an engine's journal: the header, prices, events and the closing seal."""

from dataclasses import replace
from decimal import Decimal
from typing import Annotated

import msgspec
import numpy as np

from plimsoll.book import ModelChoice
from plimsoll.core import JournalError
from plimsoll.engine.gates import GateRules
from plimsoll.engine.rules import Rules
from plimsoll.engine.state import EngineState
from plimsoll.instruments import InstrumentTable, parse_symbol
from plimsoll.market import PriceBatch, PriceBoard, SanityRules

FORMAT = "plimsoll-journal-2"

Decimals = Annotated[int, msgspec.Meta(ge=0, le=100)]
Finite = Annotated[str, msgspec.Meta(pattern=r"^[0-9.]+(E[+-][0-9]{1,2})?$")]


class AnyHeader(msgspec.Struct, frozen=True):
    """What a header of every format says."""

    format: str


class InstrumentEntry(msgspec.Struct, frozen=True):
    """An instrument as the header lists it."""

    symbol: str
    contract_multiplier: Finite
    quantity_decimals: Decimals
    price_decimals: Decimals


class Header(msgspec.Struct, frozen=True):
    """What a journal starts with: all that is needed to fold it and to decide again.

    ``rules_as_of_ns`` is the date at which parameter tables are read; what an operator chooses
    besides, the ``sanity`` of prices and the ``gates``, stands here in full.
    """

    format: str
    instruments: tuple[InstrumentEntry, ...]
    asset_decimals: dict[str, Decimals]
    models: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]
    sanity: SanityRules
    gates: GateRules
    rules_as_of_ns: int

    @classmethod
    def of(cls, state: EngineState, rules: Rules, rules_as_of_ns: int) -> "Header":
        """The header of a new journal."""
        table = state.book.instruments
        return cls(
            format=FORMAT,
            instruments=tuple(
                InstrumentEntry(
                    row.symbol, str(row.contract_multiplier), row.quantity_decimals,
                    row.price_decimals,
                )
                for row in table.rows
            ),
            asset_decimals=dict(zip(table.assets.names, table.assets.decimals, strict=True)),
            models=tuple((choice.name, choice.overrides) for choice in state.book.models),
            sources=state.board.sources,
            sanity=rules.sanity,
            gates=rules.gates,
            rules_as_of_ns=rules_as_of_ns,
        )  # fmt: skip

    def instrument_table(self) -> InstrumentTable:
        """The instruments of the journal's book."""
        return InstrumentTable.build(
            (
                replace(
                    parse_symbol(entry.symbol),
                    contract_multiplier=Decimal(entry.contract_multiplier),
                    quantity_decimals=entry.quantity_decimals,
                    price_decimals=entry.price_decimals,
                )
                for entry in self.instruments
            ),
            self.asset_decimals,
        )

    def choices(self) -> tuple[ModelChoice, ...]:
        """The margin models of the journal's book."""
        return tuple(ModelChoice(name, overrides) for name, overrides in self.models)


class Seal(msgspec.Struct, frozen=True):
    """What a journal ends with when it is closed in order."""

    state_hash: str


def encode_prices(prices: PriceBatch) -> bytes:
    """Bytes of a price batch, little-endian columns."""
    return msgspec.msgpack.encode(
        [
            prices.source.astype("<i4").tobytes(),
            prices.row.astype("<i4").tobytes(),
            prices.price.astype("<f8").tobytes(),
            prices.time_ns.astype("<i8").tobytes(),
        ]
    )


def decode_prices(payload: bytes, board: PriceBoard, place: str) -> PriceBatch:
    """The price batch of some bytes for a board; JournalError naming ``place`` if they are none."""
    try:
        source, row, price, time_ns = msgspec.msgpack.decode(payload, type=list[bytes])
        batch = PriceBatch(
            np.frombuffer(source, dtype="<i4"),
            np.frombuffer(row, dtype="<i4"),
            np.frombuffer(price, dtype="<f8"),
            np.frombuffer(time_ns, dtype="<i8"),
        )
    except (ValueError, msgspec.DecodeError) as error:
        raise JournalError(place, f"not a price batch ({error})", "restore the journal") from error
    sources, rows = board.price.shape
    sizes = {batch.source.size, batch.row.size, batch.price.size, batch.time_ns.size}
    beyond = (batch.source < 0).any() or (batch.source >= sources).any()
    beyond = beyond or (batch.row < 0).any() or (batch.row >= rows).any()
    if len(sizes) > 1 or beyond:
        raise JournalError(place, "its prices do not fit the header", "restore the journal")
    return batch
