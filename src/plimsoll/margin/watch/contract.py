"""What judging one pool takes and gives, whichever model it is: the contract of all evaluators.

An evaluator is compiled code

    evaluate(house, rows, pool, model, x, low, high, scratch, slopes, figures) -> bool

``house`` and ``scratch`` are its own tuples of columns, ``rows`` the book's, ``model`` the
number of the pool's model among the book's. ``x`` holds the market's rows (``market_rows``),
``low`` and ``high`` a box around it that ``x`` lies in. It fills

- ``figures``: collateral value, equity and maintenance margin at ``x``; ERROR, a bound on how
  far rounding can put each of these, and each of ``assess``, from the exact number (also of a
  product of a slope and a move to the edge of the box); COUNTED, what collateral value adds up
  with all signs dropped, 0 where nothing is there;
  Collateral value is at most equity, and maintenance margin at least 0;
- ``slopes``: for every row that one of the three depends on inside the box, its number (once),
  and the least and the largest slope of collateral value, of equity and of maintenance margin
  along it, such that between any two points of the box each changes by no more than the sum
  over rows of the worse slope times the move.

It returns false, whatever it has filled, where a figure is not finite, where a status could be
UNKNOWN to ``assess``, or where it has no rule: ``assess`` decides then.
"""

from typing import Any, NamedTuple

from plimsoll.core import Floats, Int8s, Int32s, Int64s

COLLATERAL, EQUITY, MAINTENANCE, ERROR, COUNTED = range(5)
"""Figures of a pool, USD."""
FIGURES = 5

C_LOW, C_HIGH, E_LOW, E_HIGH, M_LOW, M_HIGH = range(6)
RANGES = 6
"""Least and largest slopes along a row, side by side."""

ASSESSED, TIERED, JOINT = range(3)
"""How pools of a model are judged: by ``assess`` at every tick, or by compiled code of
``plimsoll.standard`` or ``plimsoll.portfolio``."""


class Slopes(NamedTuple):
    """Room for the legs of one pool: ``row`` and slope ranges by row, ``tally`` [1] of them.

    ``ranges`` [6 * legs] holds the least and largest slope of collateral value, of equity and of
    maintenance margin. ``leg`` has the rows of the gap in hand, ``low`` and ``high`` its slopes,
    ``weight`` its shares and ``key`` the lists it goes to.
    """

    row: Int32s
    ranges: Floats
    leg: Int32s
    low: Floats
    high: Floats
    weight: Floats
    key: Int32s
    tally: Int64s


class Desk(NamedTuple):
    """What judging takes besides rows: rules, and room to work in.

    ``code`` [models] says how pools of a model are judged, ``model`` [pools] whose they are (-1:
    nobody's, they are not margined). ``tiered``, ``joint`` and their scratch rooms are tuples of
    columns that only the evaluators of their models read.
    """

    code: Int8s
    model: Int32s
    tiered: Any
    tiered_scratch: Any
    joint: Any
    joint_scratch: Any
    slopes: Slopes
    figures: Floats
