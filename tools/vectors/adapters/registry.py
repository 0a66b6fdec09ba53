"""The adapters there are, party by party; each module lists its own."""

from itertools import chain

from tools.vectors.adapters import (
    binance,
    bitmex,
    bybit,
    deribit,
    dydx,
    hyperliquid,
    kraken,
    okx,
    options,
    others,
    paradex,
    references,
    synthetix,
)
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case

PARTIES = (
    binance, bitmex, bybit, deribit, dydx, hyperliquid, kraken, okx, options, others,
    paradex, references, synthetix,
)  # fmt: skip

ADAPTERS: tuple[Adapter, ...] = tuple(chain.from_iterable(party.ADAPTERS for party in PARTIES))


def find_adapter(case: Case) -> Adapter | None:
    """The first adapter that takes a case; None where its model is not there yet."""
    return next((adapter for adapter in ADAPTERS if adapter.takes(case)), None)
