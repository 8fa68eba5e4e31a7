"""AGNet-ASL: read ``config.py``, ``network.py``, ``loss.py`` and ``paper.py``, in this order.

``evaluation.py`` has what records hold beside scores, ``batch.py`` what a batch of pairs holds, for the notebook.
"""
