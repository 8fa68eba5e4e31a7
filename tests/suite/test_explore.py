"""Explorers: they compute what the library computes, show what the controls say, and leave nothing behind."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from ipywidgets.widgets import widget as registry
from matplotlib.figure import Figure

from reidlib import losses
from reidlib.augment import normalise
from reidlib.data.images import ImageStore
from reidlib.data.manifest import codes
from reidlib.evaluate import metrics, protocols, rerank
from reidpapers.agnet import loss as agnet
from reidpapers.agnet.explore import pair as agnet_pair
from reidpapers.agnet.paper import PAPER as AGNET
from reidpapers.c2f_rank.config import C2FConfig
from reidpapers.c2f_rank.explore import ranking
from reidpapers.c2f_rank.figures import DEGREES
from reidpapers.drdl.config import DRDLConfig
from reidpapers.drdl.explore import clusters
from reidpapers.drdl.paper import PAPER as DRDL
from reidpapers.mlsl.config import MLSLConfig
from reidpapers.mlsl.explore import pair as mlsl_pair
from reidpapers.mlsl.loss import pairwise
from reidpapers.mlsl.paper import PAPER as MLSL
from reidpapers.run import evaluate_run, runs
from reidpapers.run.base import Batch
from reidpapers.show import explore
from reidpapers.show.explore import missing_weights, pair_terms
from reidpapers.show.explore import panel as panels
from reidpapers.show.explore import run as running
from reidpapers.show.explore import search as search_module
from reidpapers.show.explore.controls import ControlMaker
from reidpapers.show.explore.run import Run
from reidpapers.show.plots import mosaic
from reidpapers.vehicles import rendered

# The functions of these names stand before the modules in the package.
PARTS = {name: sys.modules[f"reidpapers.show.explore.{name}"] for name in
         ("ablation_browser", "embedding_map", "pair_inspector")}  # fmt: skip
PARTS |= {"clusters": sys.modules["reidpapers.drdl.explore"], "ranking": sys.modules["reidpapers.c2f_rank.explore"]}


class Screen:
    """Stands in for the notebook: what was shown, and the pictures that took the first one's place."""

    def __init__(self):
        self.shown, self.updates = [], []

    def display(self, item, display_id=False):
        self.shown.append(item)
        return SimpleNamespace(update=self.updates.append) if display_id else None

    @property
    def text(self):
        page = (self.updates or self.shown)[-1].data
        return page.split("<figcaption>")[-1].split("</figcaption>")[0]


@pytest.fixture(autouse=True)
def screen(monkeypatch):
    made = Screen()
    monkeypatch.setattr(panels, "display", made.display)
    yield made
    for panel in list(panels.SHOWN.values()):
        panel.close()
    assert not plt.get_fignums()


def panel():
    """The one panel that is open."""
    (found,) = panels.SHOWN.values()
    return found


