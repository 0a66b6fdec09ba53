"""Generated books: the same bytes from a seed, the shape of the table, sound from the start."""

import re
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

import numpy as np
import pytest

from plimsoll.book import Book, ModelChoice, PoolKind, SystemPool
from plimsoll.core import DatedTable, Floats, InputError, Status
from plimsoll.instruments import InstrumentTable, Payoff
from plimsoll.ledger import (
    EventBatch,
    TransferReason,
    apply,
    conservation_residual,
    decode_batch,
    encode_batch,
)
from plimsoll.margin import Assessment, assess, load_models
from plimsoll.market import PriceBatch, PriceBoard, SanityRules
from plimsoll.simulation import (
    CRASH_START_NS,
    describe_population,
    generate_population,
    population_instruments,
    population_table,
)
from plimsoll.simulation.population import (
    ENTRY_LOSS_MAX,
    ENTRY_MOVE_MAX,
    INTEREST_SHARE_MAX,
    NOTIONAL_MIN_USD,
)

ACCOUNTS = 20_000
SYSTEM = len(SystemPool)
CRASH_PRICES = {"BTC": 121_500.0, "ETH": 4_350.0, "SOL": 220.0}
OTHER_PRICES = {"XRP": 2.8, "DOGE": 0.25, "BNB": 1_250.0, "HBAR": 0.21, "ZEC": 240.0, "AAVE": 280.0}
ALL_PRICES = CRASH_PRICES | OTHER_PRICES
TABLE = population_table(CRASH_START_NS)
MODELS = (ModelChoice("plimsoll.standard"),)


@dataclass(frozen=True)
class World:
    """A generated book with what it was generated from, and each trade seen from outside."""

    table: DatedTable
    instruments: InstrumentTable
    prices: Floats
    index: Floats
    batch: EventBatch
    book: Book

    @property
    def owner(self) -> np.ndarray:
        """Account of each trade."""
        return self.book.pool_account[self.batch.trades.pool]

    @property
    def notional(self) -> Floats:
        """USD of each trade, long > 0, written out."""
        trades = self.batch.trades
        contracts = trades.quantity * self.instruments.quantity_unit[trades.instrument]
        inverse = (self.instruments.payoff == Payoff.INVERSE)[trades.instrument]
        dollars = self.index[self.instruments.assets.find("USDT", "test")]
        return contracts * np.where(inverse, 1.0, self.prices[trades.instrument] * dollars)

    @property
    def deposit_usd(self) -> Floats:
        """USD of each deposit."""
        moved, assets = self.batch.transfers, self.instruments.assets
        return moved.amount * assets.unit[moved.asset] * self.index[moved.asset]

    @property
    def deposits(self) -> Floats:
        """USD that each pool was given."""
        return np.bincount(self.batch.transfers.target, self.deposit_usd, self.book.pool_count)

    @property
    def net(self) -> Floats:
        """Net USD notional of each account."""
        return np.bincount(self.owner, self.notional)

    @property
    def gross(self) -> Floats:
        """Gross USD notional of each account."""
        return np.bincount(self.owner, np.abs(self.notional))

    @property
    def is_carry(self) -> np.ndarray:
        """Accounts of one short inverse position and as much of its coin, and nothing else."""
        inverse = (self.instruments.payoff == Payoff.INVERSE)[self.batch.trades.instrument]
        held = self.deposits[SYSTEM : SYSTEM + ACCOUNTS]
        single = np.bincount(self.owner) == 1
        short = np.bincount(self.owner, inverse & (self.batch.trades.quantity < 0)) == 1
        return single & short & (np.abs(held / self.gross - 1) < 1e-4)

    @property
    def is_pair(self) -> np.ndarray:
        """Accounts with two positions that cancel, but for their steps."""
        two = np.bincount(self.owner) == 2
        return two & (np.abs(self.net) <= np.maximum(0.02 * self.gross, 1.1))

    @property
    def is_isolated(self) -> np.ndarray:
        """Accounts with isolated pools."""
        return np.isin(np.arange(ACCOUNTS), self.batch.pools.account)


