"""The site and the executed notebooks in a real browser: Debian's Chromium, driven by Playwright, files on disk.

What the browser is asked: does anything leave the folder, does the console complain, does a phone have to scroll
sideways, do keyboard and print work, are pictures and formulas there?
"""

import shutil
from contextlib import contextmanager

import pytest

from reidpapers.run import records
from reidpapers.run.papers import PAPERS, RUNS

RESULTS = records.COMMITTED
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SITE = ["index.html", "errata.html", *(f"{name}/index.html" for name in RUNS), f"{PAPERS[0]}/records.html"]
NOTEBOOKS = [f"{name}/{name}_ablation.html" for name in PAPERS]

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium in PATH: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: see the test extra")
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield made
        made.close()


@contextmanager
def opened(browser, path, width=1280, **options):
    """A page of the results, what it asked for, and what its console said."""
    context = browser.new_context(viewport={"width": width, "height": 740}, **options)
    page, asked, said = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
    page.goto((RESULTS / path).as_uri())
    try:
        yield page, asked, said
    finally:
        context.close()


def wide(page):
    """How many pixels a page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize("path", [*SITE, *NOTEBOOKS])
def test_a_page_on_a_phone_asks_for_nothing_outside_and_does_not_scroll_sideways(browser, path):
    with opened(browser, path, width=375) as (page, asked, said):
        inside = RESULTS.as_uri()
        assert [url for url in asked if not url.startswith((inside, "data:"))] == []
        assert said == []
        assert wide(page) == 0
        small = page.evaluate(
            "[...document.querySelectorAll('p, li, td, th, dd, a')].filter(e => e.innerText && !e.closest('math') && "
            "parseFloat(getComputedStyle(e).fontSize) < 10).length"
        )
        assert small == 0, "text below 10 pixels"
        page.set_viewport_size({"width": 1280, "height": 900})
        assert wide(page) == 0


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_pictures_and_formulas_of_a_notebook_are_there(browser, path):
    with opened(browser, path) as (page, _, _):
        sizes = page.evaluate(
            "[...document.images].map(i => [i.complete, i.naturalWidth, i.clientWidth, i.alt.length])"
        )
        assert len(sizes) > 8 and all(
            done and natural >= shown > 100 and alt > 15 for done, natural, shown, alt in sizes
        )
        formulas = page.evaluate("[...document.querySelectorAll('math')].map(m => m.getBoundingClientRect().width)")
        assert len(formulas) > 10 and min(formulas) > 3
        captions = page.evaluate("[...document.querySelectorAll('figure')].map(f => f.innerText.trim().length)")
        assert min(captions) > 30


def test_a_number_leads_to_its_records_and_a_record_opens(browser):
    with opened(browser, f"{PAPERS[0]}/index.html") as (page, _, said):
        page.click("table.results td.number a")
        line = page.locator(":target")
        assert line.count() == 1 and line.locator("a").count() >= 3
        assert line.evaluate("e => getComputedStyle(e).backgroundColor") != "rgba(0, 0, 0, 0)", "the line is shown"
        line.locator("a").first.click()
        assert "/records.html#" in page.url and page.locator(":target td.number").count() >= 5 and said == []


def test_a_table_is_sorted_by_the_head_that_is_clicked_and_filtered_by_what_is_typed(browser):
    with opened(browser, f"{PAPERS[0]}/index.html") as (page, _, said):
        table = page.locator("table.records")
        steps = (
            "[...document.querySelectorAll('table.records tbody tr')].filter(r => !r.hidden)"
            ".map(r => r.cells[1].innerText)"
        )
        table.locator("thead button").nth(1).click()
        falling = [int(text.replace(",", "")) for text in page.evaluate(steps) if text.replace(",", "").isdigit()]
        assert falling == sorted(falling, reverse=True) and len(set(falling)) > 1
        assert table.locator("th[aria-sort=descending]").count() == 1
        table.locator("thead button").nth(1).press("Enter")  # the keyboard does the same
        rising = [int(text.replace(",", "")) for text in page.evaluate(steps) if text.replace(",", "").isdigit()]
        assert rising == falling[::-1] or rising == sorted(falling)
        page.get_by_label("filter the rows of Medians").fill("asl")
        assert 0 < len(page.evaluate(steps)) < len(falling) and said == []


def test_drawn_intervals_stand_where_the_numbers_say(browser):
    with opened(browser, f"{PAPERS[0]}/index.html") as (page, _, _):
        rows = page.evaluate("""
            [...document.querySelectorAll('.verdict-list tbody tr')].filter(r => r.querySelector('svg')).map(r => {
                const box = r.querySelector('svg').getBoundingClientRect();
                const dot = r.querySelector('circle').getBoundingClientRect();
                const value = parseFloat(r.querySelector('td.number').innerText.replace('−', '-'));
                return [value, (dot.x + dot.width / 2 - box.x) / box.width - 0.5]; })
        """)
        assert len(rows) > 5
        for value, place in rows:
            assert value * place > 0 or abs(value) < 0.3 or abs(place) < 0.02, (value, place)


def test_the_keyboard_reaches_what_the_mouse_does(browser):
    with opened(browser, "index.html") as (page, _, _):
        page.keyboard.press("Tab")
        skip = page.evaluate("[document.activeElement.className, document.activeElement.getBoundingClientRect().x]")
        assert skip[0] == "skip" and skip[1] >= 0, "the first stop is seen when it has the focus"
        page.keyboard.press("Enter")
        assert page.url.endswith("#content")
        seen = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            outline = "[document.activeElement.href || '', getComputedStyle(document.activeElement).outlineStyle]"
            link, shown = page.evaluate(outline)
            seen.add(link)
            assert shown != "none" or not link, link
        assert {(RESULTS / name / "index.html").as_uri() for name in PAPERS} <= seen


@pytest.mark.parametrize("path", [SITE[0], f"{PAPERS[0]}/index.html"])
def test_print_leaves_out_what_paper_cannot_do(browser, path):
    with opened(browser, path) as (page, _, _):
        page.emulate_media(media="print")
        hidden = page.evaluate("[...document.querySelectorAll('.top, .skip')].every(e => !e.offsetParent)")
        boxes = page.evaluate(
            "[...document.querySelectorAll('.scroll')].every(e => getComputedStyle(e).overflowX == 'visible')"
        )
        assert hidden and boxes and page.locator("h1").is_visible()
        assert page.pdf(format="A4")[:5] == b"%PDF-"
