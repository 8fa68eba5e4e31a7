"""All methods on equal terms: read ``entrants.py``, ``config.py`` and ``paper.py``, in this order."""
