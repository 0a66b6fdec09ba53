"""A new venue is one rule file, one table, one vectors file and one line."""

import sys
from pathlib import Path

import pytest

from plimsoll.margin import registry
from tools.parity import read_lines, run_line

RULES = '''
"""toy.flat: every contract needs a flat rate of its notional; twice that to open."""

from dataclasses import dataclass

import numpy as np

from plimsoll.margin.assessment import Charge, Requirement
from plimsoll.margin.charges import slot_pool, sum_segmented
from plimsoll.margin.model import Model
from plimsoll.margin.parameters import instrument_column


@dataclass(frozen=True, slots=True)
class Params:
    rate: np.ndarray


def resolve(params, instruments, place):
    return Params(instrument_column(params["rates"], instruments, f"{place}.rates", 0, 1))


def require(exposure, market, params):
    layout = exposure.layout
    held = layout.slot_instrument
    notional = np.abs(exposure.quantity) * exposure.contract_notional[held]
    margin = np.where(exposure.quantity == 0, 0.0, notional * params.rate[held])
    needed = sum_segmented(layout.slot_offsets, margin)
    worth = np.where(exposure.cell_equity == 0, 0.0, exposure.cell_equity * exposure.cell_price)
    equity = sum_segmented(layout.cell_offsets, worth)
    return Requirement(equity, equity, (Charge("flat", 2 * needed, needed),), ())


MODEL = Model("toy.flat", "Toy venue", "toy", resolve, require, package="toy_venues")
'''
TABLE = """
[[table]]
effective_from = 2020-01-01
source = "made up"
retrieved = 2026-01-01
[table.params]
currency = "USD"
margin_call_ratio = 0.8
margin_call_clear_ratio = 0.7
[table.params.rates]
BTC = 0.05
"""
VECTOR = (
    '{"case": "toy", "source": "formula: 2 BTC at 60,000 and 5 %%", "document": {"as_of": '
    '"2026-01-01T00:00:00Z", "market": {"index": {"BTC": 60000, "USDT": 1}, "instruments": '
    '{"BTC/USDT:USDT": {"mark": 60000}, "ETH/USDT:USDT": {"mark": 2500}}}, "accounts": [{"id": '
    '"a", "model": "toy.flat", "balances": {"USDT": 10000}, "positions": [{"symbol": '
    '"BTC/USDT:USDT", "quantity": 2, "entry_price": 60000}]}]}, "expected": {"status": "%s", '
    '"initial_margin": %s, "maintenance_margin": 6000}}'
)


@pytest.fixture
def venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "toy_venues"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "toy.py").write_text(RULES)
    (package / "toy.toml").write_text(TABLE)
    monkeypatch.syspath_prepend(str(tmp_path))
    from toy_venues import toy

    # The one line.
    monkeypatch.setattr(registry, "MODELS", (*registry.MODELS, toy.MODEL))
    yield tmp_path
    sys.modules.pop("toy_venues.toy")
    sys.modules.pop("toy_venues")


def test_a_venue_in_four_steps(venue: Path) -> None:
    (venue / "toy.jsonl").write_text(VECTOR % ("OK", 12000) + "\n")
    (line,) = read_lines(venue)
    assert line.model == "toy.flat"
    assert not run_line(line).failures


def test_its_vectors_can_fail(venue: Path) -> None:
    (venue / "toy.jsonl").write_text(VECTOR % ("MARGIN_CALL", 12001) + "\n")
    (line,) = read_lines(venue)
    assert run_line(line).failures == (
        "status: OK where MARGIN_CALL is expected",
        "initial_margin: 12000.0 where 12001 is expected",
    )
