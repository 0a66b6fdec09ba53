"""What people touch: the command line, the replay it drives and the reports it writes.

Entry point: ``plimsoll.app.cli.main``. Invariants: no formula lives here; heavy libraries are
imported by the command that needs them, so that ``plimsoll --help`` answers at once.
"""

__all__: list[str] = []
