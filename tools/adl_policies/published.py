"""Published figures of the event beside the same figures from the files."""

from dataclasses import dataclass

import numpy as np

from tools.adl_policies.data import CENTS, Event


@dataclass(frozen=True, slots=True)
class Figure:
    """A published figure; ``found`` is None where the files do not hold what it is made of.

    It is reproduced where both agree to half a unit of the last digit that was printed.
    """

    name: str
    published: float
    last_digit: float
    found: float | None
    why: str

    @property
    def is_reproduced(self) -> bool:
        """Whether the files give the figure as it was printed."""
        return self.found is not None and abs(self.found - self.published) <= self.last_digit / 2


def published_figures(event: Event) -> tuple[Figure, ...]:
    """From arXiv:2512.01112 (v1, v3) and its corrections, and arXiv:2602.15182."""
    shocks, waves = event.shocks, event.waves
    deficit, beyond = int(shocks.deficit.sum()) / CENTS, float(shocks.beyond.sum())
    total = {name: float(column.sum()) for name, column in waves.overshoot.items()}
    return (
        Figure("closed beyond deficits (v1)", 653_552_663.51, 0.01, beyond,
               "sum over coins and clusters of profit closed - deficit: positions, no loss"),
        Figure("... as a multiple of the deficits (v1)", 28.0, 1.0, beyond / deficit,
               "of the deficits by coin"),
        Figure("deficits, by coin and cluster", 23.19e6, 1e4, deficit,
               "the corrected table; its 302 accounts are not in the files"),
        Figure("overshoot of the queue, horizon 0 (v3)", 45_028_665.72, 0.01, total["prod"],
               "sum over 16 waves of haircut - need; waves that fell short offset others"),
        Figure("overshoot of the integer programme", 92_186.99, 0.01,
               total["fixed_point_ilp_integer"], "sum over 16 waves"),
        Figure("overshoot of mirror descent", -1_793_022.03, 0.01, total["vector"],
               "the files call it vector"),
        Figure("overshoot pro rata", 0.0, 0.01, total["pr"], "by its definition"),
        Figure("overshoot of the queue, 500 ms", 51_673_606.61, 0.01, None,
               "needs the accounts' equity half a second later"),
        Figure("overshoot of the queue, 1000 ms", 51_012_123.23, 0.01, None,
               "needs the accounts' equity a second later"),
        Figure("positions closed", 2_103_111_431.0, 1.0, None,
               "notional; the files hold profits and deficits, no fills"),
        Figure("minutes", 12.0, 1.0, shocks.minutes,
               "first to last shock; the published span is 21:16 to 21:27, both minutes counted"),
    )  # fmt: skip


def notes(event: Event) -> tuple[str, ...]:
    """What keeps the figures apart, with the sizes that the files give."""
    waves, beyond = event.waves, float(event.shocks.beyond.sum())
    queue = waves.overshoot["prod"]
    short = -float(np.minimum(queue, 0).sum())
    largest = float(waves.deficit_largest.max())
    repeated = int(np.sum(np.isclose(waves.deficit_largest, largest, rtol=1e-9)))
    later, net = _millions(float(waves.overshoot_later.sum())), _millions(float(queue.sum()))
    over = _millions(float(np.maximum(queue, 0).sum()))
    total, once = _millions(float(waves.deficit.sum())), _millions(largest)
    definitions = f"{_millions(beyond)} is profit closed less deficit by coin and cluster"
    return (
        f"Two definitions: {definitions}, {net} haircut less need by wave.",
        "In the first table the coins of a wave are netted, so production is below the former.",
        f"The latter is a net figure: {over} over and {_millions(short)} short.",
        f"Its horizon matters: {later} with equity read {waves.later_s:g} s after a wave.",
        f"Of {total} of deficits by wave, {once} is one that counts {repeated} times.",
    )


def _millions(dollars: float) -> str:
    return f"{dollars / 1e6:.1f} M"
