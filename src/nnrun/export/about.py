"""model.json: what an exported model takes and gives, and where it comes from."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from nnrun import __version__
from nnrun.export.program import PLATFORMS
from nnrun.prediction.inputs import ends_of, expected_by
from nnrun.prediction.predictor import Predictor

__all__ = ["about_model"]


def about_model(predictor: Predictor, layers: list[dict[str, object]] | None) -> dict[str, Any]:
    """The content of model.json.

    layers   what numpy_model.py computes, one after another; None: there is no such file
    """
    data, fitted = predictor.members[0].model.experiment.dataset, predictor.fitted
    ends = ends_of(predictor.members[0].model)
    kind = predictor.combiner.kind
    return {
        "format": 1,
        "nnrun": __version__,
        "jax": jax.__version__,
        "run": str(predictor.run_dir.absolute()),
        "members": [{"run": member.folder.name, "step": member.step} for member in predictor.members],
        "output": kind if kind in ("numbers", "scores") else "probabilities",
        "classes": list(fitted.classes),
        "columns": [column.as_dict() for column in fitted.columns],
        **({"beside": beside} if (beside := _beside(predictor)) is not None else {}),
        "shape": list(fitted.shape),
        "dtype": fitted.dtype,
        **({"range": ends} if ends else {}),
        "precision": "float64" if predictor.precision == "float64" else "float32",
        "offset": data.offset.tolist(),
        "shift": data.shift.tolist(),
        "scale": data.scale.tolist(),
        **({"targets": list(fitted.targets)} if fitted.targets else {}),
        **({"label_classes": fitted.label_classes} if fitted.label_classes else {}),
        "target_shift": np.asarray(fitted.target_shift).tolist(),
        "target_scale": np.asarray(fitted.target_scale).tolist(),
        "platforms": list(PLATFORMS),
        "layers": layers,
    }


def _beside(predictor: Predictor) -> list[str] | None:
    """Names and patterns of columns that are no inputs and which a run knows; None where it takes no notice of any."""
    expected = [known for member in predictor.members if (known := expected_by(member.model)) is not None]
    if not expected:
        return None
    return list(dict.fromkeys(name for known in expected for name in (*known.targets, *known.beside)))
