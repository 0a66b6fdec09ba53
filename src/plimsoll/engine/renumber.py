"""A batch on the pools of one book as a batch on those of another."""

from dataclasses import replace

import numpy as np

from plimsoll.core import Int64s
from plimsoll.ledger import EventBatch


def renumbered(batch: EventBatch, pools: Int64s) -> EventBatch:
    """A batch on pools 0, 1, ... as one on the given pools: pool k becomes ``pools[k]``."""
    number = pools.astype(np.int32)
    return replace(
        batch,
        cancels=replace(batch.cancels, pool=number[batch.cancels.pool]),
        placements=replace(batch.placements, pool=number[batch.placements.pool]),
        trades=replace(
            batch.trades,
            pool=number[batch.trades.pool],
            counterparty=number[batch.trades.counterparty],
        ),
        transfers=replace(
            batch.transfers,
            source=number[batch.transfers.source],
            target=number[batch.transfers.target],
        ),
        states=replace(batch.states, pool=number[batch.states.pool]),
    )
