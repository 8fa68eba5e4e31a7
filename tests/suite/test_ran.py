"""A row that is called after a trunk says which trunk ran, wherever it stands."""

from types import SimpleNamespace

import pytest

from reidlib.backbones import BACKBONES
from reidpapers.run.papers import PAPERS, load
from reidpapers.show import ran


def run(backbone, trunks=None, size=64):
    return SimpleNamespace(config={"backbone": backbone, "image_size": size, **({"trunks": trunks} if trunks else {})})


@pytest.mark.parametrize(
    ("row", "record", "words"),
    [
        ("VGG + triplet", run("small"), "small trunk"),
        ("VGG + triplet", run("mobilenet_v1"), "MobileNet v1 at 64 px"),
        ("VGG + triplet", run("vgg_cnn_m_1024", size=224), ""),
        ("Res50 alone", run("small_ibn", "small"), "small trunk"),
        ("Res50+AGN+Dense161BS", run("small", "small"), "small trunks"),
        ("Res50+AGN+Dense161BS", run("small", "light"), "light trunks at 64 px"),
        ("HRnet alone", run("squeezenet1_1", "light"), "SqueezeNet 1.1 at 64 px"),
        ("HRnet alone", run("hrnet_w18", "exact", 256), ""),
        ("Res50+AGN+Dense161BS", run("small", "exact", 256), ""),
        ("MobileNet FL", run("mobilenet_v1"), ""),
        ("FL", run("small"), ""),
    ],
)
def test_what_ran_is_said_where_the_name_says_another(row, record, words):
    assert ran.instead(row, [record]) == words
    assert ran.named(row, [record]) == (f"{row} ({words})" if words else row)


def test_without_runs_nothing_ran():
    assert ran.named("Res50 alone", []) == "Res50 alone" and ran.sentence({"Res50 alone": []}) == ""


def test_a_caption_names_each_trunk_once():
    found = {"Res50 alone": [run("small_ibn")], "Res50+HRnet": [run("small", "small")], "PSPNet": [run("small")]}
    assert ran.sentence(found) == "Rows are called after the paper's trunks (HRnet, Res50); here a small trunk ran."


def test_trunks_are_known_by_the_names_that_papers_and_library_give_them():
    assert set(ran.TITLES) <= set(BACKBONES) and {name for own in ran.CALLED.values() for name in own} <= set(BACKBONES)
    rows = {row.name for name in PAPERS for row in load(name).tables.rows("all")}
    assert all(any(name in row for row in rows) for name in ("VGG", "Res50", "Dense161", "HRnet"))
