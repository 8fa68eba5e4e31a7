"""Data looked over for a reader, before hours are spent on them: official datasets, and folders of one's own."""
