"""Options under the scenarios of ``plimsoll.portfolio``: their profits, their slopes over a box.

An option's profit in scenario s, per contract and in its settle asset, is
    p_s = a_s * (V_s - V_0),
a_s being multiplier, weight and growth of the settle asset, V_s = V(g_s F, w_s) Black-76 at
forward g_s F and total deviation w_s = vol_s sqrt(T), over g_s F where it settles in coin, V_0 the
same at g = 1 and w_0 = vol sqrt(T). All are smooth but for the kinks of vol_s, and

    dV/dF = g N(d1), g (N(d1) - 1) (calls, puts);         dV/dw = g F n(d1)       linear
    dV/dF = K / (g F²) N(d2), - K / (g F²) N(-d2);        dV/dw = n(d1)           in coin

with L = ln(g F / K), d1 = L / w + w / 2, d2 = L / w - w / 2, n the normal density.

- Both rise with F. Along w, d1 has the slope -d2 / w: it rises where L <= 0; else it is convex with
  its least value at w = sqrt(2 L). d2 has the slope -d1 / w: it falls where L >= 0, else it is
  concave with its greatest value at w = sqrt(-2 L). So over w_low..w_high their ranges are those at
  the ends and at that one point, and with them those of N and n.
- vol_s = max(vol * (1 + move * m(T)), floor), m(T) = (ref / T)^power with T at least a day, and
  down no lower than min(vol, floor). It rises with vol. With power p <= 1/2, sqrt(T) + c T^(1/2-p)
  rises for c > 0, and for c < 0 its slope, (1 - |c| (1 - 2p) T^-p) / (2 sqrt(T)), is positive where
  1 - |c| T^-p >= 0; so w_s rises with T, and its range over a box is that of two corners. Its
  slopes are sqrt(T) * (1 + move * m) along vol, vol / (2 sqrt(T)) * (1 + move * m * (1 - 2p)) along
  T, or 0 and floor / (2 sqrt(T)) on a floor; each lies between its ends.
- The box is cut into slices of the forward, so that delta at g F is compared with delta at the same
  F, and the union of the slices' ranges is taken.

The range of p_s itself is its value in the middle of the box and the slopes times half the box.
"""

import math

import numba as nb

from plimsoll.core import Floats
from plimsoll.margin.venues.plimsoll_portfolio_parameters import SCENARIOS
from plimsoll.margin.watch.scenario.house import (
    BOX_ROWS,
    CODE,
    D_HIGH,
    D_LOW,
    DAYS_MIN,
    DF_HIGH,
    DF_LOW,
    DT_HIGH,
    DT_LOW,
    DV_HIGH,
    DV_LOW,
    EXPIRY,
    F_HIGH,
    F_LOW,
    INVERSE,
    IS_CALL,
    KINDS,
    LONG_POWER,
    P_HIGH,
    P_LOW,
    REFERENCE_DAYS,
    SHORT_POWER,
    SIZE,
    STRIKE,
    T_HIGH,
    T_LOW,
    V_HIGH,
    V_LOW,
    VOL_DOWN,
    VOL_MIN_DOWN,
    VOL_MIN_UP,
    VOL_UP,
    JointHouse,
)
from plimsoll.pricing.kernels import black_value, reduce_option
from plimsoll.pricing.numerics import SQRT_2PI, Z_MAX, bell, log_ratio, normal_cdf

YEAR_S = 365.0 * 86_400.0
SLICES = 4
"""Pieces of the box along the forward."""
DEVIATION_LOW, DEVIATION_HIGH = 1e-5, 50.0
VOL_LOW, VOL_HIGH = 1e-3, 100.0
FORWARD_LOW, FORWARD_HIGH = 1e-6, 1e6
"""Strike over forward outside: no option, or one that only ``assess`` is asked about."""
TIME_SHARE = 0.2
"""The last moment of a box leaves at least this part of the first one's time to expiry."""
WIDEN = 1e-12


