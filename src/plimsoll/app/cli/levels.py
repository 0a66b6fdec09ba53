"""The level a pool is at and the one after it, as a table or JSON."""

import math
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from plimsoll.app.cli.render import money, new_table, percent, stdout
from plimsoll.book import Book
from plimsoll.core import Status
from plimsoll.liquidation.calls import Ladder, Level, locate
from plimsoll.liquidation.calls import load_ladders as load
from plimsoll.margin import Explanation, ModelSet

Ladders: TypeAlias = Mapping[str, Ladder]
"""The ladder of each account."""


def load_ladders(book: Book, models: ModelSet, as_of_ns: int) -> Ladders:
    """The levels of every account of a book."""
    ladders = load(book.models, models.models, as_of_ns)
    owners = zip(book.account_ids, book.account_model.tolist(), strict=True)
    return {account: ladders[model] for account, model in owners}


def print_levels(pools: Iterable[tuple[Ladder, Explanation]]) -> None:
    """Where pools stand on their ladders, what follows from it, and what the next level leaves."""
    columns = ("Pool", "Level", "What follows", "Next level", "At", "Distance", "May lose")
    table = new_table("Levels", columns, texts=4)
    for ladder, pool in pools:
        place = locate(ladder, pool)
        if pool.status == Status.UNKNOWN:
            table.add_row(pool.pool, "unknown", "no new risk", "unknown", "—", "—", "—")
            continue
        after = place.next
        table.add_row(
            pool.pool,
            "none" if place.at is None else place.at.name,
            _follows(place.at, place.usage),
            "none" if after is None else after.name,
            "—" if after is None else percent(after.ratio),
            "—" if after is None else f"{100 * place.distance:,.1f} points",
            money(place.loss) if math.isfinite(place.loss) else "—",
        )
    stdout().print(table)


def _follows(at: Level | None, usage: Level | None) -> str:
    """What follows from a level, and from that of initial margin beside it."""
    every = [one for level in (at, usage) if level is not None for one in level.consequences]
    return ", ".join(one.replace("_", " ") for one in dict.fromkeys(every)) or "nothing"


def level_document(ladder: Ladder, pool: Explanation) -> dict[str, object]:
    """The same for JSON."""
    place = locate(ladder, pool)
    return {
        "at": None if place.at is None else place.at.name,
        "consequences": [] if place.at is None else list(place.at.consequences),
        "usage": None if place.usage is None else place.usage.name,
        "next": None if place.next is None else place.next.name,
        "next_ratio": None if place.next is None else place.next.ratio,
        "distance": place.distance,
        "loss": place.loss,
        "ladder": [
            {
                "name": level.name,
                "ratio": level.ratio,
                "clear_ratio": level.clear_ratio,
                "consequences": list(level.consequences),
            }
            for level in ladder.levels
        ],
        "source": ladder.source,
        "unconfirmed": dict(ladder.unconfirmed),
    }
