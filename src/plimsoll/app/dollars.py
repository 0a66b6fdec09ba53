"""A portfolio written in another dollar: the same contracts where they settle in that one."""

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from plimsoll.connectors import Number, PortfolioDocument

T = TypeVar("T")

DOLLARS = ("USDT", "USDC", "USD")
_LINEAR = re.compile(r"(?P<base>[^/]+)/(?P<quote>USDT|USDC|USD):(?P=quote)(?P<rest>.*)")


def restate_dollars(document: PortfolioDocument, dollar: str) -> PortfolioDocument:
    """The document with linear contracts and dollar balances in ``dollar``.

    The document itself where there is nothing to restate, or where two dollars would meet in one
    contract of an account: then they are a spread, and not the same thing twice.
    """
    symbols = set(document.market.instruments)
    for account in document.accounts:
        symbols |= {position.symbol for position in account.positions}
        symbols |= {order.symbol for order in account.orders}
    renamed = {symbol: _rename(symbol, dollar) for symbol in symbols}
    moved = {old for old, new in renamed.items() if old != new}
    owned = {asset for account in document.accounts for asset in account.balances}
    others = {asset for asset in owned if asset in DOLLARS and asset != dollar}
    if len(set(renamed.values())) < len(renamed) or not (moved or others):
        return document
    market = document.market
    price = next((market.index[d] for d in (dollar, *DOLLARS) if d in market.index), Number(1))
    index = {**market.index, dollar: price} if dollar != "USD" else market.index
    restated = msgspec.structs.replace(
        market, index=index, instruments=_keys(market.instruments, renamed)
    )
    accounts = tuple(
        msgspec.structs.replace(
            account,
            balances=_added(account.balances, dollar),
            positions=tuple(
                msgspec.structs.replace(row, symbol=renamed[row.symbol])
                for row in account.positions
            ),
            orders=tuple(
                msgspec.structs.replace(row, symbol=renamed[row.symbol]) for row in account.orders
            ),
        )
        for account in document.accounts
    )
    return msgspec.structs.replace(document, market=restated, accounts=accounts)


def _rename(symbol: str, dollar: str) -> str:
    match = _LINEAR.fullmatch(symbol)
    return f"{match['base']}/{dollar}:{dollar}{match['rest']}" if match else symbol


def _keys(table: Mapping[str, T], renamed: Mapping[str, str]) -> dict[str, T]:
    return {renamed[key]: value for key, value in table.items()}


def _added(balances: Mapping[str, Number], dollar: str) -> dict[str, Number]:
    """Balances with all dollars added up in one."""
    total = sum((amount for asset, amount in balances.items() if asset in DOLLARS), Number(0))
    kept = {asset: amount for asset, amount in balances.items() if asset not in DOLLARS}
    return {**kept, dollar: Number(total)} if total else kept