@nb.njit(forceinline=True)
def times(a: float, b: float, low: float, high: float) -> tuple[float, float]:
    """The range of x * y for a <= x <= b and low <= y <= high."""
    one, two, three, four = a * low, a * high, b * low, b * high
    return min(min(one, two), min(three, four)), max(max(one, two), max(three, four))  # noqa: PLW3301


@nb.njit(cache=True, nogil=True)
def tenor_factor(numbers: Floats, days: float) -> float:
    """The factor on a shock of volatility at some days to expiry."""
    counted = max(days, numbers[DAYS_MIN])
    is_short = counted < numbers[REFERENCE_DAYS]
    power = numbers[SHORT_POWER] if is_short else numbers[LONG_POWER]
    return float((numbers[REFERENCE_DAYS] / counted) ** power)


@nb.njit(cache=True, nogil=True)
def shocked_vol(numbers: Floats, unit: float, vol: float, factor: float) -> float:
    """Volatility after so many shocks; ``factor`` is the tenor's."""
    move = unit * (numbers[VOL_UP] if unit > 0.0 else numbers[VOL_DOWN])
    shocked = vol
    if move != 0.0:
        floor = numbers[VOL_MIN_UP] if move > 0.0 else 0.0
        shocked = max(vol * (1.0 + move * factor), floor)
    if unit < 0.0:
        shocked = max(shocked, min(vol, numbers[VOL_MIN_DOWN]))
    return float(shocked)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def price_option(
    house: JointHouse, model: int, i: int, o: int, forward: float, vol: float, years: float,
    room: Floats, out: Floats,
) -> None:  # fmt: skip
    """Fill ``out`` [scenarios] with profits of one contract, weighted, in its settle asset.

    The same terms in the same order as ``reprice_grid``. ``room`` is [scenarios].
    """
    numbers, strike, is_call = house.numbers[model], house.units[i, STRIKE], house.units[i, IS_CALL]
    f, k, h, inverse, t = reduce_option(forward, strike, years, vol, 1.0)
    in_coin = house.ids[i, CODE] == INVERSE
    base = black_value(f, k, h, t, is_call != 0.0)
    base = base / forward if in_coin else base
    factor, size = tenor_factor(numbers, years * 365.0), house.units[i, SIZE]
    for kind in range(int(numbers[KINDS])):
        shocked = shocked_vol(numbers, house.shocks[model, kind], vol, factor)
        room[kind] = 1.0 + (shocked / vol - 1.0)
    growth, logs, scale = house.growth[o], house.log_growth[o], house.scale[o]
    for s in range(SCENARIOS):
        vols = room[house.kind[model, s]]
        over = 1.0 / vols
        moved = h * over + logs[s] * over * inverse
        value = black_value(f * growth[s], k, moved, t * vols, is_call != 0.0)
        value = value / (forward * growth[s]) if in_coin else value
        out[s] = (value - base) * size * scale[s]


@nb.njit(cache=True, nogil=True)
def tenor_slopes(numbers: Floats, least: float, most: float) -> tuple[float, float, float, float]:
    """Ranges of m and of m * (1 - 2 p) over some days to expiry."""
    m_low, m_high = tenor_factor(numbers, most), tenor_factor(numbers, least)
    p_low = min(numbers[SHORT_POWER], numbers[LONG_POWER])
    p_high = max(numbers[SHORT_POWER], numbers[LONG_POWER])
    if least >= numbers[REFERENCE_DAYS]:
        p_low = p_high = numbers[LONG_POWER]
    elif most < numbers[REFERENCE_DAYS]:
        p_low = p_high = numbers[SHORT_POWER]
    if least <= numbers[DAYS_MIN]:
        p_low = 0.0
    return m_low, m_high, m_low * (1.0 - 2.0 * p_high), m_high * (1.0 - 2.0 * p_low)


