"""Settings that all tests share: one thread, a cache and a data folder of their own, repeatable random cases."""

import os
import shutil
import signal
import tempfile

from hypothesis import settings

# Set before torch is first imported, and inherited by every process that a test starts.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"

LONG = ("test_slurm", "test_workflow", "test_parallel", "test_lab")

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_configure(config):
    """Point the library at folders of this test session; pytest's workers inherit them from the first process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else what nohup ignores, processes of tests ignore, too
    if not hasattr(config, "workerinput"):
        config.reidlib_scratch = tempfile.mkdtemp(prefix="reidlib-tests-")
        # What tests may read of the user's data, where there are some: ImageNet weights.
        os.environ.setdefault("REIDLIB_PUBLISHED", os.path.join(os.environ.get("REIDLIB_DATA", ""), "weights"))
        os.environ["REIDLIB_CACHE"] = os.path.join(config.reidlib_scratch, "cache")
        os.environ["REIDLIB_OWN_DATA"] = os.environ.get("REIDLIB_DATA", "absent")  # real data, where there are any
        os.environ["REIDLIB_DATA"] = os.path.join(config.reidlib_scratch, "data")


def pytest_collection_modifyitems(items):
    """The longest tests first, so that no process is left alone with one of them at the end."""
    items.sort(key=lambda item: item.path.stem not in LONG)


def pytest_unconfigure(config):
    """Remove the folders when the first process ends."""
    if scratch := getattr(config, "reidlib_scratch", None):
        shutil.rmtree(scratch, ignore_errors=True)
