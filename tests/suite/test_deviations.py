"""Deviations: every option is listed by its own description, what a row calls stated is so, and pages show it all."""

import json
from pathlib import Path

import pytest

from reidpapers.run.papers import FOLDER, PAPERS, load
from reidpapers.show import deviations
from reidpapers.show.deviations import ELSEWHERE, STATED, UNUSED

ROOT = Path(__file__).resolve().parents[2]
SILENT = {
    "mlsl": ("crop", "one image", "MatConvNet", "epochs1", "schedule2"),
    "drdl": ("fewer than five images", "fc7 of the branches", "dropout", "crop", "iterations"),
    "c2f_rank": ("crop", "rotation", "brightness", "batch normalisation", "auxiliary", "from ImageNet", "one image"),
    "agnet": ("crop", "rotation", "brightness", "24 different images", "one image", "ResNet-50 starts from"),
    "multiguided": ("random weights", "cross-entropy and Dice", "5 %", "penalties", "fewer than four images"),
}
papers = pytest.mark.parametrize("name", PAPERS)


def another(config, name):
    """A configuration that differs in one field, or None where no other value is at hand."""
    value = getattr(config, name)
    tries = [value * 2, value + 1, value / 2] if type(value) in (int, float) else [not value, "cosine", "none"]
    for other in tries:
        try:
            return config.but(**{name: other})
        except ValueError:
            continue
    return None


@papers
def test_every_option_is_listed_once_with_its_description(name):
    paper, text = load(name), deviations.table(load(name)).data
    listed = [option for row in deviations.deviations(paper) for option in row.options]
    assert sorted(listed) == sorted(paper.Config.model_fields.keys() - ELSEWHERE)
    for row in deviations.deviations(paper):
        for option in row.options if row.kind != UNUSED else ():
            value = deviations.shown(getattr(paper.Config(profile="paper"), option))
            assert f"<code>{option} = {value}</code>" in text, option
            assert paper.Config.model_fields[option].description


@papers
def test_an_option_that_no_row_names_is_listed_by_itself(name, monkeypatch):
    monkeypatch.setattr(deviations, "FOLDER", Path("nowhere"))
    paper = load(name)
    rows = deviations.deviations(paper)
    assert {row.kind for row in rows} == {"own"} and len(rows) == len(paper.Config.model_fields.keys() - ELSEWHERE)
    assert "a random crop keeps at least 1/crop of each side" in deviations.table(paper).data


@papers
def test_what_the_papers_do_not_say_has_a_row(name):
    silent = " ".join(f"{row.where} {row.paper} {row.here} {' '.join(row.options)}"
                      for row in deviations.deviations(load(name)) if row.kind not in (STATED, UNUSED))  # fmt: skip
    assert [words for words in SILENT[name] if words not in silent] == []


@papers
def test_options_that_are_said_to_be_unused_change_no_run_of_the_papers_size(name):
    paper = load(name)
    whole = paper.Config(profile="paper", pretrained=False)
    runs = (whole, *paper.starts_from(whole))
    for option in (option for row in deviations.deviations(paper) if row.kind == UNUSED for option in row.options):
        if option in paper.Config.EPOCHS or option in {"held_out", "backbone"}:
            continue  # lengths in steps cut the epochs, held-out vehicles are for tuning, extractors settle the trunk
        assert all((other := another(run, option)) and other.fingerprint() == run.fingerprint() for run in runs), option


@papers
def test_a_run_shows_where_it_differs_and_the_profiles_what_they_set(name):
    paper = load(name)
    here = deviations.table(paper, paper.Config(profile="quick", flip=True)).data
    assert "<code>flip = False</code> (here True)" in here
    assert "(here" not in deviations.table(paper, paper.Config(profile="paper")).data
    text = deviations.profiles(paper).data
    for values in paper.Config.SCALES.values():
        differs = {field for field in values
                   if len({paper.Config(profile=p).model_dump()[field] for p in deviations.PROFILES}) > 1}  # fmt: skip
        assert [field for field in differs if f"<code>{field}</code>" not in text] == []


@papers
def test_the_notebook_and_the_page_show_the_table(name):
    notebook = json.loads((ROOT / "notebooks" / f"{name}_ablation.ipynb").read_text())
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert sum("deviations.table(PAPER, config)" in cell for cell in code) == 1
    assert "<table" in deviations.markup(load(name)) and "&lt;table" not in deviations.markup(load(name))


@pytest.mark.parametrize("line, said", [
    ("guess,a,b,c,crop", "kind 'guess' is none of"), ("silent,,b,c,crop", "where or paper is empty"),
    ("silent,a,b,,crop", "here is empty"), ("silent,a,b,c,corp", "corp is no option"),
    ("stated,a,b,,flip\nsilent,a,b,c,flip", "flip is named before"),
])  # fmt: skip
def test_a_row_that_says_too_little_or_names_what_is_not_there_is_refused(tmp_path, line, said):
    path = tmp_path / "deviations.csv"
    path.write_text(f"kind,where,paper,here,options\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        deviations.read(path, load("mlsl").Config)


def test_every_paper_has_its_file_and_values_are_short():
    assert all((FOLDER / name / "deviations.csv").is_file() for name in PAPERS)
    values = [True, None, (), ("id", "color"), 48_000, 3.5e-4, "sgd"]
    assert list(map(deviations.shown, values)) == ["True", "none", "none", "id, color", "48,000", "0.00035", "sgd"]
