"""The demonstration path of 10-11 October 2025: anchored, seeded, bounded, sourced."""

from datetime import UTC, datetime

import numpy as np
import pytest

from plimsoll.core import NS_PER_SECOND, DatedTable, InputError, digest_columns, parse_time
from plimsoll.simulation.crash import CRASH_START_NS, crash_path, crash_table

MINUTE_NS = 60 * NS_PER_SECOND


@pytest.fixture(scope="module")
def table() -> DatedTable:
    return crash_table()


def test_the_table_starts_where_the_path_does(table: DatedTable) -> None:
    moment = datetime(2025, 10, 10, tzinfo=UTC)
    assert CRASH_START_NS == int(moment.timestamp()) * NS_PER_SECOND == table.effective_from_ns


# Seven minutes divide no anchor's time: the anchors must be rows all the same.
@pytest.mark.parametrize("step_ns", [NS_PER_SECOND * 15, MINUTE_NS, 7 * MINUTE_NS])
def test_every_anchor_is_met_exactly(table: DatedTable, step_ns: int) -> None:
    path = crash_path(table, 7, step_ns)
    assert path.symbols == tuple(table.params["anchors"])
    for column, symbol in enumerate(path.symbols):
        for text, level, _ in table.params["anchors"][symbol]:
            row = int(np.searchsorted(path.time_ns, parse_time(text, symbol)))
            assert path.time_ns[row] == parse_time(text, symbol)
            assert path.price[row, column] == level


@pytest.mark.parametrize("seed", range(20))
def test_the_published_low_stays_the_low(table: DatedTable, seed: int) -> None:
    path = crash_path(table, seed, MINUTE_NS)
    assert np.all(np.isfinite(path.price))
    assert path.price.min(axis=0).tolist() == [101_516.5, 3_400.0, 141.28]


def test_the_path_spans_two_days_at_the_step(table: DatedTable) -> None:
    path = crash_path(table, 7, MINUTE_NS)
    assert path.time_ns[0] == CRASH_START_NS
    assert path.time_ns.size == 2 * 1440 + 1
    assert set(np.diff(path.time_ns).tolist()) == {MINUTE_NS}


def test_the_same_seed_gives_the_same_path_and_another_seed_another(table: DatedTable) -> None:
    def digest(seed: int) -> str:
        path = crash_path(table, seed, MINUTE_NS)
        return digest_columns((("time_ns", path.time_ns), ("price", path.price)))

    assert digest(7) == digest(7)
    assert digest(7) != digest(8)


def test_noise_has_the_tables_volatility_and_correlation(table: DatedTable) -> None:
    path = crash_path(table, 3, MINUTE_NS)
    quiet = path.time_ns >= parse_time("2025-10-11T00:00:00Z", "test")
    returns = np.diff(np.log(path.price[quiet]), axis=0)
    expected = [table.params["volatility_daily"][name] for name in path.symbols]
    # 1,440 returns: four standard errors of a deviation are 7.5 %, of a correlation of 0.8, 0.04.
    np.testing.assert_allclose(returns.std(axis=0) * np.sqrt(1440), expected, rtol=0.075)
    correlations = np.corrcoef(returns.T)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(correlations, table.params["correlation"], atol=0.04)


def test_every_anchor_names_its_source_and_what_is_assumed_is_marked(table: DatedTable) -> None:
    anchors = table.params["anchors"]
    for name in ("volatility_daily", "price_decimals"):
        assert anchors.keys() == table.params[name].keys()
    used = {row[2] for rows in anchors.values() for row in rows}
    assert used == table.params["sources"].keys()
    assumed = {path.removeprefix("anchors.") for path in table.unconfirmed if "." in path}
    assert assumed == used - {"after"}
    spans = {(rows[0][0], rows[-1][0]) for rows in anchors.values()}
    assert len(spans) == 1


@pytest.mark.parametrize("step_ns", [-MINUTE_NS, 0, 1, NS_PER_SECOND - 1])
def test_a_step_under_a_second_is_refused(table: DatedTable, step_ns: int) -> None:
    with pytest.raises(InputError, match=r"step: .* at least one second"):
        crash_path(table, 7, step_ns)
