"""Real failures of margin and liquidation systems, played again with and without a control.

Entry points: ``library.find_incident`` and ``library.incident_ids``. An incident is a record and a
play. To add one, write ``records/b99.toml`` (story, published figure, bound, the figures that the
play starts from; ``record.py`` says which keys), a play function in a module named for what it
plays, and one line in ``library.PLAYS``. Invariants: a play runs the ledger, the board and the
engine that run live (``world``); every figure it starts from is published or listed as
unconfirmed in the record, and what follows from them is worked out by the play; nothing is drawn
without a seed of the record, so two plays give the same bits.
"""

from plimsoll.simulation.incidents.incident import Figure, Incident, Moment, Played

__all__ = ["Figure", "Incident", "Moment", "Played"]
