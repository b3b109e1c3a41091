"""Metrics: one file each, the function of the same name returns a `Measure`."""
