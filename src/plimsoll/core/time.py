"""UTC nanoseconds in and out of RFC 3339 text. Nothing here reads a clock."""

import re
from datetime import UTC, datetime

from plimsoll.core.errors import InputError

NS_PER_SECOND = 1_000_000_000
TIME_NS_MAX = 2**62
"""Half of int64, so that the difference of two times always fits: 1823 to 2116."""

_FORM = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})?)?",
    re.ASCII,
)


def parse_time(text: str, place: str) -> int:
    """UTC nanoseconds of ``2025-10-10`` or ``2025-10-10T21:15:00Z``; no zone means UTC.

    Raises InputError, naming ``place``, on any other form.
    """
    match = _FORM.fullmatch(text.strip())
    remedy = "write it as 2025-10-10T21:15:00Z"
    if match is None:
        raise InputError(place, f"'{text[:40]}' is not a time", remedy)
    day, clock, fraction, zone = match.groups()
    offset = "+00:00" if zone in (None, "Z") else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{offset}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError(place, f"'{text[:40]}' is not a time", remedy) from error
    seconds = int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    time_ns = seconds * NS_PER_SECOND + int((fraction or "").ljust(9, "0"))
    if abs(time_ns) >= TIME_NS_MAX:
        raise InputError(place, f"'{text[:40]}' is too far away", "use a year from 1824 to 2115")
    return time_ns


def format_time(time_ns: int) -> str:
    """RFC 3339 text, to the second where the instant is a whole one."""
    seconds, fraction = divmod(time_ns, NS_PER_SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:09d}Z" if fraction else f"{text}Z"
