"""Parameters of drift.v2 as columns over assets and instruments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core import Bools, Floats, InputError, did_you_mean
from plimsoll.instruments import Instrument, InstrumentTable, Kind, Payoff
from plimsoll.margin.arithmetic import EXACT, FLOAT, Arithmetic
from plimsoll.margin.parameters import DEFAULT, find_entry, instrument_column, number

QUOTE_ASSET = "USDC"
QUOTE_DECIMALS = 6

# Each key with its largest value; all at least 0.
TOKEN_KEYS: tuple[tuple[str, float], ...] = (
    ("decimals", 18),
    ("initial_asset_weight", 1),
    ("maintenance_asset_weight", 1),
    ("initial_liability_weight", 1e6),
    ("maintenance_liability_weight", 1e6),
)
TOKEN_OPTIONS: tuple[tuple[str, float], ...] = (
    ("imf_factor", 1e6),
    ("scale_initial_asset_weight_start", np.inf),
)
CONTRACT_KEYS: tuple[tuple[str, float], ...] = (
    ("initial_margin_ratio", 1e6),
    ("maintenance_margin_ratio", 1e6),
    ("unrealized_pnl_initial_asset_weight", 1),
    ("unrealized_pnl_maintenance_asset_weight", 1),
)
CONTRACT_OPTIONS: tuple[tuple[str, float], ...] = (
    ("imf_factor", 1e6),
    ("unrealized_pnl_imf_factor", 1e6),
    ("unrealized_pnl_max_imbalance", np.inf),
    ("high_leverage_initial_margin_ratio", 1e6),
    ("high_leverage_maintenance_margin_ratio", 1e6),
)


@dataclass(frozen=True, slots=True)
class TokenParams:
    """Columns over assets, NaN where a token is not listed; ``scale_start`` in USD."""

    unit: Floats
    initial_asset_weight: Floats
    maintenance_asset_weight: Floats
    initial_liability_weight: Floats
    maintenance_liability_weight: Floats
    imf_factor: Floats
    scale_start: Floats


@dataclass(frozen=True, slots=True)
class ContractParams:
    """Columns over instruments, NaN where a market is not listed; ``max_imbalance`` in USDC.

    ``custom_ratio`` is 0 where the account has chosen none. ``unsettled`` is USDC.
    """

    initial_ratio: Floats
    maintenance_ratio: Floats
    imf_factor: Floats
    initial_pnl_weight: Floats
    maintenance_pnl_weight: Floats
    pnl_imf_factor: Floats
    max_imbalance: Floats
    custom_ratio: Floats
    unsettled: Floats
    isolated_unsettled: Floats


@dataclass(frozen=True, slots=True)
class Params:
    """All parameters; fractions and USD. ``quote`` is the index of the quote token, -1 for none."""

    arithmetic: Arithmetic
    tokens: TokenParams
    contracts: ContractParams
    quote: int
    is_spot_market: Bools
    is_strict: bool
    buffer: float
    order_margin: float
    profit_cap: float
    chosen_ratio: float
    override_ratio: float


def resolve(params: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Params:
    """Parameters of the table, aligned to the assets and instruments of a book."""
    if params["arithmetic"] not in ("float", "exact"):
        problem = f"{params['arithmetic']!r} is no arithmetic"
        raise InputError(f"{place}.arithmetic", problem, "write 'float' or 'exact'")
    names = instruments.assets.names

    def scalar(name: str, high: float = 1e9) -> float:
        return number(params[name], f"{place}.{name}", 0.0, high)

    bases = [row.base for row in instruments.rows]
    quotes = [row.quote for row in instruments.rows]
    of_quote = np.array([q == QUOTE_ASSET != b for b, q in zip(bases, quotes, strict=True)], bool)
    return Params(
        arithmetic=EXACT if params["arithmetic"] == "exact" else FLOAT,
        tokens=_tokens(params, names, f"{place}.tokens"),
        contracts=_contracts(params, instruments, place),
        quote=names.index(QUOTE_ASSET) if QUOTE_ASSET in names else -1,
        is_spot_market=of_quote & instruments.of_kind(Kind.SPOT),
        is_strict=_flag(params, "strict", place),
        buffer=scalar("liquidation_buffer", 1.0),
        order_margin=scalar("open_order_margin"),
        profit_cap=scalar("initial_profit_cap"),
        chosen_ratio=scalar("max_margin_ratio"),
        override_ratio=scalar("margin_ratio_override"),
    )


def _tokens(params: Mapping[str, Any], names: Sequence[str], place: str) -> TokenParams:
    """Weights of every token; the quote token is counted as it is."""
    listed = params["tokens"]
    own = {key: 1 for key, _ in TOKEN_KEYS} | {"decimals": QUOTE_DECIMALS}
    entries = [own if name == QUOTE_ASSET else listed.get(name, listed.get(DEFAULT))
               for name in names]  # fmt: skip
    places = [f"{place}.{name}" for name in names]
    columns = _columns(entries, TOKEN_KEYS, TOKEN_OPTIONS, places)
    decimals, asset, kept_asset, liability, kept_liability = columns[:5]
    _check(
        (asset > kept_asset) | (kept_liability < 1) | (liability < kept_liability), places,
        "weights are out of order",
        "order them: initial asset, maintenance asset, 1, maintenance and initial liability",
    )  # fmt: skip
    _check(decimals % 1 > 0, places, "decimals are no whole number", "mend them")
    return TokenParams(10.0**decimals, *columns[1:])


def _contracts(
    params: Mapping[str, Any], instruments: InstrumentTable, place: str
) -> ContractParams:
    """Ratios and weights of every perpetual, in high leverage mode its own where it has any."""
    entries = [
        find_entry(params["perps"], row) if _is_perp(row) else None for row in instruments.rows
    ]
    places = [f"{place}.perps.{symbol}" for symbol in instruments.symbols]
    columns = _columns(entries, CONTRACT_KEYS, CONTRACT_OPTIONS, places)
    initial, maintenance, pnl, kept_pnl, imf, pnl_imf, imbalance, high, kept_high = columns
    for first, second in ((initial, maintenance), (high, kept_high)):
        _check(first < second, places, "initial margin is below maintenance margin", "raise it")
    _check(
        pnl > kept_pnl, places, "the initial weight of profit is above the maintenance weight",
        "lower it",
    )  # fmt: skip
    # A market is in the mode where it has both ratios.
    has_mode = _flag(params, "high_leverage", place) & (high > 0) & (kept_high > 0)
    chosen = instrument_column(
        params["position_margin_ratio"], instruments, f"{place}.position_margin_ratio"
    )
    return ContractParams(
        np.where(has_mode, high, initial), np.where(has_mode, kept_high, maintenance),
        imf, pnl, kept_pnl, pnl_imf, imbalance, np.where(np.isnan(chosen), 0.0, chosen),
        _unsettled(params["unsettled"], instruments, f"{place}.unsettled"),
        _unsettled(params["isolated_unsettled"], instruments, f"{place}.isolated_unsettled"),
    )  # fmt: skip


def _is_perp(row: Instrument) -> bool:
    is_linear = row.kind == Kind.PERPETUAL and row.payoff == Payoff.LINEAR
    return is_linear and row.settle == QUOTE_ASSET and not row.leg


def _unsettled(stated: Mapping[str, Any], instruments: InstrumentTable, place: str) -> Floats:
    """USDC by instrument, 0 where none is stated; InputError where it would be lost."""
    column = np.zeros(len(instruments))
    perps = {row.symbol: i for i, row in enumerate(instruments.rows) if _is_perp(row)}
    for symbol, amount in stated.items():
        where = f"{place}.{symbol}"
        if symbol not in perps:
            problem = f"'{symbol}' is no perpetual in {QUOTE_ASSET} that the market lists"
            raise InputError(where, problem, did_you_mean(symbol, perps))
        column[perps[symbol]] = number(amount, where, low=-np.inf)
    return column


def _columns(
    entries: Sequence[Any],
    keys: tuple[tuple[str, float], ...],
    options: tuple[tuple[str, float], ...],
    places: Sequence[str],
) -> list[Floats]:
    """A column for each key, NaN where there is no entry; an option left out is 0."""
    known = (*keys, *options)
    found = np.full((len(known), len(entries)), np.nan)
    for i, (entry, place) in enumerate(zip(entries, places, strict=True)):
        if entry is None:
            continue
        names = [name for name, _ in known]
        if not isinstance(entry, Mapping):
            raise InputError(place, f"{entry!r} is no table", f"give {', '.join(names)}")
        for name in entry:
            if name not in names:
                raise InputError(place, f"unknown key '{name}'", did_you_mean(name, names))
        given = {**{name: 0 for name, _ in options}, **entry}
        found[:, i] = [
            number(given.get(name), f"{place}.{name}", 0.0, high) for name, high in known
        ]
    return list(found)


def _check(is_wrong: Bools, places: Sequence[str], problem: str, remedy: str) -> None:
    for i in np.flatnonzero(is_wrong).tolist():
        raise InputError(places[i], problem, remedy)


def _flag(params: Mapping[str, Any], name: str, place: str) -> bool:
    value = params[name]
    if not isinstance(value, bool):
        raise InputError(f"{place}.{name}", f"{value!r} is no truth value", "write true or false")
    return value
