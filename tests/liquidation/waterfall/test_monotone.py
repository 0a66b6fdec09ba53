"""Monotonicity of every model on random books: more collateral, a close in part, accounts merged.

What a model's own terms except is declared here as data with its reason: only what the data names
may break the rule, and it must be seen to.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from types import MappingProxyType

import numpy as np
import pytest

from plimsoll.book import Book, SystemPool
from plimsoll.core import Status, stream, sum_by
from plimsoll.instruments import Kind
from plimsoll.ledger import EventBatch, TransferReason, Transfers, apply
from plimsoll.margin import MODELS, Assessment, Model, assess
from tests.liquidation.waterfall.monotone_books import (
    LOT,
    close_lots,
    cross_pools,
    in_lots,
    merged,
    pool_of_rows,
    repay,
    settled_at_mark,
    without_orders,
)
from tests.margin.exam_books import TABLE, ExamBook, exam_book, listing_of, models_of

ACCOUNTS = 1500
"""Of each model, and their isolated pools beside; so many that every exception is met."""
SEED = 3
SYSTEM = len(SystemPool)
NOISE = 1e-11
"""Of rounding, as a fraction of the amounts that are compared."""

FLOORED: Mapping[str, tuple[float, str]] = MappingProxyType(
    dict.fromkeys(
        ("aave.v2", "aave.v3"),
        (1e-4, "the average threshold is floored to a basis point, so a deposit may cost one"),
    )
)
"""What a deposit may take from the excess, as a fraction of all collateral."""


class Cause(StrEnum):
    """What closing positions in part can raise the requirement by."""

    ASSETS = "assets held beside positions are legs of the scenarios, and stay when these go"
    DEBT = "a loss is realised in an asset that is not held, and the debt is margined as a loan"
    REWARD = "a realised gain becomes collateral, on which the keeper's reward is a fraction"


CLOSE_CAUSES: Mapping[str, tuple[Cause, ...]] = MappingProxyType(
    {
        "plimsoll.portfolio": (Cause.ASSETS,),
        "binance.portfolio": (Cause.DEBT,),
        "bybit.cross": (Cause.DEBT,),
        "bybit.portfolio": (Cause.DEBT,),
        "cboe.regt": (Cause.ASSETS,),
        "deribit.cross_pm": (Cause.ASSETS,),
        "derive.pmrm1": (Cause.ASSETS,),
        "derive.pmrm2": (Cause.ASSETS,),
        "drift.v2": (Cause.DEBT,),
        "occ.tims": (Cause.ASSETS,),
        "synthetix.v3": (Cause.REWARD,),
    }
)

SIZE = "the rate of a position grows with its size, so that two are charged more as one"
AVERAGE = "the initial line is debt over the average loan-to-value of all that is pledged"
MERGE_TERMS: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        "plimsoll.standard": (("tiered_notional", "size_scaled"), SIZE),
        "plimsoll.portfolio": (
            ("offset_limit", "concentration", "basis"),
            "concentration grows with size, of offsets a share counts, netting pairs expiries",
        ),
        "aave.v2": (("borrow_limit",), AVERAGE),
        "aave.v3": (("borrow_limit",), AVERAGE),
        "compound.v3": (("borrow_limit",), AVERAGE),
        "binance.coinm": (("positions",), SIZE),
        "binance.portfolio": (("usd_m_positions", "coin_m_positions", "uni_mmr_levels"), SIZE),
        "binance.usdm": (("positions",), SIZE),
        "bitmex.cross": (("position_margin", "closing_fee"), SIZE),
        "bitmex.isolated": (("position_margin", "closing_fee"), SIZE),
        "bybit.cross": (("position_margin", "closing_fee"), SIZE),
        "cme.span": (
            ("scanning_risk", "intra_commodity_spreads"),
            "credits pair two underlyings, spread charges two expiries: netting undoes and makes",
        ),
        "deribit.cross_pm": (
            ("worst_case", "delta_shock"),
            "the dampener forgives each account a fixed amount; delta shock begins at a size",
        ),
        "deribit.segregated_pm": (
            ("worst_case", "delta_shock"),
            "the dampener forgives each account a fixed amount; delta shock begins at a size",
        ),
        "deribit.standard": (("futures",), SIZE),
        "drift.v2": (("perps",), SIZE),
        "hyperliquid.cross": (("positions",), SIZE),
        "kraken.futures": (("positions", "conversion"), SIZE),
        "okx.multi_currency": (("contracts",), SIZE),
        "okx.portfolio": (
            ("scenario_loss", "stablecoin_depeg", "borrowing"),
            "spot counts as far as net delta asks: coins of one meet options of the other; tiers",
        ),
        "synthetix.v3": (("positions", "keeper_reward"), SIZE),
    }
)
"""The charges by which the requirement of merged accounts may exceed the sum of theirs."""


@pytest.fixture(params=MODELS, ids=lambda model: model.name)
def model(request: pytest.FixtureRequest) -> Model:
    """Every registered model."""
    found: Model = request.param
    return found


@cache
def crowd_of(model: Model) -> ExamBook:
    """Random accounts of a model."""
    return exam_book(model, ACCOUNTS, SEED)


def judged(model: Model, book: Book) -> Assessment:
    """The book at its market."""
    return assess(book, crowd_of(model).market, models_of(model))


def shares(model: Model, book: Book) -> np.ndarray:
    """How many lots of each pool are closed."""
    return stream(SEED, "monotone", model.name).integers(1, LOT + 1, book.pool_count)


def test_more_collateral_never_worsens_the_state(model: Model) -> None:
    book, market = crowd_of(model).book, crowd_of(model).market
    before, random = judged(model, book), stream(SEED, "deposits", model.name)
    pools = np.arange(SYSTEM, book.pool_count)
    part, _ = FLOORED.get(model.name, (0.0, ""))
    for name in listing_of(model).assets:
        asset = TABLE.assets.find(name, "")
        each = market.index[asset] * TABLE.assets.unit[asset]
        usd = np.exp(random.uniform(np.log(1e-3), np.log(1e8), pools.size))
        units = np.clip(usd / each, 1, 1e15).astype(np.int64)
        paid = Transfers(
            source=np.full(pools.size, SystemPool.WORLD, dtype=np.int32),
            target=pools.astype(np.int32),
            asset=np.full(pools.size, asset, dtype=np.int32),
            amount=units,
            reason=np.full(pools.size, TransferReason.DEPOSIT, dtype=np.int8),
        )
        after = judged(model, apply(book, EventBatch(book.time_ns, transfers=paid)))
        scale = np.abs(before.equity[pools]) + before.maintenance_margin[pools] + units * each
        change = after.excess_margin[pools] - before.excess_margin[pools]
        assert (change >= -(NOISE + part) * scale).all(), name
        assert (after.status[pools] != Status.UNKNOWN).all(), name
        if not part:
            assert (after.status <= before.status).all(), name


def test_a_close_of_positions_alone_never_raises_the_margin(model: Model) -> None:
    """The same share of all positions, without assets, entered at mark: no model is excepted."""
    book, market = crowd_of(model).book, crowd_of(model).market
    book = settled_at_mark(in_lots(without_orders(book)), market)
    lots = shares(model, book)
    before, after = judged(model, book), judged(model, close_lots(book, market, lots))
    assert not listing_of(model).contracts or before.maintenance_margin.any()
    held = book.positions
    paid_for = book.instruments.kind[held.instrument] == Kind.OPTION
    has_options = sum_by(pool_of_rows(book, held.offsets), paid_for * 1.0, book.pool_count) > 0
    was = before.maintenance_margin
    bound = was + NOISE * was + 1e-5
    assert (after.maintenance_margin <= bound)[~has_options].all()


def test_a_pro_rata_close_never_raises_maintenance_margin(model: Model) -> None:
    crowd = crowd_of(model)
    book = in_lots(without_orders(crowd.book))
    lots = shares(model, book)
    closed = close_lots(book, crowd.market, lots)
    if listing_of(model).is_lender:
        closed = repay(book, crowd.market, lots / LOT)
    before, after = judged(model, book), judged(model, closed)
    was, found = before.maintenance_margin, after.maintenance_margin
    raised = np.flatnonzero(found > was * (1 + NOISE) + 1e-6)
    causes = CLOSE_CAUSES.get(model.name, ())
    for pool in raised.tolist():
        assert any(is_caused(cause, pool, (book, closed), (before, after)) for cause in causes), (
            pool
        )
    assert raised.size or not causes


def is_caused(
    cause: Cause, pool: int, books: tuple[Book, Book], found: tuple[Assessment, Assessment]
) -> bool:
    """Whether a cause is there in a pool whose requirement has risen."""
    (_, was), (_, owned) = (balances(book, pool) for book in books)
    if cause == Cause.DEBT:
        return bool((owned < np.minimum(was, 0)).any())
    if cause == Cause.REWARD:
        lines = [{c.name: c.maintenance[pool] for c in each.charges} for each in found]
        return bool(lines[1]["keeper_reward"] > lines[0]["keeper_reward"])
    return bool(was.any())


def balances(book: Book, pool: int) -> tuple[int, np.ndarray]:
    """A pool and its balances by asset, in units."""
    rows = slice(book.balances.offsets[pool], book.balances.offsets[pool + 1])
    held = np.zeros(len(book.instruments.assets.names), dtype=np.int64)
    held[book.balances.asset[rows]] = book.balances.amount[rows]
    return pool, held


def test_merging_accounts_raises_no_requirement_beyond_its_terms(model: Model) -> None:
    book = without_orders(crowd_of(model).book)
    one, two = judged(model, book), judged(model, merged(book))
    pools = cross_pools(book)
    terms, _ = MERGE_TERMS.get(model.name, ((), ""))
    over = 0
    for line in ("initial", "maintenance"):
        apart, together = (getattr(found, f"{line}_margin") for found in (one, two))
        apart, together = apart[pools[::2]] + apart[pools[1::2]], together[SYSTEM:]
        allowed = np.zeros(apart.size)
        for before, after in zip(one.charges, two.charges, strict=True):
            each = getattr(before, line)
            more = getattr(after, line)[SYSTEM:] - each[pools[::2]] - each[pools[1::2]]
            allowed += np.maximum(more, 0.0) * (before.name in terms)
        bound = apart + NOISE * apart + 1e-8
        assert (together <= bound + allowed).all(), line
        over += np.count_nonzero(together > bound)
    assert over or not terms


def test_exceptions_name_models_and_charges() -> None:
    by_name = {model.name: model for model in MODELS}
    assert {*FLOORED, *CLOSE_CAUSES, *MERGE_TERMS} <= set(by_name)
    for name, (terms, reason) in MERGE_TERMS.items():
        charges = [c.name for c in judged(by_name[name], crowd_of(by_name[name]).book).charges]
        assert set(terms) <= set(charges)
        assert reason
    for name, (_, reason) in FLOORED.items():
        assert reason
        assert "more_collateral_never_worsens" in dict(by_name[name].exemptions)
