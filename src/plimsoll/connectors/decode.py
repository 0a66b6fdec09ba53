"""A file's bytes to a checked ``PortfolioDocument``."""

from msgspec import inspect as types

from plimsoll.connectors.ccxt import native_account, native_position
from plimsoll.connectors.check import check_document
from plimsoll.connectors.document import AccountDocument, PortfolioDocument, PositionDocument
from plimsoll.connectors.fill import Rewrites, fill
from plimsoll.connectors.plain import parse_plain
from plimsoll.core import InputError


def decode_document(data: bytes, name: str) -> PortfolioDocument:
    """The document in ``data``, YAML or JSON by the suffix of ``name``, else by content.

    Raises InputError, whose place is ``name`` and the path to what is wrong.
    """
    rewrites: Rewrites = {AccountDocument: native_account, PositionDocument: native_position}
    try:
        plain = parse_plain(data, name)
        document: PortfolioDocument = fill(types.type_info(PortfolioDocument), plain, "", rewrites)
        check_document(document)
    except InputError as error:
        place = f"{name}: {error.place}" if error.place else name
        raise InputError(
            _printable(place), _printable(error.problem), _printable(error.remedy)
        ) from error
    return document


def _printable(text: str) -> str:
    """Text that cannot steer a terminal, whatever the file held."""
    return "".join(c if c.isprintable() else "?" for c in text)
