"""Surfaces for `nnrun race`: one file each, the function of the same name returns a `Surface`."""
