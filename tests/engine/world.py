"""A small world to step through: few instruments, and a house model that is easy in the head.

Every underlying has one bracket, 10 % maintenance and 20 % initial margin, no size rule and no
fee provision; USDT and USDC count in full, coins less a tenth, MOON not at all. So a pool in
USDT is at its line when its equity is a tenth of the larger side's notional.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from plimsoll.book import Book, ModelChoice, PoolState
from plimsoll.engine import EngineState, Inputs, Outcome, Rules, load_rules, open_state, step
from plimsoll.instruments import InstrumentTable
from plimsoll.ledger import EventBatch, StateChanges, apply
from plimsoll.liquidation import Pace, Scene, fund_value, resolve_policy
from plimsoll.liquidation.waterfall.stages import AutoDeleveraging, SocialisedLoss
from plimsoll.market import Market, PriceBatch, SanityRules
from tests.book.builders import T0, Desk, open_book, table_of

SECOND = 1_000_000_000
UNDERLYINGS = ("BTC", "ETH")
MULTIPLIERS = {
    "BTC/USDT:USDT": "1",
    "BTC/USDT:USDT-261225": "1",
    "ETH/USDT:USDT": "1",
    "BTC/USD:BTC": "100",
    "ETH/USD:ETH": "10",
    "ETH/USD:BTC": "0.00001",
}
DECIMALS = {"USDT": 6, "USDC": 6, "USD": 6, "BTC": 8, "ETH": 8, "MOON": 6}
HOUSE = ModelChoice(
    "plimsoll.standard",
    json.dumps(
        {
            "brackets": {name: [[0, 0.1, 0.2]] for name in UNDERLYINGS},
            "size_slopes": dict.fromkeys(UNDERLYINGS, 0.0),
            "haircuts": {
                "USDT": [[0, 0.0]],
                "USDC": [[0, 0.0]],
                "BTC": [[0, 0.1]],
                "ETH": [[0, 0.1]],
            },
            "fee_provision_rate": 0.0,
        }
    ),
)
TABLE = table_of(MULTIPLIERS, DECIMALS)
DESK = Desk(TABLE)
SANITY = SanityRules(jump_max=100.0)
"""Every jump is believed, so that a test may gap where it likes."""


def fund_alone(rules: Rules) -> Rules:
    """Rules whose waterfalls end with the fund: nobody else is closed or asked to pay."""
    others = (AutoDeleveraging, SocialisedLoss)
    policies = tuple(
        resolve_policy(
            replace(
                policy.waterfall,
                stages=tuple(s for s in policy.waterfall.stages if not isinstance(s, others)),
            ),
            TABLE,
        )
        for policy in rules.policies
    )
    return replace(rules, policies=policies, fund_policy=policies[0])


RULES = fund_alone(load_rules(TABLE, (HOUSE,), SANITY, T0))


def scene_at(book: Book, market: Market, rules: Rules = RULES) -> Scene:
    """What a first round sees at a market."""
    pace = Pace.idle(len(book.instruments))
    fund = fund_value(book, market)
    return Scene.begin(market, rules.models, rules.policies, book.market_phase, pace, fund)


def house_book(*accounts: str, table: InstrumentTable = TABLE) -> Book:
    """A book under the house model with empty accounts; their cross pools begin at 5."""
    return open_book(table, *accounts, models=(HOUSE,))


def set_states(book: Book, *states: tuple[int, PoolState]) -> Book:
    """The book with pools put into procedure states."""
    pools, new = zip(*states, strict=True)
    changes = StateChanges(np.array(pools, np.int32), np.array(new, np.int8))
    return apply(book, EventBatch(book.time_ns + 1, states=changes))


def prices_of(btc: float, eth: float, **index: float) -> dict[str, float]:
    """Marks and indices of a world where every contract trades at its coin's price."""
    coins = {"BTC": btc, "ETH": eth}
    marks = {symbol: coins[symbol.partition("/")[0]] for symbol in MULTIPLIERS}
    return {**marks, **coins, "USDT": 1.0, "USDC": 1.0, "MOON": 0.5, **index}


def observations(
    prices: Mapping[str, float], time_ns: int, table: InstrumentTable = TABLE
) -> PriceBatch:
    """What the one source says: marks by symbol, indices by asset."""
    rows = [
        table.find(name, "") if "/" in name else len(table) + table.assets.find(name, "")
        for name in prices
    ]
    return PriceBatch(
        np.zeros(len(rows), np.int32),
        np.array(rows, np.int32),
        np.array([*prices.values()], np.float64),
        np.full(len(rows), time_ns, np.int64),
    )


def inputs_of(
    prices: Mapping[str, float], seconds: int, events: EventBatch | None = None
) -> Inputs:
    """Prices seen, and events, so many seconds after T0."""
    time_ns = T0 + seconds * SECOND
    batch = EventBatch(time_ns) if events is None else replace(events, time_ns=time_ns)
    return Inputs(time_ns, observations(prices, time_ns), batch)


def run_ticks(
    book: Book, ticks: Iterable[Mapping[str, float]], rules: Rules = RULES
) -> tuple[EngineState, list[Outcome]]:
    """The state and the outcomes after ticks a second apart."""
    state, outcomes = open_state(book, ("test",)), []
    for second, prices in enumerate(ticks):
        state, outcome = step(state, rules, inputs_of(prices, second))
        outcomes.append(outcome)
    return state, outcomes
