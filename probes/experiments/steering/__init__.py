"""Whether vectors, added to the stream, change what the model says."""
