"""The files of the event, as columns of cents.

Of Hyperliquid's auto-deleveraging of 10 October 2025: shocks by coin and cluster (deficit, profit
of the other side, what the venue's queue closed), and the published policies by wave.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from plimsoll.core import Floats, InputError, Int64s

CENTS = 100
SHOCKS = "hyperliquid_adl_shocks_2025-10-10.csv"
POLICIES = "hyperliquid_adl_policy_per_wave_2025-10-10.csv"
EQUITY = "hyperliquid_equity_delta_by_wave_2025-10-10.csv"
DEFICITS = "hyperliquid_bad_debt_waves_2025-10-10.csv"
OVERSHOOT = "overshoot_"


@dataclass(frozen=True, slots=True)
class Shocks:
    """Int64 cents by coin and cluster; ``wave`` groups those that begin within one wave.

    Between waves a group goes by the number of the wave before, negative. ``beyond`` is what was
    closed beyond each deficit, dollars as published.
    """

    coin: tuple[str, ...]
    wave: Int64s
    deficit: Int64s
    capacity: Int64s
    closed: Int64s
    beyond: Floats
    minutes: float


@dataclass(frozen=True, slots=True)
class Waves:
    """Dollars by wave: ``overshoot`` of each published policy, and what the rest is made of."""

    overshoot: Mapping[str, Floats]
    deficit: Floats
    deficit_largest: Floats
    overshoot_later: Floats
    later_s: float


@dataclass(frozen=True, slots=True)
class Event:
    """Both, from one folder."""

    shocks: Shocks
    waves: Waves


def read_event(folder: Path) -> Event:
    """The event's files. Raises InputError where one is missing or lacks a column."""
    policies = _read(folder / POLICIES)
    starts = [_time(row, "t_start", folder / POLICIES) for row in policies]
    ends = [_time(row, "t_end", folder / POLICIES) for row in policies]
    numbers = _floats(policies, "wave", folder / POLICIES).astype(np.int64)
    path = folder / SHOCKS
    rows = _read(path)
    at = [_time(row, "t_start", path) for row in rows]
    shocks = Shocks(
        coin=tuple(row["coin"] for row in rows),
        wave=np.array([_wave(time, starts, ends, numbers) for time in at], dtype=np.int64),
        deficit=_cents(rows, "deficit_usd", path),
        capacity=_cents(rows, "total_capacity_usd", path),
        closed=_cents(rows, "budget_queue_usd", path),
        beyond=np.maximum(
            _floats(rows, "budget_queue_usd", path) - _floats(rows, "deficit_usd", path), 0.0
        ),
        minutes=(max(_time(row, "t_end", path) for row in rows) - min(at)) / 60,
    )
    return Event(shocks, _read_waves(folder, policies))


def _read_waves(folder: Path, policies: Sequence[Mapping[str, str]]) -> Waves:
    path = folder / POLICIES
    names = [name for name in policies[0] if name.startswith(OVERSHOOT)]
    equity, debts = _read(folder / EQUITY), _read(folder / DEFICITS)
    later = _floats(equity, "t_eval_end_ms", path) - _floats(equity, "t_end_ms", path)
    return Waves(
        overshoot={name.removeprefix(OVERSHOOT): _floats(policies, name, path) for name in names},
        deficit=_floats(debts, "deficit_usd", folder / DEFICITS),
        deficit_largest=_floats(debts, "max_loss_usd", folder / DEFICITS),
        overshoot_later=_floats(equity, "overshoot_prod_minus_needed_usd", folder / EQUITY),
        later_s=float(later[0]) / 1000,
    )


def _wave(time: float, starts: Sequence[float], ends: Sequence[float], numbers: Int64s) -> int:
    begun = [k for k, start in enumerate(starts) if start <= time]
    if not begun:
        return 0
    number = int(numbers[begun[-1]])
    return number if time <= ends[begun[-1]] else -number


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise InputError(str(path), problem, "give the folder of the event's files") from None
    if not rows:
        raise InputError(str(path), "holds no rows", "give the event's file")
    return rows


def _floats(rows: Sequence[Mapping[str, str]], name: str, path: Path) -> Floats:
    try:
        values = np.array([float(row[name]) for row in rows])
    except (KeyError, TypeError, ValueError):
        values = np.array([math.nan])
    if not np.all(np.isfinite(values)):
        problem = f"has no finite column '{name}'"
        raise InputError(str(path), problem, "give the event's file")
    return values


def _cents(rows: Sequence[Mapping[str, str]], name: str, path: Path) -> Int64s:
    return np.rint(_floats(rows, name, path) * CENTS).astype(np.int64)


def _time(row: Mapping[str, str], name: str, path: Path) -> float:
    """Seconds since 1970."""
    try:
        return datetime.fromisoformat(row[name]).timestamp()
    except (KeyError, TypeError, ValueError):
        problem = f"has no times in '{name}'"
        raise InputError(str(path), problem, "give the event's file") from None
