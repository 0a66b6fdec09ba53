"""Cases as the runner reads them, with the same tolerance unless one says otherwise."""

from typing import Any

CLOSE = {"kind": "abs", "value": 1e-9}


def venue_case(
    venue: str, model: str, inputs: dict[str, Any], expected: Any, **more: Any
) -> dict[str, Any]:
    named = {"venue": venue, "model": model, "id": f"own-{venue}-{model}".lower()}
    return {**named, "inputs": inputs, "expected": expected, "tolerance": CLOSE, **more}


def option_case(
    name: str, inputs: dict[str, Any], expected: Any, tolerance: float = 1e-4
) -> dict[str, Any]:
    topic = {"topic": "1-options", "id": name, "inputs": inputs}
    return {**topic, "expected": expected, "tolerance": tolerance}
