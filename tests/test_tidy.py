"""The house rules, held over every module of the package, and proof that each can fail."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.tidy_rules import MODULE_RULES, WHOLE_RULES, Finding, Module, parse_module

SOURCE = Path(__file__).resolve().parent.parent / "src"

# The only exceptions, as (rule, path, symbol). This list may only shrink.
EXCEPTIONS: frozenset[tuple[str, str, str]] = frozenset()

MODULES = tuple(
    parse_module(path.relative_to(SOURCE).as_posix(), path.read_text(encoding="utf-8"))
    for path in sorted(SOURCE.rglob("*.py"))
)
PACKAGES = tuple(module.name for module in MODULES if module.is_package)
RULES = (*MODULE_RULES, *WHOLE_RULES)
Rule = Callable[..., Iterator[Finding]]


def findings(rule: Rule, modules: tuple[Module, ...]) -> list[Finding]:
    """What one rule finds in some modules."""
    if rule in WHOLE_RULES:
        return list(rule(modules))
    return [finding for module in modules for finding in rule(module)]


def exception(rule: Rule, finding: Finding) -> tuple[str, str, str]:
    """A finding as it would stand in the list of exceptions."""
    return rule.__name__, finding.path, finding.symbol


def test_there_is_a_package_to_judge():
    assert "plimsoll" in PACKAGES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_house_rule(rule: Rule):
    breaches = [f for f in findings(rule, MODULES) if exception(rule, f) not in EXCEPTIONS]
    assert not breaches, "\n".join([f"{rule.__doc__}", *map(str, breaches)])


def test_every_exception_still_occurs():
    occurring = {exception(rule, f) for rule in RULES for f in findings(rule, MODULES)}
    assert not EXCEPTIONS - occurring, "remove what no longer needs an exception"


@pytest.mark.parametrize("name", PACKAGES)
def test_exported_names_resolve(name: str):
    package = import_module(name)
    assert [n for n in package.__all__ if not hasattr(package, n)] == []


LONG_BODY = "\n".join("    x = 1" for _ in range(60))
CLEAN_PACKAGE = (
    '"""What this holds, where to enter it, and which claims about it are always true."""\n'
)

# rule, path, source that breaks it, source beside it that does not
SAMPLES = (
    ("function_length", "m.py", f"def f():\n{LONG_BODY}", f"def f():\n    'd'\n{LONG_BODY[10:]}"),
    ("function_length", "m.py", f"class A:\n  def f():\n{LONG_BODY}", "def f(): ..."),
    ("module_length", "m.py", "x = 1\n" * 501, "x = 1\n" * 500),
    ("late_import", "core/m.py", "def f():\n    import os", "import os"),
    ("late_import", "core/m.py", "def f():\n    from os import path", "from os import path"),
    ("package_docstring", "core/__init__.py", "'Short.'", CLEAN_PACKAGE),
    ("package_names", "core/__init__.py", "x = 1", "x = 1\n__all__ = ['x']"),
    ("package_names", "core/__init__.py", "__all__ = ['x']", "_x = 1\n__all__ = []"),
    ("package_names", "core/__init__.py", "from a import x\n__all__ = []", "__all__ = []"),
    (
        "package_names",
        "core/__init__.py",
        "from a import X, x\n__all__ = ['x', 'X']",
        "from a import Int8, Int16, X, MAX, x\n__all__ = ['MAX', 'Int8', 'Int16', 'X', 'x']",
    ),
    ("open_class", "m.py", "class A: ...", "class A(Protocol): ..."),
    ("open_class", "m.py", "@dataclass\nclass A: ...", "@dataclass(frozen=True)\nclass A: ..."),
    ("open_class", "m.py", "class A(Struct): ...", "class A(msgspec.Struct, frozen=True): ..."),
    ("open_class", "m.py", "class A(B, frozen=False): ...", "@final\nclass A(B): ..."),
    ("module_state", "m.py", "X = {}", "X = MappingProxyType({})"),
    ("module_state", "m.py", "X: list[int] = [1]", "X = (1,)"),
    ("module_state", "m.py", "X = defaultdict(int)", "X = frozenset([1])"),
    ("module_state", "m.py", "cache = make()", "FORM = re.compile('x')"),
    ("module_state", "m.py", "if a:\n    X = [x for x in y]", "f = njit(cache=True)(g)"),
    ("module_state", "m.py", "X = np.zeros(3)", "X = np.dtype('f8')"),
    ("module_state", "m.py", "def f():\n    global x", "def f():\n    x = {}"),
    ("keyword_bag", "m.py", "def f(**options): ...", "def _f(**options): ..."),
    ("keyword_bag", "m.py", "class A:\n  def f(s, **o): ...", "class A:\n  def f(s, *, o): ..."),
    ("shape_guessing", "m.py", "def f(x: float | list[float]): ...", "def f(x: float | int): ..."),
    ("shape_guessing", "m.py", "def f(x: list | dict): ...", "def f(x: Int32s | Int64s): ..."),
    ("shape_guessing", "m.py", "def f(x: Union[str, dict]): ...", "def f(x: dict | None): ..."),
    (
        "clock_or_chance",
        "core/m.py",
        "from datetime import datetime\nt = datetime.now(UTC)",
        "from datetime import datetime\nt = datetime.fromisoformat(s)",
    ),
    ("clock_or_chance", "core/m.py", "import time\nt = time.time()", "t = book.time.time()"),
    ("clock_or_chance", "core/m.py", "from time import perf_counter as p\np()", "p()"),
    (
        "clock_or_chance",
        "core/m.py",
        "import numpy as np\nnp.random.normal()",
        "import numpy as np\ndef f(g: np.random.Generator): g.normal()",
    ),
    (
        "clock_or_chance",
        "core/m.py",
        "from numpy.random import default_rng\ndefault_rng()",
        "from numpy.random import default_rng\ndefault_rng(7)",
    ),
    (
        "clock_or_chance",
        "core/m.py",
        "import numpy as np\nnp.random.default_rng(None)",
        "import numpy as np\nnp.random.default_rng(seed=7)",
    ),
    ("public_docstring", "m.py", "def f(): ...", "def f():\n    'Does.'\ndef _g(): ..."),
    ("public_docstring", "m.py", "class A: ...", "class A:\n    'Is.'"),
)


@pytest.mark.parametrize(
    ("name", "path", "bad", "good"), SAMPLES, ids=lambda value: value if "_" in value else ""
)
def test_rule_can_fail(name: str, path: str, bad: str, good: str):
    rule = next(rule for rule in MODULE_RULES if rule.__name__ == name)
    bad_module = parse_module(f"plimsoll/{path}", bad)
    assert len(findings(rule, (bad_module,))) == 1
    assert findings(rule, (parse_module(f"plimsoll/{path}", good),)) == []


def test_every_module_rule_has_a_sample():
    assert {sample[0] for sample in SAMPLES} == {rule.__name__ for rule in MODULE_RULES}


def test_rule_folder_size_can_fail():
    def folder(name: str, size: int) -> tuple[Module, ...]:
        names = ("__init__", *(f"m{i}" for i in range(size)))
        return tuple(parse_module(f"plimsoll/{name}/{n}.py", "") for n in names)

    folder_size = WHOLE_RULES[0]
    assert [f.path for f in folder_size(folder("core", 16))] == ["plimsoll/core"]
    assert list(folder_size(folder("core", 15))) == []
    assert list(folder_size(folder("margin/venues", 16))) == []


def test_rule_import_cycle_can_fail():
    def modules(**sources: str) -> tuple[Module, ...]:
        return tuple(parse_module(f"plimsoll/{name}.py", text) for name, text in sources.items())

    import_cycle = WHOLE_RULES[1]
    cyclic = modules(
        top="import plimsoll.a",
        a="from plimsoll.b import x",
        b="from plimsoll import a, leaf",
        leaf="",
    )
    assert [f.symbol for f in import_cycle(cyclic)] == ["plimsoll.a", "plimsoll.b"]
    assert list(import_cycle(modules(a="from plimsoll import b", b="import numpy"))) == []


def test_border_rooms_may_read_the_clock_and_the_command_line_may_import_late():
    source = "import time\ndef f():\n    'Does.'\n    import os\n    return time.time()"
    module = parse_module("plimsoll/app/cli/m.py", source)
    assert [rule.__name__ for rule in MODULE_RULES if findings(rule, (module,))] == []
