"""Records of incidents: what one says, and what is refused, each by its file and key."""

from dataclasses import replace

import pytest

from plimsoll.core import InputError
from plimsoll.simulation.incidents import Figure, Incident, Played
from plimsoll.simulation.incidents.record import decode_incident, read_incident

RECORD = """
[incident]
id = "B99"
title = "Toy: a fund"
date = 2025-10-10
story = '''
A price fell
  by half.
'''
control = "none"
source = "a letter"
retrieved = 2026-11-21
tolerance = 0.15
bound = 2
bound_text = "accounts"

[incident.published]
name = "lost"
value = 1_000
unit = "USD"

[params]
fund = 900
start = "2025-10-10T21:00:00Z"
path = [["2025-10-10T21:00:00Z", 7.5]]

[params.coins.BTC]
low = 0.5

[unconfirmed]
fund = "ours"
"coins.*.low" = '''the lowest
  of all'''
bound = "ours, too"
"""


def nothing(*_: object) -> Played:
    return Played((), 0.0, 0.0)


def decode(*changes: tuple[str, str]) -> Incident:
    """The record with lines of it written otherwise."""
    text = RECORD
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return decode_incident(text, "B99", nothing)


def test_a_record_is_an_incident() -> None:
    found = decode()
    coins = {"BTC": {"low": 0.5}}
    path = [["2025-10-10T21:00:00Z", 7.5]]
    params = {"fund": 900, "start": "2025-10-10T21:00:00Z", "path": path, "coins": coins}
    assert found == Incident(
        id="B99", title="Toy: a fund", date="2025-10-10", story="A price fell by half.",
        control="none", source="a letter", retrieved="2026-11-21",
        published=Figure("lost", 1000.0, "USD"), tolerance=0.15, why_not="", bound=2.0,
        bound_text="accounts", params=params,
        unconfirmed={"fund": "ours", "coins.*.low": "the lowest of all", "bound": "ours, too"},
        play=nothing,
    )  # fmt: skip
    assert found.assumptions == (
        "fund: ours",
        "coins.*.low: the lowest of all",
        "bound: ours, too",
    )


def test_a_record_says_why_its_loss_does_not_come_out() -> None:
    found = decode(("tolerance = 0.15", 'why_not = "no sizes"'))
    assert found == replace(decode(), tolerance=None, why_not="no sizes")


def test_a_published_figure_may_be_one_that_the_play_starts_from() -> None:
    found = decode(("value = 1_000", 'param = "fund"'))
    assert found.published == Figure("lost", 900.0, "USD")


@pytest.mark.parametrize(
    ("old", "new", "place", "told"),
    [
        ("[params]", "[params", "", "is no TOML"),
        ("[unconfirmed]", "[unconfirmd]", "unconfirmd", "did you mean 'unconfirmed'?"),
        ('title = "Toy: a fund"\n', "", "incident.title", "is missing"),
        ('title = "Toy: a fund"', "title = 7", "incident.title", "7 is no name"),
        ('control = "none"', 'control = " "', "incident.control", "'' is no name"),
        ('control = "none"', 'controls = "none"', "incident.controls", "mean 'control'?"),
        ('"B99"', '"B98"', "incident.id", "'B98' is not B99"),
        ("date = 2025-10-10", 'date = "2025-10-10"', "incident.date", "is no day"),
        ("date = 2025-10-10", "date = 2025-10-10T21:00:00Z", "incident.date", "is no day"),
        ("retrieved = 2026-11-21\n", "", "incident.retrieved", "is missing"),
        ("tolerance = 0.15\n", "", "incident", "has none of tolerance, why_not"),
        ("tolerance = 0.15", 'tolerance = 0.15\nwhy_not = "x"', "incident",
         "has tolerance and why_not"),
        ("tolerance = 0.15", "tolerance = nan", "incident.tolerance", "nan is out of range"),
        ("tolerance = 0.15", "tolerance = 15", "incident.tolerance", "15 is out of range"),
        ("tolerance = 0.15", 'why_not = ""', "incident.why_not", "'' is no name"),
        ("bound = 2\n", "", "incident.bound", "is missing"),
        ("bound = 2\n", "bound = -1\n", "incident.bound", "-1 is out of range"),
        ("bound = 2\n", "bound = inf\n", "incident.bound", "inf is out of range"),
        ("bound = 2\n", "bound = true\n", "incident.bound", "True is no number"),
        ("value = 1_000", "value = 0", "incident.published.value", "0 is out of range"),
        ("value = 1_000", "value = inf", "incident.published.value", "inf is out of range"),
        ("value = 1_000\n", "", "incident.published", "has none of value, param"),
        ("value = 1_000", 'value = 1\nparam = "fund"', "incident.published",
         "has value and param"),
        ("value = 1_000", 'param = "found"', "incident.published.param", "did you mean 'fund'?"),
        ("value = 1_000", 'param = "start"', "incident.published.param", "is no number"),
        ('unit = "USD"\n', "", "incident.published.unit", "is missing"),
        ('unit = "USD"', 'unit = "USD"\ndate = 1', "incident.published.date", "unknown key"),
        ("fund = 900", "fund = nan", "params.fund", "nan is neither a finite number nor a text"),
        ("fund = 900", "fund = true", "params.fund", "True is neither"),
        ("fund = 900", "fund = 2025-10-10", "params.fund", "is neither"),
        ("7.5]]", "-inf]]", "params.path[0][1]", "-inf is neither"),
        ("low = 0.5", "low = inf", "params.coins.BTC.low", "inf is neither"),
        ('fund = "ours"', 'found = "ours"', "unconfirmed.found", "did you mean 'fund'?"),
        ('"coins.*.low"', '"coins.*.high"', "unconfirmed.coins.*.high", "leads to no figure"),
        ('fund = "ours"', "fund = 1", "unconfirmed.fund", "1 is no name"),
        ('fund = "ours"', 'fund = ""', "unconfirmed.fund", "'' is no name"),
    ],
)  # fmt: skip
def test_a_malformed_record_is_refused_by_file_and_key(
    old: str, new: str, place: str, told: str
) -> None:
    with pytest.raises(InputError) as caught:
        decode((old, new))
    assert caught.value.place == ("records.b99." + place).removesuffix(".")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("section", ["incident", "params", "unconfirmed", "incident.published"])
def test_a_section_that_is_not_there_or_is_no_table_is_refused(section: str) -> None:
    kept = [part for part in RECORD.split("\n\n") if not part.strip().startswith(f"[{section}")]
    for first, told in (("", "is missing"), (f"{section} = 1", "is no table")):
        text = "\n\n".join((first, *kept))
        if "." in section and first:
            text = RECORD.replace(f"[{section}]", "published = 1\n[params.more]")
        with pytest.raises(InputError) as caught:
            decode_incident(text, "B99", nothing)
        assert caught.value.place == f"records.b99.{section}"
        assert told in str(caught.value)


def test_an_incident_without_a_record_is_told_which_file_to_write() -> None:
    with pytest.raises(InputError, match=r"records.b99: is missing; write records/b99.toml"):
        read_incident("B99", nothing)
