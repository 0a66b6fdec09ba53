"""One case for each adapter of hyperliquid: published where a source is named, else by hand."""

from typing import Any

ANSWERED: dict[str, dict[str, Any]] = {}
