"""Real failures of margin and liquidation systems, played again with and without a control.

Entry points: ``library.find_incident`` and ``library.incident_ids``; a module per family of
incidents reads its dated table and offers ``incidents()``. Invariants: a play runs the ledger, the
board and the engine that run live (``world``); every figure it starts from is published or listed
as unconfirmed in the table; nothing is drawn at random, so two plays give the same bits.
"""

from plimsoll.simulation.incidents.incident import Figure, Incident, Moment, Played

__all__ = ["Figure", "Incident", "Moment", "Played"]
