"""Pictures: each is drawn from records, says so where there are none, and reaches a page with caption and text."""

import io
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from reidpapers.show import plots
from reidpapers.show.claims import MARKS, Claim
from reidpapers.show.explore import embedding_map
from reidpapers.show.measure import judge
from reidpapers.show.plots import curves, mosaic, style


def record(seed, score):
    cmc = list(np.linspace(score, 1, 50))
    steps = list(range(0, 100, 10))
    history = {"iteration": steps, "total": [1.0 / (s + 1) for s in steps], "rate": [1e-3] * len(steps)}
    return SimpleNamespace(
        seed=seed, freshness="fresh", scores={"mAP": score, "top1": cmc[0], "top5": cmc[4], "cmc": cmc},
        data={"name": "toy", "digest": "d"}, device={"type": "cpu"}, history=history, weights={},
    )  # fmt: skip


def rows(*scores):
    return [record(seed, score) for seed, score in enumerate(scores)]


def image(value=100):
    return np.full((16, 16, 3), value, np.uint8)


def lines(figure):
    return [line for axis in figure.axes for line in axis.get_lines()]


def test_a_cmc_curve_is_the_mean_over_seeds_in_percent():
    figure = plots.cmc({"a": rows(0.2, 0.4), "b": []}, ranks=10)
    curve = lines(figure)[0]
    assert curve.get_ydata()[0] == pytest.approx(30.0)
    assert list(curve.get_xdata()) == list(range(1, 11))
    assert len(lines(figure)) == 1  # the row without records has no curve


def test_axes_are_named():
    for figure in (plots.cmc({"a": rows(0.2)}), plots.sweep({0.1: rows(0.2), 0.5: rows(0.3)}), plots.pull_push()):
        assert figure.get_supxlabel() or all(axis.get_xlabel() for axis in figure.axes)
        assert all(axis.get_ylabel() or axis.get_title(loc="left") for axis in figure.axes)


@pytest.mark.parametrize("draw", [lambda: plots.cmc_panels({"(a)": {"x": []}}), lambda: plots.sweep({0.5: []})])
def test_without_runs_a_picture_says_so(draw):
    figure = draw()
    assert "no runs yet" in figure.texts[0].get_text()


def test_a_sweep_draws_each_value_that_has_runs():
    figure = plots.sweep({0.1: rows(0.2, 0.3), 0.3: [], 0.5: rows(0.4, 0.5)}, metrics=("mAP",))
    points = [line for line in lines(figure) if len(line.get_xdata()) == 2]
    assert [round(y, 6) for y in points[0].get_ydata()] == [25.0, 45.0]


def test_a_forest_has_a_line_for_each_comparison():
    claim = Claim("T", "a beats b", "a", "b", "mAP")
    verdict = judge(claim, {"a": rows(0.5, 0.52, 0.51), "b": rows(0.4, 0.42, 0.43)})
    assert verdict.verdict == "reproduced"
    assert isinstance(plots.forest([verdict]), Figure)


def test_pictures_of_images():
    assert len(plots.contact_sheet([image(), image(50)], ["a\nb", ""], 2).axes) >= 2
    pair = (image(), image(10), {"id": 0.0, "color": None, "type": 1.0})
    assert isinstance(plots.batch([pair, pair]), Figure)
    top = [{"image": "x", "vehicle": "1", "camera": "c", "match": i % 2 == 0, "distance": 0.1} for i in range(10)]
    one = {"query": {"image": "q", "vehicle": "1", "camera": None}, "ap": 0.5, "top": top}
    picture = plots.strips([{**one, "ap": None}, one], lambda name: image())
    width = round(8.2 * 150)
    assert picture.dtype == np.uint8 and picture.shape[1:] == (width, 3)
    colors = {"match": style.GREEN, "wrong": style.VERMILION}
    amount = {name: int((picture == [int(code[i : i + 2], 16) for i in (1, 3, 5)]).all(2).sum())
              for name, code in colors.items()}  # fmt: skip
    assert amount["match"] > amount["wrong"] > 1000, "five frames are whole, five broken"
    assert f'width="{round(8.2 * 110)}"' in plots.markup(picture, "What to see", "Strips")


