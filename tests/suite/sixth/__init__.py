"""Identity and triplets: read ``config.py``, ``network.py``, ``loss.py`` and ``paper.py``, in this order."""
