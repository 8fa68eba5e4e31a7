"""The multi-guided system: read ``config.py``, ``network.py``, ``loss.py`` and ``paper.py``, in this order.

Beside them: ``data.py``, what it learns from and what data must have; ``postprocessing.py``, what happens to distances;
``evaluation.py``, what a trained run is scored by; ``samples.py``, images that the notebook shows.
"""
