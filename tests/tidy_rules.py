"""The house rules as pure functions: the source of modules in, findings out.

A rule about one module takes a ``Module``; a rule about the whole takes all of them.
``test_tidy.py`` runs them over the package, and proves that each can fail.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 500
FOLDER_MODULES_MAX = 15
DOCSTRING_WORDS_MIN = 12

# One rule file per venue is the point of these folders, so they grow with the venues.
WIDE_FOLDERS = ("plimsoll/connectors", "plimsoll/margin/venues")
# The command line imports late, so that --help answers without loading the engine.
LATE_IMPORTERS = ("plimsoll/app/cli/", "plimsoll/app/cli.py")
# The rooms at the border to the world, where a clock may be read.
BORDER_ROOMS = ("plimsoll/app/", "plimsoll/connectors/")

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
FINAL_BASES = frozenset(
    "ABC Enum Exception Flag IntEnum IntFlag NamedTuple Protocol StrEnum TypedDict".split()
)
IMMUTABLE_CALLS = frozenset(
    "MappingProxyType NewType ParamSpec TypeAliasType TypeVar frozenset jit namedtuple njit tuple "
    "vectorize guvectorize".split()
)
MUTABLE_CALLS = frozenset(
    "ChainMap Counter OrderedDict SimpleNamespace WeakKeyDictionary WeakValueDictionary arange "
    "array asarray bytearray defaultdict deque dict empty full linspace list ones set zeros".split()
)
MUTABLE_LITERALS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
ARRAYS = "Bools Floats Int8s Int32s Int64s NDArray ndarray".split()
MAPPINGS = "Dict Mapping MutableMapping dict".split()
SEQUENCES = "Collection Iterable Iterator List Sequence Series Set frozenset list set tuple".split()
SHAPES = {
    **dict.fromkeys(ARRAYS, "an array"),
    **dict.fromkeys(MAPPINGS, "a mapping"),
    **dict.fromkeys(SEQUENCES, "a sequence"),
}
CLOCKS = re.compile(
    r"(random|secrets|time)\.\w+|datetime\.(date|datetime)\.(now|today|utcnow)|"
    r"os\.(getrandom|urandom)|uuid\.uuid[14]|"
    r"numpy\.random\.(?!Generator$|BitGenerator$|SeedSequence$|PCG64$|PCG64DXSM$|Philox$|SFC64$"
    r"|MT19937$|default_rng$)\w+"
)
SEEDED = re.compile(
    r"numpy\.random\.(default_rng|SeedSequence|PCG64|PCG64DXSM|Philox|SFC64|MT19937)"
)


@dataclass(frozen=True, slots=True)
class Module:
    """One source file. ``path`` is relative to ``src``: ``plimsoll/core/time.py``."""

    path: str
    source: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Dotted name; a package's is that of its folder."""
        return ".".join(PurePosixPath(self.path.removesuffix("/__init__.py")).with_suffix("").parts)

    @property
    def is_package(self) -> bool:
        """Whether this is an ``__init__.py``."""
        return self.path.endswith("/__init__.py")


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach: ``symbol`` names it for the list of exceptions, lines move too often."""

    path: str
    line: int
    symbol: str
    problem: str

    def __str__(self) -> str:
        """The line that a terminal makes clickable."""
        return f"src/{self.path}:{self.line}: {self.symbol}: {self.problem}"


def parse_module(path: str, source: str) -> Module:
    """A module from its text."""
    return Module(path, source, ast.parse(source, filename=path))


def function_length(module: Module) -> Iterator[Finding]:
    """A function, its docstring aside, fits on one screen."""
    for node in ast.walk(module.tree):
        if isinstance(node, FUNCTIONS):
            lines = _lines(node) - (_lines(node.body[0]) if ast.get_docstring(node) else 0)
            if lines > FUNCTION_LINES_MAX:
                problem = f"{lines} lines, at most {FUNCTION_LINES_MAX}"
                yield Finding(module.path, node.lineno, node.name, problem)


def module_length(module: Module) -> Iterator[Finding]:
    """A module is read in one sitting."""
    lines = len(module.source.splitlines())
    if lines > MODULE_LINES_MAX:
        problem = f"{lines} lines, at most {MODULE_LINES_MAX}"
        yield Finding(module.path, lines, module.name, problem)


def folder_size(modules: tuple[Module, ...]) -> Iterator[Finding]:
    """A folder's listing is taken in at a glance."""
    folders = [str(PurePosixPath(m.path).parent) for m in modules if not m.is_package]
    for folder in sorted(set(folders) - set(WIDE_FOLDERS)):
        if folders.count(folder) > FOLDER_MODULES_MAX:
            problem = f"{folders.count(folder)} modules, at most {FOLDER_MODULES_MAX}"
            yield Finding(folder, 1, folder.replace("/", "."), problem)