def build(
    prices: dict[str, float], accounts: int, seed: int, table: DatedTable = TABLE, dollar: float = 1
) -> World:
    symbols = tuple(f"{base}/USDT:USDT" for base in prices)
    quoted = np.array([price / dollar for price in prices.values()])
    instruments = population_instruments(symbols, quoted, table.params)
    by_base = dict(zip(prices, quoted.tolist(), strict=True))
    marks = np.array([by_base[row.base] for row in instruments.rows])
    usd = prices | {"USD": 1.0, "USDC": 1.0, "USDT": dollar}
    index = np.array([usd.get(name, np.nan) for name in instruments.assets.names])
    batch = generate_population(accounts, seed, table, instruments, marks, index, CRASH_START_NS, 0)
    book = apply(Book.empty(instruments, MODELS), batch)
    return World(table, instruments, marks, index, batch, book)


def with_params(**changes: object) -> DatedTable:
    return replace(TABLE, params=MappingProxyType(TABLE.params | changes))


def assess_world(world: World) -> Assessment:
    rules = SanityRules()
    price = np.concatenate([world.prices, world.index])
    seen = np.flatnonzero(np.isfinite(price)).astype(np.int32)
    batch = PriceBatch(
        np.zeros(seen.size, np.int32), seen, price[seen], np.full(seen.size, CRASH_START_NS)
    )
    board = PriceBoard.empty(world.instruments, ("test",)).observe(batch, rules)
    models = load_models(world.instruments, MODELS, CRASH_START_NS)
    return assess(world.book, board.market(CRASH_START_NS, rules), models)


@pytest.fixture(scope="module", params=[CRASH_PRICES, ALL_PRICES], ids=["three", "nine"])
def world(request: pytest.FixtureRequest) -> World:
    return build(request.param, ACCOUNTS, 7)


def near(share: float, expected: float, draws: float) -> bool:
    """Whether a share of ``draws`` fair draws lies within five standard errors."""
    return abs(share - expected) <= 5 * np.sqrt(expected * (1 - expected) / draws)


# -- the batch -------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (encode_batch(build(ALL_PRICES, 500, seed).batch) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert encode_batch(decode_batch(first)) == first


def test_the_book_conserves_everything(world: World) -> None:
    assert set(conservation_residual(world.book)) == {0}
    assert world.book.sequence == 1
    assert world.book.time_ns == CRASH_START_NS
    assert len(world.book.account_ids) == ACCOUNTS
    assert world.book.account_ids[:2] == ("A0000001", "A0000002")


def test_every_account_holds_something_and_every_amount_is_positive(world: World) -> None:
    batch = world.batch
    assert np.array_equal(np.unique(world.owner), np.arange(ACCOUNTS))
    assert np.all(batch.trades.quantity != 0)
    assert np.all(batch.placements.quantity != 0)
    assert np.all(batch.transfers.amount > 0)
    assert set(batch.transfers.reason.tolist()) == {TransferReason.DEPOSIT}
    assert set(batch.transfers.source.tolist()) == {SystemPool.WORLD}
    assert set(batch.trades.counterparty.tolist()) == {SystemPool.MARKET}
    # Nothing is netted away: one position in the book for each trade.
    assert np.diff(world.book.positions.offsets)[SYSTEM:].sum() == batch.trades.pool.size


def test_every_column_has_the_type_that_the_ledger_declares(world: World) -> None:
    empty = EventBatch(0)
    for table in ("accounts", "pools", "placements", "trades", "transfers"):
        declared, given = getattr(empty, table), getattr(world.batch, table)
        for column in fields(declared):
            if column.name != "ids":
                expected = getattr(declared, column.name).dtype
                assert getattr(given, column.name).dtype == expected, (table, column.name)


def test_the_chosen_model_is_that_of_every_account() -> None:
    small = build(CRASH_PRICES, 5, 1)
    batch = generate_population(
        5, 1, TABLE, small.instruments, small.prices, small.index, CRASH_START_NS, 3
    )
    assert batch.accounts.model.tolist() == [3] * 5


# -- who holds what --------------------------------------------------------------------------


