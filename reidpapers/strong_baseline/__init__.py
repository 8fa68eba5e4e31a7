"""A modern baseline beside the papers: read ``config.py``, ``network.py``, ``loss.py``, ``method.py``, in this order.

No paper on vehicles claims it, so nothing of it is printed and it has no page of its own: it takes part in the
comparison. What the multi-guided system took from it, augmentation, schedule and centres, is imported from there.
"""
