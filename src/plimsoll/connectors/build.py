"""A document to a book and a market. The book is made by the ledger, from events alone."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, final

import msgspec
import numpy as np

from plimsoll.book import Book, ModelChoice, PoolKind, SystemPool
from plimsoll.connectors.check import Listing, check_document, instant, list_instruments
from plimsoll.connectors.document import (
    AccountDocument,
    AssetDocument,
    Number,
    PortfolioDocument,
    PositionDocument,
)
from plimsoll.connectors.fill import join_place
from plimsoll.connectors.rows import (
    DepositRow,
    OrderRow,
    TradeRow,
    placements_of,
    trades_of,
    transfers_of,
)
from plimsoll.connectors.units import build_table, exact_units, opening_price
from plimsoll.core import NS_PER_SECOND, Floats
from plimsoll.core.time import TIME_NS_MAX
from plimsoll.instruments import InstrumentTable, Kind
from plimsoll.ledger import (
    EventBatch,
    NewAccounts,
    NewPools,
    TransferReason,
    apply,
    trade_values,
)
from plimsoll.margin import find_model, takes_parameter
from plimsoll.market import Market, PriceBatch, PriceBoard, SanityRules, SystemState

SOURCE = "document"
LEVERAGE = "leverage"


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Accounts, and the market they are looked at in."""

    book: Book
    market: Market


def build_portfolio(
    document: PortfolioDocument, rooms: tuple[AccountDocument, ...] = ()
) -> Portfolio:
    """The book and the market of a document.

    ``rooms`` are accounts that do not come into the book, but whose numbers its units must be
    able to hold, too: those of trades still to come.
    Balances, quantities and prices are exact up to int64's 18 digits. Raises InputError where
    the document makes no sense (one made in code has met no check before) and where amounts
    are too large, or too small beside others, to be held together.
    """
    check_document(document)
    roomy = msgspec.structs.replace(document, accounts=(*document.accounts, *rooms))
    listing = list_instruments(roomy)
    table = build_table(roomy, listing)
    as_of_ns = instant(document.as_of, "as_of")
    choices = [
        _model_choice(account, as_of_ns, f"accounts[{k}]")
        for k, account in enumerate(document.accounts)
    ]
    models = tuple(dict.fromkeys(choices))
    batch = _batch(document, listing, table, [models.index(choice) for choice in choices])
    return Portfolio(apply(Book.empty(table, models), batch), _market(document, listing, table))


def _model_choice(account: AccountDocument, as_of_ns: int, place: str) -> ModelChoice:
    """The model with its overrides; the leverage stated beside positions is one of them."""
    params = dict(account.params)
    selected = {p.symbol: p.leverage for p in account.positions if p.leverage is not None}
    if selected and takes_parameter(account.model, LEVERAGE, as_of_ns, f"{place}.model"):
        stated = params.get(LEVERAGE, {})
        # The selection is the symbol's, whichever leg it is read from.
        read = {symbol.partition("#")[0]: leverage for symbol, leverage in selected.items()}
        params[LEVERAGE] = {**read, **stated} if isinstance(stated, Mapping) else stated
    overrides = json.dumps(_json_ready(params), sort_keys=True, separators=(",", ":"))
    return ModelChoice(account.model, overrides)


def _json_ready(value: Any) -> Any:
    if isinstance(value, Number):
        whole = value == value.to_integral_value()
        return int(value) if whole else float(value)
    if isinstance(value, Mapping):
        return {key: _json_ready(item) for key, item in value.items()}
    return [_json_ready(item) for item in value] if isinstance(value, list) else value


@dataclass(slots=True)
@final
class _Pools:
    """Numbers the pools of accounts: all cross pools first, then the others as they come."""

    accounts: int
    owners: list[int]
    kinds: list[PoolKind]

    def add(self, account: int, kind: PoolKind) -> int:
        self.owners.append(account)
        self.kinds.append(kind)
        return len(SystemPool) + self.accounts + len(self.owners) - 1