def test_nobody_starts_beyond_the_initial_margin(world: World) -> None:
    found = assess_world(world)
    assert np.all(found.status == Status.OK)
    assert np.all(found.initial_margin <= found.collateral_value)
    assert np.median(found.margin_ratio[found.initial_margin > 0]) > 0.005


@pytest.mark.parametrize("scale", [0.05, 1.0, 20.0])
def test_the_largest_start_within_the_initial_margin_at_any_level_of_prices(scale: float) -> None:
    table = with_params(notional_median_usd=2_000_000.0, leverage_median=30.0)
    prices = {base: price * scale for base, price in ALL_PRICES.items()}
    found = assess_world(build(prices, 5_000, 3, table))
    assert np.all(found.status == Status.OK)
    assert np.all(found.initial_margin <= found.collateral_value)


def test_equity_is_near_the_collateral(world: World) -> None:
    equity = assess_world(world).equity[SYSTEM:]
    deposits = world.deposits[SYSTEM:]
    held = deposits > 0
    # The loss of an inverse position is not quite the move of its price.
    assert np.all(np.abs(equity[held] / deposits[held] - 1) <= ENTRY_LOSS_MAX * 1.05)


def test_entry_prices_lie_around_the_price(world: World) -> None:
    trades = world.batch.trades
    unit = np.array([10.0**-row.price_decimals for row in world.instruments.rows])
    move = trades.price * unit[trades.instrument] / world.prices[trades.instrument] - 1
    assert np.abs(move).max() == pytest.approx(ENTRY_MOVE_MAX, rel=0.01)
    assert abs(move.mean()) < 0.001


def test_kinds_of_accounts_have_the_shares_of_the_table(world: World) -> None:
    params = world.table.params
    hedged = (world.is_pair | world.is_carry).mean()
    assert near(hedged, params["hedged_share"], ACCOUNTS)
    assert near(world.is_isolated.mean(), params["isolated_share"], ACCOUNTS)
    one_way = np.abs(world.net) >= world.gross * (1 - 1e-9)
    directional = one_way & ~world.is_carry
    assert near((world.net[directional] > 0).mean(), params["long_share"], directional.sum())
    owners = world.book.pool_account[world.batch.placements.pool]
    assert near(np.unique(owners).size / ACCOUNTS, params["orders_share"], ACCOUNTS)


def test_hedged_accounts_are_hedged(world: World) -> None:
    assert world.is_pair.sum() > 0.05 * ACCOUNTS
    assert world.is_carry.sum() > 0.05 * ACCOUNTS
    assert np.all(~world.is_isolated[world.is_pair | world.is_carry])
    instrument = world.batch.trades.instrument
    base = world.instruments.base[instrument]
    of_pair = np.flatnonzero(world.is_pair[world.owner])
    legs = of_pair.reshape(-1, 2)
    assert np.all(base[legs[:, 0]] != base[legs[:, 1]])
    # The coin of a carry is worth the same dollars whatever happens to its price.
    moved = world.batch.transfers
    coin = world.is_carry[world.book.pool_account[moved.target]]
    names = {world.instruments.assets.names[i] for i in np.unique(moved.asset[coin])}
    assert names == {"BTC", "ETH"}


def test_isolated_pools_hold_one_position_and_its_collateral(world: World) -> None:
    book = world.book
    isolated = np.flatnonzero(book.pool_kind == PoolKind.ISOLATED)
    assert isolated.size == world.batch.pools.account.size > ACCOUNTS * 0.2
    assert set(np.diff(book.positions.offsets)[isolated].tolist()) == {1}
    moved = world.batch.transfers
    given = moved.target >= SYSTEM + ACCOUNTS
    assert np.array_equal(moved.target[given], isolated)
    settle = world.instruments.settle[book.positions.instrument[book.positions.offsets[isolated]]]
    assert np.array_equal(moved.asset[given], settle)
    cross = SYSTEM + np.flatnonzero(world.is_isolated)
    assert np.all(np.diff(book.positions.offsets)[cross] == 0)
    assert not np.any(np.isin(moved.target, cross))


