"""One instrument: what its symbol says, its contract size and its exact units."""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum


class Kind(IntEnum):
    """What is traded."""

    SPOT = 0
    PERPETUAL = 1
    FUTURE = 2
    OPTION = 3


class Payoff(IntEnum):
    """In which asset, and how, a price move is paid.

    LINEAR settles in the quote asset, INVERSE in the base asset (paying in quote value),
    QUANTO in a third asset at a fixed rate.
    """

    LINEAR = 0
    INVERSE = 1
    QUANTO = 2


@dataclass(frozen=True, slots=True)
class Instrument:
    """A tradable instrument.

    ``contract_multiplier`` is what one contract stands for: base asset (linear), quote value
    (inverse), settle asset per point of price (quanto), base asset (options).
    ``quantity_decimals`` and ``price_decimals`` fix the ledger's exact units.
    ``strike`` is 0 and ``expiry_ns`` is 0 where there is none. ``leg`` is "long" or "short"
    where an account in hedge mode holds both at once: each is an instrument of its own, on one
    contract and at one price.
    """

    symbol: str
    kind: Kind
    payoff: Payoff
    base: str
    quote: str
    settle: str
    expiry_ns: int = 0
    strike: Decimal = Decimal(0)
    is_call: bool = False
    contract_multiplier: Decimal = Decimal(1)
    quantity_decimals: int = 8
    price_decimals: int = 8
    leg: str = ""

    @property
    def contract(self) -> str:
        """The symbol without the leg."""
        return self.symbol.partition("#")[0]
