"""The site: made from records alone, each number leads to its records, and the committed one is today's."""

import csv
import re
import shutil
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup

from reidpapers.compared import paper as compared
from reidpapers.compared import tables as compared_tables
from reidpapers.compared.config import ComparedConfig
from reidpapers.run import papers, records, runs
from reidpapers.run.papers import PAPERS, RUNS
from reidpapers.show import site
from reidpapers.show.claims import MARKS, Claim, Difference, Verdict
from reidpapers.show.site import forest, pages, record_list, tables
from reidpapers.show.templates import macros, prose

gather = import_module("reidpapers.show.site.gather")  # the package has a function of this name
RESULTS = records.COMMITTED
PAGES = ["index.html", "errata.html", *(f"{name}/{page}.html" for name in RUNS for page in ("index", "records"))]


@cache
def soup(path):
    return BeautifulSoup((RESULTS / path).read_text(encoding="utf-8"), "html.parser")


@cache
def ids_of(path):
    return set(re.findall(r'\sid="([^"]+)"', path.read_text(encoding="utf-8")))


# --- what is committed -----------------------------------------------------------------------------------------------


def test_the_committed_site_is_what_the_records_say():
    """The whole site and the ledger of claims, anew from the same records: the same bytes."""
    made = site.texts(RESULTS, papers.load_all())
    kept = {name: (RESULTS / name).read_text(encoding="utf-8") if (RESULTS / name).is_file() else "" for name in made}
    assert [name for name in made if made[name] != kept[name]] == [], "run: python -m reidlib site --out results"


