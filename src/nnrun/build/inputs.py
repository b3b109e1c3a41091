"""Whether bfloat16 can tell the inputs of a table apart."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from nnrun.amounts import figure
from nnrun.catalog import Spec
from nnrun.data._absent import Absent
from nnrun.errors import one_line
from nnrun.types import Dataset

__all__ = ["check_inputs"]

_ROWS = 10_000
_ENOUGH = 64  # values that a column must keep half of; two neighbours of bfloat16 are 0.4% to 0.8% apart


def check_inputs(spec: Spec, dataset: Dataset) -> None:
    """Refuses train.precision: bfloat16 where most of the different values of a column become one.

    That is where they lie far from 0, as years do that are not standardised, or much nearer together than a few
    that lie far out.  Looks at the first rows of the training part.  Raises SpecError.
    """
    x = dataset.train.x
    if spec.train.precision != "bfloat16" or len(x.shape) != 2 or isinstance(x, Absent):
        return
    columns = ((np.asarray(x[:_ROWS], np.float64) - dataset.shift) / dataset.scale).T
    for index, column in enumerate(columns):
        before = len(np.unique(column.astype(np.float32)))
        after = len(np.unique(column.astype(jnp.bfloat16)))
        if before > 2 and after < min(before, _ENOUGH) / 2:
            names = [one_line(feature.name, 40) for feature in dataset.fitted.columns]
            which = names[index] if len(names) == len(columns) else index
            where = f"they lie between {figure(column.min(), 6)} and {figure(column.max(), 6)} as the model gets them"
            raise spec.fail(
                ("train", "precision"),
                f"bfloat16 has 8 bits, and of the {before} different values of input {which} it leaves {after}, for "
                f"{where}; write float32, or standardise the inputs and remove what lies far out",
            )
