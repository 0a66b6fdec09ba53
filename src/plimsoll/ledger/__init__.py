"""Typed events and the only way a book changes.

Entry points: ``apply`` folds an ``EventBatch`` into a ``Book``, ``apply_live`` into a
``LiveBook``, where ``fill`` and ``transfer`` post one event; ``Journal`` keeps batches.
Invariants: every event is double entry, so per asset the balances less the costs of all
pools, the system's included, always sum to exactly zero, and so do the quantities of each
instrument; a batch is checked whole before anything changes; amounts are integers.
"""

from plimsoll.ledger.apply import apply, conservation_residual
from plimsoll.ledger.codec import decode_batch, encode_batch
from plimsoll.ledger.events import (
    Cancels,
    EventBatch,
    NewAccounts,
    NewPools,
    PhaseChanges,
    Placements,
    StateChanges,
    TradeReason,
    Trades,
    TransferReason,
    Transfers,
)
from plimsoll.ledger.journal import Journal, Record, read_records
from plimsoll.ledger.live import apply_live, audit, deposit, fill, transfer
from plimsoll.ledger.preview import Preview
from plimsoll.ledger.values import price_to_units, trade_values

__all__ = [
    "Cancels",
    "EventBatch",
    "Journal",
    "NewAccounts",
    "NewPools",
    "PhaseChanges",
    "Placements",
    "Preview",
    "Record",
    "StateChanges",
    "TradeReason",
    "Trades",
    "TransferReason",
    "Transfers",
    "apply",
    "apply_live",
    "audit",
    "conservation_residual",
    "decode_batch",
    "deposit",
    "encode_batch",
    "fill",
    "price_to_units",
    "read_records",
    "trade_values",
    "transfer",
]
