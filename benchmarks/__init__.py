"""Speed and memory of reading and writing, beside the recipes of peers: ``make bench``."""
