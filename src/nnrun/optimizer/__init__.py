"""Optimizers: one file each, the function of the same name returns an optax `GradientTransformation`.

For optimizers of one's own: `elementwise` lifts the rule on one array to a transform of trees.
"""

from nnrun.optimizer._elementwise import elementwise

__all__ = ["elementwise"]
