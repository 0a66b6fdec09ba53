"""The pools that a round has to decide on, under one waterfall, with all that it knows of them."""

from dataclasses import dataclass, replace

import numpy as np

from plimsoll.book import Book
from plimsoll.core import Bools, Floats, Int64s, sum_by
from plimsoll.liquidation.closing import Holdings, closing_costs, holdings_of, pick_rows
from plimsoll.liquidation.waterfall.fund import fund_value
from plimsoll.liquidation.waterfall.losses import rank_pools
from plimsoll.liquidation.waterfall.policy import Policy
from plimsoll.liquidation.waterfall.scene import Scene
from plimsoll.margin import Assessment
from plimsoll.margin.exposure import notional_coefficient


@dataclass(frozen=True, slots=True)
class Question:
    """Pools in question, ascending, and their holdings (``owner`` counts the pools).

    ``loss`` and ``fee`` are the USD that closing each position in the market costs, by row. By
    pool: ``found`` is how it stands, ``rank`` its place in the order of liquidation, ``was_in``
    whether it was in the procedure before, since when is ``since_ns``. ``fund_usd`` is what the
    fund holds.
    """

    pools: Int64s
    held: Holdings
    found: Assessment
    loss: Floats
    fee: Floats
    rank: Int64s
    was_in: Bools
    since_ns: Int64s
    fund_usd: float

    @property
    def cost(self) -> Floats:
        """USD that closing all of each pool's positions costs, the fee aside."""
        return sum_by(self.held.owner, self.loss, self.pools.size)

    def acted_within(self, now_ns: int, seconds: float) -> Bools:
        """Pools in the procedure on which something was done so short a time ago."""
        return self.was_in & (now_ns - self.since_ns < seconds * 1e9)

    def part(self, chosen: Bools) -> tuple["Question", Int64s]:
        """The question of some pools alone, and the rows of ``held`` that are theirs."""
        rows = np.flatnonzero(chosen[self.held.owner])
        held = pick_rows(self.held, rows)
        return Question(
            pools=self.pools[chosen],
            held=replace(held, owner=(np.cumsum(chosen) - 1)[held.owner]),
            found=pick_assessed(self.found, np.flatnonzero(chosen)),
            loss=self.loss[rows],
            fee=self.fee[rows],
            rank=self.rank[chosen],
            was_in=self.was_in[chosen],
            since_ns=self.since_ns[chosen],
            fund_usd=self.fund_usd,
        ), rows


def ask(
    book: Book, scene: Scene, policy: Policy, pools: Int64s, found: Assessment, was_in: Bools
) -> Question:
    """What there is to know of ``pools``; ``found`` and ``was_in`` have a row for each."""
    market = scene.market
    notional = notional_coefficient(book.instruments, market.mark, market.index)
    held = holdings_of(book, pools, notional)
    loss, fee = closing_costs(book, market, held, policy)
    return Question(
        pools=pools,
        held=held,
        found=found,
        loss=loss,
        fee=fee,
        rank=rank_pools(found, pools),
        was_in=was_in,
        since_ns=np.where(was_in, book.pool_since_ns[pools], market.as_of_ns),
        fund_usd=fund_value(book, market),
    )


def pick_assessed(found: Assessment, rows: Int64s) -> Assessment:
    """Some rows of an assessment, without its line items."""
    return Assessment(
        status=found.status[rows],
        equity=found.equity[rows],
        collateral_value=found.collateral_value[rows],
        initial_margin=found.initial_margin[rows],
        maintenance_margin=found.maintenance_margin[rows],
        charges=(),
        currency=found.currency,
    )
