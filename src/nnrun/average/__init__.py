"""Averages of the parameters: one file each, the function of the same name returns an `Average`."""
