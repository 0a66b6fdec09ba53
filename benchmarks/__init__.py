"""One script per claim about speed, each beside a named peer and the machine's own limit.

Entry point: ``python -m benchmarks [NAME ...] [--format json]``. Invariants: peer and limit are
measured in the same run, in turn with ours; peers share no code with what they are compared to;
every line says how far ours and the peer's figures differ.
"""

__all__: list[str] = []
