"""Aave loan books from files: accounts with bitcoin collateral, and the prices to judge them.

A row is one account, collateral and borrowed token: the collateral repeats on every row of an
account, and a debt repeats under every collateral. What the files do not say stays unsaid:
collateral other than bitcoin, and prices of tokens that no price file has.
"""

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import polars as pl

from plimsoll.connectors.document import (
    AccountDocument,
    MarketDocument,
    Number,
    PortfolioDocument,
)
from plimsoll.core import InputError

POSITION_COLUMNS = (
    "account", "collateral_symbol", "version", "borrowed_symbol", "borrow_balance_tokens",
    "btc_collateral_tokens",
)  # fmt: skip
PRICE_COLUMNS = ("date", "symbol", "price_usd")
MODELS = MappingProxyType({"V2": "aave.v2", "V3": "aave.v3"})
NAMES = MappingProxyType({"wBTC": "WBTC"})
PEGGED_TO_DOLLAR = frozenset(
    ("USDC", "USDT", "DAI", "GHO", "PYUSD", "USDe", "USDS", "USDtb", "RLUSD", "FRAX", "LUSD",
     "TUSD", "GUSD", "PAX", "BUSD", "sUSD", "crvUSD", "USDG", "mUSD", "sDAI")
)  # fmt: skip
"""Tokens meant to be worth a dollar: taken at one where no price is given, which is told."""
DIGITS, DIGITS_BITCOIN = 6, 8
"""Places of a token amount that are kept; what is smaller is dust."""


@dataclass(frozen=True, slots=True)
class LoanBook:
    """A document of loans, and what its figures rest on, in words.

    ``bitcoins`` are the assets that follow the price of bitcoin. ``rows`` counts rows read.
    """

    document: PortfolioDocument
    bitcoins: tuple[str, ...]
    pegged: tuple[str, ...]
    unpriced: tuple[str, ...]
    rows: int


def read_loan_book(positions: Path, prices: Path) -> LoanBook:
    """The loans of a file at the last day of a price file.

    An account is judged by the model of its version; v2 and v3 are two accounts. Raises
    InputError where a file cannot be read or lacks a column.
    """
    loans = _read(positions, POSITION_COLUMNS)
    quotes = _read(prices, PRICE_COLUMNS)
    day = quotes["date"].max()
    last = quotes.filter(pl.col("date") == day)
    index = dict(zip(last["symbol"].to_list(), last["price_usd"].to_list(), strict=True))
    accounts = tuple(_accounts(loans, str(positions)))
    owned = {asset for account in accounts for asset in account.balances}
    pegged = sorted(asset for asset in owned - index.keys() if asset in PEGGED_TO_DOLLAR)
    index |= dict.fromkeys(pegged, 1.0)
    unpriced = tuple(sorted(owned - index.keys()))
    market = MarketDocument(
        index={name: Number(repr(price)) for name, price in sorted(index.items()) if name in owned}
    )
    return LoanBook(
        PortfolioDocument(as_of=f"{str(day)[:10]}T00:00:00Z", market=market, accounts=accounts),
        tuple(sorted(asset for asset in owned if asset.upper().endswith("BTC"))),
        tuple(pegged),
        unpriced,
        loans.height,
    )


def _read(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        problem = f"cannot be read ({' '.join(str(error).split())[:80]})"
        raise InputError(str(path), problem, "give a parquet or csv file") from None
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError(str(path), f"has no column {missing[0]}", f"needs {', '.join(columns)}")
    return frame.select(columns)


def _accounts(loans: pl.DataFrame, place: str) -> list[AccountDocument]:
    """One account per address and version, with its collateral and its debts."""
    collateral = loans.group_by("account", "version", "collateral_symbol", maintain_order=True).agg(
        pl.col("btc_collateral_tokens").first().alias("amount")
    )
    debts = (
        loans.group_by(
            "account", "version", "borrowed_symbol", "collateral_symbol", maintain_order=True
        )
        .agg(pl.col("borrow_balance_tokens").sum().alias("amount"))
        .unique(("account", "version", "borrowed_symbol"), keep="first", maintain_order=True)
    )
    balances: dict[tuple[str, str], dict[str, float]] = {}
    for table, symbol, sign in (
        (collateral, "collateral_symbol", 1.0), (debts, "borrowed_symbol", -1.0)
    ):  # fmt: skip
        for row in table.iter_rows(named=True):
            if row["version"] not in MODELS:
                problem = f"unknown version {row['version']!r}"
                raise InputError(place, problem, f"known: {', '.join(MODELS)}")
            held = balances.setdefault((row["account"], row["version"]), {})
            name = NAMES.get(row[symbol], row[symbol])
            held[name] = held.get(name, 0.0) + sign * row["amount"]
    return [
        AccountDocument(
            id=f"{account} {version}",
            model=MODELS[version],
            balances={name: _amount(name, amount) for name, amount in held.items()},
            params=_params(held, version),
        )
        for (account, version), held in balances.items()
    ]


def _params(held: dict[str, float], version: str) -> dict[str, dict[str, Number]]:
    """cbBTC, of which the table says nothing, is counted as WBTC is; the reader is told."""
    if version != "V3" or "cbBTC" not in held:
        return {}
    return {
        "loan_to_value": {"cbBTC": Number("0.73")},
        "liquidation_threshold": {"cbBTC": Number("0.78")},
    }


def _amount(asset: str, amount: float) -> Number:
    digits = DIGITS_BITCOIN if asset.upper().endswith("BTC") else DIGITS
    return Number(f"{amount:.{digits}f}")
