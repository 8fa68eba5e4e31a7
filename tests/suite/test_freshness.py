"""No number outlives its code: one changed constant makes the records that it touches stale, and no others.

Copies of the library are changed by exact replacement of text. One process loads the libraries beneath, then forks for
each copy that it is asked for, computes or replays there, and writes down what it found; so each test waits for its own
copy alone.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from reidpapers.digest import FOLDER, PACKAGES

DRIVER = """
import json, os, sys
import pandas, PIL.Image, pydantic, scipy.linalg, sklearn.datasets, torch, torch._dynamo
torch.set_num_threads(1)

def compute(configs):
    from reidpapers.mlsl.paper import PAPER
    from reidpapers.run import runs
    return {name: runs.run(PAPER.Config(**fields), PAPER).key for name, fields in configs.items()}

def check(keys):
    from reidpapers.run import papers, records, runs
    words, paper = {}, papers.load("mlsl")
    for name, key in keys.items():
        record = records.read(records.stores("mlsl")[0] / f"{key}.json")
        config = paper.Config(**record.config)
        word, reason = runs.lookup(config, paper).freshness, "the data have changed"
        if word == runs.UNVERIFIED:
            word, reason = runs.replay(record, config, paper)
        words[name] = [word, reason, runs.name(config, paper) == key]
    return words

def codes(_):
    from reidpapers.run import papers, runs
    return {name: runs.code(name) for name in papers.RUNS}

def forked(tree, work, argument):
    out = tree + ".json"
    if not (child := os.fork()):
        sys.path.insert(0, tree)
        result = work(argument)
        with open(out, "w", encoding="utf-8") as file:
            json.dump(result, file)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, tree
    with open(out, encoding="utf-8") as file:
        return json.load(file)

for line in sys.stdin:
    tree, work, argument = json.loads(line)
    print(json.dumps(forked(tree, globals()[work], argument)), flush=True)
"""

SMALL = {"profile": "smoke", "iterations1": 4, "iterations2": 4, "batch": 8, "pairs": 4}
DIGITS = {
    **SMALL,
    "dataset": "digits",
    "backbone": "digits",
    "image_size": 28,
    "labels": ["id"],
    "digits_train": 60,
    "digits_test": 40,
}
RECORDS = {
    "feature": {**SMALL, "learning": "feature", "schedule1": "cosine"},
    "joint": {**SMALL, "schedule1": "cosine"},  # drops in stage 2
    "plain": {**SMALL, "mapping": "none", "schedule1": "cosine", "schedule2": "cosine"},
    "digits": DIGITS,
}
ALL, PAIRS, RENDERED = set(RECORDS), {"joint", "plain", "digits"}, {"feature", "joint", "plain"}

# What is changed: file, text, replacement, records that turn stale.
STALE = {
    "contrastive loss, pull": ("reidlib/losses/multi_label.py", "pull = 0.5 *", "pull = 0.55 *", PAIRS),
    "contrastive loss, push": ("reidlib/losses/multi_label.py", "push = 0.5 *", "push = 0.55 *", PAIRS),
    "distance": ("reidlib/losses/multi_label.py", "(first - second).abs()", "(first - second).abs() * 1.01", PAIRS),
    "masked mean": ("reidlib/losses/multi_label.py", ".sum(0) / labelled", ".sum(0) * 1.01 / labelled", PAIRS),
    "classification loss": (
        "reidpapers/mlsl/loss.py", "labels[:, 0])}", "labels[:, 0], label_smoothing=0.01)}", ALL,
    ),
    "classification loss of pairs": ("reidpapers/mlsl/loss.py", ".mean(1).sum()", ".mean(1).sum() * 1.01", PAIRS),
    "weight of classification": ("reidpapers/mlsl/loss.py", '{"identity": 1.0}', '{"identity": 1.01}', ALL),
    "alpha": ("reidpapers/mlsl/loss.py", '{"identity": config.alpha}', '{"identity": 1.1 * config.alpha}', PAIRS),
    "dropout": (
        "reidpapers/mlsl/network.py", "nn.Dropout(config.dropout", "nn.Dropout(0.9 * config.dropout",
        {"joint", "digits"},
    ),
    "metrics": ("reidlib/evaluate/metrics/evaluator.py", "place.double() / rank", "place.double() / (1 + rank)", ALL),
    "cosine schedule": ("reidlib/train.py", "0.5 * (1 + math.cos", "0.51 * (1 + math.cos", RENDERED),
    "dropping schedule": ("reidlib/train.py", "factor: float = 0.1", "factor: float = 0.2", {"joint", "digits"}),
    "optimizer": ("reidlib/train.py", '"betas": (0.9, 0.999)', '"betas": (0.8, 0.999)', ALL),
    "augmentation": ("reidlib/augment/values.py", "58.395", "58.4", ALL),
    "sampler": ("reidlib/sampler.py", "draws[2] * (", "0.5 * draws[2] * (", PAIRS),
    "embedding": (
        "reidlib/evaluate/embed.py", "network(normalise(source(part)))", "1.01 * network(normalise(source(part)))", ALL,
    ),
    "small trunk": ("reidlib/models/trunks.py", "96, 96, 128)", "96, 96, 120)", RENDERED),
    "renderer, paint": ("reidpapers/vehicles/render/catalogue.py", '"red": (0.78,', '"red": (0.7,', RENDERED),
    "renderer, geometry": ("reidpapers/vehicles/render/geometry.py", "CROWN = 0.035", "CROWN = 0.05", RENDERED),
}  # fmt: skip
LOSS = """

def circle(similarity):
    \"\"\"A loss that nobody calls.\"\"\"
    return similarity.exp().sum()


