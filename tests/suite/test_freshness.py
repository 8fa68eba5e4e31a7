"""No number outlives its code: one changed constant makes the records that it touches stale, and no others.

Copies of the library are changed by exact replacement of text. One process loads the libraries beneath, then forks for
each copy, computes or replays there, and writes down what it found.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from reidpapers.run import provenance

DRIVER = """
import json, os, sys
import pandas, PIL.Image, pydantic, scipy.linalg, sklearn.datasets, torch, torch._dynamo
torch.set_num_threads(1)

def compute(configs):
    from reidlib import runs
    from reidpapers import mlsl
    return {name: runs.run(mlsl.MLSLConfig(**fields), mlsl.EXPERIMENT).key for name, fields in configs.items()}

def check(keys):
    from reidlib import records, runs
    from reidpapers import mlsl
    found = {}
    for name, key in keys.items():
        record = records.read(records.stores("mlsl")[0] / f"{key}.json")
        word, reason = runs.freshness(record), ""
        if word == runs.UNVERIFIED:
            word, reason = runs.replay(record, mlsl.MLSLConfig(**record.config), mlsl.EXPERIMENT)
        found[name] = [word, reason]
    return found

def forked(tree, work, argument):
    out = tree + ".json"
    if not (child := os.fork()):
        sys.path.insert(0, tree)
        result = work(argument)
        with open(out, "w") as file:
            json.dump(result, file)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, tree
    return json.load(open(out))

job = json.load(sys.stdin)
keys = forked(job["base"], compute, job["configs"])
json.dump({name: forked(tree, check, keys) for name, tree in job["trees"].items()}, sys.stdout)
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
    "contrastive loss, pull": ("losses/multi_label.py", "pull = 0.5 *", "pull = 0.55 *", PAIRS),
    "contrastive loss, push": ("losses/multi_label.py", "push = 0.5 *", "push = 0.55 *", PAIRS),
    "distance": ("losses/multi_label.py", "(first - second).abs()", "(first - second).abs() * 1.01", PAIRS),
    "masked mean": ("losses/multi_label.py", ".sum(0) / labelled", ".sum(0) * 1.01 / labelled", PAIRS),
    "classification loss": ("papers/mlsl.py", "labels[:, 0])}", "labels[:, 0], label_smoothing=0.01)}", ALL),
    "classification loss of pairs": ("papers/mlsl.py", ".mean(1).sum()", ".mean(1).sum() * 1.01", PAIRS),
    "weight of classification": ("papers/mlsl.py", '{"identity": 1.0}', '{"identity": 1.01}', ALL),
    "alpha": ("papers/mlsl.py", '{"identity": config.alpha}', '{"identity": 1.1 * config.alpha}', PAIRS),
    "dropout": ("papers/mlsl.py", "nn.Dropout(config.dropout", "nn.Dropout(0.9 * config.dropout", {"joint", "digits"}),
    "metrics": ("metrics/evaluator.py", "place.double() / (place", "place.double() / (1 + place", ALL),
    "cosine schedule": ("train.py", "0.5 * (1 + math.cos", "0.51 * (1 + math.cos", RENDERED),
    "dropping schedule": ("train.py", "factor: float = 0.1", "factor: float = 0.2", {"joint", "digits"}),
    "optimizer": ("train.py", '"betas": (0.9, 0.999)', '"betas": (0.8, 0.999)', ALL),
    "augmentation": ("augment/values.py", "58.395", "58.4", ALL),
    "sampler": ("sampler.py", "draws[2] * (", "0.5 * draws[2] * (", PAIRS),
    "embedding": ("embed.py", "network(normalise(source(part)))", "1.01 * network(normalise(source(part)))", ALL),
    "small trunk": ("backbones/trunks.py", "96, 96, 128)", "96, 96, 120)", RENDERED),
    "renderer, paint": ("render/catalogue.py", '"red": (0.78,', '"red": (0.7,', RENDERED),
    "renderer, geometry": ("render/geometry.py", "CROWN = 0.035", "CROWN = 0.05", RENDERED),
}  # fmt: skip
FRESH = {
    "a comment": ("losses/multi_label.py", "    pull = ", "    # The attribute is shared.\n    pull = "),
    "a docstring": ("train.py", '"""The rate of step', '"""Learning rate of step'),
    "a docstring taken away": ("embed.py", '"""A network and images become', '"""Images become'),
    "a page's code": ("claims.py", "import", "import zlib\nimport"),
}
BY_PROBE = {
    "a variable's name": ("losses/multi_label.py", "pull", "attract"),
    "a statement that changes nothing": (
        "sampler.py",
        "most = max(self.positive, self.negative)",
        "most = max(self.negative, self.positive)",
    ),
}


def changed(source, target, change):
    """A copy of the library with one text replaced."""
    shutil.copytree(source, target / "reidlib", ignore=shutil.ignore_patterns("__pycache__"))
    name, old, new = change[:3]
    path = target / "reidlib" / name
    text = path.read_text()
    assert old in text, f"{name} no longer has {old!r}: give this test another text to change"
    path.write_text(text.replace(old, new))
    return str(target)


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    """What each copy says of each record: ``{change: {record: [word, reason]}}``."""
    folder = tmp_path_factory.mktemp("freshness")
    base = changed(provenance.PACKAGE, folder / "base", ("__init__.py", "", ""))
    changes = {**STALE, **FRESH, **BY_PROBE}
    trees = {
        name: changed(provenance.PACKAGE, folder / str(i), change) for i, (name, change) in enumerate(changes.items())
    }
    environment = {
        **os.environ,
        "REIDLIB_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("PYTHONPATH", None)
    job = json.dumps({"base": base, "trees": trees, "configs": RECORDS})
    command = [sys.executable, "-c", DRIVER]
    done = subprocess.run(
        command, cwd=folder, input=job, stdout=subprocess.PIPE, text=True, env=environment, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("change", STALE)
def test_a_changed_constant_makes_the_records_it_touches_stale_and_no_others(findings, change):
    found = findings[change]
    stale = {name for name, (word, _) in found.items() if word == "stale"}
    assert stale == STALE[change][3], found
    assert {word for word, _ in found.values()} <= {"stale", "fresh by probe"}, "its code is not what it was"
    if change.startswith("renderer"):
        assert {reason for word, reason in found.values() if word == "stale"} == {"the data have changed"}


@pytest.mark.parametrize("change", FRESH)
def test_words_about_the_code_change_nothing(findings, change):
    assert {word for word, _ in findings[change].values()} == {"fresh"}


@pytest.mark.parametrize("change", BY_PROBE)
def test_code_that_does_the_same_is_fresh_by_probe(findings, change):
    assert {word for word, _ in findings[change].values()} == {"fresh by probe"}, findings[change]
