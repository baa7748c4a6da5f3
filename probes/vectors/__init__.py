"""Activations become emotion vectors: shards on disk, neutral components, the bundle."""
