"""What a terminal or a pipe may do to what is printed."""

from __future__ import annotations

import io
import os
import sys


def forgiving() -> None:
    """Replace what the terminal's encoding lacks, such as "±" or "–", instead of stopping at it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def closed() -> int:
    """The exit code of a command whose reader has gone; Python's last flush then meets no closed pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + 13  # as a shell calls SIGPIPE
