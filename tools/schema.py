"""Write the JSON Schema of the portfolio document: ``python -m tools.schema``."""

import json
from pathlib import Path

from plimsoll.connectors import document_schema

SCHEMA_PATH = Path(__file__).resolve().parent.parent / "docs" / "portfolio.schema.json"


def schema_text() -> str:
    """The schema as it is committed."""
    return json.dumps(document_schema(), indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA_PATH.parent.mkdir(exist_ok=True)
    SCHEMA_PATH.write_text(schema_text(), encoding="utf-8")
    print(SCHEMA_PATH)
