"""Batches as bytes: MessagePack of column bytes, little-endian, the same on every machine."""

from dataclasses import fields
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from plimsoll.core import LedgerError
from plimsoll.ledger.events import (
    Cancels,
    EventBatch,
    NewAccounts,
    NewPools,
    PhaseChanges,
    Placements,
    StateChanges,
    Trades,
    Transfers,
)

FORMAT_VERSION = 1

_TABLES = (
    NewAccounts,
    NewPools,
    Cancels,
    Placements,
    Trades,
    Transfers,
    StateChanges,
    PhaseChanges,
)
_NAMES = tuple(field.name for field in fields(EventBatch))[1:]


def _pack(value: NDArray[np.generic] | tuple[str, ...]) -> list[Any]:
    if isinstance(value, tuple):
        return ["text", "\n".join(value).encode()]
    little = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
    return [little.dtype.str, little.tobytes()]


def _unpack(
    packed: list[Any], like: NDArray[np.generic] | tuple[str, ...]
) -> NDArray[np.generic] | tuple[str, ...]:
    kind, data = packed
    if kind != _pack(like)[0]:
        raise ValueError(f"column of type {kind}")
    if isinstance(like, tuple):
        return tuple(data.decode().split("\n")) if data else ()
    return np.frombuffer(data, dtype=kind)


def encode_batch(batch: EventBatch) -> bytes:
    """Bytes of a batch; equal batches give equal bytes. Empty tables are left out."""
    tables: dict[str, dict[str, list[Any]]] = {}
    for name in _NAMES:
        table = getattr(batch, name)
        columns = {field.name: _pack(getattr(table, field.name)) for field in fields(table)}
        if any(data for _, data in columns.values()):
            tables[name] = columns
    return msgspec.msgpack.encode([FORMAT_VERSION, batch.time_ns, tables])


def decode_batch(payload: bytes) -> EventBatch:
    """The batch of some bytes. Raises LedgerError where they are none."""
    try:
        version, time_ns, tables = msgspec.msgpack.decode(payload)
        if version != FORMAT_VERSION or not isinstance(time_ns, int):
            raise ValueError(f"format {version} at {time_ns}")
        parts = [
            kind(*(_unpack(tables[name][c.name], getattr(kind(), c.name)) for c in fields(kind)))
            if name in tables
            else kind()
            for kind, name in zip(_TABLES, _NAMES, strict=True)
        ]
        return EventBatch(time_ns, *parts)
    except (ValueError, TypeError, KeyError, AttributeError, msgspec.DecodeError) as error:
        raise LedgerError("batch", f"cannot be decoded ({error})", "restore the journal") from error
