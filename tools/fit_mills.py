"""python -m tools.fit_mills: the coefficients in ``plimsoll.pricing.numerics``, from nothing.

Each is the best approximation of its kind in relative error, found by Remez exchange in 60
digits, then rounded to doubles. Prints each table with the largest error, before and after
rounding. Needs mpmath.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mpmath as mp

DIGITS = 60
SAMPLES = 3000
EXCHANGES_MAX = 60
# The exchange stops when the error's peaks agree to this fraction.
LEVELLED = mp.mpf("1e-3")

Function = Callable[[mp.mpf], mp.mpf]


@dataclass(frozen=True, slots=True)
class Fit:
    """A ratio of polynomials, lowest power first, and its largest relative error."""

    numerator: tuple[mp.mpf, ...]
    denominator: tuple[mp.mpf, ...]
    error: mp.mpf

    def at(self, x: mp.mpf) -> mp.mpf:
        """The ratio at ``x``."""
        return polynomial(self.numerator, x) / polynomial(self.denominator, x)


@dataclass(frozen=True, slots=True)
class Table:
    """A fit rounded to doubles, and its largest relative error before and after."""

    name: str
    numerator: tuple[float, ...]
    denominator: tuple[float, ...]
    error: float
    error_rounded: float


def polynomial(coefficients: Sequence[mp.mpf], x: mp.mpf) -> mp.mpf:
    """The polynomial with these coefficients, lowest power first, at ``x``."""
    total = mp.mpf(0)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def tail(z: mp.mpf) -> mp.mpf:
    """(1 - N(z)) exp(z²/2): the Mills ratio over sqrt(2 pi)."""
    return mp.exp(z * z / 2) * mp.erfc(z / mp.sqrt(2)) / 2


def power_of_two(r: mp.mpf) -> mp.mpf:
    """2^r."""
    return mp.power(2, r)


def atanh_rest(u: mp.mpf) -> mp.mpf:
    """(2 atanh(s) / s - 2) / s² with s² = u, so that ln((1 + s)/(1 - s)) = 2s + s³ rest(s²)."""
    if u == 0:
        return mp.mpf(2) / 3
    s = mp.sqrt(u)
    return (2 * mp.atanh(s) / s - 2) / u


def remez(f: Function, xs: Sequence[mp.mpf], degrees: tuple[int, int], start: mp.mpf | None) -> Fit:
    """The best P/Q of these degrees over the sampled points, in relative error.

    With ``start`` it has this value at 0, where the points then may not be.
    """
    values = [f(x) for x in xs]
    count = sum(degrees) + (2 if start is None else 1)
    peaks = [round(i * (len(xs) - 1) / (count - 1)) for i in range(count)]
    weights = [mp.mpf(1)] * len(xs)
    for _ in range(EXCHANGES_MAX):
        fit = _levelled(xs, values, peaks, weights, degrees, start)
        weights = [polynomial(fit.denominator, x) for x in xs]
        errors = [fit.at(x) / y - 1 for x, y in zip(xs, values, strict=True)]
        peaks = _peaks(errors, count)
        heights = [abs(errors[i]) for i in peaks]
        if max(heights) - min(heights) <= LEVELLED * max(heights):
            return Fit(fit.numerator, fit.denominator, max(heights))
    raise ArithmeticError(f"degrees {degrees}: the exchange did not settle")


def _levelled(
    xs: Sequence[mp.mpf], values: Sequence[mp.mpf], peaks: Sequence[int],
    weights: Sequence[mp.mpf], degrees: tuple[int, int], start: mp.mpf | None,
) -> Fit:  # fmt: skip
    """The ratio whose error is +e, -e, ... at the peaks: P - f Q = ±e f Q, linear but for e Q,

    where Q is taken from the exchange before.
    """
    above = range(0 if start is None else 1, degrees[0] + 1)
    below = range(1, degrees[1] + 1)
    rows, right = mp.matrix(len(peaks), len(peaks)), mp.matrix(len(peaks), 1)
    for row, i in enumerate(peaks):
        x, y = xs[i], values[i]
        entries = [x**power for power in above] + [-y * x**power for power in below]
        for column, entry in enumerate([*entries, (-1) ** row * y * weights[i]]):
            rows[row, column] = entry
        right[row] = y - (start or 0)
    found = list(mp.lu_solve(rows, right))
    numerator = found[: len(above)] if start is None else [start, *found[: len(above)]]
    return Fit(tuple(numerator), (mp.mpf(1), *found[len(above) : -1]), abs(found[-1]))


def _peaks(errors: Sequence[mp.mpf], count: int) -> list[int]:
    """The highest point of each run of one sign; the ``count`` neighbours that stand highest."""
    tops = [0]
    for i in range(1, len(errors)):
        if errors[i] * errors[tops[-1]] <= 0:
            tops.append(i)
        elif abs(errors[i]) > abs(errors[tops[-1]]):
            tops[-1] = i
    if len(tops) < count:
        raise ArithmeticError(f"{len(tops)} peaks where {count} are needed: sample more densely")
    while len(tops) > count:
        tops.pop(0 if abs(errors[tops[0]]) < abs(errors[tops[-1]]) else -1)
    return tops


def chebyshev(low: float, high: float) -> list[mp.mpf]:
    """Points of [low, high], denser towards both ends."""
    half = (mp.mpf(high) - low) / 2
    return [low + half * (1 - mp.cospi(mp.mpf(i) / (SAMPLES - 1))) for i in range(SAMPLES)]


def stretched(high: float, knee: float) -> list[mp.mpf]:
    """Points of [0, high], most of them below ``knee`` where a Mills ratio bends."""
    top = high / (high + mp.mpf(knee))
    return [knee * u / (1 - u) for u in chebyshev(0, top)]


def fit_table(
    name: str, f: Function, xs: Sequence[mp.mpf], degrees: tuple[int, int], start: mp.mpf | None
) -> Table:
    """The best ratio of polynomials of these degrees, rounded to doubles."""
    fit = remez(f, xs, degrees, start)
    numerator, denominator = tuple(map(float, fit.numerator)), tuple(map(float, fit.denominator))
    after = Fit(tuple(map(mp.mpf, numerator)), tuple(map(mp.mpf, denominator)), fit.error)
    worst = max(abs(after.at(x) / f(x) - 1) for x in xs)
    return Table(name, numerator, denominator, float(fit.error), float(worst))


def fit_all() -> tuple[Table, ...]:
    """Every table of ``plimsoll.pricing.numerics``, in its order."""
    mp.mp.dps = DIGITS
    # The tail is exact at 0, so that short-dated values at the money lose no digits.
    return (
        fit_table("tail, 0 to 36", tail, stretched(36, 2.0)[1:], (8, 9), mp.mpf("0.5")),
        fit_table("2^r, -1/2 to 1/2", power_of_two, chebyshev(-0.5, 0.5), (10, 0), None),
        fit_table("atanh rest, 0 to 0.04", atanh_rest, chebyshev(0, 0.04), (6, 0), None),
    )


def show(table: Table) -> None:
    """Print a table as it stands in the code."""
    print(f"# {table.name}: relative error {table.error:.3g}, rounded {table.error_rounded:.3g}")
    for side, label in ((table.numerator, "P"), (table.denominator, "Q")):
        if len(side) > 1:
            print(f"{label} = (\n    " + ",\n    ".join(map(repr, side)) + ",\n)")


def main() -> None:
    """Print every table."""
    for table in fit_all():
        show(table)


if __name__ == "__main__":
    main()
