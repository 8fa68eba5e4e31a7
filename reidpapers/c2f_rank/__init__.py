"""C2F-Rank: read ``config.py``, ``network.py``, ``loss.py`` and ``paper.py``, in this order."""
