"""A run: its folder, its record, its models and workers, and what experiments take from it."""
