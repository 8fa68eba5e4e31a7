"""The results as a small site: an overview, a page for each paper, the errata, and the ledger of claims.

Everything on it comes from the records in its own folder (and the papers' tables), so the same records give the same
bytes. Pages need no network: one style sheet, relative links. One short script sorts and filters tables; without it all
else works.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reidlib.places import write_atomically
from reidpapers.run import records
from reidpapers.run.base import Paper
from reidpapers.show import layout
from reidpapers.show.page import PAGE
from reidpapers.show.site import errata, ledger, pages, vehicles
from reidpapers.show.site.gather import JUDGED, PROFILE, SEEDS, gather, judged_rows


def build(out: Path, papers: Sequence[Paper]) -> list[Path]:
    """Write the site into a folder.

    Args:
        out: the suite's ``results``, whose records it is then made of; or another folder, into which the records that
            are on this machine, the user's own first, are copied beforehand.
        papers: in their order, the comparison among them.

    Returns:
        The files written.
    """
    if out.resolve() != records.COMMITTED:
        _copy_records(out, papers)
    files = texts(out, papers)
    for name, text in files.items():
        write_atomically(out / name, text)
    write_atomically(out / pages.VEHICLES, vehicles.picture())
    return [out / name for name in (*files, pages.VEHICLES)]


def texts(folder: Path, papers: Sequence[Paper]) -> dict[str, str]:
    """Every file of the site by its name, made from the records in ``folder/<paper>/records``."""
    papers = [gather(paper, folder) for paper in papers]
    all_errata = errata.read_all(paper.name for paper in papers)
    return {
        "style.css": (PAGE / "style.css").read_text(encoding="utf-8"),
        "claims.csv": ledger.to_csv(papers),
        "index.html": pages.overview(papers, all_errata),
        "errata.html": pages.errata_page(papers, all_errata),
        **{f"{paper.name}/index.html": pages.paper(paper, papers, all_errata) for paper in papers},
        **{f"{paper.name}/records.html": pages.record_list(paper, papers) for paper in papers},
    }


def _copy_records(out: Path, papers: Sequence[Paper]) -> None:
    """Put the records of every table's rows into a folder of their own, from where they are on this machine."""
    for paper in papers:
        wanted = [(PROFILE, paper.tables.rows("all", PROFILE)), *((JUDGED, rows) for rows in judged_rows(paper))]
        for profile, rows in wanted:
            found = layout.collect(rows, paper.Config(profile=profile), SEEDS, paper)
            for record in (record for several in found.values() for record in several):
                records.write(record, out / paper.name / "records" / f"{record.key}.json")
