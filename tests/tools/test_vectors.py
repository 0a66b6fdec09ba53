"""The vector runner: what it reads, what it calls passed, what it tells."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from plimsoll.core import InputError
from tests.conftest import REPOSITORY
from tests.tools.answered import (
    binance,
    bitmex,
    bybit,
    deribit,
    derive,
    drift,
    dydx,
    hyperliquid,
    kraken,
    losses,
    mango,
    okx,
    options,
    others,
    paradex,
    protocols,
    references,
    synthetix,
    vega,
    waterfall,
)
from tests.tools.answered.binance import STEP
from tests.tools.answered.cases import CLOSE, venue_case
from tools.vectors.__main__ import main
from tools.vectors.adapters import ADAPTERS, Adapter, find_adapter
from tools.vectors.cases import Case, Tolerance, parse_tolerance, read_file
from tools.vectors.compare import compare
from tools.vectors.run import Outcome, run_case

EXACT = Tolerance(0.0, is_relative=False)
UNMODELLED = {
    "venue": "Binance",
    "model": "USD-M liquidation price",
    "id": "own-unmodelled",
    "inputs": {"WB": 1.0, "entry": 100.0},
    "expected": {"liquidation_price": 90.0},
    "tolerance": CLOSE,
}


# One case per adapter; figures published where named, or by hand from the rule stated there.
ANSWERED = {
    name: case
    for party in (
        binance, bitmex, bybit, deribit, derive, drift, dydx, hyperliquid, kraken, losses,
        mango, okx, options, others, paradex, protocols, references, synthetix, vega, waterfall,
    )
    for name, case in party.ANSWERED.items()
}  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def write_file(content: Any, name: str = "vectors.json") -> str:
        path = tmp_path / name
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    return write_file


def case_of(raw: dict[str, Any], tmp_path: Path) -> Case:
    path = tmp_path / "case.json"
    file = {"profiles": {}, "vectors": [raw]} if "peer" in raw else [raw]
    path.write_text(json.dumps(file), encoding="utf-8")
    return read_file(path).cases[0]


@pytest.mark.parametrize("name", ANSWERED)
def test_an_adapter_answers_its_published_example(name: str, tmp_path: Path):
    result = run_case(case_of(ANSWERED[name], tmp_path))
    assert result.differences == ()
    assert (result.outcome, result.adapter) == (Outcome.PASSED, name)


@pytest.mark.parametrize("name", ANSWERED)
def test_every_answer_of_an_adapter_can_be_wrong(name: str, tmp_path: Path):
    case = case_of(ANSWERED[name], tmp_path)

    def raised(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: raised(item) for key, item in value.items()}
        return [raised(item) for item in value] if isinstance(value, list) else value + 1e-3

    tampered = replace(case, expected=raised(case.expected), derived=raised(case.derived))
    result = run_case(tampered)
    assert result.outcome == Outcome.FAILED
    stated = {"expected": tampered.expected, "derived_not_published": tampered.derived}
    assert len(result.differences) == sum(leaves(value) for value in stated.values())


def leaves(value: Any) -> int:
    if isinstance(value, dict | list):
        return sum(map(leaves, value.values() if isinstance(value, dict) else value))
    return 1


def test_every_adapter_has_an_example_here_and_says_what_it_does():
    assert {adapter.name for adapter in ADAPTERS} == set(ANSWERED)
    assert all(adapter.title for adapter in ADAPTERS)


def test_a_discount_that_ends_counts_nothing_beyond(tmp_path: Path):
    # OKX announcement of July 2024, BETH: 0.95, 0.85, 0.5 up to 2, 4 and 8 million, then 0.
    tiers = [[2e6, 0.95], [4e6, 0.85], [8e6, 0.5]]
    inputs = {"amount": 1e7, "price": 1, "tiers": tiers}
    raw = venue_case("OKX", "discount rate, tiered", inputs, {"discounted": 5.6e6})
    assert run_case(case_of({**raw, "tolerance": "1e-12 rel"}, tmp_path)).differences == ()


def test_a_position_at_a_floor_is_still_in_the_bracket_below(tmp_path: Path):
    raw = ANSWERED["constant_at"]
    inputs = {**raw["inputs"], "position_btc": 5}
    case = case_of({**raw, "inputs": inputs}, tmp_path)
    expected = {"maintenance_amount_btc": 0, "mmr": 0.004}
    assert run_case(replace(case, expected=expected)).differences == ()


def test_another_id_and_other_figures_take_the_same_adapter(tmp_path: Path):
    raw = {**STEP, "id": "zzz", "inputs": {**STEP["inputs"], "floor_btc": 100}}
    result = run_case(case_of({**raw, "expected": {"cum_btc": 3.06}}, tmp_path))
    assert (result.outcome, result.adapter) == (Outcome.PASSED, "next_constant")


@pytest.mark.parametrize(
    "change",
    [
        {"venue": "Bybit"},
        {"model": "USD-M liquidation price"},
        {"inputs": {**STEP["inputs"], "fee_rate": 0.01}},
        {"inputs": {"floor_btc": 50, "mmr_n": 0.05, "mmr_prev": 0.025}},
    ],
)
def test_a_case_that_is_something_else_is_not_taken(change: dict[str, Any], tmp_path: Path):
    result = run_case(case_of({**STEP, **change}, tmp_path))
    assert (result.outcome, result.adapter) == (Outcome.UNMODELLED, "")


def test_an_adapter_that_stops_fails_its_case_and_no_other(write: Any, capsys: Any):
    broken = {**STEP, "id": "own-broken", "inputs": {**STEP["inputs"], "mmr_n": "five"}}
    assert main([write([broken, STEP])]) == 1
    out = capsys.readouterr().out
    assert "own-broken" in out
    assert "the adapter stopped" in out
    assert out.endswith("\n1 passed, 1 failed, 0 not yet modelled\n")


def test_a_tampered_figure_fails_and_is_named(write: Any, capsys: Any):
    assert main([write([{**STEP, "expected": {"cum_btc": 1.91}}, UNMODELLED])]) == 1
    out = capsys.readouterr().out
    wanted = "expected.cum_btc: differs; expected 1.91, got 1.81, |difference| 0.1, tolerance 1e-09"
    assert wanted in out
    assert "own-step" in out
    assert out.splitlines()[-1] == "0 passed, 1 failed, 1 not yet modelled"


def test_a_tampered_derived_figure_fails(tmp_path: Path):
    derived = {"mm_at_notional": {"100000": 451}}
    raw = {**ANSWERED["bracket_table"], "derived_not_published": derived}
    (difference,) = run_case(case_of(raw, tmp_path)).differences
    assert difference.key == "derived_not_published.mm_at_notional.100000"


def test_an_expected_figure_that_is_not_produced_fails(write: Any, capsys: Any):
    assert main([write([{**STEP, "expected": {"cum_btc": 1.81, "cum_usd": 2}}])]) == 1
    assert "expected.cum_usd: not produced" in capsys.readouterr().out


def test_an_unmodelled_case_is_named_and_never_passed(write: Any, capsys: Any):
    assert main([write([UNMODELLED])]) == 0
    out = capsys.readouterr().out
    assert "own-unmodelled" in out
    assert out.splitlines()[-1] == "0 passed, 0 failed, 1 not yet modelled"


def compared(expected: Any, got: Any, tolerance: Tolerance = EXACT) -> list[tuple[str, str]]:
    return [(d.key, d.problem) for d in compare("x", expected, got, tolerance)]


@pytest.mark.parametrize(
    ("expected", "got", "problems"),
    [
        ("49999/100", Fraction(49_999, 100), []),
        ("495", Fraction(495), []),
        (0.5, Fraction(1, 2), []),
        ("1/3", Fraction(333, 1000), [("x", "differs")]),
        ("1/3", 1 / 3, [("x", "differs")]),
        ("1/0", Fraction(1, 3), [("x", "differs")]),
        ("a third", Fraction(1, 3), [("x", "differs")]),
    ],
)
def test_a_fraction_written_as_text_is_one(expected: Any, got: Any, problems: Any):
    assert compared(expected, got) == problems


def test_a_fraction_that_differs_is_told_to_machines(write: Any, capsys: Any):
    raw = {**ANSWERED["dydx_fillable"], "expected": {"price": "797/2"}}
    file = {"profiles": {}, "vectors": [raw]}
    assert main([write(file), "--format", "json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)["files"][0]["cases"]
    assert [told["differences"][0][key] for key in ("expected", "got")] == ["797/2", "398"]


@pytest.mark.parametrize("got", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_fails(got: float):
    assert compared(1.0, got, Tolerance(1e300, is_relative=False)) == [("x", "is not finite")]


@pytest.mark.parametrize(
    ("expected", "got", "found"),
    [
        (1.0, 1.0, []),
        (2, 2.5, [("x", "differs")]),
        (2, True, [("x", "is not a number")]),
        (2, "2", [("x", "is not a number")]),
        (2, None, [("x", "is not a number")]),
        (True, True, []),
        (True, 1, [("x", "differs")]),
        ("49999/100", "49999/100", []),
        ("5", "6", [("x", "differs")]),
        (None, None, []),
        ([1, 2], [1, 2], []),
        ([1, 2], [1], [("x[1]", "not produced")]),
        ([1], [1, 2], [("x", "has 2 rows instead of 1")]),
        ([[1, 2]], [[1, 3]], [("x[0][1]", "differs")]),
        ({"a": {"b": 1}}, {"a": {"b": 2}, "more": 3}, [("x.a.b", "differs")]),
        ({"a": 1, "b": [2]}, None, [("x.a", "not produced"), ("x.b", "not produced")]),
        ({}, {"a": 1}, [("x", "holds no figure")]),
        ({"a": []}, {"a": []}, [("x.a", "holds no figure")]),
        (10**30, 10**30 + 1, [("x", "differs")]),
    ],
)
def test_compared_key_by_key(expected: Any, got: Any, found: list[tuple[str, str]]):
    assert compared(expected, got) == found


def test_a_relative_tolerance_lets_rounding_noise_about_zero_pass():
    close = Tolerance(1e-8, is_relative=True)
    assert compared([0.0, -3e-12, 0], [9e-11, 4e-12, 0.0], close) == []
    assert compared(0.0, 2e-10, close) == [("x", "differs")]
    assert compared(0.0, 9e-11, Tolerance(0, is_relative=False)) == [("x", "differs")]
    assert compared(2e-10, 2.1e-10, close) == [("x", "differs")]


@pytest.mark.parametrize(
    ("raw", "passing", "failing"),
    [
        ({"kind": "abs", "value": 0.5}, 100.5, 100.6),
        ({"kind": "rel", "value": 0.01}, 101.0, 101.1),
        ("1e-2 rel", 101.0, 101.1),
        ("0.5 abs", 100.5, 100.6),
        (0.5, 99.5, 99.4),
        (0, 100.0, 100.00000000000001),
    ],
)
def test_every_form_of_tolerance(raw: Any, passing: float, failing: float):
    tolerance = parse_tolerance(raw, "here")
    assert compared(100.0, passing, tolerance) == []
    assert compared(100.0, failing, tolerance) == [("x", "differs")]


@pytest.mark.parametrize(
    "raw",
    [None, True, [], "wide", "1e-8", "1 %", -1, "nan rel", "inf abs", {"value": 1},
     {"kind": "ulp", "value": 1}, {"kind": "abs", "value": None}],
)  # fmt: skip
def test_what_is_no_tolerance_is_refused(raw: Any):
    with pytest.raises(InputError, match="here.tolerance: .* is no tolerance"):
        parse_tolerance(raw, "here")


def test_a_profile_stands_in_for_its_name(write: Any):
    raw = {"peer": "p", "model": "m", "id": "i", "expected": 1, "tolerance": "1e-8 rel"}
    vectors = [{**raw, "inputs": {"cash": 2, "params_profile": "tight"}}]
    profiles = {"tight": {"factor": 0.8}}
    file = read_file(Path(write({"schema": "", "profiles": profiles, "vectors": vectors})))
    assert file.headings == ("peer", "model")
    (case,) = file.cases
    assert case.inputs == {"cash": 2, "params": {"factor": 0.8}}
    assert case.tolerance == Tolerance(1e-8, is_relative=True)
    with pytest.raises(InputError, match=r"vectors\[0\]\.inputs\.params_profile: unknown profile"):
        read_file(Path(write({"profiles": {}, "vectors": vectors})))


def without(name: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in STEP.items() if key != name}]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is not JSON"),
        (b"venue: Binance", "is not JSON"),
        (b"\xff\xfe[\x00", "is not JSON"),
        (b'[{"venue": NaN}]', "is not JSON"),
        (b"[" * 100000, "is not JSON"),
        (b"3", "fits no schema"),
        (b"{}", "fits no schema"),
        (b'[{"name": 1}]', "fits no schema"),
        (b"[[]]", "fits no schema"),
        (b"[]", "holds no cases"),
        (b'{"profiles": {}, "vectors": []}', "holds no cases"),
        (b'{"vectors": [{"peer": "p"}]}', "field `model` - at `$.vectors[0]`"),
        (json.dumps(without("id")).encode(), "missing required field `id` - at `$[0]`"),
        (json.dumps([STEP, *without("expected")]).encode(), "field `expected` - at `$[1]`"),
        (json.dumps([{**STEP, "inputs": []}]).encode(), "$[0].inputs"),
        (json.dumps([{**STEP, "tolerance": -1}]).encode(), "[0].tolerance: -1 is no tolerance"),
    ],
)
def test_a_malformed_file_is_one_line_and_exit_2(
    content: bytes, told: str, tmp_path: Path, write: Any, capsys: Any
):
    path = tmp_path / "malformed.json"
    path.write_bytes(content)
    assert main([write([STEP]), str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "malformed.json" in err
    assert told in err


def test_a_file_that_is_not_there_or_none_at_all_is_exit_2(tmp_path: Path, capsys: Any):
    assert main([str(tmp_path / "none.json")]) == 2
    assert "none.json: cannot be read (No such file" in capsys.readouterr().err
    assert main([]) == 2
    assert "no file is named" in capsys.readouterr().err


def test_only_picks_by_any_name_and_refuses_to_pick_nothing(write: Any, capsys: Any):
    path = write([STEP, UNMODELLED])
    assert main([path, "--only", "RECURSION"]) == 0
    assert capsys.readouterr().out.endswith("\n1 passed, 0 failed, 0 not yet modelled\n")
    assert main([path, "--only", "nonsense"]) == 2
    assert "no case has 'nonsense'" in capsys.readouterr().err


def test_json_holds_every_case_and_the_totals(write: Any, capsys: Any):
    tampered = {**STEP, "id": "own-tampered", "expected": {"cum_btc": 2}}
    assert main([write([STEP, tampered, UNMODELLED]), "--format", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["totals"] == {"passed": 1, "failed": 1, "not_yet_modelled": 1}
    (file,) = told["files"]
    outcomes = [(case["id"], case["outcome"], case["adapter"]) for case in file["cases"]]
    assert outcomes == [
        ("own-step", "passed", "next_constant"),
        ("own-tampered", "failed", "next_constant"),
        ("own-unmodelled", "not_yet_modelled", None),
    ]
    (difference,) = file["cases"][1]["differences"]
    assert (difference["key"], difference["expected"]) == ("expected.cum_btc", 2)


def test_a_file_by_topic_has_no_party(write: Any, capsys: Any):
    raw = {"topic": "2-var", "id": "own-var", "inputs": {}, "expected": [1], "tolerance": 0}
    assert main([write([raw])]) == 0
    out = capsys.readouterr().out
    assert "2-var" in out
    assert out.splitlines()[-1] == "0 passed, 0 failed, 1 not yet modelled"


def test_adapters_are_listed(capsys: Any):
    assert main(["--list-adapters"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ANSWERED)


def test_piped_it_is_plain_text_without_the_table_library(write: Any):
    command = (
        "import sys; from tools.vectors.__main__ import main; code = main(sys.argv[1:]); "
        "assert 'polars' not in sys.modules; sys.exit(code)"
    )
    paths = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
    clean = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR")}
    ran = subprocess.run(
        [sys.executable, "-c", command, write([STEP, UNMODELLED])],
        capture_output=True, text=True, check=False, env={**clean, "PYTHONPATH": paths},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "\x1b" not in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 100
    assert ran.stdout.splitlines()[-1] == "1 passed, 0 failed, 1 not yet modelled"


def test_an_adapter_wants_all_its_inputs_and_no_other(tmp_path: Path):
    case = case_of({**STEP, "inputs": {"a_btc": 1, "b": 2}}, tmp_path)

    def takes(inputs: str) -> bool:
        return Adapter("*", "*", inputs, lambda _: None).takes(case)

    assert takes("a_* b")
    assert not takes("a_*")
    assert not takes("a_* b c")


FILES = ("peers.json", "cex_examples.json", "venue_responses.json", "quant.json")
PASSING = (
    "binance-cum-", "binance-cm-cum-", "binance-ethusdt-chain-", "binance-brackets-",
    "okx-discount-", "bybit-tiered-mm-3500",
)  # fmt: skip


def test_the_published_vectors(shared_data: Callable[[str], Path]):
    cases = [case for name in FILES for case in read_file(shared_data(f"vectors/{name}")).cases]
    results = [run_case(case) for case in cases]
    assert [(r.case.id, r.differences) for r in results if r.outcome == Outcome.FAILED] == []
    passed = {result.case.id for result in results if result.outcome == Outcome.PASSED}
    for prefix in PASSING:
        named = {case.id for case in cases if case.id.startswith(prefix)}
        assert named
        assert named <= passed
    for case in cases:
        assert sum(adapter.takes(case) for adapter in ADAPTERS) == (find_adapter(case) is not None)
