"""Wrong prices: what was lost without the control, and that it holds with it."""

from typing import Any

import pytest

from plimsoll.simulation.incidents import Incident, Played
from plimsoll.simulation.incidents.library import find_incident

ALL = {name: find_incident(name) for name in ("B11", "B27", "B28")}


def play(name: str, control: bool, **changes: Any) -> Played:
    """An incident with some of its figures changed."""
    incident = ALL[name]
    return incident.play({**incident.params, **changes}, control)


def figures(played: Played, name: str) -> list[float]:
    """A figure in all moments that have it."""
    return [f.value for moment in played.moments for f in moment.figures if f.name == name]


@pytest.mark.parametrize("incident", ALL.values(), ids=ALL.keys())
def test_without_the_control_the_bound_is_broken_and_with_it_kept(incident: Incident) -> None:
    off, on = (incident.play(incident.params, control) for control in (False, True))
    assert off.bounded > incident.bound
    assert on.bounded <= incident.bound
    assert on.loss < 1e-6 * off.loss
    assert off.loss > 0
    if incident.tolerance is None:
        assert incident.why_not
    else:
        assert off.loss == pytest.approx(incident.published.value, rel=incident.tolerance)


@pytest.mark.parametrize("incident", ALL.values(), ids=ALL.keys())
def test_a_play_is_the_same_twice(incident: Incident) -> None:
    assert incident.play(incident.params, False) == incident.play(incident.params, False)
    times = [moment.time_ns for moment in incident.play(incident.params, True).moments]
    assert times == sorted(times)


def test_collateral_sold_at_the_lows_loses_what_it_redeems_for_less_that() -> None:
    params, rates = ALL["B11"].params, {"USDe": 1.0, "WBETH": 1.0742, "BNSOL": 1.0643}
    into = {"USDe": "USD", "WBETH": "ETH", "BNSOL": "SOL"}
    lost = 0.0
    for name, coin in params["coins"].items():
        during, midnight = params["underlyings"][into[name]]
        units = coin["liquidated"] / (rates[name] * during)
        lost += units * (rates[name] * midnight - coin["low"])
    # Forced sales lose ten basis points of what they bring.
    assert play("B11", False).loss == pytest.approx(lost, rel=2e-3)
    assert lost == pytest.approx(331e6, rel=2e-3)


def test_collateral_is_marked_at_redemption_and_its_owner_left_alone() -> None:
    played = play("B11", True)
    assert figures(played, "mark of USDe") == [1.0]
    assert figures(played, "mark of WBETH") == [pytest.approx(1.0742 * 3820.15)]
    assert figures(played, "accounts liquidated") == [0.0]


def test_where_all_venues_leave_redemption_nobody_is_liquidated_either() -> None:
    coins = {
        name: {**coin, "elsewhere": coin["elsewhere"] * 0.6}
        for name, coin in ALL["B11"].params["coins"].items()
    }
    played = play("B11", True, coins=coins)
    marks = [figures(played, f"mark of {name}")[0] for name in coins]
    assert all(mark != mark for mark in marks)
    assert figures(played, "accounts liquidated") == [0.0]


def test_an_account_that_redemption_does_not_save_is_liquidated_under_the_control() -> None:
    played = play("B11", True, uni_mmr=1.04)
    assert figures(played, "accounts liquidated") == [3.0]
    assert played.bounded == 0.0


def test_zeros_are_refused_and_prices_count_again_from_two_sources() -> None:
    refused = [moment.text for moment in play("B27", True).moments]
    assert "too few usable sources" in refused[1]
    assert "too few usable sources" in refused[2]
    assert "after an outage" in refused[3]
    assert refused[4].endswith("is good")


def test_a_board_that_asks_nothing_liquidates_everyone_at_zero() -> None:
    played = play("B27", False)
    assert figures(played, "mark")[:3] == [0.0, 0.0, 4_600.0]
    assert figures(played, "accounts liquidated") == [200.0] * 4
    assert played.loss == pytest.approx(650_000.0)
    assert "rolled back" in played.moments[-1].text


def test_a_dollar_of_debt_buys_a_whole_coin() -> None:
    params = ALL["B28"].params
    seized = params["collateral"]
    # The bonus of 5 % that the waterfall's table has; one transaction repaid 255 USD for 242.68.
    repaid = seized * params["ratio"] / 1.05
    played = play("B28", False)
    assert played.loss == pytest.approx(seized * params["price"] - repaid, rel=1e-6)
    assert repaid / seized == pytest.approx(255 / 242.68, rel=0.02)
    assert figures(played, "seized")[0] == pytest.approx(seized)
    debts = params["bad_debt"] - params["bad_debt_cbeth"]
    assert figures(played, "bad debt of the liquidated")[0] == pytest.approx(debts - repaid)


def test_a_ratio_is_refused_however_often_it_is_said() -> None:
    texts = [moment.text for moment in play("B28", True).moments]
    assert "jumped" in texts[1]
    assert "far from its reference" in texts[2]
    assert "far from its reference" in texts[3]


def test_what_it_redeems_for_stops_a_ratio_that_the_unit_check_lets_pass() -> None:
    played = play("B28", True, reference_factor=2_500.0)
    assert "redeem" in played.moments[2].text
    assert played.bounded == 0.0