def _batch(
    document: PortfolioDocument, listing: Listing, table: InstrumentTable, models: list[int]
) -> EventBatch:
    """The one batch that brings an empty book to what the document says."""
    numbered = _Pools(len(document.accounts), [], [])
    deposits: list[DepositRow] = []
    openings: list[TradeRow] = []
    orders: list[OrderRow] = []
    for k, account in enumerate(document.accounts):
        place = f"accounts[{k}]"
        homes = _home_pools(account, table, k, numbered, place)
        deposits += _balance_deposits(account, table, place, homes)
        pools: dict[str, int] = {}
        for j, position in enumerate(account.positions):
            inner = f"{place}.positions[{j}]"
            pool = homes[_settle(position.symbol, table)]
            if position.margin_mode == "isolated":
                pool = numbered.add(k, PoolKind.ISOLATED)
            # Where a symbol is held both ways its orders stay with the cross position.
            pools[position.symbol] = min(pool, pools.get(position.symbol, pool))
            deposits += _margin_deposits(position, table, inner, pool)
            openings += _openings(position, listing, table, inner, pool)
        orders += _orders(account, table, place, homes, pools)
    return EventBatch(
        time_ns=instant(document.as_of, "as_of"),
        accounts=NewAccounts(tuple(a.id for a in document.accounts), np.array(models, np.int32)),
        pools=NewPools(np.array(numbered.owners, np.int32), np.array(numbered.kinds, np.int8)),
        placements=placements_of(orders),
        trades=trades_of(openings),
        transfers=transfers_of([*deposits, *_premiums(openings, table)]),
    )


def _settle(symbol: str, table: InstrumentTable) -> str:
    return table.rows[table.index[symbol]].settle


def _home_pools(
    account: AccountDocument, table: InstrumentTable, number: int, pools: _Pools, place: str
) -> Mapping[str, int]:
    """The pool of each asset of an account: its cross pool, unless the venue keeps them apart."""
    cross = len(SystemPool) + number
    symbols = [row.symbol for row in account.positions] + [row.symbol for row in account.orders]
    assets = [*account.balances, *(_settle(symbol, table) for symbol in symbols)]
    if not find_model(account.model, f"{place}.model").is_segregated:
        return dict.fromkeys(assets, cross)
    return {
        asset: pools.add(number, PoolKind.CROSS) if k else cross
        for k, asset in enumerate(dict.fromkeys(assets))
    }


def _balance_deposits(
    account: AccountDocument, table: InstrumentTable, place: str, homes: Mapping[str, int]
) -> Iterator[DepositRow]:
    for name, amount in account.balances.items():
        inner = join_place(f"{place}.balances", name)
        asset = table.assets.find(name, inner)
        units = exact_units(amount, table.assets.decimals[asset], inner)
        yield DepositRow(homes[name], asset, units, TransferReason.DEPOSIT)


def _margin_deposits(
    position: PositionDocument, table: InstrumentTable, place: str, pool: int
) -> Iterator[DepositRow]:
    if position.isolated_margin is not None:
        asset = int(table.settle[table.index[position.symbol]])
        decimals = table.assets.decimals[asset]
        units = exact_units(position.isolated_margin, decimals, f"{place}.isolated_margin")
        yield DepositRow(pool, asset, units, TransferReason.MARGIN)


def _openings(
    position: PositionDocument, listing: Listing, table: InstrumentTable, place: str, pool: int
) -> Iterator[TradeRow]:
    if position.quantity:
        i = table.index[position.symbol]
        row = table.rows[i]
        quantity = exact_units(position.quantity, row.quantity_decimals, f"{place}.quantity")
        # An option of unknown price costs the least that can be traded at; it is handed back.
        price = opening_price(position, listing) or Decimal(1).scaleb(-row.price_decimals)
        units = exact_units(price, row.price_decimals, f"{place}.entry_price")
        yield TradeRow(pool, i, quantity, units)


