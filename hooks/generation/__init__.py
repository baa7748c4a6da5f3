"""Writing text: batched sampling, shared beginnings, and whether a prompt or an answer is read."""
