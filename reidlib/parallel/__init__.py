"""One run on several processes: each embeds its share of every batch, and all compute the loss of the whole batch.

A batch comes from (seed, stage, step) alone, so every process draws the same one. :func:`spread` has the network's
trunk embed this process's share of it and gather the others' features, gradient included. So losses that mine over the
batch see the whole batch, no objective knows of processes, and the weights after each step are those of one process,
up to rounding: dropout and batch normalisation inside the trunk are those of the whole batch too.

Processes come from torchrun, or from :func:`launch` in a notebook or a shell. One of them, the main process, does what
one process would do alone, records and locks included; the others :func:`follow` it into every training.
"""

from reidlib.parallel.group import carry_out, follow, launch, launched, summon
from reidlib.parallel.shares import average, is_main, processes, spread

__all__ = ["average", "carry_out", "follow", "is_main", "launch", "launched", "processes", "spread", "summon"]
