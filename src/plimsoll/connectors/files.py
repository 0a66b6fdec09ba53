"""Reading files, with one line for whatever stands in the way."""

from pathlib import Path

from plimsoll.connectors.decode import decode_document
from plimsoll.connectors.document import PortfolioDocument
from plimsoll.connectors.plain import SIZE_MAX
from plimsoll.core import InputError


def read_document(path: Path) -> PortfolioDocument:
    """The document in a file. Raises InputError where it cannot be read or used."""
    return decode_document(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """What is in a file, up to one byte past what a document may have."""
    try:
        with path.open("rb") as file:
            # One byte past the limit is enough to know that the file is too large.
            return file.read(SIZE_MAX + 1)
    except OSError as error:
        problem = (error.strerror or "cannot be read").lower()
        raise InputError(str(path), problem, "give the path of a portfolio document") from error
