"""Where a number comes from: the digest of the code that made it, versions, machine, commit.

The digest covers syntax trees without comments and docstrings, over everything a module imports from reidlib, so a
changed comment changes nothing and a changed constant anywhere below does.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import os
import platform
import subprocess
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
LIBRARIES = (
    "torch", "torchvision", "timm", "segmentation-models-pytorch", "numpy", "pandas", "scikit-learn", "pillow",
    "pydantic",
)  # fmt: skip


def code_digest(*modules: str) -> str:
    """SHA-256 of the syntax trees of modules and of all that they import, statically, from reidlib.

    Args:
        modules: dotted names inside reidlib, such as ``reidlib.papers.mlsl``.

    Raises:
        ModuleNotFoundError: a name is no module of reidlib.
    """
    closure = sorted(import_closure(*modules))
    return hashlib.sha256("\n".join(f"{name} {_tree(_path(name))}" for name in closure).encode()).hexdigest()


def import_closure(*modules: str) -> set[str]:
    """Dotted names of the modules and of everything they import from reidlib, directly or not."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += direct_imports(name)
    return found


def direct_imports(module: str) -> list[str]:
    """Modules of reidlib that one module's source imports, in any form and at any depth of its code."""
    path = _path(module)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            # ``from reidlib import x`` may name a module or a value of the package.
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == PACKAGE.name and name != PACKAGE.name and _exists(name)]


def _exists(module: str) -> bool:
    try:
        return bool(_path(module))
    except ModuleNotFoundError:
        return False


def _path(module: str) -> Path:
    """The source file of a module of reidlib."""
    base = PACKAGE.joinpath(*module.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file() and module.split(".")[0] == PACKAGE.name:
            return path
    raise ModuleNotFoundError(f"{module} is no module of {PACKAGE.name}")


@cache
def _tree(path: Path) -> str:
    """A file's syntax tree as text, without docstrings; comments are not part of it."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                del body[0]
    return ast.dump(tree)


def versions() -> dict[str, str]:
    """Python's and the libraries' versions that can touch a number."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit of this checkout, with ``+changes`` where the library differs from it; ``unknown`` outside one."""
    if not (PACKAGE.parent / ".git").exists():
        return "unknown"
    head = _git("rev-parse", "--short=12", "HEAD")
    return f"{head}+changes" if _git("status", "--porcelain", "--", PACKAGE.name) else head or "unknown"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE.parent), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def processor() -> str:
    """The processor's name and how many cores this process may use."""
    name = _cpuinfo().get("model name") or platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def arithmetic() -> str:
    """A short digest of what decides how a sum is rounded here: the processor's make and instructions, and PyTorch.

    Processors of one name may differ in it, since libraries choose their kernels by the instructions there are.
    """
    info = _cpuinfo()
    kind = [info.get(name, "") for name in ("vendor_id", "cpu family", "model", "stepping", "flags")]
    text = "\n".join([platform.machine(), *(kind if any(kind) else [platform.processor()]), versions()["torch"]])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def _cpuinfo() -> dict[str, str]:
    """What the system says of its first processor; empty where it does not say so in Linux's way."""
    try:
        block = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in block.splitlines())}
