"""Where a number comes from, beside the code that made it: versions, commit, machine, and how it rounds."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from functools import cache
from pathlib import Path

from reidpapers.digest import PACKAGES

CHECKOUT = Path(__file__).resolve().parents[2]
LIBRARIES = (
    "torch", "torchvision", "timm", "segmentation-models-pytorch", "numpy", "pandas", "scikit-learn", "pillow",
    "pydantic",
)  # fmt: skip


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
    if not (CHECKOUT / ".git").exists():
        return "unknown"
    head = _git("rev-parse", "--short=12", "HEAD")
    return f"{head}+changes" if _git("status", "--porcelain", "--", *PACKAGES) else head or "unknown"


def _git(*arguments: str) -> str:
    try:
        command = ["git", "-C", str(CHECKOUT), *arguments]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=10)
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
        block = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in block.splitlines())}
