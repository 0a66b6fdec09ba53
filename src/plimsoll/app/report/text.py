"""How the report writes numbers and times."""

import math

from plimsoll.core import format_time

_SCALES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def format_usd(amount: float) -> str:
    """``$1.24M``: three digits and a scale. ``n/a`` where it is not finite."""
    if not math.isfinite(amount):
        return "n/a"
    sign = "−" if amount < 0 else ""
    # Rounded to three digits first, so that 999,999 becomes 1M and not 1000k.
    size = float(f"{abs(amount):.3g}")
    for scale, letter in _SCALES:
        if size >= scale:
            return f"{sign}${size / scale:.3g}{letter}"
    return f"{sign}${size:.3g}"


def format_number(value: float) -> str:
    """``1,234,568``, rounded to one. ``n/a`` where it is not finite."""
    if not math.isfinite(value):
        return "n/a"
    return f"{round(value):,}".replace("-", "−")


def format_minute(time_ns: int) -> str:
    """``2025-10-10 21:15``, UTC."""
    return format_time(time_ns)[:16].replace("T", " ")
