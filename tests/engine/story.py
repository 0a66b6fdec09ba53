"""A short story that an engine lives through, and the ways its journal may end."""

from pathlib import Path

import numpy as np

from plimsoll.engine import Inputs, Session
from plimsoll.ledger import (
    EventBatch,
    NewAccounts,
    Placements,
    Trades,
    Transfers,
)
from tests.book.builders import T0, events
from tests.engine.world import DESK, HOUSE, SANITY, TABLE, inputs_of, prices_of

BTC = "BTC/USDT:USDT"
OPENING = EventBatch(
    0,
    accounts=NewAccounts(("a", "b", "c"), np.zeros(3, np.int32)),
    placements=events(Placements, [DESK.order(5, 1, BTC, "1", "9000")]),
    trades=events(Trades, [DESK.trade(pool, BTC, "1", "10000") for pool in (5, 6, 7)]),
    transfers=events(
        Transfers,
        [
            DESK.deposit(pool, "USDT", amount)
            for pool, amount in ((5, "1300"), (6, "1900"), (7, "6000"))
        ],
    ),
)
LATER = EventBatch(0, transfers=events(Transfers, [DESK.deposit(7, "BTC", "0.01")]))
# All calm; a call; the call is over; one is taken over and one reduced; calm again.
TICKS = (
    inputs_of(prices_of(10_000, 500), 0, OPENING),
    inputs_of(prices_of(9_700, 500), 1),
    inputs_of(prices_of(10_600, 500), 2),
    inputs_of(prices_of(8_600, 500), 3, LATER),
    inputs_of(prices_of(11_000, 500), 4),
)


class BrokenOffError(Exception):
    """What ends a session by an error."""


def create(path: Path) -> Session:
    return Session.create(path, TABLE, (HOUSE,), ("test",), SANITY, T0)


def write(path: Path, ticks: tuple[Inputs, ...] = TICKS) -> Session:
    """A journal of some ticks, closed in order."""
    with create(path) as session:
        for inputs in ticks:
            session.handle(inputs)
            session.commit()
    return session


def break_off(
    session: Session, ticks: tuple[Inputs, ...], uncommitted: tuple[Inputs, ...] = ()
) -> None:
    """Leaves a session by an error, after a commit and some ticks that are never committed."""
    with session:
        for inputs in ticks:
            session.handle(inputs)
        session.commit()
        for inputs in uncommitted:
            session.handle(inputs)
        raise BrokenOffError