def make_run(preset="smoke", size=32, dim=16, noise=1.0):
    """A run on synthetic features and pictures of the embedded vehicles' real labels."""
    dataset = rendered.load(preset)
    table = dataset.manifest.rows("query", "gallery")
    draw = torch.Generator().manual_seed(0)
    vehicle = torch.as_tensor(codes(table["vehicle_id"]))
    features = torch.randn(int(vehicle.max()) + 1, dim, generator=draw)[vehicle]
    features = features + noise * torch.randn(features.shape, generator=draw)
    names = {name: i for i, name in enumerate(sorted(set(dataset.manifest.table["image"])))}
    pixels = np.random.default_rng(0).integers(0, 255, (len(names), size, size, 3), dtype=np.uint8)
    once = ~table.duplicated("image").to_numpy(bool)
    config = MLSLConfig(profile="smoke", preset=preset, image_size=size)
    network = MLSL.build(config.canonical(), {"identities": 5}).eval()
    record = SimpleNamespace(scores={}, exhibits={}, seed=0)
    train = dataset.manifest.rows("train")
    return SimpleNamespace(
        tests=dataset.tests,
        test=dataset.tests[0], tested=running.Tested(dataset.tests[0], table, features, "euclidean"), record=record,
        seen=(table[once].reset_index(drop=True), features[torch.as_tensor(once)]),
        learnt=(train, torch.randn(len(train), dim, generator=draw)), store=ImageStore(pixels, names),
        weights="there", wait=0.0, waiting=[], trained=SimpleNamespace(network=network), config=config,
        paper=MLSL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run():
    return make_run()


# --- panels ----------------------------------------------------------------------------------------------------------


def counting_panel(draw=None):
    make = ControlMaker()
    controls = {"size": make.steps("size", 3, 9, "")}
    controls |= {"twice": make.button("twice", "")}
    drawn = draw or (lambda size: panels.Picture(np.zeros((8, 8, 3), np.uint8), f"size {size}"))

    def double():
        controls["size"].value = min(9, 2 * controls["size"].value)

    return panels.Panel("counting", make, controls, drawn, [["size", "twice"]], presses={"twice": double})


def test_a_control_redraws_the_picture_and_a_button_draws_once(screen):
    made = counting_panel()
    made.show()
    assert "size 3" in screen.shown[1].data and "<img" in screen.shown[1].data and not screen.updates
    made.controls["size"].value = 4
    assert "size 4" in screen.text and len(screen.updates) == 1
    made.controls["twice"].click()
    assert "size 8" in screen.text and len(screen.updates) == 2, "the slider that a button moves draws no picture more"


def test_an_error_is_shown_in_place_of_the_picture(screen):
    def draw(size):
        if size > 3:
            raise ValueError("no size <4>")
        return panels.Picture(np.zeros((8, 8, 3), np.uint8), "fine")

    made = counting_panel(draw)
    made.show()
    made.controls["size"].value = 5
    assert "no size &lt;4&gt;" in screen.updates[-1].data and 'role="alert"' in screen.updates[-1].data
    made.controls["size"].value = 2
    assert "fine" in screen.updates[-1].data


def test_closing_leaves_no_widget_and_no_observer(screen):
    before = set(registry._instances)
    made = counting_panel()
    made.show()
    slide = made.controls["size"]
    assert len(set(registry._instances) - before) > 5
    made.closer.click()
    assert set(registry._instances) == before and not panels.SHOWN
    slide.value = 7
    made.controls["twice"].click()
    assert not screen.updates, "a closed panel follows nobody"


def test_a_cell_that_runs_again_closes_what_it_showed_and_other_cells_keep_theirs(monkeypatch):
    before = set(registry._instances)
    cell = iter("aab")
    monkeypatch.setattr(panels, "_cell", lambda: next(cell))
    first, second, other = (counting_panel() for _ in range(3))
    for made in (first, second, other):
        made.show()
    assert (first.open, second.open, other.open) == (False, True, True)
    second.close()
    other.close()
    assert set(registry._instances) == before


@pytest.mark.parametrize("what", ["retrieval", "embedding", "pairs", "ablations", "clusters", "ranking"])
def test_no_explorer_leaves_anything_behind(what, run):
    before = set(registry._instances)
    for _ in range(2):  # the cell is run again
        show(what, run)
        control = next(c for c in panel().controls.values() if isinstance(c, widgets.IntSlider | widgets.FloatSlider
                                                                         | widgets.BoundedIntText))  # fmt: skip
        control.value = control.value + (control.step or 1)
    assert len(panels.SHOWN) == 1
    panel().close()
    assert set(registry._instances) == before and not plt.get_fignums() and not run.waiting


def show(what, run):
    calls = {
        "retrieval": lambda: explore.retrieval(run), "embedding": lambda: explore.embedding(run),
        "pairs": lambda: explore.pairs(run, mlsl_pair), "ablations": lambda: explore.ablations(some_tables()),
        "clusters": lambda: clusters(DRDLConfig()), "ranking": lambda: ranking(C2FConfig()),
    }  # fmt: skip
    calls[what]()


def test_every_control_has_a_name_and_a_picture_is_small_in_a_notebook(run, screen):
    for what in ("retrieval", "embedding", "pairs", "ablations", "clusters", "ranking"):
        before = set(registry._instances)
        show(what, run)
        assert all(control.description for control in panel().controls.values())
        page = screen.shown[-1].data
        assert page.count("<figure") == page.count("<figcaption") == 1 and len(page) < 300_000
        state = sum(len(str(registry._instances[name].get_state())) for name in set(registry._instances) - before)
        assert state < 60_000, f"{what}: the state of its widgets is saved with a notebook"
        panel().close()


# --- pictures of images ----------------------------------------------------------------------------------------------


def test_frames_differ_in_colour_in_form_and_in_mark():
    image = np.full((32, 32, 3), 200, np.uint8)
    edges = {name: mosaic.framed(mosaic.Cell(image, "", name), 64)[1] for name in ("match", "wrong", "junk")}
    assert (edges["match"] == edges["match"][0]).all(), "a match's frame is whole"
    for name in ("wrong", "junk"):
        assert (edges[name] == 255).all(1).any() and (edges[name] != 255).any(), f"{name}: a broken frame"
    looks = [mosaic.FRAMES[name][:2] for name in ("match", "wrong", "junk")]
    assert len({color for color, _ in looks}) == len({mark for _, mark in looks}) == 3


def test_a_mosaic_places_images_and_refuses_a_row_too_long():
    cell = mosaic.Cell(np.zeros((4, 4, 3), np.uint8), "a\nb")
    made = mosaic.mosaic([mosaic.Line("title", [None, cell])], 2, 2, 200)
    assert made.dtype == np.uint8 and made.shape[1:] == (200, 3)
    body = made[mosaic.HEAD + 10 : mosaic.HEAD + 60]
    assert (body[:, :100] == 255).all() and (body[:, 130:170] < 60).all()
    with pytest.raises(ValueError, match="2 columns"):
        mosaic.mosaic([mosaic.Line("", [cell] * 3)], 2)


# --- retrieval -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def search(run):
    return search_module.Search(run.tested, run.tested.table)


def test_plain_answers_are_the_protocols(run, search):
    scores = protocols.evaluate("veri", run.tested.features, run.tested.table)
    np.testing.assert_allclose(search.ap, scores.ap)
    assert search.scores(search_module.PLAIN) == pytest.approx(scores.mAP)
    lists = protocols.retrieval("veri", run.tested.features, run.tested.table, np.arange(5), k=6)
    for query, one in enumerate(lists):
        found = search.answer(query, k=6)
        assert [item["image"] for item in one["top"]] == search.gallery["image"].iloc[found.order].tolist()
        np.testing.assert_allclose(found.distance, [item["distance"] for item in one["top"]], atol=1e-5)
        assert found.ap == pytest.approx(scores.ap[query]) and found.first == scores.first[query]
        junk = search.gallery.iloc[search.junk(query, 99)]
        row = search.queries.iloc[query]
        assert set(junk["vehicle_id"]) == {row["vehicle_id"]} and set(junk["camera_id"]) == {row["camera_id"]}
        assert not set(junk["image"]) & {item["image"] for item in one["top"]}


@pytest.mark.parametrize("settings", [
    search_module.Settings(type_penalty=0.2), search_module.Settings(color_penalty=0.1, group=0.4),
    search_module.Settings(reciprocal=True), search_module.Settings(0.1, 0.2, 0.3, True),
])  # fmt: skip
def test_re_ranked_answers_are_those_of_the_composition(run, search, settings):
    def composed(query, gallery, query_rows, gallery_rows):
        length = rerank.mean_distance(rerank.rooted(metrics.euclidean(query, gallery)), len(query))
        query = rerank.group_means(query, settings.group * length)
        made = rerank.k_reciprocal(query, gallery) if settings.reciprocal else (
            rerank.rooted(metrics.euclidean(query, gallery)))  # fmt: skip
        every = run.tested.table
        looks = []
        for column in ("type", "color"):
            names = {name: i for i, name in enumerate(sorted(every[column].unique()))}
            looks.append(tuple(side[column].map(names).to_numpy(int) for side in (query_rows, gallery_rows)))
        made = rerank.attribute_constraint(
            made, *looks, type_penalty=settings.type_penalty, color_penalty=settings.color_penalty
        )
        threshold = settings.group * rerank.mean_distance(made, len(query))
        return rerank.insert_tracks(made, codes(gallery_rows["track_id"]), threshold)

    scores = protocols.evaluate("veri", run.tested.features, run.tested.table, distance=protocols.Reranking(composed))
    assert search.scores(settings) == pytest.approx(scores.mAP)
    for query in range(0, len(search.queries), 7):
        found = search.answer(query, settings)
        assert found.ap == pytest.approx(scores.ap[query]) and found.first == scores.first[query]


def test_a_learnt_distance_offers_no_penalty_in_shares_of_it(run):
    made = search_module.Search(run.tested, run.tested.table, before=lambda q, g: metrics.euclidean(q, g))
    assert not any(made.possible(name) for name in ("type_penalty", "color_penalty", "group"))
    assert made.possible("reciprocal")
    unknown = run.tested.table.assign(color=None)
    assert not search_module.Search(run.tested, unknown).possible("color_penalty")


def test_a_query_is_chosen_by_number_place_attribute_worst_and_at_random(run, search, screen):
    explore.retrieval(run)
    controls = panel().controls
    controls["number"].value = 7
    assert screen.text.startswith("Query 7 of 30 (vehicle") and controls["place"].value == _place(search, 7)
    controls["worst"].click()
    assert controls["place"].value == 1 and f"AP {100 * np.nanmin(search.ap):.1f}%" in screen.text
    controls["order"].value = "by number"
    controls["place"].value = 4
    assert screen.text.startswith("Query 3 of")
    color = search.queries["color"].iloc[0]
    controls["color"].value = color
    assert controls["place"].max == (search.queries["color"] == color).sum()
    controls["random"].click()
    assert f", {color} " in screen.text
    other = int(np.flatnonzero(search.queries["color"] != color)[0])
    controls["number"].value = other
    assert screen.text.startswith(f"Query {other} of") and controls["color"].value == "any"


def _place(search, query):
    return int(np.flatnonzero(np.argsort(search.ap, kind="stable") == query)[0]) + 1


def test_an_impossible_choice_says_so(run, search, screen):
    explore.retrieval(run)
    pairs = set(zip(search.queries["color"], search.queries["type"], strict=True))
    color, kind = next((c, t) for c in search.queries["color"] for t in search.queries["type"] if (c, t) not in pairs)
    panel().controls["color"].value = color
    panel().controls["type"].value = kind
    assert "no query has these attributes" in screen.updates[-1].data


def test_features_that_fell_together_are_grouped_all_the_same(run):
    draw = torch.Generator().manual_seed(0)
    one, noise = torch.randn(1, 16, generator=draw), torch.randn(run.tested.features.shape, generator=draw)
    together = torch.nn.functional.normalize(torch.nn.functional.normalize(one) + 1e-6 * noise)
    search = search_module.Search(replace(run.tested, features=together), run.tested.table)
    assert abs(rerank.mean_distance(search.ranking(search_module.PLAIN), len(search.queries))) < 1e-4, (
        "all in one place"
    )
    for settings in (search_module.Settings(group=0.3), search_module.Settings(group=0.3, color_penalty=0.5)):
        assert len(search.answer(3, settings).order) == 10


def test_sliders_re_rank_and_say_before_and_after(run, search, screen):
    explore.retrieval(run)
    controls = panel().controls
    controls["number"].value = 5
    plain = screen.updates[-1].data
    controls["color_penalty"].value = 0.3
    settings = search_module.Settings(color_penalty=0.3)
    after = search.answer(5, settings)
    assert f"Re-ranked: rank {after.first}, AP {100 * after.ap:.1f}%" in screen.text
    mean = [100 * search.scores(one) for one in (search_module.PLAIN, settings)]
    assert f"{mean[0]:.1f}% before, {mean[1]:.1f}% after" in screen.text and "as labelled" in screen.text
    controls["reciprocal"].value = True
    assert screen.updates[-1].data != plain
    controls["reset"].click()
    assert screen.updates[-1].data == plain


def test_predicted_attributes_take_the_place_of_labels(run, screen):
    looks = run.tested.table[["color", "type"]].assign(color=0)  # a predictor that sees one colour
    explore.retrieval(run, attributes=lambda trained, rows: looks)
    panel().controls["number"].value = 2
    before = screen.text.split("AP ")[1].split("%")[0]
    panel().controls["color_penalty"].value = 0.5
    assert f"AP {before}%. Re-ranked" in screen.text and screen.text.count(f"AP {before}%") == 2
    assert "as predicted" in screen.text


def test_a_run_that_is_tested_on_pairs_says_so(screen):
    explore.retrieval(SimpleNamespace(test=None))
    assert "retrieves nothing" in screen.shown[0].data and not panels.SHOWN


# --- a run with and without weights ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def short():
    """A real run of seconds, whose weights are not there yet."""
    config = DRDLConfig(profile="smoke", iterations=3, seed=3)
    store, record = evaluate_run.prepare(config), runs.run(config, DRDL, committed=False)
    runs.weights_path(config, DRDL).unlink()
    return Run(DRDL, config, record, store)


def test_without_weights_the_record_is_shown_and_training_opens_the_rest(short, screen):
    assert short.weights is None and short.seconds > 0
    with pytest.raises(FileNotFoundError, match="train it first"):
        _ = short.trained
    explore.retrieval(short)
    kept = panel()
    assert "that the record keeps" in screen.text and "train this run here" in kept.controls["train"].description
    kept.controls["place"].value = 1
    assert f"AP {100 * short.record.exhibits['retrieval'][0]['ap']:.1f}%" in screen.text
    explore.embedding(short)
    assert "nearest images: ● of the query" in screen.shown[-1].data
    kept.controls["train"].click()
    assert short.weights is not None and not kept.open and not short.waiting
    texts = [page.data for page in screen.updates[-2:]]
    assert "mAP of all queries" in texts[0] and "t-SNE of" in texts[1], "every open explorer of the run is told"
    assert all(one.open for one in panels.SHOWN.values()) and len(panels.SHOWN) == 2
    recorded = short.record.exhibits["retrieval"][0]
    task = protocols.PROTOCOLS["vehicleid"].tasks(short.tested.table)[0]
    query = int(np.flatnonzero(short.tested.table["image"].iloc[task.query] == recorded["query"]["image"])[0])
    found = search_module.Search(short.tested, short.tested.table).answer(query)
    np.testing.assert_allclose(found.distance, [one["distance"] for one in recorded["top"]], atol=1e-4)


def test_features_that_take_long_are_asked_for(run, screen):
    slow = SimpleNamespace(**{**vars(run), "wait": 60.0, "steps": 5, "record": kept_record()})
    explore.retrieval(slow)
    assert panel().controls["train"].description == "load its features (about 60 s)"
    assert missing_weights.PATIENCE < 60 and "that the record keeps" in screen.text


def kept_record():
    table = rendered.load("smoke").manifest.rows("gallery")
    look = [{"image": table["image"][i], "vehicle": table["vehicle_id"][i], "camera": "c001"} for i in range(4)]
    top = [{**look[i], "match": i == 1, "distance": 0.1 * i} for i in (1, 2, 3)]
    return SimpleNamespace(scores={}, seed=0, exhibits={"retrieval": [{"query": look[0], "ap": 0.5, "top": top}]})


# --- pairs -----------------------------------------------------------------------------------------------------------


def judged(training, **changes):
    config = MLSLConfig(profile="smoke", **changes).canonical()
    network = MLSL.build(config, {"identities": 5}).eval()
    draw = torch.Generator().manual_seed(1)
    images = normalise(torch.randint(0, 255, (2, 32, 32, 3), generator=draw, dtype=torch.uint8))
    labels = torch.tensor([[1, 0, 2], [3, 0, -1]])
    return config, network, images, labels, mlsl_pair(network, config, images, labels, training)


def test_mlsl_terms_of_a_pair_are_those_of_its_loss():
    config, network, images, labels, pair = judged(True)
    terms = pairwise(network, Batch(images, labels), config)
    for name in ("id", "color", "type"):
        assert pair.terms[name].value.item() == pytest.approx(terms[name].item())
    assert pair.terms["classification"].value.item() == pytest.approx(terms["identity"].item())
    assert [pair.terms[name].differs for name in ("id", "color", "type")] == [1.0, 0.0, None]
    assert "classification" not in judged(False)[-1].terms, "a test vehicle is no class"
    assert pair.terms["classification"].weight == config.alpha


@pytest.mark.parametrize("changes", [{}, {"branches": "only_id", "only_id_verification": True}, {"verification": "ce"}])
def test_agnet_terms_of_a_pair_are_those_of_its_loss(changes):
    config = AGNET.Config(profile="smoke", **changes).canonical()
    network = AGNET.build(config, {"identities": 5, "colors": 3, "types": 4}).eval()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([[1, 0, 2], [3, 0, -1]])
    pair = agnet_pair(network, config, images, labels, True)
    terms, weights = agnet.terms(network, Batch(images, labels), config), agnet.term_weights(config)
    assert pair.terms.keys() == terms.keys()
    for name, value in terms.items():
        # The classification is a mean over images, here and there.
        assert pair.terms[name].value.item() == pytest.approx(value.item(), abs=1e-6)
        assert pair.terms[name].weight == weights[name]
    verification = pair.terms["verification"]
    assert verification.differs == 1.0 and 0 < verification.says < 1
    assert agnet_pair(network, config, images, labels, False).terms.keys() == {"verification"}
    assert pair_terms.forces(pair).keys() == terms.keys()


def test_forces_are_slopes_along_the_line_between_the_features():
    apart = torch.tensor([[1.0, 2.0], [0.0, 0.0]], requires_grad=True)
    pull = pair_terms.Term((apart[0] - apart[1]).square().sum(), weight=0.5)
    push = pair_terms.Term(-(apart[0] - apart[1]).norm(), weight=2.0)
    rest = pair_terms.Term(torch.zeros((), requires_grad=True) * 1)
    found = pair_terms.forces(pair_terms.Pair(apart, {"pull": pull, "push": push, "rest": rest}))
    assert found["pull"] == pytest.approx(5**0.5) and found["push"] == pytest.approx(-2.0) and found["rest"] == 0


def test_partners_are_what_they_are_called(run):
    rows, features = run.seen
    find, kinds, draws = PARTS["pair_inspector"].partner, PARTS["pair_inspector"].PARTNERS, np.random.default_rng(0)
    distance = torch.cdist(features, features).numpy()
    for first in range(0, len(rows), 9):
        own = (rows["vehicle_id"] == rows["vehicle_id"][first]).to_numpy(bool)
        own[first] = False
        farthest = find(rows, features, first, kinds[0], draws)
        assert own[farthest] and distance[first, farthest] == pytest.approx(distance[first, own].max())
        others = rows["vehicle_id"].ne(rows["vehicle_id"][first]).to_numpy(bool)
        assert distance[first, find(rows, features, first, kinds[1], draws)] == pytest.approx(
            distance[first, others].min(), abs=1e-4)  # fmt: skip
        alike = find(rows, features, first, kinds[2], draws)
        if alike is not None:
            assert tuple(rows[["color", "type"]].iloc[alike]) == tuple(rows[["color", "type"]].iloc[first])
        assert find(rows, features, first, kinds[4], draws) is None


def test_the_inspector_follows_its_controls(run, screen):
    explore.pairs(run, mlsl_pair)
    controls = panel().controls
    controls["second"].value = 11
    assert controls["partner"].value == "by number" and "image 11 (vehicle" in screen.text
    assert "id: says" in screen.text and "classification" not in screen.text
    controls["side"].value = "training images"
    assert "classification p" in screen.text
    seen = screen.text
    controls["random"].click()
    assert screen.text != seen


# --- the map ---------------------------------------------------------------------------------------------------------


def test_points_are_whole_vehicles_and_two_features_are_themselves(run):
    rows, features = run.seen
    places = PARTS["embedding_map"].spread(rows, 30)
    taken = set(rows["vehicle_id"].iloc[places])
    assert 0 < len(places) <= 30 and rows["vehicle_id"].isin(taken).sum() == len(places)
    np.testing.assert_array_equal(PARTS["embedding_map"].flat(features[:, :2]), features[:, :2].double().numpy())
    first, again = (PARTS["embedding_map"].flat(features[:40]) for _ in range(2))
    assert first.shape == (40, 2) and np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)


