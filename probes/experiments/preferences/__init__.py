"""Whether vectors follow what the model prefers to do."""
