"""The waterfall: what is done, stage by stage, with pools that cannot stand.

Entry points: ``load_policy`` (a venue's stages, from the tables in ``liquidation/presets``),
``plan`` (one round over all pools in question) and ``settle_round`` (the round and the fund's
housekeeping as one batch). Invariants: stages are data (``stages``), tried in their order; a round
is computed whole before any of it is posted; the order among pools is total and needs no
division; a lost pool ends at exactly zero, and what it could not pay is paid by the fund, by
counterparties, by all, or booked as bad debt, to the unit.
"""

from plimsoll.liquidation.waterfall.fund import fund_holds, fund_value, settle_fund, settle_round
from plimsoll.liquidation.waterfall.plan import Plan, plan
from plimsoll.liquidation.waterfall.policy import Policy, load_policy, resolve_policy
from plimsoll.liquidation.waterfall.preset import load_waterfall, waterfall_names, waterfall_of
from plimsoll.liquidation.waterfall.scene import Pace, Scene, window_seconds
from plimsoll.liquidation.waterfall.stages import Waterfall

__all__ = [
    "Pace",
    "Plan",
    "Policy",
    "Scene",
    "Waterfall",
    "fund_holds",
    "fund_value",
    "load_policy",
    "load_waterfall",
    "plan",
    "resolve_policy",
    "settle_fund",
    "settle_round",
    "waterfall_names",
    "waterfall_of",
    "window_seconds",
]
