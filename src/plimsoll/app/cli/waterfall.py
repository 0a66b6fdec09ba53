"""``plimsoll waterfall``: what a venue does with an account that cannot stand, stage by stage."""

from collections.abc import Iterator
from dataclasses import fields
from enum import StrEnum

import msgspec

from plimsoll.app.cli.render import new_table, print_json, stdout
from plimsoll.core import (
    DatedTable,
    InputError,
    did_you_mean,
    format_time,
    parse_time,
    table_at,
)
from plimsoll.liquidation.deleveraging import HedgeRule
from plimsoll.liquidation.presets.decode import stage_name
from plimsoll.liquidation.waterfall.preset import (
    decode_waterfall,
    waterfall_names,
    waterfall_of,
    waterfall_tables,
)
from plimsoll.liquidation.waterfall.stages import (
    AutoDeleveraging,
    CloseBy,
    CloseOut,
    Stage,
    Takeover,
    TakeoverBy,
    Throttle,
    Waterfall,
)
from plimsoll.margin import MODELS

MARK = "?"


def run_waterfall(name: str | None, as_of: str | None, as_json: bool) -> None:
    """Print every waterfall on a line, or the stages of one, named itself or by a margin model."""
    tables = _tables(None if name is None else _resolve(name), as_of)
    if as_json:
        print_json([_plain(table) for table in tables])
    elif name is None:
        _print_list(tables)
    else:
        _print_waterfall(decode_waterfall(tables[0]))


def _resolve(name: str) -> str:
    names, models = waterfall_names(), [model.name for model in MODELS]
    if name in models:
        return waterfall_of(name)
    if name not in names:
        remedy = did_you_mean(name, (*names, *models))
        raise InputError("waterfall", f"unknown waterfall '{name[:60]}'", remedy)
    return name


def _tables(name: str | None, as_of: str | None) -> list[DatedTable]:
    """The newest table of a waterfall, or of all; with an instant those in force then."""
    names = waterfall_names() if name is None else (name,)
    if as_of is None:
        return [waterfall_tables(each)[-1] for each in names]
    instant = parse_time(as_of, "--as-of")
    # A day before all of them is the first one's to refuse.
    begun = [n for n in names if waterfall_tables(n)[0].effective_from_ns <= instant]
    return [table_at(waterfall_tables(each), instant) for each in begun or names[:1]]


def _models_of(name: str) -> list[str]:
    return [model.name for model in MODELS if waterfall_of(model.name) == name]


def _parameters(stage: Stage) -> Iterator[tuple[str, object]]:
    """A stage's parameters by path, without those that bound nothing here."""
    idle = _idle(stage)
    for field in fields(stage):
        value = getattr(stage, field.name)
        if isinstance(value, Throttle):
            bounds = ((part.name, getattr(value, part.name)) for part in fields(value))
            yield from ((f"{field.name}.{key}", bound) for key, bound in bounds if bound)
        elif value not in (None, "") and field.name not in idle:
            yield field.name, value


def _idle(stage: Stage) -> set[str]:
    """Parameters that another one takes out of use, and bounds of zero that are none."""
    idle: set[str] = set()
    if isinstance(stage, CloseOut):
        bounds = ("whole_notional", "whole_within_s", "cooldown_s")
        idle |= {key for key in bounds if getattr(stage, key) == 0}
        if stage.by not in (CloseBy.SHARE, CloseBy.RELIEF):
            idle.add("step_share")
    elif isinstance(stage, Takeover) and stage.by != TakeoverBy.BACKSTOP:
        idle |= {"backstop_ratio_max", "loss_share_max"}
    elif isinstance(stage, AutoDeleveraging) and stage.hedges != HedgeRule.LIMITED:
        idle.add("hedge_share_max")
    return idle


def _plain(table: DatedTable) -> dict[str, object]:
    waterfall = decode_waterfall(table)
    return {
        "name": waterfall.name,
        "title": waterfall.title,
        "effective_from": format_time(table.effective_from_ns),
        "source": waterfall.source,
        "retrieved": table.retrieved,
        "models": _models_of(waterfall.name),
        **dict(_rates(waterfall)),
        "liquidation_fee_rates": dict(waterfall.liquidation_fee_rates),
        "stages": [{"stage": stage_name(s), **msgspec.to_builtins(s)} for s in waterfall.stages],
        "unconfirmed": dict(waterfall.unconfirmed),
    }


def _rates(waterfall: Waterfall) -> Iterator[tuple[str, object]]:
    for key in ("release_ratio", "slippage_rate", "taker_fee_rate", "reserve_asset"):
        yield key, getattr(waterfall, key)


def _text(value: object) -> str:
    if isinstance(value, StrEnum):
        return value.value
    # Eight digits, so that 2 / 7 is no line of its own; 19,726,875 keeps all of its.
    return f"{value:,.8g}" if isinstance(value, float) else str(value)


def _print_list(tables: list[DatedTable]) -> None:
    columns = ("Waterfall", "What it does", "In force from", "Unconfirmed")
    table = new_table("Waterfalls of liquidation", columns, texts=3)
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    for block in tables:
        since = format_time(block.effective_from_ns)[:10]
        count = str(len(block.unconfirmed) or "–")
        table.add_row(block.name, decode_waterfall(block).title, since, count)
    console = stdout()
    console.print(table)
    console.print(
        "plimsoll waterfall NAME shows the stages, their parameters, sources and what no source "
        "confirms; the name of a margin model shows what its accounts are liquidated by."
    )


def _print_waterfall(waterfall: Waterfall) -> None:
    console = stdout()
    console.print(f"{waterfall.name}: {waterfall.title}")
    console.print(f"Models: {', '.join(_models_of(waterfall.name))}")
    table = new_table(None, ("", "Stage", "Parameter", "Value", ""), texts=5)
    for row in _rows(waterfall):
        table.add_row(*row)
    console.print(table)
    blocks = new_table(None, ("In force from", "Retrieved", "Source"), texts=3)
    blocks.columns[0].no_wrap = blocks.columns[1].no_wrap = True
    for block in waterfall_tables(waterfall.name):
        blocks.add_row(format_time(block.effective_from_ns)[:10], block.retrieved, block.source)
    console.print(blocks)
    reasons = new_table(f"Unconfirmed, marked {MARK} above", ("What", "Why"), texts=2)
    for path, why in waterfall.unconfirmed:
        reasons.add_row(path, why)
    if waterfall.unconfirmed:
        console.print(reasons)


def _rows(waterfall: Waterfall) -> Iterator[tuple[str, str, str, str, str]]:
    """Number, stage, parameter, value and mark: first what holds in all stages, then each."""
    marked = dict(waterfall.unconfirmed)
    common = list(_rates(waterfall))
    common += [(f"liquidation_fee_rates.{k}", v) for k, v in waterfall.liquidation_fee_rates]
    title = ("", "all")
    for key, value in common:
        is_marked = key in marked or key.split(".")[0] in marked
        yield *title, key, _text(value), MARK if is_marked else ""
        title = ("", "")
    for number, stage in enumerate(waterfall.stages):
        path = f"stages[{number}]"
        title = (str(number), stage_name(stage))
        rows = list(_parameters(stage))
        # A mark on the whole stage stands in a row of its own, as does a stage without parameters.
        if path in marked or not rows:
            yield *title, "", "", MARK if path in marked else ""
            title = ("", "")
        for key, value in rows:
            yield *title, key, _text(value), MARK if f"{path}.{key}" in marked else ""
            title = ("", "")