def test_refusals():
    with pytest.raises(ValueError, match="one label an image"):
        plots.contact_sheet([image()], [])
    with pytest.raises(ValueError, match="no retrieval strips"):
        plots.strips([], lambda name: image())
    with pytest.raises(ValueError, match="caption"):
        plots.markup(plots.pull_push(), "", "")


def test_drawings_and_maps():
    for figure in (plots.model(), plots.distance_schemes(), plots.history(rows(0.1, 0.2))):
        assert plots.png(figure, dpi=40).startswith(b"\x89PNG")
    points = {"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 0.0], "label": ["0", "1", "1"]}
    assert len(plots.scatter({"a": points, "b": points}).axes) == 2


def test_a_picture_reaches_the_page_with_caption_and_text():
    text = plots.markup(plots.pull_push(), "What to see", "Two curves")
    assert 'alt="Two curves"' in text and "<figcaption>What to see</figcaption>" in text
    assert "data:image/webp;base64," in text


@pytest.mark.parametrize("noise", [False, True], ids=["lines", "images"])
def test_a_stored_picture_shows_what_the_figure_does(noise):
    coarse = np.random.default_rng(0).integers(0, 256, (12, 3, 3, 3), dtype=np.uint8)
    pictures = [np.asarray(Image.fromarray(one).resize((72, 72), Image.Resampling.BICUBIC)) for one in coarse]
    figure = plots.contact_sheet(list(pictures), [str(n) for n in range(12)]) if noise else plots.pull_push()
    stored = np.asarray(Image.open(io.BytesIO(style.webp(figure, 80))).convert("RGB")).astype(float)
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=80)
    whole = np.asarray(Image.open(raw).convert("RGB")).astype(float)
    assert stored.shape == whole.shape and np.abs(stored - whole).mean() < 4  # of 255
    assert len(style.webp(figure, 80)) < len(plots.png(figure, 80))


def test_no_two_lines_of_a_picture_look_alike():
    from reidpapers.show.plots.style import look

    assert len({tuple(sorted(look(index).items())) for index in range(32)}) == 32
    assert len({(look(index)["color"], look(index)["ls"]) for index in range(32)}) == 32, "also without markers"


@pytest.mark.parametrize("count", [1, 9, 10, 27])
def test_every_class_has_a_colour_of_its_own(count):
    colours = curves.palette(count)
    assert len(colours) == count == len({to_hex(colour) for colour in colours})


@pytest.mark.parametrize("label", ["$a^$ sedan", "$x$", "a $ b", r"\$5 or $7", "$$", r"$\frac{1}$ $"])
def test_a_label_of_the_data_is_never_mathematics(label):
    """It is drawn as it is, and neither stops a picture nor changes its look."""
    from matplotlib import cbook
    from matplotlib.text import Text

    from reidpapers.agnet.figures import embedding_map
    from reidpapers.show.explore import embedding_map as explorer
    from reidpapers.show.plots import pictures

    points = {"x": [0.0, 1.0], "y": [0.0, 1.0], "label": [label, "van"], "vehicle": ["1", "2"]}
    drawn = [
        pictures.contact_sheet([np.zeros((8, 8, 3), np.uint8)], [label], columns=2),
        plots.scatter({"map": points}),
        embedding_map({**points, "color": [label, "red"], "type": [label, "van"]}),
        explorer.scatter(np.array([[0.0, 0.0], [1.0, 1.0]]), [label, "van"], None, []),
    ]
    for picture in drawn:
        plots.pixels(picture, 60)
        texts = [text for text in picture.findobj(Text) if "$" in text.get_text()]
        assert texts and not any(cbook.is_math_text(text.get_text()) for text in texts)
        assert {text.get_text().replace(r"\$", "$") for text in texts} == {label}


