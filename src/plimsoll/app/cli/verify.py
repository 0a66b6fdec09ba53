"""``plimsoll verify``: is this journal what was written?"""

from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from plimsoll.app.cli.render import pairs_table, print_json, stderr, stdout
from plimsoll.engine import verify_journal


def run_verify(path: Path, decide_again: bool, as_json: bool) -> None:
    """Verify a journal and print what was found; raises JournalError where it is damaged."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=stderr(), transient=True) as progress:
        task = progress.add_task("Folding the journal, records", total=None)
        found = verify_journal(
            path, decide_again, lambda done: progress.update(task, completed=done)
        )
    if as_json:
        print_json(found)
        return
    again = found.decisions_reproduced
    rows = (
        ("records, each hash checked", f"{found.records:,}"),
        ("events folded", f"{found.events:,}"),
        ("decisions made again", "not asked for" if again is None else f"{again:,}, all equal"),
        ("conservation residual", f"{found.conservation_residual}"),
        ("closed in order", "yes" if found.is_sealed else "NO: it ends without a seal"),
        ("journal hash", found.journal_hash),
        ("state hash", found.state_hash),
    )
    stdout().print(pairs_table(f"{path}: verified", rows, texts=2))
