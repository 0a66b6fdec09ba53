"""``plimsoll models``: which models there are and what their tables rest on."""

from plimsoll.app.cli.render import new_table, print_json, stdout
from plimsoll.core import format_time
from plimsoll.margin import MODELS
from plimsoll.margin.registry import model_tables


def run_models(as_json: bool) -> None:
    """Print every model with its dated tables."""
    if as_json:
        print_json(
            [
                {
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
                for model in MODELS
            ]
        )
        return
    console = stdout()
    table = new_table("Margin models", ("Model", "What it is", "In force from", "Source"), texts=4)
    for model in MODELS:
        for block in model_tables(model):
            source = f"{block.source} (retrieved {block.retrieved})"
            table.add_row(
                model.name, model.title, format_time(block.effective_from_ns)[:10], source
            )
    console.print(table)
    unconfirmed = new_table("Unconfirmed", ("Model", "Parameter", "Why"), texts=3)
    for model in MODELS:
        for name, why in model_tables(model)[-1].unconfirmed.items():
            unconfirmed.add_row(model.name, name, why)
    console.print(unconfirmed)
