"""A digest of the code that a result depends on: definitions that its root reaches, wherever they stand.

From a root, names are followed through imports to the functions, classes and constants that they mean, and from these
on. A function that nobody calls, a further dataset or a page's template is not among them, so that it changes no
digest; a changed constant anywhere below does. Comments, docstrings and the annotations of functions do not count.

Where a name cannot be followed, such as a module that is handed on as a value, all that its module defines counts.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent  # of the packages that are followed
PACKAGES = ("reidlib", "reidpapers")
ALL = "*"  # everything that a module defines
ELSE = "-"  # its statements that bind no name

Symbol = tuple[str, str]
"""A module's dotted name, and a name that it defines, :data:`ALL` or :data:`ELSE`."""


def code_digest(*roots: str, without: Collection[str] = ()) -> str:
    """SHA-256 of the syntax trees of all definitions that some roots reach.

    Args:
        roots: modules, ``reidlib.train``, or what they define, ``reidlib.train:train``.
        without: modules, and packages with all in them, at which the search ends; such as those whose work is told by
            another digest.

    Raises:
        ModuleNotFoundError: a name is no module of :data:`PACKAGES`.
        KeyError: a module does not define such a name.
    """
    lines = [f"{module}:{name} {_text(module, name)}" for module, name in sorted(reached(*roots, without=without))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@cache
def reached(*roots: str, without: Collection[str] = ()) -> frozenset[Symbol]:
    """The definitions that some roots reach, themselves among them; see :func:`code_digest`."""
    visited: set[Symbol] = set()
    waiting: list[Symbol] = []
    for root in roots:
        module, _, name = root.partition(":")
        if name and name not in source(module).definitions:
            raise KeyError(f"{module} defines no {name}")
        waiting.append((module, name or ALL))
    while waiting:
        module, name = waiting.pop()
        if any(module == end or module.startswith(f"{end}.") for end in without):
            continue
        if name == ALL:
            waiting += [(module, own) for own in source(module).definitions]
            waiting += [symbol for meanings in _faced(module) for symbol in _ends(meanings)]
        elif (module, name) not in visited:
            visited.add((module, name))
            waiting += [(module, ELSE), *(symbol for path in _uses(module, name) for symbol in _meant(module, path))]
    return frozenset(visited)


def _faced(module: str) -> Collection[set[Symbol]]:
    """What a package hands on in its own name, imported from the modules in it; other modules import to use."""
    return source(module).imports.values() if module_path(module).name == "__init__.py" else ()


def _ends(meanings: set[Symbol]) -> Iterator[Symbol]:
    """What imported names mean in the end."""
    for module, member in meanings:
        yield from _from(module, member, ())


@dataclass(frozen=True)
class Source:
    """A module as its syntax tree.

    Attributes:
        definitions: top-level statements by the name that they bind, :data:`ELSE` where they bind none.
        imports: what each imported name means: modules, and names in them ("" where the module itself is meant).
    """

    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, set[Symbol]] = field(default_factory=dict)


@cache
def source(module: str) -> Source:
    """A module's definitions and imports, those in its functions among them.

    Raises:
        ModuleNotFoundError: it is no module of :data:`PACKAGES`.
    """
    path = module_path(module)
    if path is None:
        raise ModuleNotFoundError(f"{module} is no module of {' or '.join(PACKAGES)}")
    tree, parsed = ast.parse(path.read_text(encoding="utf-8")), Source()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, symbol in _imported(node, package):
                parsed.imports.setdefault(name, set()).add(symbol)
    for statement in tree.body:
        if not isinstance(statement, ast.Import | ast.ImportFrom) and not _is_text(statement):
            for name in _bound(statement) or [ELSE]:
                parsed.definitions.setdefault(name, []).append(statement)
    return parsed


def modules() -> list[str]:
    """The dotted names of all modules of :data:`PACKAGES`."""
    files = (path.relative_to(FOLDER) for name in PACKAGES for path in sorted((FOLDER / name).rglob("*.py")))
    parts = (path.with_suffix("").parts for path in files)
    return [".".join(names[:-1] if names[-1] == "__init__" else names) for names in parts]


