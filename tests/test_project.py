"""What holds for the project as a whole: layers, dependencies, pins, notebooks, and text that names no machine."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from reidpapers.run.provenance import direct_imports

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# What a layer may import from reidlib beside itself and the two that all may use (configuration, provenance).
EVERYWHERE = {"config", "provenance"}
STAGES = {
    "manifest", "render", "datasets", "images", "augment", "sampler", "losses", "backbones", "train", "embed",
    "metrics", "protocols", "joint_bayesian", "rerank", "beside", "segmentation", "neighbours", "parallel",
}  # fmt: skip
RUNS = {"records", "runs", "pool"}
PAPERS = STAGES | RUNS | {"outcome"}
PAGES = {"tables", "claims", "plots"}
LAYERS = {
    "config": set(),
    "provenance": set(),
    "manifest": set(),
    "render": set(),
    "datasets": {"manifest", "render"},
    "export": {"manifest", "datasets", "render"},
    "images": {"manifest"},
    "beside": {"manifest", "images"},
    "augment": set(),
    "sampler": set(),
    "losses": set(),
    "backbones": set(),
    "parallel": set(),
    "train": {"parallel"},
    "embed": {"images", "augment"},
    "segmentation": {"images", "augment"},
    "metrics": set(),
    "protocols": {"manifest", "metrics"},
    "joint_bayesian": {"metrics"},
    "rerank": {"metrics"},
    "neighbours": set(),
    "records": set(),
    "runs": {"records", "train", "parallel"},
    "pool": {"records", "runs", "parallel"},
    "check": {"manifest", "datasets"},
    "verify": {"records", "runs", "datasets"},
    "outcome": STAGES,
    "method": STAGES | {"outcome", "runs"},
    "papers": PAPERS | {"method"},
    "tables": RUNS | {"papers", "claims"},
    "claims": RUNS,
    "plots": {"images", "metrics", "claims", "losses"},  # drawings show computed losses
    "notebook": {"manifest", "images", "records"},
    "explore": PAPERS | PAGES | {"papers"},
    "report": PAGES | {"records"},
    "site": PAGES | RUNS | {"report"},
    "suite": {"papers", "tables"},
    "grid": RUNS | PAGES | {"suite"},
    "__main__": PAPERS | PAGES | {"papers", "suite", "verify", "check", "export", "explore", "report", "site"},
}
NO_TORCH = ("reidpapers.run.config", "reidpapers.run.provenance", "reidlib.data.manifest", "reidpapers.run.runs")


def tracked_files():
    """Files that are or would be committed, or every file where git is not at hand."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        paths = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path for path in ROOT.rglob("*") if not {".venv", ".git", "__pycache__"} & set(path.parts)]
    return [path for path in paths if path.is_file()]


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer(module):
    return module.split(".")[1] if "." in module else ""


OWN = {path.stem for path in (ROOT / "tests").glob("*.py")}  # tests may share what another test file sets up


def third_party(paths):
    """Top-level names that the files import and that are neither Python's own nor ours."""
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"reidlib", "tests", "benchmarks"} - OWN


def distributions(names):
    """Each imported name with the canonical names of the distributions that may provide it."""
    provided = importlib.metadata.packages_distributions()
    return {name: {canonicalize_name(found) for found in provided.get(name, [name])} for name in names}


def requirements(*extras):
    lines = [*PROJECT["dependencies"], *(line for e in extras for line in PROJECT["optional-dependencies"][e])]
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


LIBRARY = sorted((ROOT / "reidlib").rglob("*.py"))
PINS = (ROOT / "constraints.txt").read_text().splitlines()


@pytest.mark.parametrize("module", [module_name(path) for path in LIBRARY])
def test_a_module_imports_from_the_layers_below_it(module):
    own = layer(module)
    if not own:
        assert not direct_imports(module), "the package itself imports nothing, so that any part loads alone"
        return
    assert own in LAYERS, f"reidlib/{own} has no place in the layers: give it one in this test and in the design"
    above = {name for name in direct_imports(module) if layer(name) not in LAYERS[own] | EVERYWHERE | {own}}
    assert not above, f"{module} may not import {sorted(above)}"


