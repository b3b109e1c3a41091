"""Estimators of scikit-learn that train what a spec describes: `nnrun.sklearn.Classifier` and `Regressor`."""

from nnrun.sklearn.estimators import Classifier, Regressor

__all__ = ["Classifier", "Regressor"]
