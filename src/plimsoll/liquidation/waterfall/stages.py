"""The stages of a waterfall as data: what each does, and the bounds within which it may.

A waterfall is a tuple of stages in the order in which they are tried. All ratios are margin
ratios (1 is liquidation), all rates and shares fractions, money is USD, times are seconds; None
means that there is no such bound.
"""

from dataclasses import dataclass
from enum import StrEnum

from plimsoll.liquidation.deleveraging import AllocationKey, HedgeRule, RankForm


class OrderScope(StrEnum):
    """Which open orders go: all, or only those that could raise the requirement."""

    ALL = "all"
    INCREASING = "increasing"


class CloseBy(StrEnum):
    """How a partial close chooses.

    SHARE takes the smallest multiple of ``step_share`` of every position that restores the
    release ratio, RELIEF one position at a time by margin freed per cost, never one whose close
    raises the requirement, TIER each position down to the bracket below until the ratio is
    restored, WHOLE every position at once.
    """

    SHARE = "share"
    RELIEF = "relief"
    TIER = "tier"
    WHOLE = "whole"


class FeeTo(StrEnum):
    """Who gets the liquidation fee: the fund, or whoever trades against the account."""

    INSURANCE_FUND = "insurance_fund"
    LIQUIDATOR = "liquidator"


class TakeoverBy(StrEnum):
    """Who takes over what could not be closed in the market."""

    INSURANCE_FUND = "insurance_fund"
    BACKSTOP = "backstop"


class TakeoverPrice(StrEnum):
    """At what price: that which leaves the account nothing, or the mark."""

    BANKRUPTCY = "bankruptcy"
    MARK = "mark"


class ClosePrice(StrEnum):
    """Where a counterparty is closed."""

    BANKRUPTCY = "bankruptcy"
    MARK = "mark"
    PREVIOUS_ORACLE = "previous_oracle"


class LossKey(StrEnum):
    """By what a loss is shared that nothing covers: size held, profit, or balance."""

    OPEN_INTEREST = "open_interest"
    PROFIT = "profit"
    DEPOSITS = "deposits"


@dataclass(frozen=True, slots=True)
class CancelOrders:
    """Open orders go before anything is closed."""

    which: OrderScope = OrderScope.ALL


@dataclass(frozen=True, slots=True)
class Throttle:
    """How much may be closed in the market by force, in each instrument.

    ``tick_notional_max`` in one step, ``window_notional_max`` within ``window_s``,
    ``depth_share_max`` of the depth that the market states (unknown depth sets no bound).
    """

    tick_notional_max: float | None = None
    depth_share_max: float | None = None
    window_s: float | None = None
    window_notional_max: float | None = None


@dataclass(frozen=True, slots=True)
class CloseOut:
    """Positions are closed in the market until the release ratio is restored.

    It acts on pools at ``from_ratio`` or above whose equity covers the cost of closing. A position
    below ``whole_notional`` is closed whole; a pool acted on rests for ``cooldown_s``. Of each
    position at most ``share_max`` goes in one step, all of it from ``whole_ratio`` on (Aave's
    close factor is 0.5, and 1 at a health factor of 0.95 and below). Within ``whole_within_s``
    after a close in part, all that is left goes (Hyperliquid: for 30 s after 20 % of a large
    position).
    """

    by: CloseBy = CloseBy.SHARE
    from_ratio: float = 1.0
    step_share: float = 0.2
    share_max: float = 1.0
    whole_ratio: float | None = None
    whole_notional: float = 0.0
    whole_within_s: float = 0.0
    cooldown_s: float = 0.0
    fee_to: FeeTo = FeeTo.INSURANCE_FUND
    throttle: Throttle = Throttle()


@dataclass(frozen=True, slots=True)
class Auction:
    """Shares of the whole account are sold at a falling price, from the pool's begin of procedure.

    The discount is the part of equity that the bidder pays: ``start`` to ``cutoff`` over
    ``fast_s``, then to 0 over ``slow_s``; he bids once it is at or below ``bid_discount``. An
    insolvent account is taken for a payment that grows from nothing to its lack of maintenance
    margin over ``insolvent_s``; he asks for ``insolvent_share`` of that.
    """

    start: float
    cutoff: float
    fast_s: float
    slow_s: float
    insolvent_s: float
    buffer: float
    fee_rate: float
    bid_discount: float
    insolvent_share: float


@dataclass(frozen=True, slots=True)
class Takeover:
    """Positions and balances pass whole to the fund or to a backstop's account.

    It acts on pools at ``from_ratio`` or above, and on those whose equity does not cover closing.
    A backstop is the account ``account``; it takes no more than leaves its margin ratio at or
    below ``backstop_ratio_max`` and its loss on takeovers of one step at or below
    ``loss_share_max`` of its equity.
    """

    by: TakeoverBy = TakeoverBy.INSURANCE_FUND
    price: TakeoverPrice = TakeoverPrice.BANKRUPTCY
    from_ratio: float = 1.0
    account: str = ""
    backstop_ratio_max: float = 0.5
    loss_share_max: float = 1.0


@dataclass(frozen=True, slots=True)
class InsuranceFund:
    """The fund pays for what it takes over, within shares of what it held when the step began.

    ``market_share_max`` for one instrument, ``event_share_max`` for all; ``floor`` is never paid
    out. Fees go to it until it holds ``target``, then to the venue. ``throttle`` bounds how fast it
    sells what it took over (Vega: 5 % of the depth; Synthetix: windows).
    """

    market_share_max: float = 1.0
    event_share_max: float = 1.0
    floor: float = 0.0
    target: float | None = None
    throttle: Throttle = Throttle()


@dataclass(frozen=True, slots=True)
class AutoDeleveraging:
    """What the fund may not pay for is closed against profitable positions on the other side."""

    key: AllocationKey = AllocationKey.PROFIT
    rank: RankForm | None = None
    price: ClosePrice = ClosePrice.BANKRUPTCY
    hedges: HedgeRule = HedgeRule.LAST
    hedge_share_max: float = 1.0


@dataclass(frozen=True, slots=True)
class SocialisedLoss:
    """What is still missing is taken from other accounts, as far as they own the asset."""

    key: LossKey = LossKey.PROFIT


@dataclass(frozen=True, slots=True)
class NegativeBalanceProtection:
    """The account ends at zero; what it owes beyond is booked as bad debt."""


Stage = (
    CancelOrders
    | CloseOut
    | Auction
    | Takeover
    | InsuranceFund
    | AutoDeleveraging
    | SocialisedLoss
    | NegativeBalanceProtection
)


@dataclass(frozen=True, slots=True)
class Waterfall:
    """What a venue does with a pool that cannot stand, from the first stage to the last.

    ``liquidation_fee_rates`` maps underlying assets to rates of notional, ``default`` for the
    others. Raises nothing: ``load_waterfall`` has checked it. ``unconfirmed`` maps paths of
    parameters to why no source confirms them.
    """

    name: str
    title: str
    source: str
    stages: tuple[Stage, ...]
    release_ratio: float
    slippage_rate: float
    taker_fee_rate: float
    liquidation_fee_rates: tuple[tuple[str, float], ...]
    reserve_asset: str
    unconfirmed: tuple[tuple[str, str], ...]
