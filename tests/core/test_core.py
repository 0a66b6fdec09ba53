"""The foundations, each claim on the edges of its range."""

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given

from plimsoll.core import (
    InputError,
    LedgerError,
    PlimsollError,
    decimals_for,
    did_you_mean,
    digest_columns,
    format_time,
    load_tables,
    offsets_from_counts,
    parse_time,
    scale_to_units,
    stream,
    sum_by,
    sum_exact,
    table_at,
    to_units,
    turns_of,
)
from plimsoll.core.exact import (
    UNITS_MAX,
    add_exact,
    divide_all_half_even,
    divide_half_even,
    to_int64,
)

# -- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
        ("2025-10-10", 1_760_054_400_000_000_000),
        ("2025-10-10T21:15", 1_760_130_900_000_000_000),
        ("2025-10-10 21:15:00", 1_760_130_900_000_000_000),
        ("2025-10-10T23:15:00+02:00", 1_760_130_900_000_000_000),
        ("2025-10-10T15:45:00-05:30", 1_760_130_900_000_000_000),
        ("  2025-10-10T21:15:00Z  ", 1_760_130_900_000_000_000),
    ],
)
def test_times_parse(text: str, expected: int) -> None:
    assert parse_time(text, "as_of") == expected


@pytest.mark.parametrize(
    "text",
    ["", "now", "2025-02-30", "2025-10-10T25:00Z", "10/10/2025", "2025-10-10T21:15:00+99:00",
     "2025-10-10T21:15:00.0123456789Z", "٢٠٢٥-10-10", "0001-01-01T00:00:00+14:00"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^as_of: .* is not a time; write it as 2025-10-10T21:15"):
        parse_time(text, "as_of")


@pytest.mark.parametrize("text", ["9999-12-31", "1700-01-01", "2116-03-01"])
def test_a_time_that_int64_cannot_subtract_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is too far away; use a year from 1824 to 2115"):
        parse_time(text, "as_of")


@given(st.integers(-(2**62) + 1, 2**62 - 1))
def test_times_print_and_parse_back(time_ns: int) -> None:
    text = format_time(time_ns)
    assert parse_time(text, "") == time_ns
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000)
    assert text.startswith(moment.strftime("%Y-%m-%dT%H:%M:%S"))


# -- exact numbers -------------------------------------------------------------------------------

# Small ones too, since they meet in ties.
integers = st.one_of(st.integers(-99, 99), st.integers(-(10**30), 10**30))


@given(integers, integers)
def test_division_is_rounded_half_to_even(numerator: int, denominator: int) -> None:
    assume(denominator)
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(-8, 8).filter(bool)), min_size=1))
def test_division_of_columns_is_the_same(pairs: list[tuple[int, int]]) -> None:
    expected = [round(Fraction(n, d)) for n, d in pairs]
    top, bottom = np.array(pairs, np.int64).T
    assert divide_all_half_even(top, bottom).tolist() == expected
    big = divide_all_half_even(top.astype(object) * 10**30, bottom.astype(object) * 10**30)
    assert big.tolist() == expected


@given(integers, st.integers(-40, 10))
def test_scaling_is_rounded_once(product: int, exponent: int) -> None:
    assert scale_to_units(product, exponent) == round(product * Fraction(10) ** exponent)
    half = 10 * product + 5
    assert scale_to_units(half, -1) == round(Fraction(half, 10))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9), st.integers(0, 12))
def test_amounts_in_units(value: Decimal, decimals: int) -> None:
    assert to_units(value, decimals) == round(Fraction(value) * 10**decimals)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-sNaN"])
def test_only_finite_amounts_have_units(value: str) -> None:
    with pytest.raises(LedgerError, match="is not finite"):
        to_units(Decimal(value), 2)


@pytest.mark.parametrize(
    ("values", "limit", "expected"),
    [
        ([], 8, 0),
        (["0"], 8, 0),
        (["1.50"], 8, 1),
        (["0.00000001", "3"], 18, 8),
        (["0.123456789"], 6, 6),
        (["999999999999", "0.123456789"], 18, 6),
        (["1e18"], 8, 0),
        (["-0.001", "7"], 8, 3),
    ],
)
def test_decimals_that_hold_all_values(values: list[str], limit: int, expected: int) -> None:
    assert decimals_for([Decimal(v) for v in values], limit) == expected


@given(
    st.lists(st.decimals(-(10**17), 10**17, places=12), min_size=1),
    st.integers(0, 18),
)
def test_decimals_leave_room_to_grow_and_lose_little(values: list[Decimal], limit: int) -> None:
    decimals = decimals_for(values, limit)
    assert 0 <= decimals <= limit
    largest = max(abs(v) for v in values)
    assert 4 * abs(to_units(largest, decimals)) <= UNITS_MAX
    if decimals < limit and largest:
        power = Fraction(10) ** (largest.adjusted() + 1)
        for value in values:
            error = abs(Fraction(to_units(value, decimals), 10**decimals) - Fraction(value))
            assert error <= power / 10**17


int64s = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(int64s))
def test_sums_do_not_wrap_around(values: list[int]) -> None:
    assert sum_exact(np.array(values, np.int64)) == sum(values)


