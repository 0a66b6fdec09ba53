"""The smallest single steps: enough, and one unit less is not; none; what they cost."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from plimsoll.core import InputError, Status
from plimsoll.ledger import EventBatch
from plimsoll.liquidation.prices import (
    ALL_ORDERS,
    PoolPath,
    Remedy,
    RemedyKind,
    find_remedies,
    pool_paths,
)
from plimsoll.liquidation.prices.steps import cancel, close, deposit
from plimsoll.margin import MODELS, Model
from tests.liquidation.test_price_venues import pools_of
from tests.margin.exam_books import exam_book, models_of

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
FLAT = {"brackets": {BTC: [[0, 0.01, 50]], ETH: [[0, 0.01, 50]]}}


def account(positions: list[dict[str, Any]], wallet: float, **more: Any) -> dict[str, Any]:
    return {
        "as_of": "2026-03-02T12:00:00Z",
        "market": {
            "index": {"USDT": 1, "BTC": 50_000, "ETH": 2_500},
            "instruments": {BTC: {"mark": 50_000}, ETH: {"mark": 2_500}},
        },
        "accounts": [{"id": "a", "positions": positions, "balances": {"USDT": wallet}, **more}],
    }


def long_btc(wallet: float, **more: Any) -> PoolPath:
    """30 BTC at mark: 1 % of 1.5 million is 15,000 of maintenance margin."""
    held = [{"symbol": BTC, "quantity": 30, "entry_price": 50_000}]
    more = {"model": "binance.usdm", "params": FLAT, **more}
    return pools_of(account(held, wallet, **more))[0]


def by_subject(found: tuple[Remedy, ...]) -> dict[str, Remedy]:
    return {remedy.subject: remedy for remedy in found}


def batch_of(pool: PoolPath, remedy: Remedy, fee_rate: float) -> partial[EventBatch]:
    """What does so many units of a remedy."""
    table = pool.book.instruments
    if remedy.kind == RemedyKind.ADD:
        return partial(deposit, pool, table.assets.names.index(remedy.subject))
    i = table.index[remedy.subject]
    row = int(np.flatnonzero(pool.book.positions.instrument == i)[0])
    return partial(close, pool, row, fee_rate)


def units_of(pool: PoolPath, remedy: Remedy) -> int:
    table = pool.book.instruments
    if remedy.kind == RemedyKind.ADD:
        unit = table.assets.unit[table.assets.names.index(remedy.subject)]
    else:
        unit = table.quantity_unit[table.index[remedy.subject]]
    return round(remedy.amount / float(unit))


def test_amounts_are_the_closed_forms() -> None:
    """Ratio below ½: 30,000 is needed on 12,000, or 12,000 backs 24 % of 100 BTC at 1 %."""
    found = by_subject(find_remedies(long_btc(12_000), 0.5))
    added, closed = found["USDT"], found[BTC]
    assert (added.kind, closed.kind) == (RemedyKind.ADD, RemedyKind.REDUCE)
    assert added.amount == pytest.approx(18_000, rel=1e-9)
    assert added.usd == pytest.approx(18_000, rel=1e-9)
    # (30 - x) × 500 = 12,000 / 2.
    assert closed.amount == pytest.approx(18, rel=1e-6)
    assert closed.usd == pytest.approx(18 * 50_000, rel=1e-6)
    assert all(remedy.margin_ratio < 0.5 for remedy in found.values())


def test_a_fee_makes_closing_dearer() -> None:
    """(30 - x) × 500 = (12,000 - x × 50,000 × 0.05 %) / 2."""
    closed = by_subject(find_remedies(long_btc(12_000), 0.5, 0.0005))[BTC]
    assert closed.amount == pytest.approx((15_000 - 6_000) / (500 - 12.5), rel=1e-6)


def test_the_target_is_the_margin_call_if_none_is_named() -> None:
    held = [{"symbol": BTC, "quantity": 1, "entry_price": 50_000}]
    (rich,) = pools_of(account(held, 800, model="plimsoll.standard"))
    ratio = rich.models.models[0].margin_call_ratio
    wallet = float(rich.now().maintenance_margin[0]) / (0.5 * ratio + 0.5)
    (pool,) = pools_of(account(held, wallet, model="plimsoll.standard"))
    assert pool.now().status[0] == Status.MARGIN_CALL
    found = find_remedies(pool)
    assert found
    assert all(remedy.status == Status.OK for remedy in found)
    assert all(remedy.margin_ratio == pytest.approx(ratio, abs=1e-4) for remedy in found)


def test_who_is_well_needs_none() -> None:
    assert find_remedies(long_btc(100_000)) == ()


def test_an_unknown_pool_has_none() -> None:
    written = account([{"symbol": BTC, "quantity": 1, "entry_price": 50_000}], 100)
    written["market"]["instruments"][BTC]["time"] = "2026-03-02T11:00:00Z"
    (pool,) = pools_of(written)
    assert pool.now().status[0] == Status.UNKNOWN
    assert find_remedies(pool) == ()


def test_a_pool_under_water_cannot_close_its_way_out() -> None:
    found = find_remedies(long_btc(-10_000), 0.9)
    assert [remedy.kind for remedy in found] == [RemedyKind.ADD]


def test_a_hedge_is_not_a_remedy() -> None:
    """Closing the smaller leg of an offset spread makes it worse; closing the larger helps."""
    future = f"{BTC}-260925"
    held = [{"symbol": BTC, "quantity": 10, "entry_price": 50_000},
            {"symbol": future, "quantity": -4, "entry_price": 50_000}]  # fmt: skip
    written = account(held, 61_000, model="plimsoll.portfolio")
    written["market"]["instruments"][future] = {"mark": 50_000}
    (pool,) = pools_of(written)
    ratio = float(pool.now().margin_ratio[0])
    found = by_subject(find_remedies(pool, 0.9 * ratio))
    assert BTC in found
    assert future not in found


def test_an_isolated_pool_takes_only_its_own_money() -> None:
    held = [{"symbol": BTC, "quantity": 1, "entry_price": 50_000, "margin_mode": "isolated",
             "isolated_margin": 510}]  # fmt: skip
    written = account(held, 1, model="plimsoll.standard")
    written["accounts"][0]["balances"]["BTC"] = 1
    _, isolated = pools_of(written)
    found = find_remedies(isolated, 0.2)
    assert {remedy.subject for remedy in found if remedy.kind == RemedyKind.ADD} == {"USDT"}


@pytest.mark.parametrize("ratio", [0.0, -1.0, 1.5, float("nan")])
def test_what_is_no_ratio_is_refused(ratio: float) -> None:
    with pytest.raises(InputError, match="is no margin ratio"):
        find_remedies(long_btc(12_000), ratio)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_step_is_enough_and_one_unit_less_is_not(model: Model) -> None:
    """On random pools of every model, to nine tenths of the ratio that they have."""
    models, crowd = models_of(model), exam_book(model, 3, seed=23)
    told = judged = 0
    for name in crowd.book.account_ids:
        for pool in pool_paths(crowd.book, crowd.market, models, name):
            ratio = float(pool.now().margin_ratio[0])
            if not 0 < ratio < 5:
                continue
            target = min(0.9 * ratio, 1.0)
            judged += 1
            for remedy in find_remedies(pool, target, 0.0005):
                told += 1
                place = (pool.name, remedy)
                assert remedy.margin_ratio < target, place
                if remedy.kind == RemedyKind.CANCEL:
                    orders, symbols = pool.book.orders, pool.book.instruments.symbols
                    chosen = np.array([remedy.subject in (ALL_ORDERS, symbols[i])
                                       for i in orders.instrument])  # fmt: skip
                    after = pool.after(cancel(pool, chosen)).now()
                    assert remedy.amount == chosen.sum()
                    assert after.margin_ratio[0] == remedy.margin_ratio
                    continue
                make, units = batch_of(pool, remedy, 0.0005), units_of(pool, remedy)
                after = pool.after(make(units)).now()
                assert after.margin_ratio[0] == remedy.margin_ratio, place
                if units > 1:
                    less = pool.after(make(units - 1)).now()
                    assert not (less.equity[0] >= 0 and less.margin_ratio[0] < target), place
    assert told or not judged
