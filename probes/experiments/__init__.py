"""Experiments that could prove a vector wrong: one module each.

Contract: an experiment takes a model and vectors, returns a typed result of plain values, writes no
files, and brings the controls that could have beaten it.
"""
