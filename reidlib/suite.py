"""What there is to run: the papers, and all their methods on equal terms; each by the name that commands take."""

from __future__ import annotations

from functools import cache
from typing import Any

from reidlib.config import Config

PAPERS = ("mlsl", "drdl", "c2f_rank", "agnet", "multiguided")
RUNS = (*PAPERS, "compared")


@cache
def parts(name: str) -> tuple[type[Config], Any, Any]:
    """A paper's configuration class, experiment and tables; loading the first paper takes seconds.

    Raises:
        KeyError: it is none of :data:`RUNS`.
    """
    from reidlib.papers import agnet, c2f_rank, compared, drdl, mlsl, multiguided
    from reidlib.tables import agnet as agnet_tables
    from reidlib.tables import c2f_rank as c2f_rank_tables
    from reidlib.tables import compared as compared_tables
    from reidlib.tables import drdl as drdl_tables
    from reidlib.tables import mlsl as mlsl_tables
    from reidlib.tables import multiguided as multiguided_tables

    return {
        "mlsl": (mlsl.MLSLConfig, mlsl.EXPERIMENT, mlsl_tables),
        "drdl": (drdl.DRDLConfig, drdl.EXPERIMENT, drdl_tables),
        "c2f_rank": (c2f_rank.C2FConfig, c2f_rank.EXPERIMENT, c2f_rank_tables),
        "agnet": (agnet.AGNetConfig, agnet.EXPERIMENT, agnet_tables),
        "multiguided": (multiguided.MultiGuidedConfig, multiguided.EXPERIMENT, multiguided_tables),
        "compared": (compared.ComparedConfig, compared.EXPERIMENT, compared_tables),
    }[name]
