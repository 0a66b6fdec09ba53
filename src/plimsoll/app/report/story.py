"""What a report is told: the columns of a replay and the sentences around them."""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats, InputError, Int64s, Status


@dataclass(frozen=True, slots=True)
class Casualty:
    """An account that fell. Amounts in USD; ``deficit`` is what it could not pay, >= 0.

    ``notional`` (gross) and ``equity_before`` are those at the start, ``time_ns`` (UTC) is when
    it was taken over; ``why`` is one sentence.
    """

    account: str
    time_ns: int
    notional: float
    equity_before: float
    equity_at_liquidation: float
    deficit: float
    why: str


@dataclass(frozen=True, slots=True)
class ReplayStory:
    """A replay over T ticks, I instruments and P pools of collateral with positions.

    time_ns: int64[T], UTC, increasing, T >= 1. symbols: I ccxt symbols.
    price: float64[T, I], quote currency, NaN where unknown.
    status_counts: int64[T, 5], accounts per ``Status``, columns in its order.
    liquidated_notional: float64[T, I], USD closed at the tick.
    insurance_fund, bad_debt: float64[T], USD; bad debt (losses past zero equity) is cumulative.
    margin_calls: int64[T], newly sent at the tick.
    margin_ratio_before, margin_ratio_after: float64[P], maintenance margin / collateral value,
    1 = liquidation; may be infinite; the two may differ in length.
    figures: (label, formatted value) for the tiles. notes: assumptions the reader must know.
    Raises InputError where shapes disagree or times do not increase.
    """

    title: str
    subtitle: str
    time_ns: Int64s
    symbols: tuple[str, ...]
    price: Floats
    status_counts: Int64s
    liquidated_notional: Floats
    insurance_fund: Floats
    bad_debt: Floats
    margin_calls: Int64s
    margin_ratio_before: Floats
    margin_ratio_after: Floats
    casualties: tuple[Casualty, ...]
    figures: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        ticks, instruments = self.time_ns.size, len(self.symbols)
        shapes = {
            "price": (self.price, (ticks, instruments)),
            "status_counts": (self.status_counts, (ticks, len(Status))),
            "liquidated_notional": (self.liquidated_notional, (ticks, instruments)),
            "insurance_fund": (self.insurance_fund, (ticks,)),
            "bad_debt": (self.bad_debt, (ticks,)),
            "margin_calls": (self.margin_calls, (ticks,)),
        }
        for name, (column, shape) in shapes.items():
            if column.shape != shape:
                raise InputError(
                    f"report.{name}", f"has shape {column.shape}", f"give it shape {shape}"
                )
        if ticks == 0 or np.any(np.diff(self.time_ns) <= 0):
            raise InputError(
                "report.time_ns", "is empty or does not increase", "give increasing UTC times"
            )
