"""Whether vectors are arranged as people's ratings and the paper's clusters are."""