@given(
    st.lists(st.integers(-UNITS_MAX, UNITS_MAX), min_size=3, max_size=3),
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(-UNITS_MAX, UNITS_MAX)), min_size=1, max_size=20
    ),
)
def test_repeated_additions_are_exact_or_refused(start, additions) -> None:
    rows, amounts = (np.array(column, np.int64) for column in zip(*additions, strict=True))
    expected = list(start)
    for row, amount in additions:
        expected[row] += amount
    column = np.array(start, np.int64)
    if max(map(abs, expected)) <= UNITS_MAX:
        assert add_exact(column, rows, amounts, "here").tolist() == expected
    else:
        with pytest.raises(LedgerError, match="^here: an amount does not fit the ledger"):
            to_int64(add_exact(column, rows, amounts, "here"), "here")
    assert column.tolist() == start


def test_what_does_not_fit_int64_is_refused() -> None:
    fits = np.array([UNITS_MAX, -UNITS_MAX], dtype=object)
    assert to_int64(fits, "here").tolist() == [UNITS_MAX, -UNITS_MAX]
    with pytest.raises(LedgerError, match="^here: an amount does not fit the ledger"):
        to_int64(fits * 2, "here")


# -- digests, seeds, offsets ---------------------------------------------------------------------


def test_a_digest_counts_names_types_lengths_order_and_bytes() -> None:
    one = np.array([1, 2], np.int64)
    digests = {
        digest_columns(columns)
        for columns in (
            (),
            (("a", one),),
            (("b", one),),
            (("a", one.astype(np.int32)),),
            (("a", one.astype(np.float64)),),
            (("a", one[::-1]),),
            (("a", one[:1]), ("a", one[1:])),
            (("a", one), ("b", one)),
            (("b", one), ("a", one)),
        )
    }
    assert len(digests) == 9
    big_endian, strided = one.astype(">i8"), np.repeat(one, 3)[::3]
    expected = hashlib.sha256(b"a:<i8:2;" + b"\1" + bytes(7) + b"\2" + bytes(7)).hexdigest()
    assert {digest_columns((("a", c),)) for c in (one, big_endian, strided)} == {expected}


def test_streams_are_named_and_repeatable() -> None:
    def draw(seed: int, *labels: str) -> list[int]:
        return stream(seed, *labels).integers(2**63, size=3).tolist()

    assert draw(7, "a", "b") == draw(7, "a", "b")
    keys = [(7,), (8,), (7, "a"), (7, "b"), (7, "a", "b"), (7, "b", "a"), (7, "ab")]
    assert len({tuple(draw(*key)) for key in keys}) == len(keys)


def test_offsets_of_segments() -> None:
    assert offsets_from_counts(np.array([2, 0, 3])).tolist() == [0, 2, 2, 5]
    assert offsets_from_counts(np.zeros(0, np.int64)).tolist() == [0]


@given(st.lists(st.integers(0, 5), max_size=40))
def test_turns_keep_the_order_of_each_key(keys: list[int]) -> None:
    turns = turns_of(np.array(keys, dtype=np.int64))
    assert sorted(row for turn in turns for row in turn.tolist()) == list(range(len(keys)))
    for number, turn in enumerate(turns):
        for row in turn.tolist():
            assert keys[:row].count(keys[row]) == number


def test_sums_by_id_keep_empty_ids() -> None:
    sums = sum_by(np.array([2, 0, 2]), np.array([1.5, 4.0, -0.5]), 4)
    assert sums.tolist() == [4.0, 0.0, 1.0, 0.0]
    assert sum_by(np.zeros(0, np.int64), np.zeros(0), 2).tolist() == [0.0, 0.0]


# -- errors and tables ---------------------------------------------------------------------------


def test_an_error_is_one_line_of_place_problem_remedy() -> None:
    error = InputError("accounts[3]", "is\nbroken", "mend  it")
    assert str(error) == "accounts[3]: is broken; mend it"
    assert isinstance(error, PlimsollError)


@pytest.mark.parametrize(
    ("name", "known", "remedy"),
    [
        ("BTCC", ["ETH", "BTC"], "did you mean 'BTC'?"),
        ("zzz", ["b", "a"], "known: 'a', 'b'"),
        ("zzz", list("gfedcba"), "known: 'a', 'b', 'c', 'd', 'e' and 2 more"),
        ("zzz", [], "there are none to choose from"),
    ],
)
def test_a_remedy_names_what_there_is(name: str, known: list[str], remedy: str) -> None:
    assert did_you_mean(name, known) == remedy


@pytest.fixture
def package(tmp_path, monkeypatch) -> str:
    """A package with one table of two blocks, the later one first."""
    folder = tmp_path / "some_rules"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "house.toml").write_text(
        """
        [[table]]
        effective_from = "2025-06-01T12:00:00Z"
        source = "second"
        retrieved = 2025-06-02
        [table.params]
        rate = 0.2
        [table.unconfirmed]
        rate = "read off a chart"
        [[table]]
        effective_from = 2025-01-01
        source = "first"
        retrieved = "2025-01-02"
        [table.params]
        rate = 0.1
        """
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "some_rules"


def test_the_table_in_force_is_the_latest_that_has_begun(package: str) -> None:
    tables = load_tables(package, "house")
    start = parse_time("2025-06-01T12:00:00Z", "")
    assert [table.source for table in tables] == ["first", "second"]
    assert [table.retrieved for table in tables] == ["2025-01-02", "2025-06-02"]
    assert table_at(tables, start - 1).params["rate"] == 0.1
    assert table_at(tables, start).params["rate"] == 0.2
    assert dict(tables[1].unconfirmed) == {"rate": "read off a chart"}
    with pytest.raises(InputError, match=r"^house: no parameters .*; use a date from 2025-01-01T0"):
        table_at(tables, parse_time("2024-12-31", ""))
    with pytest.raises(TypeError):
        tables[0].params["rate"] = 0.3  # type: ignore[index]