@nb.njit(cache=True, nogil=True)
def deviation_slopes(
    numbers: Floats, unit: float, v_low: float, v_high: float, t_low: float, t_high: float,
    out: Floats,
) -> None:  # fmt: skip
    """Fill ``out`` [6] with ranges of w_s, dw_s/dvol and dw_s/dT over a box."""
    r_low, r_high = math.sqrt(t_low), math.sqrt(t_high)
    m_low, m_high, e_low, e_high = tenor_slopes(numbers, t_low * 365.0, t_high * 365.0)
    out[0] = shocked_vol(numbers, unit, v_low, tenor_factor(numbers, t_low * 365.0)) * r_low
    out[1] = shocked_vol(numbers, unit, v_high, tenor_factor(numbers, t_high * 365.0)) * r_high
    move = unit * (numbers[VOL_UP] if unit > 0.0 else numbers[VOL_DOWN])
    f_low, f_high = times(m_low, m_high, move, move)
    g_low, g_high = times(e_low, e_high, move, move)
    f_low, f_high = max(1.0 + f_low, 0.0), max(1.0 + f_high, 0.0)
    g_low, g_high = max(1.0 + g_low, 0.0), max(1.0 + g_high, 0.0)
    v_least, v_most = f_low * r_low, f_high * r_high
    t_least, t_most = 0.5 * v_low / r_high * g_low, 0.5 * v_high / r_low * g_high
    floor = 0.0
    if move > 0.0 and v_low * f_low <= numbers[VOL_MIN_UP]:
        floor = numbers[VOL_MIN_UP]
    if unit < 0.0:
        least = numbers[VOL_MIN_DOWN]
        if v_low <= least:
            # Below its floor a volatility stays as it is.
            v_least, v_most = min(v_least, r_low), max(v_most, r_high)
            t_most = max(t_most, 0.5 * min(v_high, least) / r_low)
            t_least = min(t_least, 0.5 * v_low / r_high)
        if v_low * f_low <= least < v_high:
            floor = least
    if floor > 0.0:
        v_least = 0.0
        t_least, t_most = min(t_least, 0.5 * floor / r_high), max(t_most, 0.5 * floor / r_low)
    out[0], out[1] = out[0] * (1.0 - WIDEN), out[1] * (1.0 + WIDEN)
    out[2], out[3] = v_least * (1.0 - WIDEN), v_most * (1.0 + WIDEN)
    out[4], out[5] = t_least * (1.0 - WIDEN), t_most * (1.0 + WIDEN)


@nb.njit(cache=True, nogil=True)
def d_ranges(moneyness: float, low: float, high: float) -> tuple[float, float, float, float]:
    """Ranges of d1 and d2 for deviations from low to high at one L = ``moneyness``."""
    at_low, at_high = moneyness / low, moneyness / high
    one_low = low if moneyness <= 0.0 else min(max(math.sqrt(2.0 * moneyness), low), high)
    two_high = low if moneyness >= 0.0 else min(max(math.sqrt(-2.0 * moneyness), low), high)
    return (
        moneyness / one_low + 0.5 * one_low,
        max(at_low + 0.5 * low, at_high + 0.5 * high),
        min(at_low - 0.5 * low, at_high - 0.5 * high),
        moneyness / two_high - 0.5 * two_high,
    )


@nb.njit(cache=True, nogil=True)
def density_range(low: float, high: float) -> tuple[float, float]:
    """The range of the normal density between two numbers."""
    near = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
    far = max(abs(low), abs(high))
    least = bell(far) / SQRT_2PI if far < Z_MAX else 0.0
    return least, bell(min(near, Z_MAX)) / SQRT_2PI


