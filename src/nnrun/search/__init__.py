"""Searches of `nnrun sweep`: one file each, the function of the same name returns a `Search`."""
