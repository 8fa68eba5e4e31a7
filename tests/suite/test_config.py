"""Configurations: wrong values are refused by name before anything is computed; equal runs have one fingerprint."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reidlib.places import cache_dir, data_dir
from reidpapers.mlsl.paper import MLSLConfig
from reidpapers.run.config import Config, ConfigError, Plan, allowed, configure, parameters
from reidpapers.run.papers import load

VARIANTS = st.fixed_dictionaries(
    {},
    optional={
        "learning": st.sampled_from(["feature", "similarity", "joint", "continued"]),
        "mapping": st.sampled_from(["sigmoid", "none"]),
        "distance": st.sampled_from(["absolute", "euclidean", "multiplication"]),
        "scheme": st.sampled_from(["vector", "scalar"]),
        "labels": st.sampled_from([("id",), ("id", "color"), ("id", "color", "type")]),
        "dropout": st.sampled_from([0.0, 0.3]),
        "scalar_dropout": st.booleans(),
        "scalar": st.sampled_from(["normalised", "bare"]),
        "plain": st.sampled_from(["mean", "sum"]),
        "margin": st.sampled_from([0.5, 1.0]),
        "plain_margin": st.sampled_from([5.0, 10.0]),
        "alpha": st.sampled_from([0.1, 1.0]),
        "weight_color": st.sampled_from([1.0, 2.0]),
        "init": st.sampled_from(["stage1", "scratch"]),
        "pairs": st.sampled_from([16, 24]),
        "iterations1": st.sampled_from([600, 700]),
        "iterations2": st.sampled_from([400, 500]),
        "rate1": st.sampled_from([1e-3, 2e-3]),
        "rate2": st.sampled_from([1e-3, 2e-3]),
        "seed": st.integers(0, 2),
        "profile": st.sampled_from(["smoke", "quick"]),
    },
)


def refusal(**given):
    with pytest.raises(ConfigError) as caught:
        configure(MLSLConfig, given)
    return str(caught.value)


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("dropout", 1.5, ["dropout = 1.5 is refused", "a number >= 0 and < 1"]),
        ("distance", "manhatan", ["distance = 'manhatan' is refused", "absolute, euclidean, multiplication"]),
        ("seeds", "[]", ["seeds = [] is refused", "a non-empty list", "a whole number >= 0 and < 2147483648"]),
        ("seeds", [], ["seeds = [] is refused", "a non-empty list"]),
        ("seeds", "[0, 0]", ["seeds = [0, 0] is refused", "distinct"]),
        ("seeds", "[0, -1]", ["seeds[1] = -1 is refused", ">= 0"]),
        ("seeds", 3, ["seeds = 3 is refused", "a non-empty list"]),
        ("dropuot", 0.5, ["dropuot = 0.5", "no parameter of this name", "did you mean dropout?"]),
        ("zzz", 1, ["zzz = 1", "known are", "learning"]),
        ("dropout", float("nan"), ["dropout = nan is refused"]),
        ("margin", float("inf"), ["margin = inf is refused", "> 0 and <= 1"]),
        ("margin", 0, ["margin = 0 is refused", "> 0"]),
        ("pairs", 7, ["pairs = 7 is refused", "a whole number >= 2"]),
        ("labels", "[]", ["labels = [] is refused", "a non-empty list", "one of id, color, type"]),
        ("labels", '["id", "wheels"]', ["labels[1] = 'wheels' is refused", "one of id, color, type"]),
        ("iterations2", 1.5, ["iterations2 = 1.5 is refused", "a whole number"]),
        ("flip", "perhaps", ["flip = 'perhaps' is refused", "true or false"]),
        ("scope", "most", ["scope = 'most' is refused", "one of base, all"]),
        ("profile", "huge", ["profile = 'huge' is refused", "one of smoke, quick, study, paper"]),
        ("workers", 0, ["workers = 0 is refused", ">= 1"]),
        ("seed", -1, ["seed = -1 is refused"]),
        ("image_size", 8, ["image_size = 8 is refused", ">= 16"]),
    ],
)
def test_a_wrong_value_is_refused_by_name_with_what_is_allowed(name, value, words):
    message = refusal(**{name: value})
    assert message.startswith("nothing was computed") and all(word in message for word in words), message


def test_repeated_labels_are_refused():
    assert "labels" in refusal(labels='["id", "id"]')


def test_an_even_number_of_pairs_is_asked_for():
    assert "multiple of 2" in refusal(pairs=7)


def test_every_problem_is_named_at_once():
    message = refusal(dropout=1.5, distance="manhatan", seeds="[]", dropuot=0.5, alpha="much")
    assert len(message.splitlines()) == 6
    assert all(f"  {name} = " in message for name in ("dropout", "distance", "seeds", "dropuot", "alpha"))


@pytest.mark.parametrize(
    "given, words",
    [
        ({"dataset": "digits", "labels": '["id", "color"]'}, ["digits have no colour"]),
        ({"pretrained": True}, ["no ImageNet weights", "mobilenet_v1"]),
        ({"weights": "w.pth"}, ["'small' has no ImageNet weights for weights = 'w.pth'", "vgg_cnn_m_1024"]),
        ({"backbone": "vgg_cnn_m_1024", "image_size": 40}, ["image_size = 40 is refused", ">= 41"]),
        (
            {"backbone": "hrnet_w18", "image_size": 48},
            ["image_size = 48 is refused", "hrnet_w18 needs a multiple of 32"],
        ),
    ],
)
def test_what_no_run_could_mean_is_refused(given, words):
    message = refusal(**given)
    assert all(word in message for word in words)


def test_lists_are_read_from_json_text():
    config, plan = configure(MLSLConfig, {"labels": '["id", "type"]', "seeds": "[0, 1, 2]"})
    assert config.labels == ("id", "type") and plan.seeds == [0, 1, 2]
    assert configure(MLSLConfig, {"seeds": [4]})[1].seeds == [4]


def test_nothing_means_by_profile_and_what_is_given_wins():
    quick, _ = configure(MLSLConfig, {"iterations2": None, "preset": None})
    smoke, _ = configure(MLSLConfig, {"profile": "smoke"})
    paper, _ = configure(MLSLConfig, {"profile": "paper", "iterations2": 7})
    assert (quick.profile, quick.preset, quick.image_size) == ("quick", "small", 64)
    assert (smoke.preset, smoke.image_size, smoke.iterations2) == ("smoke", 32, 12)
    assert (paper.backbone, paper.image_size, paper.iterations2, paper.pairs) == ("mobilenet_v1", 224, 7, 24)


SCALE = {"preset", "image_size", "backbone", "pretrained", "trunks", "encoder", "device", "width", "embedding", "batch",
         "pairs", "sets", "set_size", "models", "vehicles", "images", "identities", "identities_dense", "shrink_above",
         "digits_train", "digits_test", "levels", "verified", "pretrain_seed"}  # fmt: skip
LENGTH = ("iterations", "epochs", "decay_every")
# What README says that small trunks from scratch are trained otherwise in.
TRAINING = {"mlsl": {"schedule1"}, "agnet": {"optimizer", "rate", "schedule"}, "drdl": {"dropout"}, "c2f_rank": set(),
            "multiguided": {"rate", "rate_classifier", "rate_segmenter"}}  # fmt: skip


@pytest.mark.parametrize("name", TRAINING)
def test_profiles_set_scale_and_of_the_training_what_the_readme_says(name):
    values = set().union(*load(name).Config.SCALES.values())
    assert {field for field in values - SCALE if not field.startswith(LENGTH)} == TRAINING[name]


def test_a_configuration_is_frozen_and_copied_with_changes():
    config = MLSLConfig()
    with pytest.raises(ValidationError):
        config.dropout = 0.1
    assert config.but(dropout=0.1).dropout == 0.1 and config.dropout == 0.5
    assert config.but(dropout=0.1) == MLSLConfig(dropout=0.1)
    with pytest.raises(ValidationError):
        config.but(dropout=2)


@given(VARIANTS)
def test_canonical_is_idempotent_and_keeps_the_fingerprint(given):
    config = MLSLConfig(**given)
    once = config.canonical()
    assert once.canonical() == once
    assert once.fingerprint() == config.fingerprint()
    assert once.learning == config.learning and once.seed == config.seed


@given(VARIANTS, st.data())
def test_fields_that_a_variant_does_not_use_change_no_fingerprint(given, data):
    learning, mapping = given.get("learning", "joint"), given.get("mapping", "sigmoid")
    paired = learning in ("similarity", "joint")
    unused = {"data_root": "elsewhere", "digits_test": 5}
    if not paired:
        unused |= {"labels": ("id",), "mapping": "none", "distance": "euclidean", "scheme": "scalar", "dropout": 0.7,
                   "margin": 0.2, "plain_margin": 3.0, "weight_color": 3.0, "scalar_dropout": False, "scalar": "bare",
                   "plain": "sum"}  # fmt: skip
    if learning == "feature":
        unused |= {"init": "scratch", "pairs": 6, "iterations2": 3, "rate2": 0.5, "schedule2": "epochs"}
    if learning in ("feature", "similarity"):
        unused |= {"alpha": 9.0}
    if paired and mapping == "none":
        unused |= {"labels": ("id",), "scheme": "scalar", "dropout": 0.7, "weight_type": 3.0, "scalar": "bare"}
        unused |= {"margin": 0.2} if given.get("plain") == "sum" else {"plain_margin": 3.0}
    if paired and mapping == "sigmoid":
        unused |= {"plain": "sum", "plain_margin": 3.0}
        if given.get("scheme", "vector") == "vector":
            unused |= {"scalar": "bare", "scalar_dropout": False}
    name = data.draw(st.sampled_from(sorted(unused)))
    config = MLSLConfig(**given)
    assert config.but(**{name: unused[name]}).fingerprint() == config.fingerprint(), name
    assert config.model_copy(update={"profile": "paper"}).fingerprint() == config.fingerprint()


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"dropout": 0.4}, {"labels": ("id",)}, {"margin": 0.9}, {"alpha": 0.2}, {"weight_type": 0.5},
     {"iterations1": 5}, {"iterations2": 5}, {"distance": "euclidean"}, {"scheme": "scalar"}, {"mapping": "none"},
     {"learning": "feature"}, {"learning": "continued"}, {"learning": "similarity"}, {"init": "scratch"},
     {"rate1": 0.1}, {"rate2": 0.1}, {"crop": 1.2}, {"preset": "smoke"}, {"data_seed": 1}, {"image_size": 32},
     {"backbone": "mobilenet_v1"}, {"test_distance": "cosine"}, {"precision": "bfloat16"}, {"batch": 50},
     {"optimizer": "adam"}, {"schedule1": "epochs"}, {"identity_dropout": 0.1}, {"flip": True}],
    ids=str,
)  # fmt: skip
def test_fields_that_touch_the_result_change_the_fingerprint(changes):
    base = MLSLConfig(optimizer="adamw", schedule1="cosine", iterations1=700, iterations2=500)
    assert base.but(**changes).fingerprint() != base.fingerprint()


def test_all_labels_in_any_order_are_one_run():
    one, other = (MLSLConfig(labels=labels) for labels in (("type", "id"), ("id", "type")))
    assert one.attributes() == other.attributes() == ("id", "type")
    assert one.fingerprint() == other.fingerprint()


def test_weights_count_by_content(tmp_path):
    prints = []
    for name, content in (("a.pt", b"one"), ("b.pt", b"one"), ("c.pt", b"two")):
        (tmp_path / name).write_bytes(content)
        config = MLSLConfig(backbone="mobilenet_v1", weights=str(tmp_path / name))
        assert str(tmp_path) not in json.dumps(config.portable())
        prints.append(config.fingerprint())
    assert prints[0] == prints[1] != prints[2]


def test_auto_becomes_a_device():
    assert Config(device="auto").canonical().device in ("cpu", "cuda")
    assert Config(device="cpu").canonical() == Config(device="cpu")


def test_allowed_in_words():
    fields = MLSLConfig.model_fields | Plan.model_fields
    assert allowed(fields["dropout"]) == "a number >= 0 and < 1"
    assert allowed(fields["data_root"]) == "text, or nothing"
    assert allowed(fields["scheme"]) == "one of vector, scalar"
    for name, field in fields.items():
        assert allowed(field) and field.description, name


def test_folders_follow_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path / "data"))
    assert (cache_dir(), data_dir()) == (tmp_path / "cache", tmp_path / "data")
    monkeypatch.delenv("REIDLIB_DATA")
    assert data_dir() == tmp_path / "cache" / "data"


def test_a_notebooks_parameters_are_what_its_parameter_cells_assign():
    cells = [
        "",
        "# Parameters\ndropout = 0.5\nseeds: list = [0]\nlabels = None",
        "helper = 3",
        "# Parameters\ndropuot = 0.7\ndropout = 0.1",
    ]
    namespace = {"In": cells, "dropout": 0.1, "dropuot": 0.7, "labels": None, "seeds": [0], "helper": 3, "other": 1}
    assert parameters(namespace) == {"dropout": 0.1, "seeds": [0], "labels": None, "dropuot": 0.7}
    with pytest.raises(ConfigError, match="dropuot = 0.7"):
        configure(MLSLConfig, parameters(namespace))


def test_a_plan_has_no_part_in_the_fingerprint_and_loads_without_torch():
    assert not set(Plan.model_fields) & set(Config.model_fields)
    refused = "try:\n c.configure(c.Config, {'seed': -1})\nexcept c.ConfigError:\n sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", f"import sys, reidpapers.run.config as c\n{refused}"]).returncode == 0