@nb.njit(cache=True, nogil=True, error_model="numpy")
def slice_slopes(
    strike: float, is_call: bool, in_coin: bool, growth: float, f_low: float, f_high: float,
    w: Floats, out: Floats,
) -> None:  # fmt: skip
    """Fill ``out`` [:, slices] with ranges of dV/dF, dV/dw and of d1, d2, slice by slice."""
    step = (f_high - f_low) / SLICES
    for piece in range(SLICES):
        first = f_low + piece * step
        last = f_high if piece == SLICES - 1 else f_low + (piece + 1) * step
        a1, _, a2, _ = d_ranges(log_ratio(first * growth, strike), w[0], w[1])
        _, b1, _, b2 = d_ranges(log_ratio(last * growth, strike), w[0], w[1])
        n_low, n_high = density_range(a1, b1)
        if in_coin:
            side = 1.0 if is_call else -1.0
            at_low, at_high = normal_cdf(side * a2), normal_cdf(side * b2)
            least, most = strike / (growth * last * last), strike / (growth * first * first)
            out[0, piece], out[1, piece] = times(least, most, side * at_low, side * at_high)
            out[2, piece], out[3, piece] = n_low, n_high
        else:
            shift = 0.0 if is_call else 1.0
            out[0, piece] = growth * (normal_cdf(a1) - shift)
            out[1, piece] = growth * (normal_cdf(b1) - shift)
            out[2, piece], out[3, piece] = growth * first * n_low, growth * last * n_high
        out[4, piece], out[5, piece], out[6, piece], out[7, piece] = a1, b1, a2, b2


@nb.njit(cache=True, nogil=True, error_model="numpy")
def bound_scenario(
    scale: float, moved: Floats, still: Floats, w: Floats, w0: Floats, box: Floats, s: int
) -> None:
    """Fill rows F, V, T of ``box`` at scenario s from the slices of V_s and of V_0."""
    least_f = least_v = least_t = math.inf
    most_f = most_v = most_t = -math.inf
    size_f, size_w = 0.0, 0.0
    for piece in range(SLICES):
        least_f = min(least_f, moved[0, piece] - still[1, piece])
        most_f = max(most_f, moved[1, piece] - still[0, piece])
        least_v = min(least_v, moved[2, piece] * w[2] - still[3, piece] * w0[3])
        most_v = max(most_v, moved[3, piece] * w[3] - still[2, piece] * w0[2])
        least_t = min(least_t, moved[2, piece] * w[4] - still[3, piece] * w0[5])
        most_t = max(most_t, moved[3, piece] * w[5] - still[2, piece] * w0[4])
        size_f = max(size_f, abs(moved[0, piece]) + abs(moved[1, piece]) + abs(still[1, piece]))
        size_w = max(size_w, moved[3, piece] + still[3, piece])
    size_f, size_w = size_f * WIDEN, size_w * WIDEN
    box[F_LOW, s], box[F_HIGH, s] = scale * (least_f - size_f), scale * (most_f + size_f)
    size_v, size_t = size_w * (w[3] + w0[3]), size_w * (w[5] + w0[5])
    box[V_LOW, s], box[V_HIGH, s] = scale * (least_v - size_v), scale * (most_v + size_v)
    # Time that passes is time to expiry that is lost.
    box[T_LOW, s] = -scale * (most_t + size_t) / YEAR_S
    box[T_HIGH, s] = -scale * (least_t - size_t) / YEAR_S


@nb.njit(cache=True, nogil=True, error_model="numpy")
def bound_delta(
    still: Floats, is_call: bool, w0: Floats, f_low: float, f_high: float, v_low: float,
    t_low: float, out: Floats,
) -> None:  # fmt: skip
    """Fill ``out`` [greeks]: delta and its slopes along forward, volatility and time.

    d(delta)/dF = n(d1) / (F w), d(delta)/dw = -n(d1) d2 / w, dw/dvol = w / vol, dw/dT = w / 2T.
    """
    low1, high1 = still[4, 0], still[5, SLICES - 1]
    low2, high2 = still[6, 0], still[7, SLICES - 1]
    shift = 0.0 if is_call else 1.0
    out[D_LOW], out[D_HIGH] = normal_cdf(low1) - shift - WIDEN, normal_cdf(high1) - shift + WIDEN
    n_low, n_high = density_range(low1, high1)
    out[DF_LOW] = n_low / (f_high * w0[1]) * (1.0 - WIDEN)
    out[DF_HIGH] = n_high / (f_low * w0[0]) * (1.0 + WIDEN)
    slope_low, slope_high = times(n_low, n_high, -high2, -low2)
    slope_low, slope_high = slope_low - WIDEN, slope_high + WIDEN
    most = 1.0 / v_low
    out[DV_LOW], out[DV_HIGH] = min(slope_low * most, 0.0), max(slope_high * most, 0.0)
    most = 0.5 / (t_low * YEAR_S)
    out[DT_LOW], out[DT_HIGH] = min(-slope_high * most, 0.0), max(-slope_low * most, 0.0)


