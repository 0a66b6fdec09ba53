"""``plimsoll models``: which models there are and what their tables rest on."""

from fnmatch import fnmatchcase

from plimsoll.app.cli.render import new_table, print_json, stdout
from plimsoll.core import InputError, did_you_mean, format_time
from plimsoll.margin import MODELS, Model
from plimsoll.margin.registry import model_tables


def run_models(pattern: str | None, as_json: bool) -> None:
    """Print every model on a line, or all about those that a pattern names."""
    chosen = [m for m in MODELS if pattern is None or fnmatchcase(m.name, pattern)]
    if not chosen:
        remedy = did_you_mean(pattern or "", [model.name for model in MODELS])
        raise InputError("model", f"unknown model '{(pattern or '')[:60]}'", remedy)
    if as_json:
        print_json([_plain(model) for model in chosen])
    elif pattern is None:
        _print_list(chosen)
    else:
        for model in chosen:
            _print_model(model)


def _plain(model: Model) -> dict[str, object]:
    return {
        "name": model.name,
        "title": model.title,
        "exemptions": dict(model.exemptions),
        "tables": [
            {
                "effective_from": format_time(table.effective_from_ns),
                "source": table.source,
                "retrieved": table.retrieved,
                "unconfirmed": dict(table.unconfirmed),
            }
            for table in model_tables(model)
        ],
    }


def _print_list(models: list[Model]) -> None:
    table = new_table(
        "Margin models", ("Model", "What it is", "In force from", "Unconfirmed"), texts=3
    )
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    for model in models:
        newest = model_tables(model)[-1]
        since = format_time(newest.effective_from_ns)[:10]
        table.add_row(model.name, model.title, since, str(len(newest.unconfirmed) or "–"))
    console = stdout()
    console.print(table)
    console.print(
        "Unconfirmed: parameters and steps that no source at hand confirms. plimsoll models NAME "
        "lists them, the sources and all dated blocks; docs/parity.md how near each model comes."
    )


def _print_model(model: Model) -> None:
    console = stdout()
    console.print(f"{model.name}: {model.title}")
    blocks = new_table(None, ("In force from", "Retrieved", "Source"), texts=3)
    blocks.columns[0].no_wrap = blocks.columns[1].no_wrap = True
    for block in model_tables(model):
        blocks.add_row(format_time(block.effective_from_ns)[:10], block.retrieved, block.source)
    console.print(blocks)
    for title, rows in (
        ("Unconfirmed", tuple(model_tables(model)[-1].unconfirmed.items())),
        ("Excused from a rule of the entry exam", model.exemptions),
    ):
        if rows:
            table = new_table(title, ("What", "Why"), texts=2)
            for name, why in rows:
                table.add_row(name, why)
            console.print(table)
