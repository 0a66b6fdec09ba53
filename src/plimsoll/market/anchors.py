"""What redeemable collateral redeems for, by date: the anchors of its marks."""

from plimsoll.core import InputError, load_tables, table_at
from plimsoll.market.sanity import Anchor


def load_anchors(as_of_ns: int) -> tuple[Anchor, ...]:
    """The anchors in force at ``as_of_ns``. Raises InputError before the first table.

    Rates of staked coins grow with their yield; a date long after its block's leaves them low by
    that much, which the band must hold.
    """
    table = table_at(load_tables("plimsoll.market", "anchors"), as_of_ns)
    anchors = []
    for asset, row in sorted(table.params["anchors"].items()):
        gap = row.get("pause_gap")
        anchor = Anchor(
            asset=asset,
            into=str(row["into"]),
            rate=float(row["rate"]),
            band=float(row["band"]),
            pause_gap=None if gap is None else float(gap),
        )
        if not (anchor.rate > 0 and 0 <= anchor.band < 1):
            place = f"{table.name}.anchors.{asset}"
            raise InputError(place, "rate or band is out of range", "mend the table")
        anchors.append(anchor)
    return tuple(anchors)
