"""What a trial may not ask for: a sweep trains seeds, spreads them over the devices, and compares on the test part."""

from __future__ import annotations

from nnrun.catalog import Spec

__all__ = ["checked_trial"]


def checked_trial(spec: Spec) -> Spec:
    """The spec of a trial.

    Raises SpecError where it asks for folds, for devices that share a batch, for trackers, or for no test part.
    """
    train = spec.train
    if train.folds is not None:
        remedy = "leave train.folds out; nnrun compare tests cross-validated runs against each other"
        raise spec.fail(("train", "folds"), f"a sweep trains seeds, not folds; {remedy}")
    for key, is_set in (("repeats", train.repeats > 1), ("fold", train.fold is not None)):
        if is_set:
            raise spec.fail(
                ("train", key),
                f"belongs to train.folds, and a sweep trains seeds, not folds; leave {key} out",
            )
    if train.devices not in (1, "auto"):
        message = (
            f"{train.devices}, but a sweep spreads its trials over the devices, not each batch; leave it out"
        )
        raise spec.fail(("train", "devices"), message)
    if train.fsdp:
        raise spec.fail(
            ("train", "fsdp"), "true, but a sweep spreads its trials over the devices; leave it out"
        )
    if spec.track:
        remedy = "leave track out, and send the runs that matter afterwards: nnrun track RUN TRACKER"
        raise spec.fail(("track",), f"a sweep sends its runs to no tracker; {remedy}")
    if not spec.data.common["test"]:
        raise spec.fail(
            ("data", "test"),
            "a sweep chooses settings on the validation part and compares them on the test part; write 0.2, or leave "
            "test out",
        )
    return spec
