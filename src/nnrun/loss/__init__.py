"""Losses: one file each, the function of the same name returns a `Loss`."""
