"""Models: one file each, the function of the same name returns a `Layer` with `outputs` outputs."""
