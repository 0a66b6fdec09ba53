"""The population's table: consistent in itself and with the data it was read from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from plimsoll.core import load_tables


@pytest.fixture(scope="module")
def params() -> Any:
    (table,) = load_tables("plimsoll.simulation", "population")
    assert table.unconfirmed.keys() <= table.params.keys()
    return table.params


def test_shares_are_fractions_and_weights_add_up_to_one(params: Any) -> None:
    shares = {name: value for name, value in params.items() if name.endswith("_share")}
    assert len(shares) == 7
    assert all(0 < value < 1 for value in shares.values())
    assert sum(params["collateral_mix"].values()) == pytest.approx(1)
    assert sum(params["positions_per_account"]) == pytest.approx(1)
    assert len(params["positions_per_account"]) == 6


def test_the_tail_has_a_mean_and_the_cuts_lie_above_the_medians(params: Any) -> None:
    assert params["notional_tail_exponent"] > 1
    assert params["notional_median_usd"] < params["notional_max_usd"]
    assert 1 < params["leverage_median"] < params["leverage_max"]


def test_every_underlying_has_brackets_in_the_house_model(params: Any) -> None:
    (standard,) = load_tables("plimsoll.margin.venues", "plimsoll_standard")
    assert params["open_interest_usd"].keys() == standard.params["brackets"].keys()


def test_open_interest_is_the_mean_of_the_source_to_four_digits(
    params: Any, shared_data: Callable[[str], Path]
) -> None:
    name = "data/funding/binance_perp_open_interest_4h_2026-02_2026-03_539symbols.parquet"
    interest = pl.read_parquet(shared_data(name))
    means = dict(interest.group_by("symbol").agg(pl.mean("sum_open_interest_value")).iter_rows())
    measured = {name: float(f"{means[name + 'USDT']:.4g}") for name in params["open_interest_usd"]}
    assert params["open_interest_usd"] == measured
