"""ccxt's unified structures, as ``fetch_positions()`` and ``fetch_balance()`` return them.

They are rewritten into the document's own form before anything else reads them. Fields are
those that ccxt documents and that its parsers set (https://docs.ccxt.com, "Position Structure"
and "Balance Structure"); those that plimsoll computes itself are accepted and not read.
"""

from collections.abc import Mapping
from decimal import localcontext
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec import inspect as types

from plimsoll.connectors.document import Ignored, NonNegative, Number, Positive
from plimsoll.connectors.fill import expect_mapping, fill, join_place
from plimsoll.connectors.plain import Fault
from plimsoll.core import InputError


class CcxtPosition(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """ccxt's unified position structure."""

    symbol: Annotated[str, Meta(description="Unified symbol.")]
    contracts: Annotated[NonNegative, Meta(description="Number of contracts.")]
    side: Annotated[Literal["long", "short"] | None, Meta(description="long or short.")] = None
    contract_size: Annotated[Positive | None, Meta(description="What one contract stands for.")] = (
        None
    )
    entry_price: Annotated[NonNegative | None, Meta(description="Average entry price.")] = None
    mark_price: Annotated[NonNegative | None, Meta(description="Mark price at as_of.")] = None
    margin_mode: Annotated[
        Literal["cross", "isolated"] | None, Meta(description="cross or isolated.")
    ] = None
    isolated: Annotated[bool | None, Meta(description="The margin mode, as a flag.")] = None
    position_margin: Annotated[
        Number | None, Meta(description="Isolated margin without unrealised profit.")
    ] = None
    collateral: Annotated[
        Number | None, Meta(description="Isolated margin including unrealised profit.")
    ] = None
    unrealized_pnl: Annotated[Number | None, Meta(description="Unrealised profit.")] = None
    initial_margin: Annotated[
        Number | None, Meta(description="Isolated margin where nothing else states it.")
    ] = None
    datetime: Ignored | None = None
    exit_price: Ignored | None = None
    hedged: Annotated[
        bool | None, Meta(description="Whether both sides may be held at once (hedge mode).")
    ] = None
    id: Ignored | None = None
    info: Ignored | None = None
    initial_margin_percentage: Ignored | None = None
    last_price: Ignored | None = None
    last_update_timestamp: Ignored | None = None
    leverage: Annotated[
        NonNegative | None, Meta(description="Leverage selected for the symbol.")
    ] = None
    liquidation_price: Ignored | None = None
    maintenance_margin: Ignored | None = None
    maintenance_margin_percentage: Ignored | None = None
    margin_ratio: Ignored | None = None
    notional: Ignored | None = None
    percentage: Ignored | None = None
    realized_pnl: Ignored | None = None
    stop_loss_price: Ignored | None = None
    take_profit_price: Ignored | None = None
    timestamp: Ignored | None = None


TOTALS = ("free", "used", "total", "debt")
NOT_ASSETS = frozenset(("info", "timestamp", "datetime", *TOTALS))


def native_position(given: Mapping[str, object], place: str) -> Mapping[str, object]:
    """A position in the document's own form; one that is in it already is returned as it is.

    ``contracts``, which only ccxt's structure has, tells them apart. Raises InputError where
    that structure does not say enough.
    """
    if "contracts" not in given:
        return given
    position: CcxtPosition = fill(types.type_info(CcxtPosition), given, place, {})
    if position.contracts and position.side is None:
        raise InputError(join_place(place, "side"), "is missing", "write 'long' or 'short'")
    mode = position.margin_mode or ("isolated" if position.isolated else "cross")
    contracts = position.contracts
    leg = f"#{position.side}" if position.hedged and position.side else ""
    return {
        "symbol": position.symbol + leg,
        "quantity": Number(contracts.copy_negate()) if position.side == "short" else contracts,
        "entry_price": position.entry_price or None,
        "margin_mode": mode,
        "isolated_margin": _isolated_margin(position, place) if mode == "isolated" else None,
        "contract_multiplier": position.contract_size,
        "mark": position.mark_price or None,
        "leverage": position.leverage or None,
    }


def _isolated_margin(position: CcxtPosition, place: str) -> Number:
    """Margin before unrealised profit, which plimsoll adds itself from the mark price.

    ccxt defines collateral as margin plus unrealised profit; venues whose parser reports the
    bare margin as collateral report the initial margin as the same number.
    """
    if position.position_margin is not None:
        return position.position_margin
    if position.collateral is not None:
        is_bare = position.collateral == position.initial_margin
        profit = None if is_bare else position.unrealized_pnl
        return _difference(position.collateral, profit)
    if position.initial_margin is not None:
        return position.initial_margin
    if not position.contracts:
        return Number(0)
    raise InputError(
        join_place(place, "collateral"), "is missing", "an isolated position needs its margin"
    )


def native_account(given: Mapping[str, object], place: str) -> Mapping[str, object]:
    """An account with its balances in the document's own form: total less debt per asset."""
    balances = given.get("balances")
    if not isinstance(balances, Mapping) or not isinstance(balances.get("total"), Mapping | Fault):
        return given
    inner = join_place(place, "balances")
    for key in balances.keys() - NOT_ASSETS:
        expect_mapping(balances[key], join_place(inner, key))
    totals, debts = (_amounts(balances, name, inner) for name in ("total", "debt"))
    absent = sorted(debts.keys() - totals.keys())
    if absent:
        missing = join_place(join_place(inner, "total"), absent[0])
        raise InputError(missing, "is missing", "give the total of every asset with a debt")
    net = {asset: _difference(total, debts.get(asset)) for asset, total in totals.items()}
    return {**given, "balances": net}


def _difference(amount: Number, part: Number | None) -> Number:
    """amount - part without rounding."""
    with localcontext(prec=80):
        return amount if part is None else Number(amount - part)


def _amounts(balances: Mapping[str, object], name: str, place: str) -> dict[str, Number]:
    inner = join_place(place, name)
    amounts = expect_mapping(balances.get(name) or {}, inner)
    kind = types.type_info(Number)
    return {key: fill(kind, item, join_place(inner, key), {}) for key, item in amounts.items()}
