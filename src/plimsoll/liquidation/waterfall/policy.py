"""The policy in force: parameters as columns over a book's assets."""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import DatedTable, Floats, InputError, load_tables, table_at
from plimsoll.instruments import InstrumentTable


@dataclass(frozen=True, slots=True)
class Policy:
    """How far and at what cost pools are reduced; all rates are fractions of notional.

    ``release_ratio`` is the margin ratio at which a liquidation ends; below 1, so that a
    pool does not fall straight back. ``liquidation_fee_rate`` has one row per underlying
    asset. ``reserve_asset`` indexes the assets; -1 where the book does not know it.
    """

    release_ratio: float
    step_share: float
    slippage_rate: float
    taker_fee_rate: float
    liquidation_fee_rate: Floats
    reserve_asset: int


def policy_tables() -> tuple[DatedTable, ...]:
    """The house policy's dated tables, oldest first."""
    return load_tables("plimsoll.liquidation", "house")


def load_policy(instruments: InstrumentTable, as_of_ns: int) -> Policy:
    """The house policy in force at ``as_of_ns``."""
    params = table_at(policy_tables(), as_of_ns).params
    fees = params["liquidation_fee_rates"]
    names = instruments.assets.names
    reserve = params["reserve_asset"]
    if not 0 < params["release_ratio"] < 1 or not 0 < params["step_share"] <= 1:
        raise InputError("house", "release_ratio or step_share is no share", "mend the table")
    return Policy(
        release_ratio=float(params["release_ratio"]),
        step_share=float(params["step_share"]),
        slippage_rate=float(params["slippage_rate"]),
        taker_fee_rate=float(params["taker_fee_rate"]),
        liquidation_fee_rate=np.array(
            [float(fees.get(name, fees["default"])) for name in names], dtype=np.float64
        ),
        reserve_asset=names.index(reserve) if reserve in names else -1,
    )
