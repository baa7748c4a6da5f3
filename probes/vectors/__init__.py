"""From activations to emotion vectors: pooled activations on disk, neutral components, the bundle."""
