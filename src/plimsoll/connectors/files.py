"""Reading files, with one line for whatever stands in the way."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, cast

from plimsoll.connectors.check import check_document
from plimsoll.connectors.decode import decode_document
from plimsoll.connectors.document import PortfolioDocument
from plimsoll.connectors.hyperliquid import hyperliquid_account, is_hyperliquid_account
from plimsoll.connectors.plain import SIZE_MAX, parse_plain
from plimsoll.core import InputError


class NativeFormat(NamedTuple):
    """A venue's own response: bytes that every one of them holds, then what tells it for sure."""

    mark: bytes
    fits: Callable[[object], bool]
    read: Callable[[Mapping[str, object]], PortfolioDocument]


NATIVE_FORMATS = (
    NativeFormat(b'"assetPositions"', is_hyperliquid_account, hyperliquid_account),
)  # fmt: skip


def read_document(path: Path) -> PortfolioDocument:
    """The document in a file, or the one that a venue's recorded response amounts to.

    Raises InputError where it cannot be read or used.
    """
    data = read_bytes(path)
    return _read_native(data, str(path)) or decode_document(data, str(path))


def read_bytes(path: Path) -> bytes:
    """A file's bytes, one more than a document may have at most. Raises InputError."""
    try:
        with path.open("rb") as file:
            # One byte past the limit is enough to know that the file is too large.
            return file.read(SIZE_MAX + 1)
    except OSError as error:
        problem = (error.strerror or "cannot be read").lower()
        raise InputError(str(path), problem, "give the path of a portfolio document") from error


def _read_native(data: bytes, name: str) -> PortfolioDocument | None:
    """The document of a native response; None where the data is of no known format."""
    formats = [native for native in NATIVE_FORMATS if native.mark in data]
    if not formats:
        return None
    try:
        plain = parse_plain(data, name)
        for native in formats:
            if native.fits(plain):
                document = native.read(cast(Mapping[str, object], plain))
                check_document(document)
                return document
    except InputError as error:
        place = f"{name}: {error.place}" if error.place else name
        raise InputError(place, error.problem, error.remedy) from error
    return None
