"""A model that nnrun has exported.  Needs jax alone.

    from model import Model

    model = Model()                  # of the folder that this file lies in
    model.predict_proba(x)           # x (n, *shape) as the training data hold them; of a table columns by name

On a CPU, a GPU or a TPU, for any number of inputs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from inputs import finite, prepare  # type: ignore[import-not-found]  # it lies beside this file
from jax import export

__all__ = ["Model"]

# jax.export reads its files with flatbuffers, which jax does not install.  An installed one comes before this.
sys.path.append(str(Path(__file__).with_name("flatbuffers.zip")))


class Model:
    """The model of a folder.

    about     what model.json says
    classes   names by label; [] for a regression
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        place = Path(folder) if folder else Path(__file__).parent
        self.about: dict[str, Any] = json.loads((place / "model.json").read_text(encoding="utf-8"))
        self.classes: list[str] = self.about["classes"]
        content = bytearray((place / "model.stablehlo").read_bytes())
        with self._precision():
            self._function = jax.jit(export.deserialize(content).call)

    def outputs(self, x: Any) -> np.ndarray:
        """(n, classes) probabilities or scores, or (n,) numbers in units of the target: see `output` in `about`.

        Of several targets, `targets` in `about`, the numbers are (n, k); of several labels the probabilities (n, k) of
        the second of the two classes of each, `label_classes`.
        """
        inputs = prepare(x, self.about)
        with self._precision():
            values = finite(np.asarray(self._function(inputs)), "so large that the model gives NaN")
        if self.about["output"] != "numbers":
            return values
        # In float64: of 1000000.2, float32 knows no more than 1000000.1875.
        return values.astype(np.float64) * np.array(self.about["target_scale"]) + np.array(
            self.about["target_shift"]
        )

    def predict(self, x: Any) -> np.ndarray:
        """(n,) names of classes, or numbers in units of the target; of several targets, or labels, (n, k)."""
        outputs = self.outputs(x)
        if "label_classes" in self.about:
            names = np.array(self.about["label_classes"])
            return names[np.arange(len(names)), (outputs > 0.5).astype(int)]
        return np.array(self.classes)[outputs.argmax(1)] if self.classes else outputs

    def predict_proba(self, x: Any) -> np.ndarray:
        """(n, classes) probabilities, of several labels (n, k).  Raises TypeError for a model that gives none."""
        if self.about["output"] != "probabilities":
            raise TypeError(f"this model gives {self.about['output']}; use outputs")
        return self.outputs(x)

    def _precision(self) -> Any:
        return jax.enable_x64(self.about["precision"] == "float64")
