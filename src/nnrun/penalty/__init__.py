"""Penalties: one file each, the function of the same name returns `params -> number`, added to the loss."""
