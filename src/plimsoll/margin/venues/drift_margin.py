"""The rule of drift.v2 as functions over columns, in the program's integers or in floats.

Units: prices and amounts of quote 1e-6, base of contracts 1e-9, tokens ``unit`` to the whole
one, ratios and weights 1e-4, size factors (IMF) 1e-6. Divisions round towards zero but for token
values, which round down. Rows are one token or one contract of an account each; the numbers of
the rules in brackets are those of ``drift_v2``.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from plimsoll.core import Floats, Int64s, sum_by
from plimsoll.margin.arithmetic import Arithmetic, Numbers, choose

QUOTE = 10**6
BASE = 10**9
WEIGHT = 10**4
IMF = 10**6
ROOT = 10**5
"""Roots of sizes are taken of tenths of 1e-9, which leaves 1e-5."""


class MarginKind(IntEnum):
    """Which ratios and weights margin is taken at (rule 1), from the strictest on."""

    INITIAL = 0
    FILL = 1
    MAINTENANCE = 2


class Terms(NamedTuple):
    """What holds for all rows: ``order_margin`` and ``profit_cap`` in quote, ``buffer`` 1e-4."""

    order_margin: Numbers
    profit_cap: Numbers
    buffer: Numbers


class Tokens(NamedTuple):
    """Tokens with their open spot orders: ``amount`` and ``bids`` (>= 0), ``asks`` (<= 0).

    ``low`` and ``high`` are the strict prices around ``price``, ``custom_ratio`` is the account's
    own margin ratio (0 for none, and for the quote token). ``deposits`` are all users'; a
    ``scale_start`` of 0 scales nothing.
    """

    unit: Numbers
    amount: Numbers
    bids: Numbers
    asks: Numbers
    orders: Numbers
    price: Numbers
    low: Numbers
    high: Numbers
    initial_asset_weight: Numbers
    maintenance_asset_weight: Numbers
    initial_liability_weight: Numbers
    maintenance_liability_weight: Numbers
    imf_factor: Numbers
    scale_start: Numbers
    deposits: Numbers
    custom_ratio: Numbers


class Contracts(NamedTuple):
    """Perpetuals: ``base``, ``bids`` (>= 0), ``asks`` (<= 0); ``quote`` is what selling the base

    at ``price`` adds to for the profit: cost with its sign turned, funding and what is unsettled.
    ``quote_low`` and ``quote_high`` are the strict prices of the quote token. ``net_user_pnl`` is
    the market's; a ``max_imbalance`` of 0 shrinks nothing.
    """

    base: Numbers
    quote: Numbers
    bids: Numbers
    asks: Numbers
    orders: Numbers
    price: Numbers
    quote_low: Numbers
    quote_high: Numbers
    initial_ratio: Numbers
    maintenance_ratio: Numbers
    imf_factor: Numbers
    initial_pnl_weight: Numbers
    maintenance_pnl_weight: Numbers
    pnl_imf_factor: Numbers
    max_imbalance: Numbers
    net_user_pnl: Numbers
    custom_ratio: Numbers


class Margin(NamedTuple):
    """Collateral (any sign) and requirement (>= 0) in quote, and what the buffer adds to each."""

    collateral: Numbers
    collateral_buffer: Numbers
    requirement: Numbers
    requirement_buffer: Numbers


class TokenMargin(NamedTuple):
    """Margin of tokens; their value after the fills that count, and the weight of it."""

    margin: Margin
    value: Numbers
    weight: Numbers


class ContractMargin(NamedTuple):
    """Margin of perpetuals; base after fills, its value, the ratio on it; profit and its weight."""

    margin: Margin
    base: Numbers
    liability: Numbers
    ratio: Numbers
    pnl: Numbers
    pnl_weight: Numbers


class _Fill(NamedTuple):
    """A token after the orders of one side: what the account then has free is ``contribution``."""

    amount: Numbers
    value: Numbers
    order_value: Numbers
    contribution: Numbers


def size_premium(
    arithmetic: Arithmetic, size: Numbers, imf_factor: Numbers, weight: Numbers
) -> Numbers:
    """A liability weight or margin ratio at a size in 1e-9 (rule 2)."""
    root = arithmetic.root(size * 10 + 1)
    premium = arithmetic.floor(root * imf_factor, ROOT * IMF // WEIGHT)
    raised = weight - arithmetic.floor(weight, 5) + premium
    return choose((imf_factor == 0) | (raised < weight), weight, raised)


def size_discount(
    arithmetic: Arithmetic, size: Numbers, imf_factor: Numbers, weight: Numbers
) -> Numbers:
    """An asset weight at a size in 1e-9 (rule 2)."""
    root = arithmetic.root(size * 10 + 1)
    divisor = IMF + arithmetic.floor(root * imf_factor, ROOT)
    lowered = arithmetic.floor((IMF + IMF // 10) * WEIGHT, divisor)
    return choose((imf_factor == 0) | (lowered > weight), weight, lowered)


def scaled_asset_weight(
    arithmetic: Arithmetic, weight: Numbers, scale_start: Numbers, deposit_value: Numbers
) -> Numbers:
    """An initial asset weight where all deposits are worth ``deposit_value`` quote (rule 3)."""
    divisor = choose(deposit_value > 0, deposit_value, 1)
    scaled = arithmetic.floor(weight * scale_start, divisor)
    return choose((scale_start == 0) | (deposit_value < scale_start), weight, scaled)


def token_value(arithmetic: Arithmetic, amount: Numbers, price: Numbers, unit: Numbers) -> Numbers:
    """Worth of a token amount, rounded down: a debt away from zero."""
    return arithmetic.floor(amount * price, unit)


def token_size(arithmetic: Arithmetic, amount: Numbers, unit: Numbers) -> Numbers:
    """The size of a token amount in 1e-9, as rule 2 takes it."""
    return arithmetic.floor(abs(amount) * BASE, unit)


def pnl_weight(
    arithmetic: Arithmetic, kind: MarginKind, contracts: Contracts, pnl: Numbers
) -> Numbers:
    """Weight of a perpetual's profit: all of a loss, part of a gain (rule 6)."""
    if kind == MarginKind.MAINTENANCE:
        return choose(pnl > 0, contracts.maintenance_pnl_weight, WEIGHT)
    weight, net = contracts.initial_pnl_weight, contracts.net_user_pnl
    is_over = (contracts.max_imbalance > 0) & (net > contracts.max_imbalance)
    divisor = choose(is_over, net, 1)
    shrunk = arithmetic.floor(weight * contracts.max_imbalance, divisor)
    weight = choose(is_over, shrunk, weight)
    # Sizes are in 1e-9, so quote counts a thousandfold. A weight of nothing stays nothing.
    size = abs(pnl) * (BASE // QUOTE)
    discounted = size_discount(arithmetic, size, contracts.pnl_imf_factor, weight)
    return choose(pnl > 0, discounted, WEIGHT)


def token_margin(
    arithmetic: Arithmetic, kind: MarginKind, tokens: Tokens, terms: Terms
) -> TokenMargin:
    """Margin of each token on the side of its orders that leaves less free (rules 4 and 7)."""
    held = token_value(
        arithmetic, tokens.amount, choose(tokens.amount > 0, tokens.low, tokens.high), tokens.unit
    )
    ask, bid = (
        _filled(arithmetic, kind, tokens, held, orders) for orders in (tokens.asks, tokens.bids)
    )
    is_ask = ask.contribution <= bid.contribution
    amount, value, order_value, _ = (choose(is_ask, *sides) for sides in zip(ask, bid, strict=True))
    weight = _token_weight(arithmetic, kind, tokens, amount, value)
    if np.any(tokens.custom_ratio > 0):
        strict = _token_weight(arithmetic, MarginKind.INITIAL, tokens, amount, value)
        weight = choose(
            tokens.custom_ratio > 0, _customised(strict, value, tokens.custom_ratio), weight
        )
    weighted = arithmetic.trunc(value * weight, WEIGHT)
    owed, order_owed = _not_below_zero(-weighted), _not_below_zero(-order_value)
    margin = Margin(
        collateral=_not_below_zero(weighted) + _not_below_zero(order_value),
        collateral_buffer=0 * value,
        requirement=owed + order_owed + tokens.orders * terms.order_margin,
        requirement_buffer=_buffer(arithmetic, _not_below_zero(-value), terms)
        + _buffer(arithmetic, order_owed, terms),
    )
    return TokenMargin(margin, value, weight)


def contract_margin(
    arithmetic: Arithmetic, kind: MarginKind, contracts: Contracts, terms: Terms
) -> ContractMargin:
    """Margin of each perpetual, on the larger side of its orders (rules 5, 6 and 7)."""
    bid, ask = contracts.base + contracts.bids, contracts.base + contracts.asks
    bid_value, ask_value = (
        arithmetic.floor(abs(base) * contracts.price, BASE) for base in (bid, ask)
    )
    base = choose(ask_value >= bid_value, ask, bid)
    value = choose(ask_value >= bid_value, ask_value, bid_value)
    liability = arithmetic.floor(value * contracts.quote_high, QUOTE)
    ratio = size_premium(
        arithmetic, abs(base), contracts.imf_factor,
        _by_kind(arithmetic, kind, contracts.initial_ratio, contracts.maintenance_ratio),
    )  # fmt: skip
    ratio = choose(contracts.custom_ratio > ratio, contracts.custom_ratio, ratio)
    pnl = arithmetic.trunc(contracts.base * contracts.price, BASE) + contracts.quote
    weight = pnl_weight(arithmetic, kind, contracts, pnl)
    weighted = arithmetic.trunc(pnl * weight, WEIGHT)
    price = choose(pnl > 0, contracts.quote_low, contracts.quote_high)
    weighted = arithmetic.trunc(weighted * price, QUOTE)
    if kind == MarginKind.INITIAL:
        weighted = choose(weighted > terms.profit_cap, terms.profit_cap, weighted)
    margin = Margin(
        collateral=weighted,
        collateral_buffer=-_buffer(arithmetic, _not_below_zero(-weighted), terms),
        requirement=arithmetic.floor(liability * ratio, WEIGHT)
        + contracts.orders * terms.order_margin,
        requirement_buffer=_buffer(arithmetic, liability, terms),
    )
    return ContractMargin(margin, base, liability, ratio, pnl, weight)


def custom_ratio(kind: MarginKind, chosen: Numbers, override: Numbers) -> Numbers:
    """The account's own ratio: one it has chosen binds initial margin, an override all (rule 7)."""
    if kind != MarginKind.INITIAL:
        return override
    return choose(chosen > override, chosen, override)


def total_margin(
    tokens: Margin, token_pool: Int64s, contracts: Margin, contract_pool: Int64s, pools: int
) -> Margin:
    """Rows added up by pool, shape [pools] each; whole numbers stay so below 2^53."""

    def by_pool(token_rows: Numbers, contract_rows: Numbers) -> Floats:
        return sum_by(token_pool, np.asarray(token_rows, np.float64), pools) + sum_by(
            contract_pool, np.asarray(contract_rows, np.float64), pools
        )

    return Margin(*(by_pool(*rows) for rows in zip(tokens, contracts, strict=True)))


def _filled(
    arithmetic: Arithmetic, kind: MarginKind, tokens: Tokens, held: Numbers, orders: Numbers
) -> _Fill:
    """The token whose balance is worth ``held`` after all ``orders`` of a side, at the high price.

    What is paid or received for them is quote at par.
    """
    order_value = token_value(arithmetic, -orders, tokens.high, tokens.unit)
    amount, value = tokens.amount + orders, held - order_value
    weight = _token_weight(arithmetic, kind, tokens, amount, value)
    weighted = arithmetic.trunc(value * weight, WEIGHT)
    return _Fill(amount, value, order_value, weighted + order_value)


def _token_weight(
    arithmetic: Arithmetic, kind: MarginKind, tokens: Tokens, amount: Numbers, value: Numbers
) -> Numbers:
    """Weight of a token after fills, by the sign of its value (rules 2 and 3)."""
    size = token_size(arithmetic, amount, tokens.unit)
    deposits = token_value(arithmetic, tokens.deposits, tokens.price, tokens.unit)
    scaled = scaled_asset_weight(
        arithmetic, tokens.initial_asset_weight, tokens.scale_start, deposits
    )
    asset = _by_kind(arithmetic, kind, scaled, tokens.maintenance_asset_weight)
    liability = _by_kind(
        arithmetic, kind, tokens.initial_liability_weight, tokens.maintenance_liability_weight
    )
    return choose(
        value > 0,
        size_discount(arithmetic, size, tokens.imf_factor, asset),
        size_premium(arithmetic, size, tokens.imf_factor, liability),
    )


def _customised(weight: Numbers, value: Numbers, ratio: Numbers) -> Numbers:
    """An initial weight, but at most 1 - ratio for an asset and at least 1 + ratio for a debt."""
    asset, liability = _not_below_zero(WEIGHT - ratio), WEIGHT + ratio
    return choose(
        value > 0,
        choose(weight > asset, asset, weight),
        choose(weight < liability, liability, weight),
    )


def _by_kind(
    arithmetic: Arithmetic, kind: MarginKind, initial: Numbers, maintenance: Numbers
) -> Numbers:
    """One of the two, or their average for fills."""
    if kind == MarginKind.FILL:
        return arithmetic.floor(initial + maintenance, 2)
    return initial if kind == MarginKind.INITIAL else maintenance


def _buffer(arithmetic: Arithmetic, liability: Numbers, terms: Terms) -> Numbers:
    return arithmetic.floor(liability * terms.buffer, WEIGHT)


def _not_below_zero(values: Numbers) -> Numbers:
    return choose(values > 0, values, 0)
