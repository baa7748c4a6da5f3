"""Whether vectors tell the emotion of texts that they were not made from."""