def _orders(
    account: AccountDocument,
    table: InstrumentTable,
    place: str,
    homes: Mapping[str, int],
    pools: Mapping[str, int],
) -> Iterator[OrderRow]:
    """Orders in the pool of the account's position in their symbol, else with their asset."""
    for j, order in enumerate(account.orders):
        i = table.index[order.symbol]
        row = table.rows[i]
        inner = f"{place}.orders[{j}]"
        quantity = exact_units(order.quantity, row.quantity_decimals, f"{inner}.quantity")
        price = exact_units(order.price, row.price_decimals, f"{inner}.price")
        signed = quantity if order.side == "buy" else -quantity
        pool = pools.get(order.symbol, homes[row.settle])
        yield OrderRow(pool, i, signed, price, order.reduce_only)


def _premiums(openings: list[TradeRow], table: InstrumentTable) -> Iterator[DepositRow]:
    """What the ledger takes for options, handed back: the stated balance is after premium."""
    options = [o for o in openings if table.kind[o.instrument] == Kind.OPTION]
    instrument, quantity, price = (
        np.array([option[n] for option in options], dtype=np.int64) for n in (1, 2, 3)
    )
    values = trade_values(table, instrument.astype(np.int32), quantity, price)
    for option, value in zip(options, values.tolist(), strict=True):
        asset = int(table.settle[option.instrument])
        yield DepositRow(option.pool, asset, value, TransferReason.DEPOSIT)


def _market(document: PortfolioDocument, listing: Listing, table: InstrumentTable) -> Market:
    """The board's verdict on the document's prices: a missing or stale one stays unusable."""
    as_of_ns = instant(document.as_of, "as_of")
    index, index_time = document.market.index, document.market.index_time
    seen = [
        (table.index[symbol], entry.mark, entry.time)
        for symbol, entry in listing.items()
        if entry.mark is not None
    ]
    for name, price in index.items():
        row = len(table) + table.assets.find(name, join_place("market.index", name))
        seen.append((row, price, index_time.get(name)))
    age_s_max = document.market.price_age_s_max
    rules = SanityRules()
    if age_s_max is not None:
        rules = replace(rules, age_ns_max=min(int(age_s_max * NS_PER_SECOND), TIME_NS_MAX))
    batch = PriceBatch(
        source=np.zeros(len(seen), dtype=np.int32),
        row=np.array([row for row, _, _ in seen], dtype=np.int32),
        price=np.array([float(price) for _, price, _ in seen], dtype=np.float64),
        time_ns=np.array(
            [as_of_ns if time is None else instant(time, "time") for _, _, time in seen],
            dtype=np.int64,
        ),
    )
    market = PriceBoard.empty(table, (SOURCE,)).observe(batch, rules).market(as_of_ns, rules)
    return replace(
        market,
        implied_vol=_known([listing[symbol].implied_vol for symbol in table.symbols]),
        forward=_known([listing[symbol].underlying for symbol in table.symbols]),
        state=_state(document, listing, table),
    )


def _state(document: PortfolioDocument, listing: Listing, table: InstrumentTable) -> SystemState:
    """The venue's condition as stated; what is not stated is unknown."""
    rows = [listing[symbol] for symbol in table.symbols]
    for name in document.market.assets:
        table.assets.find(name, join_place("market.assets", name))
    nothing = AssetDocument()
    assets = [document.market.assets.get(name, nothing) for name in table.assets.names]
    return SystemState(
        open_interest=_known([row.open_interest for row in rows]),
        skew=_known([row.skew for row in rows]),
        net_user_pnl=_known([row.net_user_pnl for row in rows]),
        twap=_known([row.twap for row in rows]),
        stable_price=_known([row.stable_price for row in rows]),
        confidence=_known([row.confidence for row in rows]),
        rate=_known([row.rate for row in rows]),
        forward_fixed=_known([row.forward_fixed for row in rows]),
        depth=_known([row.depth for row in rows]),
        deposits=_known([asset.deposits for asset in assets]),
        borrows=_known([asset.borrows for asset in assets]),
        asset_twap=_known([asset.twap for asset in assets]),
        asset_stable_price=_known([asset.stable_price for asset in assets]),
        asset_confidence=_known([asset.confidence for asset in assets]),
    )


def _known(values: list[Number | None]) -> Floats:
    return np.array([np.nan if value is None else float(value) for value in values])
