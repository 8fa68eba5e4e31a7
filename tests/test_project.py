"""What holds for the project as a whole: layers, dependencies, pins, notebooks, and text that names no machine."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
THIN = tomllib.loads((ROOT / "reidlib" / "pyproject.toml").read_text())
NO_TORCH = (
    "reidpapers.run.config",
    "reidpapers.run.records",
    "reidpapers.run.runs",
    "reidlib.data",
    "reidlib.backbones",
)


def tracked_files():
    """Files that are or would be committed, or every file where git is not at hand."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        paths = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path for path in ROOT.rglob("*") if not {".venv", ".git", "__pycache__"} & set(path.parts)]
    return [path for path in paths if path.is_file()]


OWN = {
    path.stem for path in (ROOT / "tests").rglob("*") if path.is_dir() or path.suffix == ".py"
}  # tests may share what another test file sets up


def third_party(paths):
    """Top-level names that the files import and that are neither Python's own nor ours."""
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"reidlib", "reidpapers", "tests", "benchmarks"} - OWN


def distributions(names):
    """Each imported name with the canonical names of the distributions that may provide it."""
    provided = importlib.metadata.packages_distributions()
    return {name: {canonicalize_name(found) for found in provided.get(name, [name])} for name in names}


def requirements(*extras, project=PROJECT):
    lines = [*project["dependencies"], *(line for e in extras for line in project["optional-dependencies"][e])]
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


def everything():
    """What both packages and all extras require, but for each other."""
    extras = set(PROJECT["optional-dependencies"]) - {"all"}
    wanted = {**requirements(project=THIN["project"]), **requirements(*sorted(extras))}
    return {name: requirement for name, requirement in wanted.items() if name != "reidlib"}


LIBRARY, SUITE = (sorted((ROOT / name).rglob("*.py")) for name in ("reidlib", "reidpapers"))
PINS = (ROOT / "constraints.txt").read_text().splitlines()


def test_what_refuses_bad_input_and_reads_records_loads_without_torch():
    script = f"import sys, {', '.join(NO_TORCH)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


PACKAGES = [
    pytest.param(LIBRARY, THIN["project"], id="reidlib"), pytest.param(SUITE, PROJECT, id="reidpapers"),
]  # fmt: skip


@pytest.mark.parametrize("files, project", PACKAGES)
def test_every_import_of_a_package_is_declared(files, project):
    imported = distributions(third_party(files))
    assert not sorted(name for name, found in imported.items() if not found & set(requirements(project=project)))


@pytest.mark.parametrize("files, project", PACKAGES)
def test_every_declared_dependency_is_imported(files, project):
    imported = set().union(*distributions(third_party(files)).values()) | {"reidlib"}
    assert not sorted(set(requirements(project=project)) - imported)


def test_both_packages_ask_for_the_same_releases():
    thin, suite = requirements(project=THIN["project"]), requirements()
    assert {name: str(thin[name].specifier) for name in thin.keys() & suite.keys()} == {
        name: str(suite[name].specifier) for name in thin.keys() & suite.keys()
    }
    assert THIN["project"]["version"] == PROJECT["version"] and PROJECT["version"] in suite["reidlib"].specifier


def test_the_thin_package_lists_all_its_folders_and_stays_thin():
    folders = {".".join(path.relative_to(ROOT).parent.parts) for path in LIBRARY if path.name == "__init__.py"}
    assert set(THIN["tool"]["setuptools"]["packages"]) == folders
    assert {".".join(path.relative_to(ROOT).parent.parts) for path in LIBRARY} == folders
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in LIBRARY) <= 7_500


def test_imports_go_one_way():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout


def test_every_import_of_tests_and_benchmarks_is_declared():
    declared = set(everything())
    paths = [path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    imported = distributions(third_party(paths))
    undeclared = sorted(name for name, found in imported.items() if not found & declared)
    assert not undeclared


def test_every_dependency_has_a_range_and_a_reason():
    files = ("pyproject.toml", "reidlib/pyproject.toml")
    lines = [line for name in files for line in (ROOT / name).read_text().splitlines()]
    lines = [line for line in lines if re.match(r'    "[\w-]+ >=', line)]
    assert len(lines) == len(requirements("batch", "docs", "export", "tensorboard", "test", "workflow")) + len(
        THIN["project"]["dependencies"]
    )
    for line in lines:
        assert re.fullmatch(r' {4}"[\w-]+ >= [\d.]+, < [\d.]+", +# \w.*', line), line


def test_all_is_the_sum_of_the_extras():
    extras = PROJECT["optional-dependencies"]
    assert extras["all"] == [f"reidpapers[{','.join(sorted(set(extras) - {'all'}))}]"]


def test_constraints_are_names_and_versions():
    for line in PINS:
        assert re.fullmatch(r"[A-Za-z0-9][\w.-]*==\d[\w.]*", line), line
    names = [canonicalize_name(line.partition("==")[0]) for line in PINS]
    assert names == sorted(set(names))


def test_constraints_pin_every_dependency_within_its_range():
    pins = {canonicalize_name(name): Version(version) for name, _, version in (line.partition("==") for line in PINS)}
    for name, requirement in everything().items():
        assert requirement.specifier.contains(pins[name]), f"{requirement} does not allow {pins[name]}"


def test_torch_is_recent_enough():
    assert Version("2.11") in everything()["torch"].specifier
    assert Version("2.10") not in everything()["torch"].specifier


def test_conda_installs_the_same_library():
    lines = [line.strip() for line in (ROOT / "environment.yml").read_text().splitlines()]
    listed = [line for line in lines[lines.index("dependencies:") + 1 :] if line != "- pip:"]
    assert all(re.fullmatch(r"- .+ # \w.*", line) for line in listed), "each dependency has its comment"
    names = [re.sub(r"\s+#.*", "", line).removeprefix("- ") for line in listed]
    assert names[-2:] == ["-e reidlib", "-e .[all]"] and "-c constraints.txt" in names
    assert names[0].replace(" ", "") == "python" + PROJECT["requires-python"].replace(" ", "")


def test_the_reference_names_every_module_of_the_library_once():
    pages = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
    listed = re.findall(r"automodule:: (\S+)", pages)
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in LIBRARY}
    assert sorted(listed) == sorted(modules - {"reidlib", "reidlib.__main__", "reidlib.evaluate"})


def test_the_reference_builds_without_a_warning(tmp_path):
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "dummy",
        str(ROOT / "docs"),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr


def test_the_citation_and_the_changelog_know_the_version():
    version = PROJECT["version"]
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


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
    targets = re.findall(
        r"\]\((?!https?:|\.\./\.\./actions/)([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")
    )
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
