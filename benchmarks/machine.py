"""The machine's limits: no program that touches the same bytes once can be faster."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from benchmarks.lines import Line, Load, Race, relative_difference
from benchmarks.timing import Lap, lap, time_laps
from plimsoll.core import stream

CORES = os.cpu_count() or 1
BUFFER_BYTES = 400_000_000
PRODUCT_SIZE = 768


def stream_lap(byte_count: int, threads: int = CORES) -> Lap:
    """Reads that many bytes of memory once."""
    parts = np.array_split(_buffer(byte_count), threads)
    pool = ThreadPoolExecutor(threads)
    return lap(lambda: list(pool.map(np.bitwise_xor.reduce, parts)))


def touch_lap(read: int, written: int, threads: int = CORES) -> Lap:
    """Reads so many bytes of memory once, then writes so many of fresh memory once.

    A result is new memory, which the system hands out page by page: that is part of the least.
    """
    parts, pool = np.array_split(_buffer(read), threads), ThreadPoolExecutor(threads)

    def run() -> None:
        list(pool.map(np.bitwise_xor.reduce, parts))
        fresh = np.array_split(np.empty(max(written // 8, 1)), threads)
        list(pool.map(lambda part: part.fill(1.0), fresh))

    return lap(run)


def copy_lap(byte_count: int, threads: int = CORES) -> Lap:
    """Copies that many bytes of memory once."""
    source, target = _buffer(byte_count), _buffer(byte_count)
    pairs = (np.array_split(target, threads), np.array_split(source, threads))
    pool = ThreadPoolExecutor(threads)
    return lap(lambda: list(pool.map(np.copyto, *pairs)))


def bytes_of(*columns: NDArray[np.generic]) -> int:
    """Bytes of some columns."""
    return sum(column.nbytes for column in columns)


def measure(load: Load) -> Iterator[Line]:
    """The limits themselves: memory read, memory copied, and the dense product's rate."""
    size = BUFFER_BYTES // load.shrink
    for name, of in (("read", stream_lap), ("copy", copy_lap)):
        ours, peer = time_laps(load.repeats, of(size), of(size, 1))
        rate = size / ours.median / 1e9
        yield Race(ours, peer, ours).line(f"machine.{name}", rate, "GB/s", "one core", None)
    left, right = stream(0, "benchmarks", "product").random((2, PRODUCT_SIZE, PRODUCT_SIZE))
    ours, peer = time_laps(
        min(load.repeats, 3),
        lap(lambda: left @ right),
        lap(lambda: np.einsum("ij,jk->ik", left, right)),
    )
    rate = 2 * PRODUCT_SIZE**3 / ours.median / 1e9
    accuracy = relative_difference([(left @ right, np.einsum("ij,jk->ik", left, right))])
    name, peer_name = "machine.dense_product", "einsum, no BLAS"
    yield Race(ours, peer, ours).line(name, rate, "GFLOP/s", peer_name, accuracy)


def _buffer(byte_count: int) -> NDArray[np.int64]:
    # Written to, because untouched pages all map to one page of zeros.
    return np.arange(max(byte_count // 8, 1), dtype=np.int64)
