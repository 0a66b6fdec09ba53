"""What every test may ask for: the place of the real market data."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def find_shared_data(relative_path: str) -> Path:
    """The file or folder ``relative_path`` of the shared data; skips the test without it."""
    root = Path(os.environ.get("PLIMSOLL_SHARED") or REPOSITORY.parent / "shared")
    path = root / relative_path
    if not path.exists():
        pytest.skip(
            f"real market data not found: set PLIMSOLL_SHARED to the folder that holds "
            f"{relative_path}"
        )
    return path


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """``shared_data("data/prices/x.parquet")`` is that file, or skips the test without it."""
    return find_shared_data
