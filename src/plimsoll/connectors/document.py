"""The portfolio document: what a user writes, as typed and frozen structures.

A number is a ``Number``: a decimal exactly as written. Signs are declared once, in the types
below, and hold both in the published JSON Schema and in ``fill``.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, final

from msgspec import Meta, Struct


@final
class Number(Decimal):
    """A finite decimal number as written, below 1e18 in magnitude, of at most 30 digits."""

    __slots__ = ()


@final
class Ignored:
    """The type of a field that is accepted and never read; its value is dropped."""

    __slots__ = ()


Positive = Annotated[Number, Meta(extra_json_schema={"exclusiveMinimum": 0})]
NonNegative = Annotated[Number, Meta(extra_json_schema={"minimum": 0})]
MarginMode = Literal["cross", "isolated"]


class InstrumentDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """What the market says of one instrument; its symbol says the rest."""

    mark: Annotated[
        Positive | None,
        Meta(
            description="Mark price in the quote asset (options: in the settle asset). "
            "Without one, what depends on it is UNKNOWN."
        ),
    ] = None
    time: Annotated[str | None, Meta(description="UTC time of the mark; as_of if left out.")] = None
    contract_multiplier: Annotated[
        Positive | None,
        Meta(
            description="What one contract stands for: base asset (linear, options), quote value "
            "(inverse) or settle asset per point of price (quanto). 1 if left out."
        ),
    ] = None
    implied_vol: Annotated[
        Positive | None, Meta(description="Implied volatility, a fraction a year: 0.6 is 60 %.")
    ] = None
    underlying: Annotated[
        Positive | None, Meta(description="Forward price of the underlying, in the quote asset.")
    ] = None
    open_interest: Annotated[
        NonNegative | None, Meta(description="Open interest of the venue, contracts of one side.")
    ] = None
    skew: Annotated[
        Number | None, Meta(description="Contracts the venue's longs exceed its shorts by.")
    ] = None
    net_user_pnl: Annotated[
        Number | None, Meta(description="Profit of all the venue's users, in the settle asset.")
    ] = None
    twap: Annotated[
        Positive | None, Meta(description="Time-weighted average of the price, in quote.")
    ] = None
    stable_price: Annotated[
        Positive | None, Meta(description="Slow price that a protocol keeps, in quote.")
    ] = None
    confidence: Annotated[
        NonNegative | None,
        Meta(description="Oracle confidence in the price, or the volatility and forward; 0 to 1."),
    ] = None
    rate: Annotated[
        Number | None, Meta(description="Interest rate to expiry, continuous, a year.")
    ] = None
    forward_fixed: Annotated[
        NonNegative | None,
        Meta(description="Part of the forward that the settlement average has fixed, in quote."),
    ] = None
    depth: Annotated[
        NonNegative | None,
        Meta(description="Contracts that the thinner side of the order book takes near the mark."),
    ] = None


class AssetDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """What a protocol knows of an asset beyond its price."""

    deposits: Annotated[
        NonNegative | None, Meta(description="All deposits with the protocol, in the asset.")
    ] = None
    borrows: Annotated[
        NonNegative | None, Meta(description="All loans of the protocol, in the asset.")
    ] = None
    twap: Annotated[
        Positive | None, Meta(description="Time-weighted average of the price, in USD.")
    ] = None
    stable_price: Annotated[
        Positive | None, Meta(description="Slow price that the protocol keeps, in USD.")
    ] = None
    confidence: Annotated[
        NonNegative | None, Meta(description="Oracle confidence in the price, 0 to 1.")
    ] = None


class MarketDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """Prices at ``as_of``."""

    index: Annotated[
        Mapping[str, Positive],
        Meta(description="USD price of one unit of each asset. USD itself is 1 and left out."),
    ] = {}
    index_time: Annotated[
        Mapping[str, str], Meta(description="UTC time of an index price; as_of if left out.")
    ] = {}
    price_age_s_max: Annotated[
        Positive | None,
        Meta(description="Age in seconds beyond which a price is stale. 60 if left out."),
    ] = None
    instruments: Annotated[
        Mapping[str, InstrumentDocument],
        Meta(description="Every instrument that positions and orders name, by unified symbol."),
    ] = {}
    assets: Annotated[
        Mapping[str, AssetDocument],
        Meta(description="The protocol's own condition per asset, where its rules look at it."),
    ] = {}


class PositionDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """One position."""

    symbol: Annotated[str, Meta(description="Unified symbol, such as BTC/USDT:USDT.")]
    quantity: Annotated[Number, Meta(description="Contracts; above 0 is long, below 0 short.")]
    entry_price: Annotated[
        Positive | None,
        Meta(description="Average entry price. Only options may leave it out: they are paid for."),
    ] = None
    margin_mode: Annotated[
        MarginMode, Meta(description="cross: backed by the account; isolated: by its own margin.")
    ] = "cross"
    isolated_margin: Annotated[
        NonNegative | None,
        Meta(description="Margin of an isolated position, in the settle asset, before profit."),
    ] = None
    contract_multiplier: Annotated[
        Positive | None,
        Meta(description="As under market.instruments, for a position that says it itself."),
    ] = None
    mark: Annotated[
        Positive | None,
        Meta(description="Mark price at as_of, where market.instruments does not state one."),
    ] = None
    leverage: Annotated[
        Positive | None,
        Meta(
            description="Leverage the account has selected for the symbol, where the model "
            "takes its initial margin from it."
        ),
    ] = None


class OrderDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """One open order. It shares the margin mode of the account's position in its symbol."""

    symbol: Annotated[str, Meta(description="Unified symbol, such as BTC/USDT:USDT.")]
    side: Annotated[Literal["buy", "sell"], Meta(description="buy or sell.")]
    quantity: Annotated[Positive, Meta(description="Contracts left to fill.")]
    price: Annotated[Positive, Meta(description="Limit price.")]
    reduce_only: Annotated[bool, Meta(description="Whether it may only reduce a position.")] = False


class AccountDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """One account: a cross pool of collateral, and one more for each isolated position."""

    id: Annotated[str, Meta(description="Name of the account, unique in the document.")]
    model: Annotated[str, Meta(description="Margin model.")] = "plimsoll.standard"
    balances: Annotated[
        Mapping[str, Number],
        Meta(
            description="Balance per asset in the cross pool, before unrealised profit and "
            "without isolated margin; below 0 is borrowed."
        ),
    ] = {}
    positions: Annotated[tuple[PositionDocument, ...], Meta(description="Open positions.")] = ()
    orders: Annotated[tuple[OrderDocument, ...], Meta(description="Open orders.")] = ()
    params: Annotated[
        Mapping[str, Any], Meta(description="Parameters of the model to override.")
    ] = {}


class PortfolioDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """A market at one instant and the accounts in it."""

    as_of: Annotated[str, Meta(description="UTC time, such as 2025-10-10T21:15:00Z.")]
    market: Annotated[MarketDocument, Meta(description="Prices.")]
    accounts: Annotated[tuple[AccountDocument, ...], Meta(description="Accounts.")]
