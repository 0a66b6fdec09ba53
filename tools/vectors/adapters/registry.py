"""The adapters there are, party by party; each module lists its own."""

from fnmatch import fnmatchcase
from itertools import chain

from tools.vectors.adapters import (
    binance,
    bitmex,
    bybit,
    deribit,
    derive,
    drift,
    dydx,
    hyperliquid,
    kraken,
    losses,
    mango,
    okx,
    options,
    others,
    paradex,
    protocols,
    references,
    synthetix,
    vega,
    waterfall,
)
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case

PARTIES = (
    binance, bitmex, bybit, deribit, derive, drift, dydx, hyperliquid, kraken, losses, mango,
    okx, options, others, paradex, protocols, references, synthetix, vega, waterfall,
)  # fmt: skip

ADAPTERS: tuple[Adapter, ...] = tuple(chain.from_iterable(party.ADAPTERS for party in PARTIES))


def is_awaited(case: Case) -> bool:
    """Whether a case without an adapter belongs to the liquidation waterfall."""
    party, subject = case.party.lower(), case.subject.lower()
    return any(fnmatchcase(party, p) and fnmatchcase(subject, s) for p, s in waterfall.AWAITED)


def find_adapter(case: Case) -> Adapter | None:
    """The first adapter that takes a case; None where its model is not there yet."""
    return next((adapter for adapter in ADAPTERS if adapter.takes(case)), None)
