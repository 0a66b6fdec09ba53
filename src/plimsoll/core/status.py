"""The status of a pool of collateral: three-way, and closed when in doubt."""

from enum import IntEnum


class Status(IntEnum):
    """How a pool stands. UNKNOWN is no milder OK: it blocks risk, withdrawal and liquidation."""

    UNKNOWN = 0
    OK = 1
    MARGIN_CALL = 2
    LIQUIDATABLE = 3
    BANKRUPT = 4
