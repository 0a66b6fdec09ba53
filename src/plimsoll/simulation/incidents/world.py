"""A small venue to play an incident on: the ledger, the price board and the engine that run live.

Every change goes through ``ledger.apply`` or ``engine.step``; nothing here computes margin, judges
a price or decides a liquidation. Amounts are written as a person would, in whole assets and
contracts, and become exact units here.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType

import numpy as np

from plimsoll.book import Book, ModelChoice, SystemPool
from plimsoll.core import InputError, Int64s, did_you_mean, sum_exact, to_units
from plimsoll.engine import EngineState, Inputs, Outcome, Rules, load_rules, open_state, step
from plimsoll.engine.gates import GateRules
from plimsoll.instruments import InstrumentTable, parse_symbol
from plimsoll.ledger import (
    EventBatch,
    NewAccounts,
    TradeReason,
    Trades,
    TransferReason,
    Transfers,
    apply,
)
from plimsoll.liquidation import Waterfall, resolve_policy
from plimsoll.margin import Assessment, assess, lay_out
from plimsoll.market import Market, PriceBatch, PriceBoard, SanityRules

OUTSIDE, MARKET, FUND, FEES, BAD_DEBT = (
    "@world",
    "@market",
    "@insurance_fund",
    "@fees",
    "@bad_debt",
)
"""Names of the system's pools, where an account's id may stand."""

ONE_SOURCE = ("venue",)
NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Contract:
    """An instrument to list: unified symbol, contract multiplier and the ledger's decimals."""

    symbol: str
    multiplier: float = 1.0
    quantity_decimals: int = 4
    price_decimals: int = 8


@dataclass(frozen=True, slots=True)
class Move:
    """``amount`` (whole assets) from ``source`` to ``target``: account ids or system names."""

    source: str
    target: str
    asset: str
    amount: float
    reason: TransferReason = TransferReason.DEPOSIT


@dataclass(frozen=True, slots=True)
class Deal:
    """``account`` gets ``quantity`` contracts (long > 0) at ``price`` from ``other``.

    ``fee`` counts whole settle assets, paid by ``account``.
    """

    account: str
    symbol: str
    quantity: float
    price: float
    other: str = MARKET
    fee: float = 0.0
    reason: TradeReason = TradeReason.FILL


@dataclass(frozen=True, slots=True)
class World:
    """The rules in force and the engine's state: book and price board."""

    rules: Rules
    state: EngineState

    @property
    def book(self) -> Book:
        """The book."""
        return self.state.book

    @property
    def board(self) -> PriceBoard:
        """The price board."""
        return self.state.board


def deposit(account: str, asset: str, amount: float) -> Move:
    """A deposit from outside."""
    return Move(OUTSIDE, account, asset, amount)


def withdrawal(account: str, asset: str, amount: float) -> Move:
    """A withdrawal; the ledger books it without asking whether margin allows it."""
    return Move(account, OUTSIDE, asset, amount, TransferReason.WITHDRAWAL)


def list_contracts(
    contracts: Iterable[Contract], asset_decimals: Mapping[str, int]
) -> InstrumentTable:
    """A table of the contracts and of all assets named."""
    rows = (
        replace(
            parse_symbol(contract.symbol),
            contract_multiplier=exact(contract.multiplier),
            quantity_decimals=contract.quantity_decimals,
            price_decimals=contract.price_decimals,
        )
        for contract in contracts
    )
    return InstrumentTable.build(rows, asset_decimals)


def choose_model(name: str, overrides: Mapping[str, object] = NOTHING) -> ModelChoice:
    """A margin model of the registry with parameters overridden by name.

    For ``plimsoll.standard`` these are its table's: ``brackets`` {"BTC": [[0, maintenance,
    initial], [from_usd, ...]]}, ``size_slopes`` {"BTC": 0.0}, ``haircuts`` {"USDT": [[0, 0.0]]},
    ``fee_provision_rate``.
    """
    return ModelChoice(name, json.dumps(dict(overrides), sort_keys=True))


