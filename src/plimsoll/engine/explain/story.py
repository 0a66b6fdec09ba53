"""What an explanation says: exact amounts as decimals, prices with their sources."""

from dataclasses import dataclass
from decimal import Decimal

from plimsoll.book import PoolState
from plimsoll.core import Status
from plimsoll.ledger import TradeReason, TransferReason
from plimsoll.margin import Explanation
from plimsoll.market import Quality


@dataclass(frozen=True, slots=True)
class Amount:
    """So much of an asset, to its smallest unit; what leaves the pool is below 0."""

    asset: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class SourcePrice:
    """What one source said last, when (UTC ns), and whether it could be used."""

    source: str
    price: float
    time_ns: int
    verdict: Quality


@dataclass(frozen=True, slots=True)
class PriceUsed:
    """A price that the pool was judged at: a ``mark`` by symbol or an ``index`` by asset, USD.

    ``previous`` is the same price at the tick before, NaN where there was none. ``time_ns`` is
    that of the oldest observation in it.
    """

    kind: str
    name: str
    price: float
    previous: float
    time_ns: int
    quality: Quality
    sources_used: int
    sources: tuple[SourcePrice, ...]


@dataclass(frozen=True, slots=True)
class Fill:
    """A trade of the pool: signed contracts from ``counterparty`` at a price.

    ``booked`` is what it moved in the pool's balances besides the ``fee``: the profit or loss
    realised, a premium, both sides of a spot trade. ``left`` contracts remain.
    """

    symbol: str
    quantity: Decimal
    price: Decimal
    counterparty: str
    reason: TradeReason
    booked: tuple[Amount, ...]
    fee: Amount
    left: Decimal


@dataclass(frozen=True, slots=True)
class Movement:
    """An amount that came to the pool (above 0) or left it, and why."""

    amount: Amount
    counterparty: str
    reason: TransferReason


@dataclass(frozen=True, slots=True)
class StepTaken:
    """One batch as far as it concerns the pool; ``stages`` says in words what it did.

    ``is_decision`` is False for events from outside. ``state`` is the state that it put the pool
    into, None where it left it. The figures are those at the prices of ``time_ns``, before and
    after; ratios are margin ratios, equity is USD.
    """

    time_ns: int
    is_decision: bool
    stages: tuple[str, ...]
    orders_cancelled: int
    orders_placed: int
    fills: tuple[Fill, ...]
    movements: tuple[Movement, ...]
    state: PoolState | None
    ratio_before: float
    ratio_after: float
    equity_before: float
    equity_after: float
    status_after: Status


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """How a balance came from ``start`` to ``end``, exactly: the parts add up.

    ``moved`` sums the movements by their reason.
    """

    asset: str
    start: Decimal
    booked: Decimal
    fees: Decimal
    moved: tuple[tuple[TransferReason, Decimal], ...]
    end: Decimal


@dataclass(frozen=True, slots=True)
class PositionLine:
    """How a position came from ``start`` to ``end`` contracts: what was traded is the rest."""

    symbol: str
    start: Decimal
    traded: Decimal
    end: Decimal


@dataclass(frozen=True, slots=True)
class Liquidation:
    """Why and how one pool was liquidated.

    ``found`` is the requirement on which the engine decided, ``ratio_previous`` the margin ratio
    at the tick before (NaN at the first). ``called_ns`` is when the level announced last began,
    None where none stood. ``ended_ns`` is None where the journal ends before the procedure does.
    """

    account: str
    pool: str
    record: int
    began_ns: int
    ended_ns: int | None
    previous_ns: int | None
    ratio_previous: float
    called_ns: int | None
    prices: tuple[PriceUsed, ...]
    found: Explanation
    steps: tuple[StepTaken, ...]
    balances: tuple[BalanceLine, ...]
    positions: tuple[PositionLine, ...]


@dataclass(frozen=True, slots=True)
class Approach:
    """The highest known margin ratio that an account's pools had, of which pool, and when."""

    pool: str
    time_ns: int
    margin_ratio: float
    status: Status
