"""Augmentations: one file each, the function of the same name returns `(key, batch) -> batch`, for training only.

Inputs are standardised, so 0 is the mean.  Padding stands at the end of a batch and may hold anything, which
must not reach other rows.  What happens to example i depends on the key and i only (and, where examples are
blended, on the other examples).
"""
