"""Real marks: Black-76 from listed vols gives them, and inverting them gives the vols back."""

import numpy as np

from plimsoll.connectors.deribit import OptionChain, read_option_chain
from plimsoll.core import Floats
from plimsoll.market.surface import NS_PER_YEAR
from plimsoll.pricing import (
    PriceStatus,
    black76,
    chain_forwards,
    greeks,
    half_tick_error,
    implied_vol,
    price_from_coin,
    value_in_coin,
)
from plimsoll.pricing.forwards import quote_forwards
from tests.conftest import find_shared_data

FOLDER = "data/options/deribit_"


def chain(name: str) -> tuple[OptionChain, Floats, Floats]:
    """A chain of one snapshot, the forward of each quote and its years to expiry."""
    (found,) = read_option_chain(find_shared_data(f"{FOLDER}{name}.csv"), None)
    quotes = found.quotes
    fitted = quote_forwards(quotes, chain_forwards(quotes, found.time_ns))
    forward = np.where(np.isfinite(quotes.forward), quotes.forward, fitted)
    seen = np.where(quotes.time_ns >= 0, quotes.time_ns, found.time_ns)
    return found, forward, (quotes.expiry_ns - seen) / NS_PER_YEAR


def test_marks_of_2020_follow_from_their_vols() -> None:
    found, forward, time = chain("btc_chain_2020-05-21_with_book")
    quotes = found.quotes
    values = black76(forward, quotes.strike, time, quotes.vol, quotes.is_call)
    error = np.abs(value_in_coin(values.value, forward) - quotes.price)
    assert error.size == 326
    assert np.median(error) <= 4e-6
    assert error.max() <= 2.5e-4


def test_marks_of_eth_invert_to_their_vols() -> None:
    """Listed marks are rounded to 1e-4 coins and vols to 0.01 points: what the rounding of the

    mark leaves open bounds the difference out of the money. Deep in the money a mark holds no
    digit of the vol, and the inversion says so instead of giving one.
    """
    found, forward, time = chain("eth_chain_2024-05")
    quotes = found.quotes
    price = price_from_coin(quotes.price, forward).price
    implied = implied_vol(
        price, forward, quotes.strike, time, quotes.is_call, np.ones(forward.size)
    )
    listed = greeks(forward, quotes.strike, time, quotes.vol, quotes.is_call)
    open_by_half_tick = half_tick_error(listed.vega / forward, quotes.tick)
    out_of_money = np.where(quotes.is_call, quotes.strike >= forward, quotes.strike < forward)
    priced = out_of_money & (implied.status == PriceStatus.OK)
    difference = np.abs(implied.vol - quotes.vol)
    # The rest are marked at zero, which says nothing of a vol.
    assert np.mean(priced[out_of_money]) > 0.98
    assert np.median(difference[priced]) < 0.0005
    # The forward itself comes from rounded marks by parity; it adds a few hundredths of a point.
    within = difference[priced] <= open_by_half_tick[priced] + 0.0005
    assert np.mean(within) > 0.97
