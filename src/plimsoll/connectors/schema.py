"""The portfolio document's JSON Schema."""

from typing import Any

import msgspec

from plimsoll.connectors.ccxt import CcxtPosition
from plimsoll.connectors.document import Ignored, Number, PortfolioDocument
from plimsoll.connectors.plain import EXPONENT_END


def document_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the portfolio document, ccxt's structures included."""
    _, parts = msgspec.json.schema_components(
        (PortfolioDocument, CcxtPosition),
        schema_hook=_custom_schema,
        ref_template="#/$defs/{name}",
    )
    account = parts["AccountDocument"]["properties"]
    native = account["balances"]
    account["balances"] = {
        "description": native.pop("description"),
        "default": native.pop("default"),
        "anyOf": [native, {"$ref": "#/$defs/CcxtBalances"}],
    }
    native = account["positions"]["items"]
    account["positions"]["items"] = {"anyOf": [native, {"$ref": "#/$defs/CcxtPosition"}]}
    top = parts.pop("PortfolioDocument")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **top,
        "title": "plimsoll portfolio document",
        "$defs": dict(sorted({**parts, "CcxtBalances": _balances_schema()}.items())),
    }


def _balances_schema() -> dict[str, Any]:
    """ccxt's balance structure: amounts by kind, the same by asset, and the raw response."""
    known = {"type": "object", "additionalProperties": {"type": "number"}}
    partly_known = {"type": "object", "additionalProperties": {"type": ["number", "null"]}}
    return {
        "title": "CcxtBalances",
        "description": "ccxt's unified balance structure; total less debt counts.",
        "type": "object",
        "required": ["total"],
        "properties": {
            "total": known,
            "debt": known,
            "free": partly_known,
            "used": partly_known,
            "info": {},
            "timestamp": {},
            "datetime": {},
        },
        "additionalProperties": {"type": "object"},
    }


def _custom_schema(kind: type) -> dict[str, Any]:
    if kind is Ignored:
        return {"description": "Accepted and not read."}
    if kind is Number:
        end = 10**EXPONENT_END
        return {"type": "number", "exclusiveMinimum": -end, "exclusiveMaximum": end}
    raise NotImplementedError(kind)
