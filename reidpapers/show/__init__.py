"""What a reader sees: claims and their verdicts, tables, plots, explorers, pages, the site."""