def test_a_curve_that_is_flat_is_not_drawn_on_and_the_axis_says_where_it_ends():
    flat = rows(0.3, 0.3)
    for record in flat:
        record.scores["cmc"] = [0.5, 0.9, *[1.0] * 48]
    (axis,) = plots.cmc({"one": flat}, 50).axes
    assert axis.get_xlim() == (1, 3) and "from 3 on all are above 99.5%" in axis.get_xlabel()
    (left, right) = plots.cmc_panels({"a": {"one": flat}, "b": {"one": flat}}, 50).axes
    assert left.get_xlim() == right.get_xlim() == (1, 50)


def test_many_curves_have_bars_where_few_have_bands():
    few, many = ({f"method {n}": rows(0.2, 0.3) for n in range(count)} for count in (curves.BANDS, curves.BANDS + 1))
    assert len(plots.cmc(few).axes[0].collections) == curves.BANDS, "a band each"
    axis = plots.cmc(many).axes[0]
    bars = [set(np.array(segments.get_segments())[:, 0, 0]) for segments in axis.collections]
    assert len(bars) == curves.BANDS + 1 and not set.intersection(*bars), "bars at ranks of their own"


def test_a_value_of_one_seed_is_hollow_and_a_point_is_no_trend():
    picture = plots.sweep({1: rows(0.200), 2: rows(0.204), 3: rows(0.203, 0.205)}, ("mAP",))
    (axis,) = picture.axes
    (hollow,) = [line for line in axis.lines if line.get_markerfacecolor() == "white"]
    assert list(hollow.get_xdata()) == [1, 2] and "hollow: one seed" in picture.get_supxlabel()
    assert np.ptp(axis.get_ylim()) == pytest.approx(curves.SPAN)
    assert "hollow" not in plots.sweep({1: rows(0.2, 0.3)}, ("mAP",)).get_supxlabel()


def test_the_rates_highest_value_has_a_tick():
    bottom = plots.history(rows(0.2)).axes[1]
    highest = max(rows(0.2)[0].history["rate"])
    assert [tick.get_text() for tick in bottom.get_yticklabels()] == ["0", f"{highest:g}"]


def test_verdicts_have_the_same_colours_on_pages_and_in_notebooks():
    sheet = (Path(style.__file__).parents[1] / "page" / "style.css").read_text(encoding="utf-8")
    named = dict(re.findall(r"--([\w-]+): (#\w{6})", sheet))
    names = {"reproduced": "good", "contradicted": "bad", "no difference": "same", "open": "open",
             "not testable here": "soft", "not run": "soft"}  # fmt: skip
    assert {word: named[name] for word, name in names.items()} == style.VERDICTS and set(names) == set(MARKS)


def test_what_is_called_by_a_paint_is_drawn_in_it():
    points = np.array([[0.0, 0], [1, 1], [2, 2]])
    drawn = embedding_map.scatter(points, ["red", "orange", "sedan"], None, [])
    colors = [to_hex(line.get_color()) for line in drawn.axes[0].lines]
    assert colors[:2] == [style.PAINTS["orange"], style.PAINTS["red"]] and colors[2] not in style.PAINTS.values()


def test_lists_of_places_are_not_called_distances():
    strip = {"query": {"image": "a", "vehicle": "1", "camera": "c"},
             "top": [{"image": "b", "vehicle": "1", "camera": "c", "match": True, "distance": 5.0}]}  # fmt: skip
    line = mosaic.retrieval_line(strip, lambda name: image(), distances=True)
    assert line.cells[1].label.endswith("place 5") and mosaic.ordinal([strip])
    strip["top"][0]["distance"] = 4.5
    assert mosaic.retrieval_line(strip, lambda name: image(), distances=True).cells[1].label.endswith("d = 4.500")
