"""vLLM as an engine: what runs here, and `inside/` what runs in its own environment."""
