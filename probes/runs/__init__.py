"""A run's folder, its record, the models and workers it uses, and what experiments may take from it."""