@nb.njit(cache=True, nogil=True)
def is_boundable(key: Floats, strike: float, t_low: float, t_high: float) -> bool:
    """Whether an option's slopes have bounds of use in a box."""
    f_low, f_high, v_low, v_high = key[0], key[1], key[2], key[3]
    is_sound = 0.0 < f_low <= f_high and VOL_LOW <= v_low <= v_high <= VOL_HIGH
    is_sound &= strike > 0.0 and 0.0 < TIME_SHARE * t_high <= t_low <= t_high <= 1000.0
    is_sound &= FORWARD_LOW * strike <= f_low and f_high <= FORWARD_HIGH * strike
    return bool(is_sound)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def bound_option(
    house: JointHouse, model: int, i: int, o: int, room: Floats, pieces: Floats
) -> bool:
    """Bound an option in the box of its ``box_key``; false where it cannot be.

    ``room`` is [scenarios], ``pieces`` [scenarios + 17, 8].
    """
    key, box, numbers = house.box_key[o], house.box[o], house.numbers[model]
    strike, expiry = house.units[i, STRIKE], house.units[i, EXPIRY]
    f_low, f_high, v_low, v_high = key[0], key[1], key[2], key[3]
    t_low, t_high = (expiry - key[5]) / YEAR_S, (expiry - key[4]) / YEAR_S
    if not is_boundable(key, strike, t_low, t_high):
        return False
    is_call, in_coin = house.units[i, IS_CALL] != 0.0, house.ids[i, CODE] == INVERSE
    w0, still, moved = pieces[SCENARIOS], pieces[SCENARIOS + 1 :], pieces[SCENARIOS + 9 :]
    deviation_slopes(numbers, 0.0, v_low, v_high, t_low, t_high, w0)
    for kind in range(int(numbers[KINDS])):
        w, unit = pieces[kind], house.shocks[model, kind]
        deviation_slopes(numbers, unit, v_low, v_high, t_low, t_high, w)
        if not (w[0] >= DEVIATION_LOW and w[1] <= DEVIATION_HIGH):
            return False
    if not w0[0] >= DEVIATION_LOW:
        return False
    slice_slopes(strike, is_call, in_coin, 1.0, f_low, f_high, w0, still)
    bound_delta(still, is_call, w0, f_low, f_high, v_low, t_low, house.greeks[o])
    f, vol, years = 0.5 * (f_low + f_high), 0.5 * (v_low + v_high), 0.5 * (t_low + t_high)
    price_option(house, model, i, o, f, vol, years, room, box[P_LOW])
    half = 0.5 * (f_high - f_low), 0.5 * (v_high - v_low), 0.5 * (key[5] - key[4])
    for s in range(SCENARIOS):
        kind, scale = house.kind[model, s], house.scale[o, s] * house.units[i, SIZE]
        growth, middle = house.growth[o, s], box[P_LOW, s]
        if growth == 1.0 and house.shocks[model, kind] == 0.0:
            for row in range(BOX_ROWS):
                box[row, s] = 0.0
            continue
        slice_slopes(strike, is_call, in_coin, growth, f_low, f_high, pieces[kind], moved)
        bound_scenario(scale, moved, still, pieces[kind], w0, box, s)
        reach = 4.0 * WIDEN * scale * (1.0 if in_coin else f_high * growth + f_high)
        for leg in range(3):
            steepest = max(abs(box[2 * leg + 2, s]), abs(box[2 * leg + 3, s]))
            reach += steepest * half[leg] * (1.0 + WIDEN)
        box[P_LOW, s], box[P_HIGH, s] = middle - reach, middle + reach
    return True