def test_underlyings_are_drawn_by_open_interest() -> None:
    params = with_params(positions_per_account=[1.0], hedged_share=0.0)
    world = build(ALL_PRICES, ACCOUNTS, 11, params)
    interest = world.table.params["open_interest_usd"]
    total = sum(interest[base] for base in ALL_PRICES)
    bases = [row.base for row in world.instruments.rows]
    held = np.array(bases)[world.batch.trades.instrument]
    for base in ALL_PRICES:
        assert near((held == base).mean(), interest[base] / total, ACCOUNTS), base


def test_the_inverse_share_counts_positions_in_coins_that_have_them(world: World) -> None:
    rows = world.instruments.rows
    inverse = np.array([row.payoff == Payoff.INVERSE for row in rows])[
        world.batch.trades.instrument
    ]
    coins = np.array([row.base in ("BTC", "ETH") for row in rows])[world.batch.trades.instrument]
    assert near(inverse[coins].mean(), world.table.params["inverse_share"], coins.sum())
    assert not np.any(inverse & ~coins)


def test_the_number_of_positions_follows_the_weights() -> None:
    world = build(ALL_PRICES, ACCOUNTS, 12, with_params(hedged_share=0.0))
    counts = np.bincount(np.bincount(world.owner), minlength=7)[1:] / ACCOUNTS
    for count, weight in zip(counts, world.table.params["positions_per_account"], strict=True):
        assert near(count, weight, ACCOUNTS)


def test_collateral_follows_the_mix() -> None:
    world = build(CRASH_PRICES, ACCOUNTS, 13)
    names = world.instruments.assets.names
    moved = world.batch.transfers
    value = np.zeros((world.book.pool_count, len(names)))
    value[moved.target, moved.asset] = world.deposit_usd
    held = value[SYSTEM : SYSTEM + ACCOUNTS]
    # Only a mix holds USDC, but for the dust of tiny accounts.
    mixed = held[:, names.index("USDC")] > 0
    params = world.table.params
    assert near(mixed.mean(), params["multi_asset_collateral_share"], ACCOUNTS)
    shares = (held[mixed] / held[mixed].sum(axis=1, keepdims=True)).mean(axis=0)
    for name, weight in params["collateral_mix"].items():
        # A Dirichlet weight of concentration 4 varies less than a fair draw.
        assert near(shares[names.index(name)], weight, mixed.sum()), name


# -- sizes -----------------------------------------------------------------------------------


def test_sizes_are_lognormal_with_a_heavy_tail(world: World) -> None:
    gross, params = world.gross, world.table.params
    # The median of 20,000 lognormals of sigma 2 has a standard error of 1.8 %.
    assert np.median(gross) == pytest.approx(params["notional_median_usd"], rel=0.09)
    body = np.log(np.quantile(gross, [0.16, 0.84]))
    assert np.diff(body)[0] / 2 == pytest.approx(params["notional_log_sigma"], rel=0.05)
    summary = describe_population(world.batch, world.instruments, world.prices, world.index)
    # 49 % by the table's own account; a lognormal alone would give 37 %.
    assert 0.40 < summary.top_percent_share < 0.62
    assert gross.max() <= params["notional_max_usd"] * 1.001
    assert gross.min() >= NOTIONAL_MIN_USD * 0.9


def test_the_tail_has_the_exponent_of_the_table() -> None:
    table = with_params(
        notional_median_usd=100.0, positions_per_account=[1.0], hedged_share=0.0, inverse_share=0.0
    )
    gross = build(CRASH_PRICES, 100_000, 5, table).gross
    count = round(table.params["notional_tail_share"] * gross.size)
    ranked = np.sort(gross)[-count:]
    exponent = 1 / np.log(ranked / ranked[0]).mean()
    # Hill's estimator over 2,000 values: a standard error of 2.2 %.
    assert exponent == pytest.approx(table.params["notional_tail_exponent"], rel=0.11)


