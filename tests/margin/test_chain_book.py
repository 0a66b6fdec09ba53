"""A book on a real chain of 600 options and more, through every model with rules for options.

A venue that lists options in coin takes the chain as it is, one that lists them in a dollar takes
it in that; models whose tables are empty until a user fills them are given figures.
"""

from typing import Any

import msgspec
import pytest

from plimsoll.connectors import build_portfolio, decode_document
from plimsoll.core import Status
from plimsoll.margin import assess, load_models
from tests.app.chain_document import chain_document
from tests.margin.exam_params import EXAM_PARAMS

CHAIN = "data/options/deribit_btc_chain_hourly_2026-01-23_24.parquet"
SPAN = {
    "price_scan_range": {"default": 0.2},
    "vol_scan_range": {"default": 0.3},
    "intra_commodity_charge": {"default": 0.01},
    "short_option_minimum": {"default": 0.05},
}
BYBIT = EXAM_PARAMS["bybit.portfolio"]
# Per model: the quote its options are listed in, and the figures an account must supply.
OPTION_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "plimsoll.portfolio": ("USD", {}),
    "deribit.standard": ("USD", {}),
    "deribit.segregated_pm": ("USD", {}),
    "deribit.cross_pm": ("USD", {}),
    "okx.multi_currency": ("USD", {"position_tiers": {"default": [[None, 0.05, 0.1]]},
                                   "discounts": {"BTC": [[None, 0.98]]}}),
    "okx.portfolio": ("USD", dict(EXAM_PARAMS["okx.portfolio"])),
    "bybit.cross": ("USDT", {}),
    "bybit.portfolio": ("USDT", {**BYBIT, "delta_contingency": {"BTC": 100}}),
    "paradex.cross": ("USDC", {}),
    "paradex.portfolio": ("USDC", {}),
    "cme.span": ("USD", SPAN),
    "occ.tims": ("USDC", {"product_class": {"default": "equity"}, "cash": {"USDC": 1}}),
    "cboe.regt": ("USDC", {"product_class": {"default": "equity"}, "cash": {"USDC": 1}}),
}  # fmt: skip
# Desks that hold what the venue does not list: dated futures, or any future.
NOT_LISTED = {
    "bybit.cross": {"conversion"},
    "paradex.portfolio": {"conversion"},
    "cboe.regt": {"conversion", "delta-hedged"},
}


@pytest.mark.parametrize("model", OPTION_MODELS)
def test_a_real_chain(model: str, shared_data) -> None:
    quote, params = OPTION_MODELS[model]
    document = chain_document(shared_data(CHAIN), quote)
    assert len(document["market"]["instruments"]) > 600
    for account in document["accounts"]:
        account |= {"model": model, "params": params}
    portfolio = build_portfolio(decode_document(msgspec.json.encode(document), "chain.json"))
    book, market = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, market.as_of_ns)
    result = assess(book, market, models)
    desks = dict(zip(book.account_ids, range(5, book.pool_count), strict=False))
    unknown = {name for name, pool in desks.items() if result.status[pool] == Status.UNKNOWN}
    assert unknown == NOT_LISTED.get(model, set())
    desks = {name: pool for name, pool in desks.items() if name not in unknown}
    initial, maintenance = result.initial_margin, result.maintenance_margin
    for pool in desks.values():
        assert initial[pool] >= maintenance[pool] >= 0
    assert maintenance[desks["short-strangle"]] > 0
    # A conversion is worth its strike whatever happens: where netting is allowed it is cheap.
    naked = maintenance[desks["short-strangle"]]
    if model.endswith(("portfolio", "_pm", "span", "tims")) and "conversion" in desks:
        assert maintenance[desks["conversion"]] < naked