def contrastive("""
FRESH = {
    "a comment": ("reidlib/losses/multi_label.py", "    pull = ", "    # The attribute is shared.\n    pull = "),
    "a docstring": ("reidlib/train.py", '"""The rate of step', '"""Learning rate of step'),
    "a docstring taken away": ("reidlib/evaluate/embed.py", '"""A network and images become', '"""Images become'),
    "an annotation": ("reidlib/losses/multi_label.py", "first: Tensor", 'first: "Tensor"'),
    "a page's code": ("reidpapers/show/claims.py", "import", "import zlib\nimport"),
    "a page's template": ("reidpapers/show/site/base.html.j2", "<body", "<body lang='en'"),
    "a claim": ("reidpapers/mlsl/tables.py", "by more than 4 points", "by more than 5 points"),
    "a printed number": ("reidpapers/mlsl/printed.csv", "> 21", "> 22"),
    "a loss that nobody calls": ("reidlib/losses/multi_label.py", "\n\ndef contrastive(", LOSS),
    "a further dataset": (
        "reidpapers/run/datasets.py", '"digits": frozenset(),', '"digits": frozenset(), "further": frozenset(),',
    ),
    "a further preset": ("reidpapers/vehicles/rendered.py", "PRESETS = {", 'PRESETS = {\n    "tiny": None,'),
    "a neutral field": (
        "reidpapers/mlsl/config.py", "    init: Literal",
        '    circle: float = Field(0.0, ge=0, description="weight of a new term")\n    init: Literal',
    ),
    "another paper's network": ("reidpapers/drdl/network.py", "import", "import zlib\nimport"),
}  # fmt: skip
FIELD = "a neutral field"  # its class is code of the paper, so the probe decides
BY_PROBE = {
    "a variable's name": ("reidlib/losses/multi_label.py", "pull", "attract"),
    "a statement that changes nothing": (
        "reidlib/sampler.py",
        "most = max(self.positive, self.negative)",
        "most = max(self.negative, self.positive)",
    ),
    FIELD: FRESH.pop(FIELD),
}


def changed(target, change):
    """A copy of both packages with one text replaced."""
    for name in PACKAGES:
        shutil.copytree(FOLDER / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    name, old, new = change[:3]
    path = target / name
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{name} no longer has {old!r}: give this test another text to change"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return str(target)


CHANGES = {"nothing": ("reidlib/__init__.py", "", ""), **STALE, **FRESH, **BY_PROBE}


class Driver:
    """The process that knows what each copy says; what was asked once is kept."""

    def __init__(self, folder):
        given = {"REIDLIB_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        environment = {name: value for name, value in {**os.environ, **given}.items() if name != "PYTHONPATH"}
        self.folder, self.kept, pipe = folder, {}, subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", DRIVER], cwd=folder, stdin=pipe, stdout=pipe,
                                        encoding="utf-8", env=environment)  # fmt: skip
        self.keys = self._ask(changed(folder / "base", CHANGES["nothing"]), "compute", RECORDS)

    def records(self, change):
        """Of each record a word, a reason, and whether it is found under its name."""
        return self._once(change, "check", self.keys)

    def codes(self, change):
        """The digest of each paper's code."""
        return self._once(change, "codes", None)

    def _once(self, change, work, argument):
        if (change, work) not in self.kept:
            tree = self.folder / str(list(CHANGES).index(change))
            if not tree.exists():
                changed(tree, CHANGES[change])
            self.kept[change, work] = self._ask(str(tree), work, argument)
        return self.kept[change, work]

    def _ask(self, *question):
        self.process.stdin.write(f"{json.dumps(question)}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A driver of this module's own, with the records computed."""
    driver = Driver(tmp_path_factory.mktemp("freshness"))
    yield driver
    driver.process.stdin.close()
    driver.process.wait()


def words(driver, change):
    return {word for word, _, _ in driver.records(change).values()}


@pytest.mark.parametrize("change", STALE)
def test_a_changed_constant_makes_the_records_it_touches_stale_and_no_others(driver, change):
    found = driver.records(change)
    stale = {name for name, (word, _, _) in found.items() if word == "stale"}
    assert stale == STALE[change][3], found
    if not change.startswith("renderer"):
        assert words(driver, change) <= {"stale", "fresh by probe"}, "its code is not what it was"
    else:  # whose pictures' digest tells it, whatever the code's says
        assert words(driver, change) <= {"stale", "fresh"}
        assert {reason for word, reason, _ in found.values() if word == "stale"} == {"the data have changed"}


@pytest.mark.parametrize("change", FRESH)
def test_words_about_the_code_change_nothing(driver, change):
    assert words(driver, change) == {"fresh"}


@pytest.mark.parametrize("change", BY_PROBE)
def test_code_that_does_the_same_is_fresh_by_probe(driver, change):
    assert words(driver, change) == {"fresh by probe"}, driver.records(change)


@pytest.mark.parametrize("change", [*FRESH, *BY_PROBE])
def test_what_changes_no_number_changes_no_name(driver, change):
    assert all(same for _, _, same in driver.records(change).values()), "a record is found under its name"


TOUCHED = {
    **{name: set() for name in FRESH if name != "another paper's network"},
    "alpha": {"mlsl", "compared"}, "dropout": {"mlsl", "compared"}, FIELD: {"mlsl", "compared"},
    "contrastive loss, pull": {"mlsl", "compared"}, "masked mean": {"mlsl", "agnet", "compared"},
    "optimizer": None, "metrics": None,
}  # fmt: skip


@pytest.mark.parametrize("change", TOUCHED)
def test_a_further_paper_network_or_loss_changes_the_code_of_its_users_alone(driver, change):
    before, after = driver.codes("nothing"), driver.codes(change)
    touched = {paper for paper, code in after.items() if code != before[paper]}
    assert touched == (set(before) if TOUCHED[change] is None else TOUCHED[change])