def open_world(
    table: InstrumentTable,
    models: tuple[ModelChoice, ...],
    accounts: Mapping[str, int],
    time_ns: int,
    sanity: SanityRules,
    sources: tuple[str, ...] = ONE_SOURCE,
    tables_at_ns: int | None = None,
    gates: GateRules | None = None,
) -> World:
    """A venue with empty accounts (id -> number of its model) and a board without prices.

    An isolated position is an account of its own: a pool is what is margined, whoever owns it.
    Rules are those in force at ``tables_at_ns``, which is ``time_ns`` unless a venue's oldest known
    table is younger than the incident; ``gates`` are the house's where none are given.
    """
    opened = EventBatch(
        time_ns,
        accounts=NewAccounts(tuple(accounts), np.array([*accounts.values()], dtype=np.int32)),
    )
    book = apply(Book.empty(table, models), opened)
    as_of_ns = time_ns if tables_at_ns is None else tables_at_ns
    rules = load_rules(table, models, sanity, as_of_ns, gates)
    return World(rules, open_state(book, sources))


def with_waterfalls(world: World, waterfalls: tuple[Waterfall, ...]) -> World:
    """The world under other waterfalls, one for each model; the first one's fund is the fund."""
    policies = tuple(resolve_policy(each, world.book.instruments) for each in waterfalls)
    rules = replace(world.rules, policies=policies, fund_policy=policies[0])
    return replace(world, rules=rules)


def build_batch(
    book: Book, time_ns: int, deals: Iterable[Deal] = (), moves: Iterable[Move] = ()
) -> EventBatch:
    """Deals and moves in exact units, as one batch: all of it happens or none."""
    listed, moved = tuple(deals), tuple(moves)
    trades, transfers = Trades(), Transfers()
    if listed:
        rows = [_trade_row(book, deal) for deal in listed]
        trades = Trades(*(_column(name, rows, k) for k, name in enumerate(Trades.__slots__)))
    if moved:
        rows = [_transfer_row(book, move) for move in moved]
        names = Transfers.__slots__
        transfers = Transfers(*(_column(name, rows, k) for k, name in enumerate(names)))
    return EventBatch(time_ns, trades=trades, transfers=transfers)


def post(
    world: World, time_ns: int, deals: Iterable[Deal] = (), moves: Iterable[Move] = ()
) -> World:
    """The world after one batch, without a look at margin. Raises LedgerError where refused."""
    return post_batch(world, build_batch(world.book, time_ns, deals, moves))


def post_batch(world: World, batch: EventBatch) -> World:
    """The world after any batch; where rows add up is found anew."""
    book = apply(world.book, batch)
    return replace(world, state=replace(world.state, book=book, plan=lay_out(book)))


def observe(world: World, time_ns: int, prices: Mapping[str, Mapping[str, float]]) -> World:
    """The world after the sources have spoken, while the engine looks away: a venue that stands."""
    board = world.board.observe(observations(world.board, time_ns, prices), world.rules.sanity)
    return replace(world, state=replace(world.state, board=board))


def tick(
    world: World,
    time_ns: int,
    prices: Mapping[str, Mapping[str, float]],
    deals: Iterable[Deal] = (),
    moves: Iterable[Move] = (),
) -> tuple[World, Outcome]:
    """One step of the engine: what each source says, events, and what the engine decides.

    ``prices`` maps sources to {symbol: mark, asset: index in USD}, seen at ``time_ns``; a source
    left out has said nothing and ages.
    """
    inputs = Inputs(
        time_ns,
        observations(world.board, time_ns, prices),
        build_batch(world.book, time_ns, deals, moves),
    )
    state, outcome = step(world.state, world.rules, inputs)
    return replace(world, state=state), outcome