def test_what_refuses_bad_input_and_reads_records_loads_without_torch():
    script = f"import sys, {', '.join(NO_TORCH)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


def test_every_import_of_the_library_is_declared():
    declared = set(requirements())
    imported = distributions(third_party(LIBRARY))
    undeclared = sorted(name for name, found in imported.items() if not found & declared)
    assert not undeclared


def test_every_declared_dependency_is_imported():
    imported = set().union(*distributions(third_party(LIBRARY)).values())
    unused = sorted(set(requirements()) - imported)
    assert not unused


def test_every_import_of_tests_and_benchmarks_is_declared():
    declared = set(requirements("batch", "test", "workflow"))
    paths = [path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    imported = distributions(third_party(paths))
    undeclared = sorted(name for name, found in imported.items() if not found & declared)
    assert not undeclared


def test_every_dependency_has_a_range_and_a_reason():
    lines = [line for line in (ROOT / "pyproject.toml").read_text().splitlines() if re.match(r'    "[\w-]+ >=', line)]
    assert len(lines) == len(requirements("batch", "test", "workflow"))
    for line in lines:
        assert re.fullmatch(r' {4}"[\w-]+ >= [\d.]+, < [\d.]+", +# \w.*', line), line


def test_all_is_the_sum_of_the_extras():
    extras = PROJECT["optional-dependencies"]
    assert extras["all"] == [f"reidlib[{','.join(sorted(set(extras) - {'all'}))}]"]


def test_constraints_are_names_and_versions():
    for line in PINS:
        assert re.fullmatch(r"[A-Za-z0-9][\w.-]*==\d[\w.]*", line), line
    names = [canonicalize_name(line.partition("==")[0]) for line in PINS]
    assert names == sorted(set(names))


def test_constraints_pin_every_dependency_within_its_range():
    pins = {canonicalize_name(name): Version(version) for name, _, version in (line.partition("==") for line in PINS)}
    for name, requirement in requirements("batch", "test", "workflow").items():
        assert requirement.specifier.contains(pins[name]), f"{requirement} does not allow {pins[name]}"


def test_torch_is_recent_enough():
    assert Version("2.11") in requirements()["torch"].specifier
    assert Version("2.10") not in requirements()["torch"].specifier


def test_conda_installs_the_same_library():
    lines = [line.strip() for line in (ROOT / "environment.yml").read_text().splitlines()]
    listed = [line for line in lines[lines.index("dependencies:") + 1 :] if line != "- pip:"]
    assert all(re.fullmatch(r"- .+ # \w.*", line) for line in listed), "each dependency has its comment"
    names = [re.sub(r"\s+#.*", "", line).removeprefix("- ") for line in listed]
    assert names[-1] == "-e .[all]" and "-c constraints.txt" in names
    assert names[0].replace(" ", "") == "python" + PROJECT["requires-python"].replace(" ", "")


def test_hooks_run_the_pinned_tools():
    revisions = re.findall(r"rev: v?([\d.]+)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert [f"ruff=={revisions[0]}", f"nbstripout=={revisions[1]}"] == [
        line for tool in ("ruff", "nbstripout") for line in PINS if line.startswith(f"{tool}==")
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_has_parameters_a_kernel_and_no_outputs(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    tags = [tag for cell in notebook["cells"] for tag in cell["metadata"].get("tags", [])]
    assert tags.count("parameters") == 1 and "injected-parameters" not in tags
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook["cells"])


def test_the_readme_links_to_files_that_are_there():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    missing = [target for target in targets if not (ROOT / target).is_file()]
    assert targets and not missing


def test_no_file_names_a_machine_or_a_registry():
    folders = "|".join(("work", "tmp", "root", "home", "opt", "Users", "mnt"))
    hosts = [".".join(host) for host in (("pypi", "org"), ("pythonhosted", "org"), ("pytorch", "org/whl"))]
    pattern = re.compile(rf"(?<![\w.+~-])/(?:{folders})/|" + "|".join(map(re.escape, hosts)))
    found = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [
            f"{path.relative_to(ROOT)}: {text[max(0, m.start() - 20) : m.end() + 20]!r}" for m in pattern.finditer(text)
        ]
    assert not found
