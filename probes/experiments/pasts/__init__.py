"""Experiments in which the same words follow different pasts: no count of words can tell them."""