def test_no_position_outgrows_the_open_interest() -> None:
    world = build(ALL_PRICES, 2_000, 5, with_params(notional_median_usd=50_000_000.0))
    interest = world.table.params["open_interest_usd"]
    most = np.array([interest[row.base] for row in world.instruments.rows]) * INTEREST_SHARE_MAX
    share = np.abs(world.notional) / most[world.batch.trades.instrument]
    assert share.max() == pytest.approx(1, rel=1e-6)
    # A cap on one leg holds for the other, or the pair would be none.
    both_sides = np.abs(world.net) < 0.999 * world.gross
    assert both_sides.sum() > 50
    assert np.all(world.is_pair[both_sides])


def test_leverage_follows_the_table_where_size_does_not_bind(world: World) -> None:
    held = np.bincount(
        world.book.pool_account[world.batch.transfers.target], world.deposit_usd, ACCOUNTS
    )
    leverage, params = world.gross / held, world.table.params
    free = leverage[~world.is_carry]
    assert np.median(free) == pytest.approx(params["leverage_median"], rel=0.05)
    assert np.std(np.log(free)) == pytest.approx(params["leverage_log_sigma"], rel=0.05)
    assert free.max() <= params["leverage_max"] * 1.001
    largest = np.argsort(world.gross)[-10:]
    assert leverage[largest].max() < 30


# -- orders ----------------------------------------------------------------------------------


def test_orders_rest_beside_a_position_and_away_from_the_price(world: World) -> None:
    placed, book = world.batch.placements, world.book
    unit = np.array([10.0**-row.price_decimals for row in world.instruments.rows])
    move = placed.price * unit[placed.instrument] / world.prices[placed.instrument] - 1
    away = -np.sign(placed.quantity) * move
    assert away.min() >= 0.005 - 1e-6
    assert away.max() <= 0.05 + 1e-6
    key = world.batch.trades.pool.astype(np.int64) * 100 + world.batch.trades.instrument
    held = dict(zip(key.tolist(), world.batch.trades.quantity.tolist(), strict=True))
    beside = np.array([held[k] for k in (placed.pool.astype(np.int64) * 100 + placed.instrument)])
    same_side = np.sign(beside) == np.sign(placed.quantity)
    assert np.array_equal(same_side, ~placed.is_reduce_only)
    assert np.all(np.abs(placed.quantity) <= np.abs(beside))
    assert near(placed.is_reduce_only.mean(), 0.5, placed.pool.size)
    assert book.orders.order_id.size == placed.pool.size


# -- the summary -----------------------------------------------------------------------------


