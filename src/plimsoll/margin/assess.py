"""``assess``: what every pool of a book must hold, each by its own model."""

from dataclasses import dataclass

import numpy as np

from plimsoll.book import Book, PoolKind, take_pools
from plimsoll.core import Floats, Int64s, Status
from plimsoll.margin.assessment import Assessment, Charge, Requirement, status_of
from plimsoll.margin.exposure import measure_exposure
from plimsoll.margin.layout import Layout, lay_out_book, refit_layout
from plimsoll.margin.model import ModelSet, ResolvedModel
from plimsoll.market import Market


@dataclass(frozen=True, slots=True)
class Plan:
    """Which pools each model margins, and their layouts; in the order of the models.

    ``pools`` is None where one model margins the whole book. A layout is None until a model needs
    it; one with a sweep never does. A plan serves a book whose rows have not changed since;
    ``lay_out`` brings it up to date otherwise.
    """

    pools: tuple[Int64s | None, ...]
    layouts: tuple[Layout | None, ...]

    @classmethod
    def begin(cls, book: Book) -> "Plan":
        """The plan of a book before any layout is made."""
        pools = pools_by_model(book)
        return cls(pools, (None,) * len(pools))

    def serves(self, models: ModelSet) -> bool:
        """Whether there is a layout for every model that needs one."""
        pairs = zip(self.layouts, models.models, strict=True)
        return all(layout is not None or not _needs_layout(model) for layout, model in pairs)


def _needs_layout(resolved: ResolvedModel) -> bool:
    return resolved.model.sweep is None


def lay_out(book: Book, before: Plan | None = None, models: ModelSet | None = None) -> Plan:
    """The plan of a book; from the plan of an earlier state of it at a fraction of the cost.

    Of ``models``, where they are known, only those without a sweep get a layout.
    """
    plan = Plan.begin(book)
    if models is not None and plan.serves(models):
        return plan
    if len(book.models) == 1:
        known = None if before is None else before.layouts[0]
        layout = lay_out_book(book) if known is None else refit_layout(known, book)
        return Plan((None,), (layout,))
    parts = (book if part is None else take_pools(book, part) for part in plan.pools)
    wanted = [True] * len(plan.pools) if models is None else map(_needs_layout, models.models)
    pairs = zip(parts, wanted, strict=True)
    return Plan(plan.pools, tuple(lay_out_book(part) if needs else None for part, needs in pairs))


def pools_by_model(book: Book) -> tuple[Int64s | None, ...]:
    """The pools of each model, ascending; None for all pools of a book with one model."""
    if len(book.models) == 1:
        return (None,)
    owner = model_of_pools(book)
    return tuple(np.flatnonzero(owner == k) for k in range(len(book.models)))


def model_of_pools(book: Book) -> Int64s:
    """Index of the model that margins each pool; the system's pools go with the first."""
    is_system = book.pool_account < 0
    if not book.account_model.size:
        return np.zeros(book.pool_count, dtype=np.int64)
    owner = book.account_model[np.where(is_system, 0, book.pool_account)]
    return np.where(is_system, 0, owner).astype(np.int64)


def assess(book: Book, market: Market, models: ModelSet, plan: Plan | None = None) -> Assessment:
    """Assessment of every pool at a market.

    ``plan`` saves the work of laying out the book again; it must come from ``lay_out`` on a
    book with the same rows. Amounts are in the models' currency; a book mixes only models of
    one currency.
    """
    chosen = plan.pools if plan is not None else pools_by_model(book)
    parts = []
    for number, (resolved, pools) in enumerate(zip(models.models, chosen, strict=True)):
        sweep = resolved.model.sweep
        if sweep is not None:
            parts.append(sweep.run(book.rows, pools, resolved.sheet_at(market)))
            continue
        part = book if pools is None else take_pools(book, pools)
        layout = plan.layouts[number] if plan is not None else None
        parts.append(_assess_part(part, market, resolved, layout or lay_out_book(part)))
    if len(parts) == 1:
        return parts[0]
    return _merge(parts, [part for part in chosen if part is not None])


def require(book: Book, market: Market, resolved: ResolvedModel, layout: Layout) -> Requirement:
    """The bare requirement of one model for all pools of a book, with its details."""
    return resolved.model.require(measure_exposure(book, market, layout), market, resolved.params)


def _assess_part(book: Book, market: Market, resolved: ResolvedModel, layout: Layout) -> Assessment:
    requirement = require(book, market, resolved, layout)
    initial, maintenance = requirement.initial_margin, requirement.maintenance_margin
    status = status_of(
        requirement.equity,
        requirement.collateral_value,
        initial,
        maintenance,
        resolved.margin_call_ratio,
    )
    system = np.flatnonzero(book.pool_kind == PoolKind.SYSTEM)
    status[system] = Status.OK

    def clear(values: Floats) -> Floats:
        # The requirement's columns were made for this call alone.
        values[system] = 0.0
        return values

    return Assessment(
        status=status,
        equity=clear(requirement.equity),
        collateral_value=clear(requirement.collateral_value),
        initial_margin=clear(initial),
        maintenance_margin=clear(maintenance),
        charges=tuple(
            Charge(charge.name, clear(charge.initial), clear(charge.maintenance))
            for charge in requirement.charges
        ),
        currency=resolved.currency,
    )


def _merge(parts: list[Assessment], pools: list[Int64s]) -> Assessment:
    order = np.argsort(np.concatenate(pools), kind="stable")

    def joined(columns: list[Floats]) -> Floats:
        return np.asarray(np.concatenate(columns)[order])

    names = list(dict.fromkeys(charge.name for part in parts for charge in part.charges))

    def charge(name: str) -> Charge:
        found = [
            next((c for c in part.charges if c.name == name), _no_charge(name, part))
            for part in parts
        ]
        return Charge(
            name, joined([c.initial for c in found]), joined([c.maintenance for c in found])
        )

    return Assessment(
        status=np.concatenate([part.status for part in parts])[order],
        equity=joined([part.equity for part in parts]),
        collateral_value=joined([part.collateral_value for part in parts]),
        initial_margin=joined([part.initial_margin for part in parts]),
        maintenance_margin=joined([part.maintenance_margin for part in parts]),
        charges=tuple(charge(name) for name in names),
        currency=parts[0].currency,
    )


def _no_charge(name: str, part: Assessment) -> Charge:
    zeros = np.zeros(part.equity.size)
    return Charge(name, zeros, zeros)
