"""What a run folder says about where it came from, before anything is trained."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax

from nnrun import catalog
from nnrun.catalog import Spec
from nnrun.record import columns, preprocessing, run
from nnrun.record.checkpoint import sha256_of
from nnrun.record.names import PROVENANCE, RESOLVED, SPEC
from nnrun.record.provenance import Provenance, SpecOrigin
from nnrun.record.weights_from import Beginning, of_group, write_arrays
from nnrun.spec import yaml12
from nnrun.statistics.metric import all_ends
from nnrun.storage import fsio
from nnrun.training.mesh import devices_used
from nnrun.types import Experiment

__all__ = ["describe", "origin_of"]


def describe(
    checked: Spec,
    experiment: Experiment,
    folder: Path,
    full: Mapping[str, object],
    begun: Provenance,
    beginnings: Sequence[Beginning],
    of_folds: str | None = None,
) -> None:
    """What a run folder says about where it came from; state.json last, for it makes the folder a run.

    of_folds   of a cross-validation, for which nothing is fitted: the digest of its data; None of a run
    """
    text = yaml12.dump(full)
    about = origin_of(checked, experiment, text, begun)
    if of_folds is not None:
        about["data_digest"] = of_folds
    if beginnings:
        about["weights_from"] = of_group(beginnings)
    if len(beginnings) == 1:
        write_arrays(folder, beginnings[0])
    with fsio.one_commit(folder):
        fsio.write_file(folder / SPEC, checked.document.text.encode())
        fsio.write_file(folder / RESOLVED, text.encode())
        if of_folds is None:
            preprocessing.write(folder, experiment.dataset.fitted)
            columns.write(folder, experiment.dataset.about, experiment.dataset.notes)
        fsio.write_json(folder / PROVENANCE, about)
    run.write_state(folder, "created", step=0)


def origin_of(checked: Spec, experiment: Experiment, resolved: str, begun: Provenance) -> Provenance:
    """The run.json of a run: what is the same for all that this process begins, and what its spec says.

    resolved   the text of its resolved.yaml
    """
    plan = experiment.plan
    extra: SpecOrigin = {
        "data_digest": experiment.dataset.fitted.digest,
        "spec_hash": hashlib.sha256(resolved.encode()).hexdigest(),
        "spec_folder": str(checked.document.folder),
        "code": {str(file): sha256_of(file) for file in catalog.user_files(checked)},
        "metrics": {"judge": plan.judge, "rising": list(plan.rising), "bounds": all_ends(plan.bounds)},
    }
    if plan.convolutions:
        extra["convolutions"] = plan.convolutions
    count = devices_used(plan)
    if count > 1 or plan.devices not in (1, "auto"):
        extra["devices"] = count
    if jax.process_count() > 1:
        extra["processes"] = jax.process_count()
    return {**begun, **extra}
