"""Five vehicle re-identification papers, reproduced: models, losses, evaluator, records and reports."""

__version__ = "0.1.0"
