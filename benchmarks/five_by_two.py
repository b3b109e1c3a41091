"""How good are nets on tables?  nnrun against scikit-learn by five times twofold cross-validation.

    python benchmarks/five_by_two.py [breast_cancer wine diabetes digits classes friedman]

Each model is trained on one half of the rows and tested on the other, both ways, for five divisions. Printed are the
means of the ten scores, and nnrun's difference to each rival with a 95% interval that knows that the halves share rows
(Nadeau & Bengio 2003, variance times 1/10 + 1). The tables `classes` and `friedman` are generated. nnrun gets the
settings below for every half, the rivals those of scikit-learn; nobody is tuned on the rows that test.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nnrun.sklearn import Classifier, Regressor
from nnrun.statistics.mean import mean_and_interval

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
HALVES, REPEATS = 2, 5


class Contest(NamedTuple):
    """A table, its metric, and nnrun's settings for it."""

    x: np.ndarray
    y: np.ndarray
    metric: str
    estimator: Any


def contest(name: str) -> Contest:
    """The table of this name with an estimator that has not seen it."""
    if name == "classes":
        x, y = datasets.make_classification(
            5000, 20, n_informative=12, n_classes=4, n_clusters_per_class=3, flip_y=0.05, random_state=0
        )
        return Contest(
            x, y, "accuracy", Classifier(hidden=(128, 128), dropout=0.2, epochs=60, random_state=0)
        )
    if name == "friedman":
        x, y = datasets.make_friedman1(5000, 10, noise=1.0, random_state=0)
        return Contest(x, y, "r2", Regressor(hidden=(128, 128), weight_decay=1e-2, epochs=60, random_state=0))
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    spec = CONFIGS / f"{name}.yaml"
    if name == "diabetes":
        return Contest(x, y, "r2", Regressor(spec, random_state=0))
    return Contest(x, y, "accuracy", Classifier(spec, random_state=0))


def rivals(metric: str) -> dict[str, Any]:
    """scikit-learn's models for a metric."""
    if metric == "r2":
        linear = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 20)))
        return {"RidgeCV": linear, "HistGradientBoosting": HistGradientBoostingRegressor(random_state=0)}
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    return {
        "LogisticRegression": linear,
        "HistGradientBoosting": HistGradientBoostingClassifier(random_state=0),
    }


def main() -> None:
    """Prints one line for each table and rival."""
    warnings.simplefilter("ignore")  # digits has pixels that are constant in a half
    print("| table (rows x columns) | metric | nnrun | rival | its score | difference, 95% interval |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in sys.argv[1:] or ["breast_cancer", "wine", "diabetes", "digits", "classes", "friedman"]:
        x, y, metric, ours = contest(name)
        kind = RepeatedKFold if metric == "r2" else RepeatedStratifiedKFold
        folds = kind(n_splits=HALVES, n_repeats=REPEATS, random_state=0)
        scores = cross_val_score(ours, x, y, cv=folds, scoring=metric)
        for rival, model in rivals(metric).items():
            theirs = cross_val_score(model, x, y, cv=folds, scoring=metric)
            difference, half = mean_and_interval((scores - theirs).tolist(), ratio=1 / (HALVES - 1))
            interval = "" if half is None else f" [{difference - half:+.4f}, {difference + half:+.4f}]"
            shape = f"{x.shape[0]} x {x.shape[1]}"
            print(
                f"| {name} ({shape}) | {metric} | {scores.mean():.4f} | {rival} | {theirs.mean():.4f} "
                f"| {difference:+.4f}{interval} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
