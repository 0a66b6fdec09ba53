"""The exact units of a document's book: as fine as its own numbers ask and int64 has room for."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext

from plimsoll.connectors.check import Listing
from plimsoll.connectors.document import Number, PortfolioDocument, PositionDocument
from plimsoll.core import InputError, decimals_for, to_units
from plimsoll.instruments import Instrument, InstrumentTable, Kind, Payoff, parse_symbol

DECIMALS_MAX = 18
DECIMALS_USUAL = 8
"""Quantities and prices get at least this many where there is room: later trades are finer."""

TOTAL_END = Decimal(10) ** 18
GROWTH = 100
"""Room kept in assets, where stated amounts leave it, for prices that move later."""


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers of one unit: those to be held exactly, and the sum of all magnitudes."""

    exact: list[Decimal] = field(default_factory=list)
    values: list[Decimal] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        return sum((value.copy_abs() for value in (*self.exact, *self.values)), Decimal(0))


def exact_units(value: Decimal, decimals: int, place: str) -> int:
    """``value`` in units of 10**-decimals. Raises InputError where it would vanish."""
    units = to_units(value, decimals)
    if value and not units:
        remedy = "there is no room for both in one ledger; mend or remove the smaller one"
        raise InputError(place, f"{value} is too small beside the largest amount", remedy)
    return units


def build_table(document: PortfolioDocument, listing: Listing) -> InstrumentTable:
    """The listed instruments and all named assets, with units that hold the document's numbers.

    Raises InputError where amounts of one kind add up to 1e18 or more.
    """
    rows = {
        symbol: replace(
            parse_symbol(symbol), contract_multiplier=Decimal(entry.contract_multiplier or 1)
        )
        for symbol, entry in listing.items()
    }
    with localcontext(prec=100):
        decimals = {
            asset: _asset_decimals(asset, numbers)
            for asset, numbers in _asset_numbers(document, rows, listing).items()
        }
        quantities, prices = _trade_numbers(document, listing)
        fitted = [
            replace(
                row,
                quantity_decimals=_decimals(
                    f"contracts of {symbol}", quantities[symbol].total, quantities[symbol].exact
                ),
                price_decimals=_decimals(f"prices of {symbol}", Decimal(0), prices[symbol].exact),
            )
            for symbol, row in rows.items()
        ]
    named = dict.fromkeys(document.market.index, DECIMALS_USUAL) | decimals
    return InstrumentTable.build([_fit_spot(row, named) for row in fitted], named)


def opening_price(position: PositionDocument, listing: Listing) -> Number | None:
    """The price at which a position enters the book; None for an option without any."""
    return position.entry_price or listing[position.symbol].mark


def _asset_numbers(
    document: PortfolioDocument, rows: dict[str, Instrument], listing: Listing
) -> dict[str, _Numbers]:
    """Per asset, balances and margins; and what positions cost, which the pools hold as well."""
    numbers: dict[str, _Numbers] = defaultdict(_Numbers)
    for account in document.accounts:
        for asset, amount in account.balances.items():
            numbers[asset].exact.append(amount)
        for position in account.positions:
            row, price = rows[position.symbol], opening_price(position, listing)
            numbers[row.settle].exact.append(position.isolated_margin or Decimal(0))
            if price is not None:
                numbers[row.settle].values.append(_value(row, position.quantity, price))
    return numbers


def _value(row: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    size = quantity * row.contract_multiplier
    is_inverse = row.payoff == Payoff.INVERSE and row.kind != Kind.OPTION
    return size / price if is_inverse else size * price


def _trade_numbers(
    document: PortfolioDocument, listing: Listing
) -> tuple[dict[str, _Numbers], dict[str, _Numbers]]:
    """Per symbol, the quantities and the prices of positions and orders."""
    quantities: dict[str, _Numbers] = defaultdict(_Numbers)
    prices: dict[str, _Numbers] = defaultdict(_Numbers)
    for symbol, entry in listing.items():
        prices[symbol].exact.extend([entry.mark] if entry.mark else [])
    for account in document.accounts:
        for position in account.positions:
            quantities[position.symbol].exact.append(position.quantity)
            prices[position.symbol].exact.extend(
                [position.entry_price] if position.entry_price else []
            )
        for order in account.orders:
            quantities[order.symbol].exact.append(order.quantity)
            prices[order.symbol].exact.append(order.price)
    return quantities, prices


def _decimals(what: str, total: Decimal, exact: list[Decimal]) -> int:
    _refuse_total(what, total)
    largest = max((value.copy_abs() for value in exact), default=Decimal(0))
    needed = max(decimals_for(exact, DECIMALS_MAX), DECIMALS_USUAL)
    return min(needed, _room(max(largest, total)))


def _asset_decimals(asset: str, numbers: _Numbers) -> int:
    total = numbers.total
    _refuse_total(f"{asset} in balances and positions", total)
    needed = max(decimals_for(numbers.exact, DECIMALS_MAX), _room(GROWTH * total))
    return min(needed, _room(total))


def _refuse_total(what: str, total: Decimal) -> None:
    if total >= TOTAL_END:
        remedy = "the ledger holds less than 1e18 of anything; mend the amounts"
        raise InputError("accounts", f"{what} add up to {total:.2e}", remedy)


def _room(total: Decimal) -> int:
    """Decimals that fit into int64 beside a total of this size."""
    power = Decimal(1).scaleb(total.adjusted()) if total else Decimal(0)
    return decimals_for([power, Decimal(1).scaleb(-DECIMALS_MAX)], DECIMALS_MAX)


def _fit_spot(row: Instrument, asset_decimals: dict[str, int]) -> Instrument:
    """A spot trade moves the base asset itself, so its quantity is no finer than that."""
    if row.kind != Kind.SPOT:
        return row
    finest = asset_decimals.get(row.base, DECIMALS_USUAL)
    return replace(row, quantity_decimals=min(row.quantity_decimals, finest))