def late_import(module: Module) -> Iterator[Finding]:
    """What a module needs stands at its top."""
    if module.path.startswith(LATE_IMPORTERS):
        return
    for function in ast.walk(module.tree):
        if isinstance(function, FUNCTIONS):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield Finding(module.path, node.lineno, function.name, "imports inside itself")


def import_cycle(modules: tuple[Module, ...]) -> Iterator[Finding]:
    """Modules can be read, and tested, from the bottom up."""
    names = frozenset(module.name for module in modules)
    remaining = {module.name: set(_imported(module, names)) for module in modules}
    while leaves := [name for name, needs in remaining.items() if not needs & remaining.keys()]:
        for name in leaves:
            del remaining[name]
    # What is left is in a cycle or above one; those that nothing left needs are only above.
    while tops := remaining.keys() - set().union(*remaining.values()):
        for name in tops:
            del remaining[name]
    for module in modules:
        if module.name in remaining:
            partners = ", ".join(sorted(remaining[module.name] & remaining.keys()))
            yield Finding(module.path, 1, module.name, f"in an import cycle through {partners}")


def package_docstring(module: Module) -> Iterator[Finding]:
    """A package says what it holds, where to enter and what it keeps true."""
    text = ast.get_docstring(module.tree) or ""
    whole = len(text.split()) >= DOCSTRING_WORDS_MIN and text.endswith(".")
    if module.is_package and not whole:
        yield Finding(module.path, 1, module.name, "the docstring is no paragraph of sentences")


def package_names(module: Module) -> Iterator[Finding]:
    """``__all__`` of a package is sorted, and is what can be seen in it."""
    if not module.is_package:
        return
    statement = _assignment(module.tree, "__all__")
    if statement is None or statement.value is None:
        yield Finding(module.path, 1, module.name, "has no __all__")
        return
    names = ast.literal_eval(statement.value)
    if list(names) != sorted(set(names), key=_name_order):
        yield Finding(module.path, statement.lineno, module.name, "__all__ is not sorted")
    lazy = any(isinstance(n, FUNCTIONS) and n.name == "__getattr__" for n in module.tree.body)
    visible = set(_visible(module.tree))
    hidden = visible - set(names)
    missing = set() if lazy else set(names) - visible
    for name in sorted(hidden):
        yield Finding(module.path, statement.lineno, name, "visible but not in __all__")
    for name in sorted(missing):
        yield Finding(module.path, statement.lineno, name, "in __all__ but not visible")


def open_class(module: Module) -> Iterator[Finding]:
    """A class is abstract, or final and frozen, so nobody wonders who changes it."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and not _closed(node):
            yield Finding(module.path, node.lineno, node.name, "neither abstract nor frozen")


def module_state(module: Module) -> Iterator[Finding]:
    """Nothing at module level can change: what varies is an argument."""
    for node in _module_level(module.tree):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            name = ast.unparse(target)
            if name != "__all__" and _mutable(name, node.value):
                yield Finding(module.path, node.lineno, name, "mutable state at module level")
    for inner in ast.walk(module.tree):
        if isinstance(inner, ast.Global):
            yield Finding(module.path, inner.lineno, inner.names[0], "global statement")


def keyword_bag(module: Module) -> Iterator[Finding]:
    """A public function names its arguments instead of passing ``**kwargs`` on."""
    for function in _public_functions(module.tree):
        if function.args.kwarg is not None:
            problem = f"takes **{function.args.kwarg.arg}"
            yield Finding(module.path, function.lineno, function.name, problem)


def shape_guessing(module: Module) -> Iterator[Finding]:
    """An argument has one shape: no "a value or a list or a dict"."""
    for function in _public_functions(module.tree):
        given = function.args
        for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs):
            members = set(_union(argument.annotation)) - {"None"}
            shapes = {SHAPES.get(member, "a value") for member in members}
            if len(shapes) > 1:
                problem = f"{argument.arg} takes {' or '.join(sorted(shapes))}"
                yield Finding(module.path, argument.lineno, function.name, problem)


def clock_or_chance(module: Module) -> Iterator[Finding]:
    """Time and randomness are arguments: the same input gives the same bits."""
    if module.path.startswith(BORDER_ROOMS):
        return
    origins = dict(_origins(module.tree))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = _resolved(node, origins)
            if CLOCKS.fullmatch(name):
                yield Finding(module.path, node.lineno, name, "reads a clock or global randomness")
        elif isinstance(node, ast.Call) and not node.keywords and not any(map(_given, node.args)):
            name = _resolved(node.func, origins)
            if SEEDED.fullmatch(name):
                yield Finding(module.path, node.lineno, name, "is not given a seed")


def public_docstring(module: Module) -> Iterator[Finding]:
    """What others may call says what it does."""
    for node in module.tree.body:
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield Finding(module.path, node.lineno, node.name, "has no docstring")


MODULE_RULES = (
    function_length,
    module_length,
    late_import,
    package_docstring,
    package_names,
    open_class,
    module_state,
    keyword_bag,
    shape_guessing,
    clock_or_chance,
    public_docstring,
)
WHOLE_RULES = (folder_size, import_cycle)


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _imported(module: Module, names: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                candidates = (f"{node.module}.{alias.name}", node.module)
                yield from [name for name in candidates if name in names][:1]


def _assignment(tree: ast.Module, name: str) -> ast.Assign | ast.AnnAssign | None:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and name in set(_bound(node)):
            return node
    return None


def _module_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run at import, those under ``if`` and ``try`` included."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.ExceptHandler):
            pending.extend(ast.iter_child_nodes(node))


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        if not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            yield from ((alias.asname or alias.name).split(".")[0] for alias in node.names)
    elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


def _visible(tree: ast.Module) -> Iterator[str]:
    names = (name for node in _module_level(tree) for name in _bound(node))
    yield from (name for name in names if name == "__version__" or not name.startswith("_"))


def _name_order(name: str) -> tuple[int, list[tuple[int, str]]]:
    """CONSTANTS, then Classes, then functions, each with numbers in their natural order."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[0].isupper() else 2
    return kind, [(int(d), "") if d else (-1, t) for d, t in re.findall(r"(\d+)|(\D+)", name)]


