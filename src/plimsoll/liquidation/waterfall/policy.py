"""A waterfall ready to run: its stages by kind, its parameters as columns over a book's assets."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from plimsoll.core import Floats
from plimsoll.instruments import InstrumentTable
from plimsoll.liquidation.waterfall.preset import load_waterfall
from plimsoll.liquidation.waterfall.stages import (
    Auction,
    AutoDeleveraging,
    CancelOrders,
    CloseOut,
    InsuranceFund,
    SocialisedLoss,
    Stage,
    Takeover,
    Waterfall,
)

Kind = TypeVar("Kind", bound=Stage)


@dataclass(frozen=True, slots=True)
class Policy:
    """A waterfall and what a round needs of it; all rates are fractions of notional.

    ``release_ratio`` is the margin ratio at which a liquidation ends; below 1, so that a
    pool does not fall straight back. ``liquidation_fee_rate`` has one row per underlying
    asset. ``reserve_asset`` indexes the assets; -1 where the book does not know it. A stage that
    the waterfall does not have is None.
    """

    waterfall: Waterfall
    release_ratio: float
    slippage_rate: float
    taker_fee_rate: float
    liquidation_fee_rate: Floats
    reserve_asset: int
    cancel: CancelOrders | None
    close_out: CloseOut | None
    auction: Auction | None
    takeovers: tuple[Takeover, ...]
    fund: InsuranceFund | None
    deleveraging: AutoDeleveraging | None
    socialised: SocialisedLoss | None

    @property
    def bounds_fund(self) -> bool:
        """Whether a loss may pass the fund by: to counterparties, or to all."""
        return self.deleveraging is not None or self.socialised is not None


def load_policy(instruments: InstrumentTable, as_of_ns: int, name: str = "house") -> Policy:
    """A waterfall by name, as it is in force at ``as_of_ns``, for a book of these instruments."""
    return resolve_policy(load_waterfall(name, as_of_ns), instruments)


def resolve_policy(waterfall: Waterfall, instruments: InstrumentTable) -> Policy:
    """A waterfall for a book of these instruments."""
    fees = dict(waterfall.liquidation_fee_rates)
    names = instruments.assets.names
    reserve = waterfall.reserve_asset
    return Policy(
        waterfall=waterfall,
        release_ratio=waterfall.release_ratio,
        slippage_rate=waterfall.slippage_rate,
        taker_fee_rate=waterfall.taker_fee_rate,
        liquidation_fee_rate=np.array(
            [fees.get(name, fees["default"]) for name in names], dtype=np.float64
        ),
        reserve_asset=names.index(reserve) if reserve in names else -1,
        cancel=_first(waterfall, CancelOrders),
        close_out=_first(waterfall, CloseOut),
        auction=_first(waterfall, Auction),
        takeovers=tuple(stage for stage in waterfall.stages if isinstance(stage, Takeover)),
        fund=_first(waterfall, InsuranceFund),
        deleveraging=_first(waterfall, AutoDeleveraging),
        socialised=_first(waterfall, SocialisedLoss),
    )


def _first(waterfall: Waterfall, kind: type[Kind]) -> Kind | None:
    return next((stage for stage in waterfall.stages if isinstance(stage, kind)), None)
