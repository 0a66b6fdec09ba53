"""python -m tools.fit_moments: the coefficients in ``plimsoll.pricing.implied_kernels``.

The ratio m3/m2 of the moments mn = integral of x^n exp(-hx - x²/2) over x > 0, as the best
quotient of polynomials in relative error. Needs mpmath.
"""

import mpmath as mp

from tools.fit_mills import DIGITS, fit_table, show, stretched

FRACTION_TERMS = 2000
FRACTION_FROM = 8


def moment_ratio(h: mp.mpf) -> mp.mpf:
    """m3/m2: upwards from the Mills ratio, whose fraction converges only for larger h."""
    if h < FRACTION_FROM:
        mills = mp.sqrt(mp.pi / 2) * mp.exp(h * h / 2) * mp.erfc(h / mp.sqrt(2))
        first = 1 / mills - h
        second = 1 / first - h
        return 2 / second - h
    ratio = mp.mpf(0)
    for n in range(FRACTION_TERMS, 2, -1):
        ratio = n / (h + ratio)
    return ratio


def main() -> None:
    """Print the table."""
    mp.mp.dps = DIGITS
    points = stretched(80.0, 3.0)[::4]
    show(fit_table("m3/m2, 0 to 80", moment_ratio, points, (10, 11), None))


if __name__ == "__main__":
    main()
