"""What each pool must hold: margin models over whole accounts, from shared charges.

Entry points: ``load_models`` resolves a book's models once, ``assess`` applies them,
``explain`` shows where a requirement comes from. Invariants: a model is a function of whole
pools and a market, never of one position; charges add up to the requirement in the order in
which they are listed; whatever cannot be priced or has no rule makes the status UNKNOWN.
"""

from plimsoll.margin.assess import Plan, assess, lay_out, model_of_pools
from plimsoll.margin.assessment import Assessment, Charge, Detail, patch_assessment
from plimsoll.margin.explain import Explanation, explain, unknown_reasons
from plimsoll.margin.model import Model, ModelSet, PositionPrices, ResolvedModel
from plimsoll.margin.registry import MODELS, find_model, load_models, takes_parameter

__all__ = [
    "MODELS",
    "Assessment",
    "Charge",
    "Detail",
    "Explanation",
    "Model",
    "ModelSet",
    "Plan",
    "PositionPrices",
    "ResolvedModel",
    "assess",
    "explain",
    "find_model",
    "lay_out",
    "load_models",
    "model_of_pools",
    "patch_assessment",
    "takes_parameter",
    "unknown_reasons",
]