def test_every_claim_and_question_is_in_the_ledger():
    with (RESULTS / "claims.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    asked = [(paper.name, claim) for paper in papers.load_all()
             for claim in (*paper.tables.CLAIMS, *paper.tables.QUESTIONS)]  # fmt: skip
    wanted = [(paper, claim.source, claim.statement, claim.metric, claim.better, rival)
              for paper, claim in asked for rival in claim.rivals]  # fmt: skip
    named = ("paper", "source", "statement", "metric", "better", "worse")
    assert [tuple(line[name] for name in named) for line in lines] == wanted
    for line in lines:
        assert line["verdict"] in MARKS and (line["difference"] == "") == (line["pair"] == "not run")
        if line["difference"]:
            assert float(line["low"]) <= float(line["difference"]) <= float(line["high"]) and line["commit"]
            assert len(line["seeds"].split()) >= 3 and line["profile"] in ("quick", "study") and line["dataset"]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere_and_nothing_is_fetched_from_outside(page):
    found = soup(page)
    for link in found.find_all("a", href=True):
        target, _, anchor = link["href"].partition("#")
        path = ((RESULTS / page).parent / target if target else RESULTS / page).resolve()
        assert not re.match(r"\w+:|//", link["href"]) and path.is_file(), link
        assert not anchor or anchor in ids_of(path), link["href"]
    assert not found.find_all(["iframe", "object"]) and "@import" not in str(found)
    assert [script.attrs for script in found.find_all("script")] == [{}], "the one that sorts tables, inside the page"
    for tag in found.find_all(src=True):
        assert ((RESULTS / page).parent / tag["src"]).resolve() == RESULTS / pages.VEHICLES, tag


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_accessible(page):
    found = soup(page)
    assert found.html["lang"] == "en" and found.title.text and found.find("meta", attrs={"name": "viewport"})
    levels = [int(tag.name[1]) for tag in found.find_all(re.compile("^h[1-6]$"))]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False)), levels
    assert found.find("a", class_="skip")["href"] == f"#{found.main['id']}"
    for table in found.find_all("table"):
        assert table.caption.text.strip() and all(head.get("scope") for head in table.find_all("th"))
        assert table.parent["tabindex"] == "0" and table.parent["aria-label"]
    for figure in found.find_all("figure"):
        assert len(figure.figcaption.text) > 40
    for picture in found.find_all("svg"):
        assert picture["aria-hidden"] == "true"  # the numbers beside it say the same
    ids = [tag["id"] for tag in found(id=True)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", PAPERS)
def test_every_number_of_ours_leads_to_its_records(name):
    found = soup(f"{name}/index.html")
    numbers = [
        cell for table in found.find_all("table", class_="results") for cell in table.find_all("td", class_="number")
    ]
    ours = [cell for cell in numbers if re.match(r"−?[\d.]+\s±", cell.text)]
    assert len(ours) > 10
    for cell in ours:
        link = (cell.a or cell.find_parent("tr").a)["href"]  # a row that has several of them leads there once
        line = found.find(id=link.removeprefix("#"))
        keys = [a["href"] for a in line.find_all("a", href=re.compile(r"^records\.html#"))]
        assert keys or link.startswith("#pair-"), link
    for table in papers.load(name).tables.tables("quick"):
        assert f"{table.number}." in found.text


@pytest.mark.parametrize("name", PAPERS)
def test_rows_without_numbers_of_ours_are_folded_and_none_is_lost(name):
    found = soup(f"{name}/index.html")
    folded = [row for fold in found.find_all("details", class_="unrun") for row in fold.select("tbody tr")]
    assert all("±" not in row.text and not row.select("td a") for row in folded)
    assert folded or name == "multiguided"
    open_rows = [row for row in found.select("table.results tbody tr") if not row.find_parent("details")]
    measured = [row for row in open_rows if row.td and "learns nothing" not in row.text]
    assert not [row.th.text for row in measured if not row.select("td a")]
    paper = papers.load(name)
    for table in paper.tables.tables("quick"):
        for row in table.rows:
            assert any(head.text.startswith(row.name) for head in found.select("table.results tbody th")), row.name


def test_commands_of_folded_rows_can_be_read_and_pasted():
    folded = soup("agnet/index.html").find("details", class_="unrun")
    assert "python -m reidlib run agnet" in folded.text and folded.summary.text.strip()


@pytest.mark.parametrize(("name", "row"), [("drdl", "VGG + triplet"), ("multiguided", "Res50 alone")])
def test_a_row_called_after_a_trunk_says_which_ran(name, row):
    for page in ("index", "records"):
        assert f"{row} (small trunk)" in re.sub(r"\s+", " ", soup(f"{name}/{page}.html").text)


def test_colours_are_told_apart_from_their_ground():
    """Every pair of ink and tint that words are set in has a contrast of 4.5 or more."""
    style = (RESULTS / "style.css").read_text()
    colour = dict(re.findall(r"--([\w-]+): (#\w{6})", style))

    def luminance(text):
        parts = [int(text[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    pairs = [("good", "tint-good"), ("bad", "tint-bad"), ("open", "tint-amber"), ("soft", "tint-none"),
             ("open", "paper"), ("same", "paper"), ("soft", "paper"), ("link", "paper"), ("ink", "wash"),
             ("link", "wash"), ("bad", "paper")]  # fmt: skip
    for ink, ground in pairs:
        bright, dark = sorted((luminance(colour[ink]), luminance(colour[ground])), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


# --- what is made ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A folder with the records of two methods in three seeds, and the comparison gathered from it at smoke."""
    folder, base = tmp_path_factory.mktemp("results"), ComparedConfig(profile="smoke", image_size=16, images=200)
    (folder / "compared" / "records").mkdir(parents=True)
    for row in compared_tables.ROWS[:2]:
        for seed in range(3):
            record = runs.run(base.but(**row.changes, seed=seed), compared.PAPER)
            shutil.copy(records.stores("compared")[0] / f"{record.key}.json", folder / "compared" / "records")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather, "PROFILE", "smoke")
        patch.setattr(
            ComparedConfig, "SCALES", {"smoke": {**ComparedConfig.SCALES["smoke"], "image_size": 16, "images": 200}}
        )
        paper = gather.gather(compared.PAPER, folder)
    return folder, paper


def test_a_papers_records_are_those_in_its_folder(toy):
    folder, paper = toy
    assert [len(found) for found in paper.found.values()] == [3, 3] + [0] * (len(compared_tables.ROWS) - 2)
    assert {record.freshness for record in paper.records} == {"fresh"}
    assert {f"{record.key}.json" for record in paper.records} == {
        p.name for p in (folder / "compared/records").iterdir()
    }
    first = paper.questions[0]
    assert first.verdict == "not testable here" and "single world" in first.reason and paper.claims == ()
    assert all(verdict.verdict == "not run" for verdict in paper.questions if "C2F-Rank" in verdict.claim.better)


def test_a_page_shows_rows_records_and_costs(toy):
    text = pages.paper(toy[1], [toy[1]], [])
    found = BeautifulSoup(text, "html.parser")
    line = found.find(id="row-1")
    assert [a.text for a in line.find_all("a")] == ["0", "1", "2"]
    assert all(a["href"] == f"records.html#{r.key}" for a, r in zip(line("a"), toy[1].found["DRDL"], strict=True))
    assert found.find("table", class_="results").find("a")["href"] == "#row-0"
    assert "python -m reidlib run compared" in text and "Who is above whom" in text
    assert len(found.find("figure", class_="dots").find_all("li")) == 2
    costs = found.find("div", attrs={"aria-label": "What each costs"})
    assert [line.th.text for line in costs.tbody("tr")] == ["Classification", "DRDL"]
    assert [line("td")[3].text for line in costs.tbody("tr")] == ["192", "204"], "images seen"
    assert "10⁶ an image" in costs.thead.text and "images/s" not in text, "counted, not timed"
    provenance = gather.facts(toy[1].records)
    assert provenance["Data"][0].startswith("rendered smoke: train") and provenance["Commit"]


def test_trials_are_shown_where_there_are_some_and_nothing_is_said_where_none(toy):
    assert 'id="study"' not in pages.paper(toy[1], [toy[1]], [])
    text = (RESULTS / "mlsl" / "index.html").read_text(encoding="utf-8")
    assert re.search(r"FL</th><td>rate1 = 0.002</td>", text) and "worlds that no verdict uses" in text


def test_a_row_of_one_run_leads_to_the_record_itself(toy):
    paper = toy[1]
    alone = paper.found["DRDL"][:1]
    links = tables.anchors(replace(paper, found={**paper.found, "DRDL": alone}), "compared/index.html")
    assert (
        links["DRDL"] == f"compared/records.html#{alone[0].key}"
        and links["Classification"] == "compared/index.html#row-0"
    )


def test_a_record_can_be_read(toy):
    found, runs_of = BeautifulSoup(pages.record_list(toy[1], [toy[1]]), "html.parser"), toy[1].found["DRDL"]
    line = found.find(id=runs_of[0].key)
    card = line.find_parent("article")
    assert (
        card.h2.text == "DRDL"
        and "method = drdl" in card.text
        and [tr["id"] for tr in card.tbody("tr")] == [record.key for record in runs_of]
    )
    assert f"{100 * runs_of[0].scores['mAP']:.1f}" in line.text and runs_of[0].commit in line.text
    assert line.find("a", download=True)["href"] == f"records/{runs_of[0].key}.json"
    curves = card.find_all("polyline")
    assert len(curves) == len(runs_of[0].history) - 2  # the terms, without the steps and the rate
    places = [tuple(map(float, point.split(","))) for point in curves[0]["points"].split()]
    assert places[0][0] == 0 and places[-1][0] == record_list.WIDE and len(places) <= record_list.POINTS


def claim_of(statement, metric="mAP"):
    return Claim("Table 1", statement, "A", "B", metric)


def verdict_of(claim, mean):
    word = "not run" if np.isnan(mean) else "reproduced" if mean > 1 else "contradicted"
    pair = Difference("A", "B", mean, mean - 1, mean + 1, (0, 1, 2), word)
    return Verdict(claim, word, (pair,), 0.0, "cpu", "rendered small", "fresh")


def test_the_forest_has_a_line_for_each_statement_that_was_measured():
    verdicts = [
        replace(verdict_of(claim_of("first"), np.nan), primary=False),
        verdict_of(claim_of("first", "top1"), 3.0),
        replace(verdict_of(claim_of("first", "top5"), -2.0), primary=False),
        verdict_of(claim_of("second"), np.nan), verdict_of(claim_of("third"), -4.0),
    ]  # fmt: skip
    first, third = forest.lines(verdicts)
    assert first.verdict.claim.metric == "top1" and first.pair.mean == 3.0
    assert (third.statement, third.verdict.verdict) == ("third", "contradicted")


def test_stale_records_are_marked(toy):
    paper = toy[1]
    stale = [replace(record, freshness="stale") for record in paper.found["DRDL"]]
    text = pages.paper(replace(paper, found={**paper.found, "DRDL": stale}), [paper], [])
    assert "stale: made by other code" in text


def test_intervals_are_drawn_where_the_numbers_say(toy):
    pair = toy[1].questions[0].differences[0]
    drawn = str(macros("verdicts.j2").interval(replace(pair, mean=5.0, low=-5.0, high=20.0), "open", 0.0, 10.0))
    assert 'x1="25.0%" x2="100.0%"' in drawn and 'cx="75.0%"' in drawn  # what is beyond the scale ends at its edge


def test_text_becomes_markup_and_nothing_else_does():
    shown = "<em>models</em> of <code>center=&#34;x&#34;</code> &amp; &lt;b&gt;"
    assert prose('*models* of `center="x"` & <b>') == shown
    assert prose("**not** so *much*") == "<strong>not</strong> so <em>much</em>"
    assert prose("f(x*) and 2 * 3 * 4") == "f(x*) and 2 * 3 * 4"


def test_another_folder_gets_copies_of_the_records_on_this_machine(toy, tmp_path):
    files = site.build(tmp_path / "out", [compared.PAPER])
    assert {path.relative_to(tmp_path / "out").as_posix() for path in files} == {
        "index.html", "errata.html", "claims.csv", "style.css", "vehicles.webp", "compared/index.html",
        "compared/records.html"}  # fmt: skip
    assert "Not run yet" in files[2].read_text() or list((tmp_path / "out/compared/records").glob("*.json"))


def test_papers_describe_themselves():
    for name in PAPERS:
        paper = papers.load(name)
        assert paper.citation and len(paper.title) > 30 and len(paper.summary) > 80, name
    places = [paper.place for paper in papers.load_all()]
    assert places == sorted(set(places)), "each has a place of its own on the site"


def test_results_stay_small():
    sizes = {path: path.stat().st_size for path in RESULTS.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 20_000_000, sorted(sizes.items(), key=lambda item: -item[1])[:5]
    assert Path(RESULTS / "index.html").stat().st_size < 100_000
