"""The ledger again, slow and obvious: dictionaries of Python integers, one event at a time.

It shares the events' columns with the real one, and not a line of its code.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from plimsoll.instruments import InstrumentTable
from plimsoll.ledger import EventBatch

SYSTEM_POOLS = 5
FEES = 3


@dataclass
class Reference:
    """Balances by (pool, asset), positions by (pool, instrument), orders by (pool, id)."""

    table: InstrumentTable
    pool_accounts: list[int]
    accounts: int = 0
    balances: dict[tuple[int, int], int] = field(default_factory=dict)
    positions: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    orders: dict[tuple[int, int], tuple[int, int, int, bool]] = field(default_factory=dict)
    states: dict[int, int] = field(default_factory=dict)

    def apply(self, batch: EventBatch) -> None:
        """Every event in the order of the batch's fields."""
        for _ in batch.accounts.ids:
            self.pool_accounts.append(self.accounts)
            self.accounts += 1
        self.pool_accounts += batch.pools.account.tolist()
        for key in zip(batch.cancels.pool.tolist(), batch.cancels.order_id.tolist(), strict=True):
            del self.orders[key]
        p = batch.placements
        for row in range(p.pool.size):
            self.orders[int(p.pool[row]), int(p.order_id[row])] = (
                int(p.instrument[row]),
                int(p.quantity[row]),
                int(p.price[row]),
                bool(p.is_reduce_only[row]),
            )
        t = batch.trades
        for row in range(t.pool.size):
            columns = (t.pool, t.counterparty, t.instrument, t.quantity, t.price, t.fee)
            self.trade(*(int(column[row]) for column in columns))
        self.settle_the_system()
        m = batch.transfers
        for row in range(m.source.size):
            self.post(int(m.source[row]), int(m.asset[row]), -int(m.amount[row]))
            self.post(int(m.target[row]), int(m.asset[row]), int(m.amount[row]))
        self.states.update(
            zip(batch.states.pool.tolist(), batch.states.state.tolist(), strict=True)
        )

    def post(self, pool: int, asset: int, amount: int) -> None:
        """Add to a balance."""
        self.balances[pool, asset] = self.balances.get((pool, asset), 0) + amount

    def trade(self, pool: int, other: int, i: int, quantity: int, price: int, fee: int) -> None:
        """Value changes hands as cash (spot, options) or as the cost of a position."""
        row, settle, base = self.table.rows[i], int(self.table.settle[i]), int(self.table.base[i])
        contracts = Fraction(quantity, 10**row.quantity_decimals)
        limit = Fraction(price, 10**row.price_decimals)
        size = Fraction(row.contract_multiplier)
        kind = row.kind.name
        inverse = row.payoff.name == "INVERSE" and kind != "OPTION"
        worth = -contracts * size / limit if inverse else contracts * size * limit
        value = round(worth * 10 ** self.table.assets.decimals[settle])
        if kind in ("SPOT", "OPTION"):
            self.post(pool, settle, -value)
            self.post(other, settle, value)
        if kind == "SPOT":
            coins = int(contracts * 10 ** self.table.assets.decimals[base])
            self.post(pool, base, coins)
            self.post(other, base, -coins)
        else:
            cost = 0 if kind == "OPTION" else value
            self.leg(pool, i, quantity, cost)
            self.leg(other, i, -quantity, -cost)
        self.post(pool, settle, -fee)
        self.post(FEES, settle, fee)

    def leg(self, pool: int, i: int, change: int, value: int) -> None:
        """Add to a position, or close part of it and realise the difference."""
        held, cost = self.positions.get((pool, i), (0, 0))
        if pool < SYSTEM_POOLS or held * change >= 0:
            self.positions[pool, i] = held + change, cost + value
            return
        closed = min(abs(held), abs(change))
        cost_closed = round(Fraction(cost * closed, abs(held)))
        value_closed = round(Fraction(value * closed, abs(change)))
        self.post(pool, int(self.table.settle[i]), -value_closed - cost_closed)
        self.positions[pool, i] = held + change, cost - cost_closed + value - value_closed

    def settle_the_system(self) -> None:
        """A flat position of the system realises what it has cost."""
        for (pool, i), (held, cost) in self.positions.items():
            if pool < SYSTEM_POOLS and held == 0 and cost:
                self.post(pool, int(self.table.settle[i]), -cost)
                self.positions[pool, i] = 0, 0
