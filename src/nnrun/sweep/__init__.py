"""Sweeps: many trials of one spec, trained as populations, and what is best among them."""
