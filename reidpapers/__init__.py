"""Five papers on vehicle re-identification: what they do, what they claim, and what held."""
