"""The results as a small site: an overview, a page for each paper, the errata, and the ledger of claims.

Everything on it comes from the records in its own folder (and the papers' tables), so the same records give the same
bytes. Pages need no script and no network: one style sheet, relative links.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from reidlib.places import write_atomically
from reidpapers.run import records, runs
from reidpapers.show import layout
from reidpapers.show.page import PAGE
from reidpapers.show.site import errata, ledger, pages
from reidpapers.show.site.gather import PROFILE, SEEDS, Entry, every_row, gather


def build(out: Path, entries: Mapping[str, Entry]) -> list[Path]:
    """Write the site into a folder.

    Args:
        out: the suite's ``results``, whose records it is then made of; or another folder, into which the records that
            are on this machine, the user's own first, are copied beforehand.
        entries: configuration class, experiment and tables of each paper, by name, the comparison among them.

    Returns:
        The files written.
    """
    if out.resolve() != records.COMMITTED:
        _copy_records(out, entries)
    pages_by_name = texts(out, entries)
    for name, text in pages_by_name.items():
        write_atomically(out / name, text)
    return [out / name for name in pages_by_name]


def texts(folder: Path, entries: Mapping[str, Entry]) -> dict[str, str]:
    """Every file of the site by its name, made from the records in ``folder/<paper>/records``."""
    papers = [gather(name, entry, folder) for name, entry in entries.items()]
    all_errata = errata.read_all()
    return {
        "style.css": (PAGE / "style.css").read_text(encoding="utf-8"),
        "claims.csv": ledger.to_csv(papers),
        "index.html": pages.overview(papers, all_errata),
        "errata.html": pages.errata_page(papers, all_errata),
        **{f"{paper.name}/index.html": pages.paper(paper, papers, all_errata) for paper in papers},
    }


def _copy_records(out: Path, entries: Mapping[str, Entry]) -> None:
    """Put the records of every table's rows into a folder of their own, from where they are on this machine."""
    for name, (config_type, experiment, tables) in entries.items():
        wanted = layout.configurations(every_row(tables), config_type(profile=PROFILE), SEEDS)
        for config in (config for configs in wanted.values() for config in configs):
            record = runs.lookup(config, experiment)
            for store in records.stores(name) if record else ():
                if (file := store / f"{record.key}.json").is_file():
                    (out / name / "records").mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, out / name / "records" / file.name)
                    break