def _closed(node: ast.ClassDef) -> bool:
    bases = [_last_name(base) for base in node.bases]
    if any(base in FINAL_BASES or base.endswith(("Error", "Exception")) for base in bases):
        return True
    calls = [d for d in node.decorator_list if isinstance(d, ast.Call)]
    options = [k for call in calls if _last_name(call) == "dataclass" for k in call.keywords]
    frozen = any(
        k.arg == "frozen" and isinstance(k.value, ast.Constant) and k.value.value is True
        for k in (*options, *node.keywords)
    )
    return frozen or "final" in map(_last_name, node.decorator_list)


def _last_name(node: ast.expr) -> str:
    """``Struct`` of ``msgspec.Struct``, ``njit`` of ``njit(...)(f)``, ``list`` of ``list[int]``."""
    while not isinstance(node, ast.Attribute | ast.Name):
        if isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Subscript):
            node = node.value
        else:
            return ""
    return node.attr if isinstance(node, ast.Attribute) else node.id


def _mutable(name: str, value: ast.expr) -> bool:
    if isinstance(value, MUTABLE_LITERALS):
        return True
    if not isinstance(value, ast.Call):
        return False
    callee = _last_name(value)
    return callee in MUTABLE_CALLS or not (name.isupper() or callee in IMMUTABLE_CALLS)


def _public_functions(
    tree: ast.Module | ast.ClassDef,
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions and methods that others may call; functions inside functions are not."""
    for node in tree.body:
        public = not getattr(node, "name", "_").startswith("_")
        if isinstance(node, ast.ClassDef) and public:
            yield from _public_functions(node)
        elif isinstance(node, FUNCTIONS) and (public or node.name.endswith("__")):
            yield node


def _union(annotation: ast.expr | None) -> Iterator[str]:
    """The names of an annotation's members: ``float | list[int]`` gives float and list."""
    if isinstance(annotation, ast.BinOp):
        yield from (*_union(annotation.left), *_union(annotation.right))
    elif isinstance(annotation, ast.Subscript) and _last_name(annotation) in ("Union", "Optional"):
        inner = annotation.slice
        for member in inner.elts if isinstance(inner, ast.Tuple) else [inner]:
            yield from _union(member)
    elif annotation is not None:
        yield "None" if isinstance(annotation, ast.Constant) else _last_name(annotation)


def _origins(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Local names and what they stand for: ``np`` is ``numpy``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.split(".")[0]
                yield local, alias.name if alias.asname else local
        elif isinstance(node, ast.ImportFrom):
            yield from ((a.asname or a.name, f"{node.module}.{a.name}") for a in node.names)


def _resolved(node: ast.expr, origins: dict[str, str]) -> str:
    """The full dotted name of an imported thing, "" of anything else."""
    if isinstance(node, ast.Name):
        return origins.get(node.id, "")
    if isinstance(node, ast.Attribute):
        owner = _resolved(node.value, origins)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def _given(node: ast.expr) -> bool:
    return not (isinstance(node, ast.Constant) and node.value is None)