def observations(
    board: PriceBoard, time_ns: int, prices: Mapping[str, Mapping[str, float]]
) -> PriceBatch:
    """What the sources say, as rows of the board."""
    rows = [
        (_source(board, source), _row(board.instruments, name), price)
        for source, said in prices.items()
        for name, price in said.items()
    ]
    return PriceBatch(
        np.array([source for source, _, _ in rows], dtype=np.int32),
        np.array([row for _, row, _ in rows], dtype=np.int32),
        np.array([price for _, _, price in rows], dtype=np.float64),
        np.full(len(rows), time_ns, dtype=np.int64),
    )


def market_at(world: World, time_ns: int) -> Market:
    """The usable prices."""
    return world.board.market(time_ns, world.rules.sanity)


def assess_world(world: World, time_ns: int) -> Assessment:
    """All pools at the usable prices, without a decision; one row per pool, see ``pool_of``."""
    return assess(world.book, market_at(world, time_ns), world.rules.models)


def pool_of(book: Book, name: str) -> int:
    """Number of an account's cross pool, or of a system pool by its name."""
    if name.startswith("@"):
        known = {f"@{pool.name.lower()}": int(pool) for pool in SystemPool}
        if name not in known:
            raise InputError("pool", f"'{name[:60]}' is no system pool", did_you_mean(name, known))
        return known[name]
    return int(book.pools_of(book.find_account(name, "account"))[0])


def balance(book: Book, name: str, asset: str) -> float:
    """What a pool owns of an asset, in whole ones; below 0 is owed."""
    pool, table = pool_of(book, name), book.instruments.assets
    first, end = book.balances.offsets[pool], book.balances.offsets[pool + 1]
    index = table.find(asset, "asset")
    owned = book.balances.amount[first:end][book.balances.asset[first:end] == index]
    return _scaled(owned, table.decimals[index])


def quantity(book: Book, name: str, symbol: str) -> float:
    """Contracts that a pool holds; long > 0."""
    pool, table = pool_of(book, name), book.instruments
    first, end = book.positions.offsets[pool], book.positions.offsets[pool + 1]
    index = table.find(symbol, "symbol")
    held = book.positions.quantity[first:end][book.positions.instrument[first:end] == index]
    return _scaled(held, table.rows[index].quantity_decimals)


def exact(value: float) -> Decimal:
    """A number as it is written, so that 0.1 is a tenth."""
    return Decimal(repr(value))


def _scaled(units: Int64s, decimals: int) -> float:
    return float(Decimal(sum_exact(units)).scaleb(-decimals))


def _trade_row(book: Book, deal: Deal) -> tuple[int, ...]:
    table = book.instruments
    index = table.find(deal.symbol, "symbol")
    row = table.rows[index]
    return (
        pool_of(book, deal.account),
        pool_of(book, deal.other),
        index,
        to_units(exact(deal.quantity), row.quantity_decimals),
        to_units(exact(deal.price), row.price_decimals),
        to_units(exact(deal.fee), table.assets.decimals[table.settle[index]]),
        int(deal.reason),
    )


def _transfer_row(book: Book, move: Move) -> tuple[int, ...]:
    assets = book.instruments.assets
    index = assets.find(move.asset, "asset")
    return (
        pool_of(book, move.source),
        pool_of(book, move.target),
        index,
        to_units(exact(move.amount), assets.decimals[index]),
        int(move.reason),
    )


def _column(name: str, rows: list[tuple[int, ...]], place: int) -> np.ndarray:
    wide = name in ("quantity", "price", "fee", "amount")
    narrow = np.int8 if name == "reason" else np.int32
    return np.array([row[place] for row in rows], dtype=np.int64 if wide else narrow)


def _source(board: PriceBoard, name: str) -> int:
    if name not in board.sources:
        remedy = did_you_mean(name, board.sources)
        raise InputError("source", f"'{name[:60]}' is not on the board", remedy)
    return board.sources.index(name)


def _row(table: InstrumentTable, name: str) -> int:
    if "/" in name:
        return table.find(name, "prices")
    return len(table) + table.assets.find(name, "prices")