def test_the_map_marks_an_image_and_counts_its_neighbours(run, screen):
    explore.embedding(run)
    rows, features = run.seen
    controls = panel().controls
    controls["color"].value = "colour"
    controls["image"].value = 5
    distance = torch.cdist(features[5:6], features)[0]
    distance[5] = torch.inf
    near = rows["color"].iloc[distance.argsort()[:8].tolist()]
    share = 100 * (near == rows["color"][5]).mean()
    assert f"8 nearest images by the features themselves {share:.0f}% share" in screen.text
    controls["next"].click()
    assert controls["image"].value != 5 and f"★ image {controls['image'].value} " in screen.text


@pytest.mark.parametrize("where", ["map", "tsne"])
def test_a_records_own_map_is_shown_without_weights(where, screen):
    kept = {"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 0.0], "color": ["red", "blue", "red"], "label": ["1", "2", "1"]}
    record = SimpleNamespace(exhibits={where: kept}, scores={}, seed=0)
    explore.embedding(
        SimpleNamespace(tests=(1,), weights=None, wait=0.0, seconds=30.0, steps=5, waiting=[], record=record)
    )
    assert panel().controls["color"].options == ("color", "label")
    panel().controls["color"].value = "label"
    assert "3 test images, coloured by label" in screen.text


# --- ablations -------------------------------------------------------------------------------------------------------


def a_record(seed, level, device="cpu"):
    cmc = np.linspace(level, 1, 50).tolist()
    tests = {"small": {"mAP": level / 2, "cmc": cmc, "queries": 9}, "large": {"mAP": level, "cmc": cmc, "queries": 9}}
    scores = {"mAP": level, "top1": level, "cmc": cmc, "queries": 9}
    return SimpleNamespace(
        seed=seed, scores=scores, tests=tests, device={"type": device}, data={"digest": "d"}, weights={}
    )


def some_tables():
    base = [a_record(seed, 0.2 + 0.01 * seed) for seed in range(4)]
    better = [a_record(seed, 0.3 + 0.02 * seed) for seed in range(1, 5)]
    return {"one": {"base": base, "better": better, "none": []}, "empty": {"none": []}, "two": {"gpu": [
        a_record(0, 0.9, "cuda")], "base": base}}  # fmt: skip


def test_differences_are_paired_by_seed_and_device():
    rows = some_tables()["one"]
    found = PARTS["ablation_browser"].paired(rows, "base", "mAP", range(5))
    np.testing.assert_allclose(found["better"], [11, 12, 13])
    np.testing.assert_allclose(PARTS["ablation_browser"].paired(rows, "base", "small mAP", [2])["better"], [6])
    assert PARTS["ablation_browser"].paired(some_tables()["two"], "base", "mAP", range(5))["gpu"] == []
    assert PARTS["ablation_browser"].metrics_of(rows) == ["mAP", "top1", "small mAP", "large mAP"]


def test_the_browser_follows_its_controls(screen):
    explore.ablations(some_tables())
    controls = panel().controls
    assert controls["table"].options == ("one", "two"), "a table without runs cannot be chosen"
    assert "better +12.0 ± 2.5" in screen.text  # 1 · t(0.975, 2) / √3
    controls["seeds"].value = (1, 2)
    assert "better +11.5;" in screen.text.replace(".", ".", 1) or "better +11.5. " in screen.text
    assert "±" not in screen.text and "An interval needs 3 seeds" in screen.text
    controls["metric"].value = "small mAP"
    assert "small mAP against base" in screen.text
    controls["seeds"].value = ()
    assert "no runs of these seeds" in screen.updates[-1].data
    controls["table"].value = "two"
    assert "two, 2 rows" in screen.text


def test_rows_without_curves_are_shown_by_their_scores(screen):
    def verified(seed, value):
        scores = {"accuracy": value, "pairs": 9}
        return SimpleNamespace(
            seed=seed, scores=scores, tests={}, device={"type": "cpu"}, data={"digest": "d"}, weights={}
        )

    explore.ablations({"one": {"a": [verified(0, 0.5)], "b": [verified(0, 0.75)]}})
    assert "b +25.0" in screen.text and panel().controls["metric"].options == ("accuracy",)


def test_without_any_runs_it_says_so(screen):
    explore.ablations({"empty": {"c": []}})
    assert "No table has runs yet" in screen.shown[0].data


# --- playgrounds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["detach", "full", "triplet"])
@pytest.mark.parametrize("margin", [0.0, 0.2, 0.9])
def test_what_images_add_is_the_loss_and_the_active_ones_add(kind, margin):
    part = PARTS["clusters"]
    points = torch.tensor([*part.CLUSTER, *part.OTHERS], dtype=torch.float64)
    added = part.parts(points, kind, margin)
    assert sum(added) == pytest.approx(float(part.loss(points, kind, margin)))
    adding = {i for i, value in enumerate(added) if value > 0}
    assert {first for first, _ in part.active(points, kind, margin)} == adding


def test_a_point_is_moved_by_its_sliders_and_a_step_lowers_the_loss(screen):
    clusters(DRDLConfig(margin=0.4))
    controls = panel().controls
    controls["point"].value = "n3"
    assert (controls["x"].value, controls["y"].value) == PARTS["clusters"].OTHERS[2]
    controls["x"].value = 0.5
    controls["y"].value = 0.5
    assert "against n3" in screen.text, "it is now the nearest to the centre"
    before = float(screen.text.split("loss ")[1].split(" ")[0])
    controls["step"].click()
    assert float(screen.text.split("loss ")[1].split(" ")[0]) < before
    controls["reset"].click()
    assert (controls["x"].value, controls["y"].value) == PARTS["clusters"].OTHERS[2]


def test_active_tuples_are_those_of_naive_loops():
    part, margins = PARTS["ranking"], (0.2, 0.5)
    points = part.circle(DEGREES)
    distance = torch.cdist(points, points).square()
    vehicle, model = (0, 0, 1, 2), (0, 0, 0, 1)
    every = [(i, j, k) for i in range(4) for j in range(4) for k in range(4) if i != j]
    coarse = [(i, j, k) for i, j, k in every if model[i] == model[j] != model[k] and vehicle[i] != vehicle[j]
              and distance[i, j] - distance[i, k] + margins[0] > 0]  # fmt: skip
    fine = [(i, j, k) for i, j, k in every if vehicle[i] == vehicle[j] != vehicle[k] and model[i] == model[k]
            and distance[i, j] - distance[i, k] + margins[1] > 0]  # fmt: skip
    assert part.active(points, margins) == {"coarse": coarse, "fine": fine}


def test_turning_an_image_changes_the_terms_and_a_step_lowers_their_sum(screen):
    ranking(C2FConfig(margin_fine=0.3))
    controls = panel().controls
    assert controls["fine"].value == 0.3
    pair = float(losses.squared_distances(*PARTS["ranking"].circle((40, 100)).split(1)))
    controls["i"].value = 40
    assert f"P = {pair:.3f}" in screen.text
    before = float(screen.text.split("10 P = ")[1].split(". ")[0])
    controls["step"].click()
    assert float(screen.text.split("10 P = ")[1].split(". ")[0]) < before


# --- time ------------------------------------------------------------------------------------------------------------


def test_how_long_an_interaction_takes_on_small(capsys, screen):
    run = make_run("small", 64, 128)
    explore.retrieval(run)
    explore.embedding(run)
    explore.pairs(run, mlsl_pair)
    opened = {name: one for (name, _), one in panels.SHOWN.items()}
    moves = {
        "retrieval": [("place", 3), ("type_penalty", 0.1), ("color_penalty", 0.1), ("number", 9), ("group", 0.2),
                      ("color_penalty", 0.2), ("reciprocal", True), ("place", 5)],
        "embedding": [("image", 5), ("color", "identity"), ("image", 9), ("color", "camera")],
        "pairs": [("second", 5), ("first", 9), ("partner", "any"), ("second", 8)],
    }  # fmt: skip
    for name, steps in moves.items():
        spent = [_seconds(opened[name].controls[control], value) for control, value in steps]
        assert len(screen.updates) >= len(steps)
        with capsys.disabled():
            print(f"\n{name}: an interaction on small redraws in {1000 * np.median(spent):.0f} ms (median)", end=" ")


def _seconds(control, value):
    import time

    begun = time.perf_counter()
    control.value = value
    return time.perf_counter() - begun


def test_a_figure_is_drawn_without_pyplot(screen):
    made = counting_panel(lambda size: panels.Picture(Figure(figsize=(1, 1)), "a figure"))
    made.show()
    made.controls["size"].value = 4
    assert "<img" in screen.updates[-1].data and not plt.get_fignums()