@cache
def module_path(module: str) -> Path | None:
    """The source file of a module; None where there is none in :data:`PACKAGES`."""
    base = FOLDER.joinpath(*module.split("."))
    files = (base.with_suffix(".py"), base / "__init__.py") if module.partition(".")[0] in PACKAGES else ()
    return next((file for file in files if file.is_file()), None)


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, Symbol]]:
    """The names that an import binds, with what they mean, as far as that is in :data:`PACKAGES`."""
    if isinstance(node, ast.Import):
        pairs = [(a.asname or a.name.partition(".")[0], (a.name if a.asname else a.name.partition(".")[0], ""))
                 for a in node.names]  # fmt: skip
    else:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*parents, *([node.module] if node.module else [])])
        pairs = [(a.asname or a.name, (base, a.name)) for a in node.names]
    yield from ((name, symbol) for name, symbol in pairs if module_path(symbol[0]))


def _bound(statement: ast.stmt) -> list[str]:
    """The names that a top-level statement binds, in branches and loops too."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    nodes = list(ast.walk(statement))
    names = [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return [*names, *(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef))]


def _is_text(statement: ast.stmt) -> bool:
    """A docstring, or a string that stands as a comment."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


@cache
def _uses(module: str, name: str) -> frozenset[tuple[str, ...]]:
    """The dotted names, split at dots, that a definition uses and does not bind itself."""
    paths: set[tuple[str, ...]] = set()
    for statement in source(module).definitions.get(name, ()):
        _collect(_bare(module, statement), frozenset(), paths)
    return frozenset(paths)


def _collect(node: ast.AST, local: frozenset[str], paths: set[tuple[str, ...]]) -> None:
    """Gather dotted names below a node; ``local`` are those that the functions around it bind."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        # Decorators, defaults and annotations belong to the scope around the function.
        inner = local | _locals(node)
        body = node.body if isinstance(node.body, list) else [node.body]
        for child in ast.iter_child_nodes(node):
            _collect(child, inner if child in body else local, paths)
        return
    chain, base = [], node
    while isinstance(base, ast.Attribute):
        chain.append(base.attr)
        base = base.value
    if isinstance(base, ast.Name):
        if base.id not in local:
            paths.add((base.id, *reversed(chain)))
        return
    for child in ast.iter_child_nodes(node):
        _collect(child, local, paths)


def _locals(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> frozenset[str]:
    """The names that a function binds: its arguments and what it assigns, but for imports, which are followed."""
    arguments = function.args
    names = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    names |= {a.arg for a in (arguments.vararg, arguments.kwarg) if a}
    freed: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            freed |= set(node.names)
    return frozenset(names - freed)


def _meant(module: str, path: tuple[str, ...]) -> Iterator[Symbol]:
    """The definitions that a dotted name leads to from a module; none where it is Python's or another library's."""
    name, rest = path[0], path[1:]
    if name in source(module).definitions:
        yield module, name
    for target, member in source(module).imports.get(name, ()):
        yield from _from(target, member, rest)


def _from(module: str, member: str, rest: tuple[str, ...]) -> Iterator[Symbol]:
    """Follow a member of a module; all of the module where the path ends at it or goes where it cannot be followed."""
    if not member and rest:
        yield from _from(module, rest[0], rest[1:])
    elif member in source(module).definitions:
        yield module, member
    elif member and module_path(f"{module}.{member}"):
        yield from _from(f"{module}.{member}", "", rest)
    elif member in source(module).imports:
        yield from _meant(module, (member, *rest))
    else:
        yield module, ALL


@cache
def _text(module: str, name: str) -> str:
    """A definition's syntax trees as text, without docstrings, comments and the annotations of functions."""
    return "\n".join(ast.dump(_bare(module, statement)) for statement in source(module).definitions.get(name, ()))


_BARE: dict[tuple[str, int], ast.stmt] = {}


def _bare(module: str, statement: ast.stmt) -> ast.stmt:
    """A statement without what cannot change a number, stripped in place once."""
    if (key := (module, id(statement))) not in _BARE:
        for node in ast.walk(statement):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and isinstance(body[0], ast.stmt) and _is_text(body[0]):
                del body[0]
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                node.returns = None
            elif isinstance(node, ast.arg):
                node.annotation = None
        _BARE[key] = statement
    return _BARE[key]
