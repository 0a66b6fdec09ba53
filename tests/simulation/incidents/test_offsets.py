"""B34: what an offset left uncovered, layer by layer, and that its cap leaves nothing."""

from typing import Any

import pytest

from plimsoll.simulation.incidents import Played
from plimsoll.simulation.incidents.library import find_incident

INCIDENT = find_incident("B34")
PARAMS = INCIDENT.params


def play(control: bool, **changes: Any) -> Played:
    """The incident with some of its figures changed."""
    return INCIDENT.play({**PARAMS, **changes}, control)


def figure(played: Played, name: str) -> float:
    """The first figure of a name."""
    return next(f.value for moment in played.moments for f in moment.figures if f.name == name)


def test_margin_of_four_euro_leaves_the_rest_of_the_move() -> None:
    played = play(False)
    quantity = PARAMS["quantity"]
    beyond = (PARAMS["move"] - PARAMS["model_move"]) * quantity
    gross = (PARAMS["nordic"] + PARAMS["german"]) * quantity
    # The house sells what it takes over ten basis points below mark, at a fee of five.
    assert played.loss == pytest.approx(beyond + 0.0015 * gross, rel=1e-3)
    assert figure(played, "margin per MWh") == pytest.approx(4.0, rel=1e-5)
    # BIS: the day's loss was 39 % larger than what the model was to cover.
    assert figure(played, "loss of the member") / figure(played, "margin") == pytest.approx(
        1.39, rel=1e-5
    )


def test_own_capital_pays_before_the_fund_and_the_published_loss_splits_as_published() -> None:
    played = play(False)
    assert figure(played, "own capital") == 7e6
    assert figure(played, "default fund") == pytest.approx(played.loss - 7e6)
    assert figure(played, "published: own capital") == 7e6
    assert figure(played, "published: default fund") == 107e6
    assert figure(played, "published: uncovered") == 0.0


def test_a_loss_beyond_the_fund_is_uncovered() -> None:
    played = play(False, default_fund=5_000_000)
    assert figure(played, "default fund") == 5e6
    assert figure(played, "uncovered") == pytest.approx(played.loss - 12e6)


def test_the_cap_alone_covers_the_move_of_the_day() -> None:
    both_legs = 2 * 4.0 / (2 * (1 - 0.9)) ** 0.5
    capped = figure(play(True), "under the cap alone")
    assert capped == pytest.approx(both_legs - 0.8 * (both_legs - 4.0), rel=1e-4)
    assert capped > PARAMS["move"]
    assert figure(play(True), "margin per MWh") > capped


@pytest.mark.parametrize("move", [3.5, 5.56, 8.0])
def test_with_the_control_the_layers_pay_nothing(move: float) -> None:
    off, on = play(False, move=move), play(True, move=move)
    assert on.bounded <= INCIDENT.bound
    assert (off.loss > 0) == (move > PARAMS["model_move"])


def test_a_move_beyond_the_capped_margin_reaches_the_layers_again() -> None:
    # With trading as large as this, closing takes no time and the cap is all there is.
    played = play(True, move=8.0, traded_year=1e20)
    asked = figure(played, "under the cap alone")
    gross = (PARAMS["nordic"] + PARAMS["german"]) * PARAMS["quantity"]
    beyond = (8.0 - asked) * PARAMS["quantity"] + 0.0015 * gross
    assert played.loss == pytest.approx(beyond, rel=1e-3)


def test_the_incident_says_why_the_loss_does_not_come_out() -> None:
    assert INCIDENT.tolerance is None
    assert "size" in INCIDENT.why_not
    assert INCIDENT.published.value == 114e6
    assert play(False) == play(False)
