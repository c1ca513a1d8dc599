"""Sweeps: recipes run on collections, their results, how certain they are, and sentences about them."""