def test_the_summary_is_that_of_the_book(world: World) -> None:
    summary = describe_population(world.batch, world.instruments, world.prices, world.index)
    gross = world.gross
    assert summary.accounts == ACCOUNTS
    assert summary.positions == world.batch.trades.pool.size
    assert summary.orders == world.batch.placements.pool.size
    assert summary.gross_notional_usd == pytest.approx(gross.sum(), rel=1e-12)
    long = world.notional[world.notional > 0].sum()
    assert summary.long_share == pytest.approx(long / gross.sum(), rel=1e-12)
    top = np.sort(gross)[-ACCOUNTS // 100 :].sum()
    assert summary.top_percent_share == pytest.approx(top / gross.sum(), rel=1e-12)
    held = np.bincount(world.book.pool_account[world.batch.transfers.target], world.deposit_usd)
    assert summary.leverage_median == pytest.approx(np.median(gross / held), rel=1e-12)


def test_a_dollar_token_off_its_peg_is_valued_at_its_index() -> None:
    plain, off = build(CRASH_PRICES, 2_000, 7), build(CRASH_PRICES, 2_000, 7, dollar=0.9)
    summaries = [
        describe_population(w.batch, w.instruments, w.prices, w.index) for w in (plain, off)
    ]
    assert summaries[1].gross_notional_usd == pytest.approx(
        summaries[0].gross_notional_usd, rel=1e-6
    )
    assert summaries[1].leverage_median == pytest.approx(summaries[0].leverage_median, rel=1e-3)


# -- instruments and narrow worlds -----------------------------------------------------------


def test_units_are_fine_and_fit(world: World) -> None:
    for row, price in zip(world.instruments.rows, world.prices.tolist(), strict=True):
        assert 10.0**-row.price_decimals <= 1e-6 * price
        step = 10.0**-row.quantity_decimals
        assert (step if row.payoff == Payoff.INVERSE else step * price) <= 1.0
    decimals = dict(
        zip(world.instruments.assets.names, world.instruments.assets.decimals, strict=True)
    )
    assert {decimals[name] for name in ("USD", "USDC", "USDT")} == {6}
    assert {decimals[name] for name in CRASH_PRICES} == {8}


def test_inverse_perpetuals_follow_the_linear_ones() -> None:
    symbols = build(CRASH_PRICES, 1, 1).instruments.symbols
    assert symbols[3:] == ("BTC/USD:BTC", "ETH/USD:ETH")
    none = build(CRASH_PRICES, 2_000, 1, with_params(inverse_share=0.0))
    assert none.instruments.symbols == symbols[:3]
    # Without coin-settled contracts all hedges are pairs.
    assert near(none.is_pair.mean(), none.table.params["hedged_share"], 2_000)


@pytest.mark.parametrize("prices", [{"SOL": 220.0}, {"BTC": 121_500.0}, {"SOL": 220.0, "XRP": 2.8}])
def test_a_world_of_one_or_two_underlyings_is_enough(prices: dict[str, float]) -> None:
    world = build(prices, 300, 2)
    assert set(conservation_residual(world.book)) == {0}
    assert np.bincount(world.owner).max() <= len(prices)
    assert np.all(assess_world(world).status == Status.OK)


def test_what_has_no_price_is_neither_traded_nor_posted() -> None:
    world = build(ALL_PRICES, 10, 2)
    prices, index = world.prices.copy(), world.index.copy()
    missing = [i for i, row in enumerate(world.instruments.rows) if row.base in ("ETH", "XRP")]
    prices[missing] = np.nan
    eth = world.instruments.assets.find("ETH", "test")
    index[eth] = np.nan
    batch = generate_population(2_000, 2, TABLE, world.instruments, prices, index, CRASH_START_NS)
    assert not set(batch.trades.instrument.tolist()) & set(missing)
    assert eth not in batch.transfers.asset
    summary = describe_population(batch, world.instruments, prices, index)
    assert np.isfinite(summary.gross_notional_usd)


@pytest.mark.parametrize(
    ("symbol", "price", "message"),
    [
        ("BTC/USDT", 1.0, "BTC/USDT: is not a linear perpetual; name it as BTC/USDT:USDT"),
        ("BTC/USD:BTC", 1.0, "BTC/USD:BTC: is not a linear perpetual"),
        ("BTCUSDT", 1.0, "symbol: 'BTCUSDT' is not a unified symbol"),
        ("IOTX/USDT:USDT", 1.0, "IOTX/USDT:USDT: the table has no open interest of IOTX"),
        ("BTC/USDT:USDT", float("nan"), "BTC/USDT:USDT: nan is not a price"),
        ("BTC/USDT:USDT", 0.0, "BTC/USDT:USDT: 0.0 is not a price"),
        ("BTC/USDT:USDT", float("inf"), "BTC/USDT:USDT: inf is not a price"),
    ],
)
def test_what_cannot_be_an_instrument_is_refused(symbol: str, price: float, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        population_instruments((symbol,), np.array([price]), TABLE.params)


def test_a_population_of_nothing_is_refused() -> None:
    world = build(CRASH_PRICES, 1, 1)

    def refusal(accounts: int, prices: Floats, params: DatedTable) -> str:
        with pytest.raises(InputError) as caught:
            generate_population(
                accounts, 1, params, world.instruments, prices, world.index, CRASH_START_NS
            )
        return str(caught.value)

    assert refusal(0, world.prices, TABLE) == "accounts: 0 is too few; ask for at least one"
    unseen = np.full_like(world.prices, np.nan)
    assert refusal(1, unseen, TABLE).startswith("population: no linear perpetual has a price; ")
    unknown = with_params(collateral_mix={"DOGE": 1.0})
    assert refusal(1, world.prices, unknown).startswith("collateral_mix: none of its assets has a")
