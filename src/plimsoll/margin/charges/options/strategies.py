"""Strategy margin: options on one underlying, and the underlying itself, paired at least cost.

A rule book of strategies prices each short option alone, or less with something that offsets
it. How to pair is the account's to choose, and it chooses the cheapest way. Every strategy of
two legs joins one of {short call, long put, short stock} to one of {short put, long call, long
stock}: a graph of two sides. The cheapest set of pairs is then a transport problem, solved
exactly, and whole contracts stay whole. Two strategies of more legs are tried on top, in order,
and kept where they ask less: all options of an expiry as one spread, where as many calls and as
many puts are long as short; then conversions and their reverse.

Stock is one resource for covering short options and another for being protected by long ones, so
that a collar is a covered call and a protective put on the same stock. Amounts are USD; "need" is
what a short option asks beyond its premium. Long options are paid in full: they have no value
to borrow on and no requirement. Source: FINRA Rule 4210(f)(2); Cboe Margin Manual, April 2000.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numba as nb
import numpy as np

from plimsoll.core import Bools, Floats, Int64s, offsets_from_counts
from plimsoll.margin.assessment import Detail
from plimsoll.margin.exposure import Exposure

STOCK, UNCOVERED, STRADDLES, SPREADS, COVERED, CONVERSIONS = range(6)
"""What a requirement is for, in the order of its columns."""

_TOLERANCE = 1e-12
"""Relative: a pairing that is better by less is no better."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Rows of (pool, asset): every underlying of a pool and every asset it owns.

    ``pool`` and ``asset`` are [rows], sorted by both; ``group_row`` and ``cell_row`` name the
    row of each group and of each cell of a layout, each of them a row of its own.
    """

    pool: Int64s
    asset: Int64s
    group_row: Int64s
    cell_row: Int64s

    def detail(
        self, name: str, columns: Sequence[tuple[str, Floats]], is_listed: Bools, pools: int
    ) -> Detail:
        """Figures by row, [rows] each, for people: of underlyings and of the assets listed."""
        shown = is_listed[self.asset]
        shown[self.group_row] = True
        offsets = np.searchsorted(self.pool[shown], np.arange(pools + 1)).astype(np.int64)
        kept = tuple((title, figures[shown]) for title, figures in columns)
        return Detail(name, offsets, self.asset[shown].astype(np.int32), kept)


def list_holdings(exposure: Exposure) -> Holdings:
    """The rows of an exposure's pools."""
    layout = exposure.layout
    width = len(exposure.instruments.assets.names)
    pools = np.arange(layout.cell_offsets.size - 1, dtype=np.int64)
    by_group = np.repeat(pools, np.diff(layout.group_offsets)) * width + layout.group_underlying
    by_cell = np.repeat(pools, np.diff(layout.cell_offsets)) * width + layout.cell_asset
    keys, row = np.unique(np.concatenate([by_group, by_cell]), return_inverse=True)
    row = row.astype(np.int64)
    return Holdings(keys // width, keys % width, row[: by_group.size], row[by_group.size :])


@dataclass(frozen=True, slots=True)
class Legs:
    """Option positions in units of the underlying, sorted by row, then by expiry and strike.

    ``offsets`` is [rows + 1]; the others [legs]. ``units`` is signed (long > 0), ``strike``,
    ``premium`` and ``need`` are USD per unit.
    """

    offsets: Int64s
    units: Floats
    strike: Floats
    expiry_ns: Int64s
    is_call: Bools
    premium: Floats
    need: Floats


def sort_legs(row: Int64s, rank: Int64s, row_count: int, legs: Legs) -> Legs:
    """Legs in order: ``row`` and ``rank`` (of the instrument) are [legs]; none may hold nothing."""
    order = np.lexsort((rank, row))
    counts = np.bincount(row, minlength=row_count).astype(np.int64)
    return Legs(
        offsets_from_counts(counts), legs.units[order], legs.strike[order], legs.expiry_ns[order],
        legs.is_call[order], legs.premium[order], legs.need[order],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class StockRules:
    """What the underlying of each row is and asks, shape [rows].

    ``price`` is USD per unit, ``units`` signed, ``long_rate`` and ``short_rate`` fractions of
    its value. ``protected_rate`` is the fraction of the strike that protected stock asks beside
    what the option is out of the money; infinite where the rule book gives no such relief.
    """

    price: Floats
    units: Floats
    long_rate: Floats
    short_rate: Floats
    protected_rate: float


def strategy_margin(legs: Legs, stock: StockRules) -> Floats:
    """The least requirement of each row by what it is for, USD, shape [rows, 6].

    NaN throughout where a figure that the row needs is unknown. Rows do not touch each other,
    and the order of a row's legs is theirs, so bits depend on the row alone.
    """
    out = np.zeros((stock.units.size, 6))
    longest = int(np.diff(legs.offsets).max(initial=0))
    _price_rows(
        legs.offsets, legs.units, legs.strike, legs.expiry_ns, legs.is_call, legs.premium,
        legs.need, stock.price, stock.units, stock.long_rate, stock.short_rate,
        stock.protected_rate, longest, out,
    )  # fmt: skip
    return out


@nb.njit(cache=True, nogil=True)
def _price_rows(
    offsets: Int64s, units: Floats, strike: Floats, expiry: Int64s, is_call: Bools,
    premium: Floats, need: Floats, price: Floats, stock: Floats, long_rate: Floats,
    short_rate: Floats, protected_rate: float, longest: int, out: Floats,
) -> None:  # fmt: skip
    """out[row] = the least requirement of a row, by what it is for.

    The nodes of a row's graph are its legs, its stock as cover, its stock as what is protected.
    """
    size = longest + 2
    amount, tried, alone = np.empty(size), np.empty(size), np.empty(size)
    cost, flow = np.empty((size, size)), np.empty((size, size))
    carved, found = np.empty(6), np.empty(6)
    for row in range(out.shape[0]):
        first, end = offsets[row], offsets[row + 1]
        held = stock[row]
        if held == 0.0 and first == end:
            continue
        ask = 0.0
        if held != 0.0:
            ask = price[row] * (long_rate[row] if held > 0.0 else short_rate[row])
        known = held + ask + price[row]
        for leg in range(first, end):
            known += units[leg] + strike[leg] + premium[leg] + need[leg]
        if not math.isfinite(known):
            out[row] = math.nan
            continue
        n = end - first + 2
        a, c, f = amount[:n], cost[:n, :n], flow[:n, :n]
        k, e, is_c, u = strike[first:end], expiry[first:end], is_call[first:end], units[first:end]
        _fill_nodes(u, premium[first:end], need[first:end], held, ask, a, alone)
        _fill_costs(
            u, k, e, is_c, premium[first:end], need[first:end], held, price[row], ask,
            protected_rate, c,
        )  # fmt: skip
        carved[:] = 0.0
        _allot(a, alone, u, is_c, held, c, carved, f, out[row])
        _try_balanced(a, alone, u, k, e, is_c, held, c, carved, f, tried[:n], found, out[row])
        if protected_rate < math.inf:
            _try_conversions(
                a, alone, u, k, e, is_c, held, price[row], protected_rate, c, carved, f,
                tried[:n], found, out[row],
            )  # fmt: skip


@nb.njit(cache=True, nogil=True)
def _fill_nodes(
    units: Floats, premium: Floats, need: Floats, stock: float, ask: float,
    amount: Floats, alone: Floats,
) -> None:  # fmt: skip
    """What there is of each node, and what a unit of it asks where nothing offsets it."""
    legs = units.size
    for leg in range(legs):
        amount[leg] = abs(units[leg])
        alone[leg] = premium[leg] + need[leg] if units[leg] < 0.0 else 0.0
    amount[legs] = amount[legs + 1] = abs(stock)
    alone[legs], alone[legs + 1] = 0.0, ask


@nb.njit(cache=True, nogil=True)
def _is_left(node: int, units: Floats, is_call: Bools, stock: float) -> bool:
    """Whether a node is on the side of short calls, long puts and short stock."""
    if node >= units.size:
        return stock < 0.0
    return bool(units[node] < 0.0 if is_call[node] else units[node] > 0.0)


@nb.njit(cache=True, nogil=True)
def _fill_costs(
    units: Floats, strike: Floats, expiry: Int64s, is_call: Bools, premium: Floats,
    need: Floats, stock: float, price: float, ask: float, protected_rate: float, cost: Floats,
) -> None:  # fmt: skip
    """cost[left, right] = what a unit of a pair asks; infinite where it is no strategy."""
    legs = units.size
    cost[:] = math.inf
    for i in range(legs):
        short, sign = units[i] < 0.0, 1.0 if is_call[i] else -1.0
        for j in range(legs):
            if not short or not _is_left(i, units, is_call, stock):
                break
            # A short call against a short put: the greater side and the other's premium.
            if not is_call[j] and units[j] < 0.0:
                first, second = premium[i] + need[i], premium[j] + need[j]
                more = need[i] if first >= second else need[j]
                cost[i, j] = premium[i] + premium[j] + more
        for j in range(legs):
            # A spread: the long option must live as long, and ends what the short one can lose.
            spread = short and units[j] > 0.0 and is_call[i] == is_call[j]
            if spread and expiry[j] >= expiry[i]:
                width = max(sign * (strike[j] - strike[i]), 0.0)
                if is_call[i]:
                    cost[i, j] = width
                else:
                    cost[j, i] = width
        # What stock does for an option, or an option for stock, has the option out of the money
        # on one side of the price and the stock on the other.
        in_money = max(sign * (price - strike[i]), 0.0)
        covers = short and sign * stock > 0.0
        protects = not short and sign * stock < 0.0
        if covers:
            pair = (i, legs) if is_call[i] else (legs, i)
            cost[pair] = in_money
        elif protects:
            pair = (legs + 1, i) if is_call[i] else (i, legs + 1)
            out_of_money = max(sign * (strike[i] - price), 0.0)
            cost[pair] = min(protected_rate * strike[i] + out_of_money, ask)


@nb.njit(cache=True, nogil=True)
def _allot(
    amount: Floats, alone: Floats, units: Floats, is_call: Bools, stock: float,
    cost: Floats, carved: Floats, flow: Floats, found: Floats,
) -> None:  # fmt: skip
    """``found`` = what the cheapest pairs and what is left over ask, on top of ``carved``."""
    legs = units.size
    _match(amount, alone, units, is_call, stock, cost, flow)
    found[:] = carved
    for node in range(amount.size):
        single = amount[node]
        for other in range(amount.size):
            single -= flow[node, other] + flow[other, node]
        kind = UNCOVERED if node < legs else STOCK
        found[kind] += max(single, 0.0) * alone[node]
    for i in range(amount.size):
        for j in range(amount.size):
            if flow[i, j] > 0.0:
                kind = STRADDLES
                if max(i, j) > legs:
                    kind = STOCK
                elif max(i, j) == legs:
                    kind = COVERED
                elif is_call[i] == is_call[j]:
                    kind = SPREADS
                found[kind] += flow[i, j] * cost[i, j]


@nb.njit(cache=True, nogil=True)
def _match(
    amount: Floats, alone: Floats, units: Floats, is_call: Bools, stock: float,
    cost: Floats, flow: Floats,
) -> None:  # fmt: skip
    """flow[left, right] = units paired so that what pairs save is greatest.

    Successive best paths: each takes the way through the residual graph that saves most, and
    is full when one of its edges is. Ties go to the first node in order.
    """
    n = amount.size
    flow[:] = 0.0
    lefts, rights = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    left_count = right_count = 0
    top = 0.0
    for node in range(n):
        top = max(top, alone[node])
        if amount[node] > 0.0 and _is_left(node, units, is_call, stock):
            lefts[left_count] = node
            left_count += 1
        elif amount[node] > 0.0:
            rights[right_count] = node
            right_count += 1
    lefts, rights = lefts[:left_count], rights[:right_count]
    free_left, free_right = amount[lefts], amount[rights]
    saving, paired = np.empty((left_count, right_count)), np.zeros((left_count, right_count))
    for i in range(left_count):
        for j in range(right_count):
            pair = cost[lefts[i], rights[j]]
            saving[i, j] = -1.0 if pair == math.inf else alone[lefts[i]] + alone[rights[j]] - pair
    _augment(free_left, free_right, saving, _TOLERANCE * top, paired)
    for i in range(left_count):
        for j in range(right_count):
            flow[lefts[i], rights[j]] = paired[i, j]


@nb.njit(cache=True, nogil=True)
def _augment(
    free_left: Floats, free_right: Floats, saving: Floats, floor: float, paired: Floats
) -> None:
    """Fill ``paired`` path by path; ``free_left`` and ``free_right`` are used up."""
    lefts, rights = saving.shape
    save_left, save_right = np.empty(lefts), np.empty(rights)
    from_right, from_left = np.empty(lefts, dtype=np.int64), np.empty(rights, dtype=np.int64)
    moved = np.empty(lefts, dtype=np.bool_)
    for _ in range((lefts + rights + 1) ** 3):
        _best_paths(
            free_left, saving, paired, floor, save_left, save_right, from_right, from_left, moved
        )
        best = -1
        for j in range(rights):
            if free_right[j] > 0.0 and save_right[j] > (floor if best < 0 else save_right[best]):
                best = j
        if best < 0:
            return
        size, j = free_right[best], best
        for _ in range(lefts + 1):
            i = from_left[j]
            if from_right[i] < 0:
                break
            size = min(size, paired[i, from_right[i]])
            j = from_right[i]
        if from_right[i] >= 0:
            # Only rounding can close a circle; what it could save is beneath the floor.
            return
        size = min(size, free_left[i])
        free_left[i] -= size
        free_right[best] -= size
        j = best
        while True:
            i = from_left[j]
            paired[i, j] += size
            j = from_right[i]
            if j < 0:
                break
            paired[i, j] -= size


@nb.njit(cache=True, nogil=True)
def _best_paths(
    free_left: Floats, saving: Floats, paired: Floats, floor: float, save_left: Floats,
    save_right: Floats, from_right: Int64s, from_left: Int64s, moved: Bools,
) -> None:  # fmt: skip
    """The most that a path from any free left node to each node saves, and where it came from."""
    lefts, rights = saving.shape
    for i in range(lefts):
        moved[i] = free_left[i] > 0.0
        save_left[i] = 0.0 if moved[i] else -math.inf
        from_right[i] = -1
    for j in range(rights):
        save_right[j] = -math.inf
        from_left[j] = -1
    for _ in range(lefts + rights):
        for i in range(lefts):
            if not moved[i]:
                continue
            moved[i] = False
            for j in range(rights):
                gain = saving[i, j]
                if gain > floor and save_left[i] + gain > save_right[j] + floor:
                    save_right[j], from_left[j] = save_left[i] + gain, i
        changed = False
        for i in range(lefts):
            for j in range(rights):
                back = save_right[j] - saving[i, j]
                if paired[i, j] > 0.0 and back > save_left[i] + floor:
                    save_left[i], from_right[i] = back, j
                    moved[i] = changed = True
        if not changed:
            return


@nb.njit(cache=True, nogil=True)
def _keep_if_less(found: Floats, best: Floats) -> bool:
    """Copy ``found`` over ``best`` where it asks less, beyond rounding."""
    asked, least = 0.0, 0.0
    for kind in range(best.size):
        asked += found[kind]
        least += best[kind]
    if asked < least * (1.0 - _TOLERANCE):
        best[:] = found
        return True
    return False


@nb.njit(cache=True, nogil=True)
def _try_balanced(
    amount: Floats, alone: Floats, units: Floats, strike: Floats, expiry: Int64s,
    is_call: Bools, stock: float, cost: Floats, carved: Floats, flow: Floats, tried: Floats,
    found: Floats, best: Floats,
) -> None:  # fmt: skip
    """Take the options of an expiry as one spread where that asks less.

    There must be as many calls long as short, and as many puts. The spread asks the most that
    it can lose at any of its strikes.
    """
    start = 0
    while start < units.size:
        end = start
        calls = puts = gross = shorts = 0.0
        while end < units.size and expiry[end] == expiry[start]:
            if is_call[end]:
                calls += units[end]
            else:
                puts += units[end]
            gross += abs(units[end])
            shorts += max(-units[end], 0.0)
            end += 1
        if shorts > 0.0 and abs(calls) + abs(puts) <= _TOLERANCE * gross:
            loss = 0.0
            for point in range(start, end):
                value = 0.0
                for leg in range(start, end):
                    gap = strike[point] - strike[leg]
                    value += units[leg] * max(gap if is_call[leg] else -gap, 0.0)
                loss = max(loss, -value)
            tried[:] = amount
            tried[start:end] = 0.0
            before = carved[SPREADS]
            carved[SPREADS] += loss
            _allot(tried, alone, units, is_call, stock, cost, carved, flow, found)
            if _keep_if_less(found, best):
                amount[:] = tried
            else:
                carved[SPREADS] = before
        start = end


@nb.njit(cache=True, nogil=True)
def _try_conversions(
    amount: Floats, alone: Floats, units: Floats, strike: Floats, expiry: Int64s,
    is_call: Bools, stock: float, price: float, rate: float, cost: Floats, carved: Floats,
    flow: Floats, tried: Floats, found: Floats, best: Floats,
) -> None:  # fmt: skip
    """Take stock, the put and the call that fix its price as one, where that asks less.

    Long stock, long put, short call of one strike and expiry; or all the other way.
    """
    legs = units.size
    for call in range(legs):
        for put in range(legs):
            fixes = is_call[call] and not is_call[put] and strike[call] == strike[put]
            if not fixes or expiry[call] != expiry[put]:
                continue
            if units[call] * stock >= 0.0 or units[put] * stock <= 0.0:
                continue
            size = min(amount[call], amount[put], amount[legs])
            if size <= 0.0:
                continue
            tried[:] = amount
            for node in (call, put, legs, legs + 1):
                tried[node] -= size
            behind = price - strike[call] if stock > 0.0 else strike[call] - price
            asked = size * (rate * strike[call] + max(behind, 0.0))
            before = carved[CONVERSIONS]
            carved[CONVERSIONS] += asked
            _allot(tried, alone, units, is_call, stock, cost, carved, flow, found)
            if _keep_if_less(found, best):
                amount[:] = tried
            else:
                carved[CONVERSIONS] = before
