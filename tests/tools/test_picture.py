"""The README's picture: the committed bytes, and the small geometry behind them."""

from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from tools.picture import HEIGHT, PICTURE_PATH, SVG, WIDTH, draw, nice_ticks, replay_crash, spread


def test_the_committed_picture_is_what_its_command_draws() -> None:
    committed = PICTURE_PATH.read_text(encoding="utf-8")
    assert draw(replay_crash()) == committed, "run: make picture"


def test_everything_stands_on_the_white_card() -> None:
    root = ET.fromstring(PICTURE_PATH.read_bytes())
    card = root[1]
    assert (card.get("fill"), card.get("width"), card.get("height")) == (
        "#ffffff", str(WIDTH), str(HEIGHT),
    )  # fmt: skip
    for text in root.iter(f"{{{SVG}}}text"):
        # A character is about 0.56 of the font's size wide.
        width = 0.56 * float(text.get("font-size", "")) * len(text.text or "")
        left = float(text.get("x", "")) - {"start": 0, "middle": 0.5, "end": 1}[
            text.get("text-anchor", "")
        ] * width  # fmt: skip
        assert left >= 0, text.text
        assert left + width <= WIDTH, text.text
        assert 0 < float(text.get("y", "")) < HEIGHT, text.text


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 25.0, (0, 10, 20, 30)),
        (64.2, 103.1, (60, 70, 80, 90, 100, 110)),
        (-124.0, 150.0, (-200, -100, 0, 100, 200)),
        (0.0, 2.0, (0, 0.5, 1, 1.5, 2)),
    ],
)
def test_ticks_are_round_and_enclose_the_values(
    low: float, high: float, expected: tuple[float, ...]
) -> None:
    assert nice_ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ([10.0, 50.0], [10.0, 50.0]),
        ([50.0, 10.0, 12.0], [50.0, 10.0, 26.0]),
        ([20.0, 20.0, 20.0], [20.0, 36.0, 52.0]),
        ([], []),
    ],
)
def test_names_keep_their_order_and_their_distance(
    positions: list[float], expected: list[float]
) -> None:
    moved = spread(positions, 16.0)
    assert moved == expected
    assert all(low + 16.0 <= high for low, high in pairwise(sorted(moved)))
