"""The scenario model's evaluator, compiled into the loop only for books that hold such pools.

Its compilation takes longer than all the rest of the watch. A desk without a scenario model has
an empty tuple in its place, and which of the two is at hand is a matter of type.
"""

from typing import Any

from numba.core import types
from numba.extending import overload

from plimsoll.margin.watch.scenario import evaluate_joint, is_joint_stuck


def joint_figures(joint: Any, *rest: Any) -> bool:
    """``evaluate_joint`` where a desk has scenario models, else false."""
    raise NotImplementedError("for compiled code")


@overload(joint_figures)
def _joint_figures(joint: Any, *rest: Any) -> Any:
    def evaluate(joint: Any, *rest: Any) -> bool:
        return bool(evaluate_joint(joint, *rest))

    return evaluate if isinstance(joint, types.NamedTuple) else _refuse


def joint_stuck(joint: Any, *rest: Any) -> bool:
    """``is_joint_stuck`` where a desk has scenario models, else false."""
    raise NotImplementedError("for compiled code")


@overload(joint_stuck)
def _joint_stuck(joint: Any, *rest: Any) -> Any:
    def ask(joint: Any, *rest: Any) -> bool:
        return bool(is_joint_stuck(joint, *rest))

    return ask if isinstance(joint, types.NamedTuple) else _refuse


def _refuse(joint: Any, *rest: Any) -> bool:
    return False
