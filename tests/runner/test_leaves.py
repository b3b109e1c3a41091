"""Which arrays of another run are taken, and what stands in the way, by hand."""

from __future__ import annotations

import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nnrun.errors import SpecError
from nnrun.runner.leaves import WeightsRequest, as_stored, chosen, request_of

FORMS: Any = {
    "params/hidden_1/kernel": ((4, 8), "float32"),
    "params/hidden_1/bias": ((8,), "float32"),
    "params/hidden_10/kernel": ((8, 8), "float32"),
    "params/output/kernel": ((8, 3), "float32"),
    "stats/hidden_1/mean": ((8,), "float32"),
    "opt_state/m/hidden_1/kernel": ((4, 8), "float32"),
    "opt_state/count": ((), "int32"),
    "average/ema/hidden_1/kernel": ((4, 8), "float32"),
    "key": ((2,), "uint32"),
}


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ((), {"params/hidden_1/kernel", "params/hidden_1/bias", "params/hidden_10/kernel", "params/output/kernel",
              "stats/hidden_1/mean"}),
        (("hidden_1",), {"params/hidden_1/kernel", "params/hidden_1/bias", "stats/hidden_1/mean"}),
        (("hidden_*",), {"params/hidden_1/kernel", "params/hidden_1/bias", "params/hidden_10/kernel",
                         "stats/hidden_1/mean"}),
        (("*/bias",), {"params/hidden_1/bias"}),
        (("hidden_1/kernel", "output"), {"params/hidden_1/kernel", "params/output/kernel"}),
        (("*/kernel",), {"params/hidden_1/kernel", "params/hidden_10/kernel", "params/output/kernel"}),
        (("hidden_?",), {"params/hidden_1/kernel", "params/hidden_1/bias", "stats/hidden_1/mean"}),
        (("output", "output"), {"params/output/kernel"}),
    ],
)  # fmt: skip
def test_patterns_name_leaves_or_the_layers_that_they_lie_in(
    only: tuple[str, ...], expected: set[str]
) -> None:
    paths = chosen(FORMS, WeightsRequest(only))
    assert set(paths) == expected and len(paths) == len(expected)


def test_the_memory_of_the_optimizer_comes_with_all_weights_only() -> None:
    weights = set(chosen(FORMS, WeightsRequest()))
    kept = chosen(FORMS, WeightsRequest((), "keep"))
    assert set(kept) - weights == {"opt_state/m/hidden_1/kernel", "opt_state/count"} and weights < set(kept)
    with pytest.raises(SpecError, match="belongs to all weights; leave out --from-only, or write fresh"):
        chosen(FORMS, WeightsRequest(("hidden_1",), "keep"))
    with pytest.raises(SpecError, match="got 'old'; write one of keep, fresh"):
        chosen(FORMS, WeightsRequest((), "old"))


def test_every_pattern_without_a_match_is_named_with_the_nearest_layer() -> None:
    with pytest.raises(SpecError) as raised:
        chosen(FORMS, WeightsRequest(("hiden_1", "output", "Output", "count")))
    first, second, third = raised.value.problems
    assert first.startswith("--from-only 'hiden_1': matches nothing in the model;") and "hidden_1" in first
    assert "'Output'" in second and "output" in second.partition(";")[2]  # capitals count
    assert "'count'" in third  # of the optimizer


@pytest.mark.parametrize("run", ["runs/a", None])
@pytest.mark.parametrize(
    ("only", "state", "place"), [("hidden_*", None, "--from-only"), ([], "keep", "--optimizer-state")]
)
def test_options_that_stand_alone_are_refused(
    run: str | None, only: Any, state: str | None, place: str
) -> None:
    if run is None:
        with pytest.raises(
            SpecError, match=f"^{place}: says what is taken of another run; name it with --from RUN"
        ):
            request_of(run, only, state)
        with pytest.raises(SpecError, match=r"^(only|state): .* name it with start"):
            request_of(run, only, state, ("start", "only", "state"))
    else:
        request = request_of(run, only, state)
        assert request == WeightsRequest(("hidden_*",) if only else (), state or "fresh")


def test_nothing_is_asked_for_where_nothing_is_written() -> None:
    assert request_of(None, (), None) == WeightsRequest((), "fresh")
    assert request_of("run", ["a", "b"], "fresh") == WeightsRequest(("a", "b"), "fresh")


def arrays_of(**changes: np.ndarray | None) -> dict[str, np.ndarray]:
    arrays = {path: np.ones(shape, kind) for path, (shape, kind) in FORMS.items()}
    arrays |= {name.replace("__", "/"): array for name, array in changes.items() if array is not None}
    return {
        path: array
        for path, array in arrays.items()
        if changes.get(path.replace("/", "__"), array) is not None
    }


def test_floats_of_another_precision_are_converted_and_no_other_type() -> None:
    paths = ["params/output/kernel", "opt_state/count"]
    third = np.full((8, 3), 1 / 3)
    for kind in (np.float64, np.float16, np.float32):
        taken = as_stored(arrays_of(params__output__kernel=third.astype(kind)), FORMS, paths, False, "run:4")
        assert list(taken) == paths and taken["params/output/kernel"].dtype == np.float32
        np.testing.assert_array_equal(taken["params/output/kernel"], third.astype(kind).astype(np.float32))
    with pytest.raises(
        SpecError, match=r"opt_state/count is float32 \[\] in that run and int32 \[\] in the model"
    ):
        as_stored(arrays_of(opt_state__count=np.ones((), np.float32)), FORMS, paths, False, "run:4")
    with pytest.raises(
        SpecError, match=re.escape("is int32 [8, 3] in that run and float32 [8, 3] in the model")
    ):
        as_stored(arrays_of(params__output__kernel=np.ones((8, 3), np.int32)), FORMS, paths, False, "run:4")


def test_a_precision_that_only_another_library_has_is_a_float_too() -> None:
    """bfloat16 of ml_dtypes has kind V for NumPy."""
    path = "params/output/kernel"
    stored = arrays_of(params__output__kernel=np.full((8, 3), 0.5, ml_dtypes.bfloat16))
    assert as_stored(stored, FORMS, [path], False, "r")[path].tolist() == np.full((8, 3), 0.5).tolist()
    forms = {path: ((8, 3), "bfloat16")}
    narrowed = as_stored({path: np.full((8, 3), 1 / 3, np.float32)}, forms, [path], False, "r")[path]
    assert narrowed.dtype == ml_dtypes.bfloat16 and float(narrowed[0, 0]) == 0.333984375  # 171/512


def test_four_differences_are_named_and_the_rest_counted() -> None:
    wide = {path: np.ones((9, 9), np.float32) for path in FORMS}
    paths = [path for path in FORMS if path.startswith(("params/", "stats/"))]
    with pytest.raises(SpecError) as raised:
        as_stored(wide, FORMS, paths, False, "runs/a:40")
    text = str(raised.value)
    assert text.startswith(
        "--from runs/a:40: params/hidden_1/kernel is [9, 9] in that run and [4, 8] in the model; "
    )
    assert text.count("in that run") == 4
    assert text.endswith("; and 1 more; use its model, or take what fits: --from-only 'hidden_*'")
    with pytest.raises(SpecError) as raised:
        as_stored(wide, FORMS, paths[:4], False, "runs/a:40")
    assert "more" not in str(raised.value) and str(raised.value).count("in that run") == 4


def test_what_the_other_run_lacks_or_has_beside_it() -> None:
    paths = chosen(FORMS, WeightsRequest())
    with pytest.raises(SpecError, match="stats/hidden_1/mean is in the model and not in that run"):
        as_stored(arrays_of(stats__hidden_1__mean=None), FORMS, paths, True, "r")
    beside = arrays_of(params__extra=np.ones(2), average__swa=np.ones(1))
    with pytest.raises(SpecError) as raised:
        as_stored(beside, FORMS, paths, True, "r")
    assert "params/extra is in that run and not in the model" in str(raised.value)
    assert "swa" not in str(raised.value)  # no average is taken
    assert len(as_stored(beside, FORMS, paths, False, "r")) == len(paths)


def test_another_optimizer_has_the_remedy_that_fits() -> None:
    kept = chosen(FORMS, WeightsRequest((), "keep"))
    remedy = "write --optimizer-state fresh, or the optimizer that it was trained with$"
    with pytest.raises(SpecError, match=remedy):
        as_stored(arrays_of(opt_state__count=None), FORMS, kept, True, "r")
    with pytest.raises(SpecError, match="use its model"):
        as_stored(arrays_of(opt_state__count=None, params__output__kernel=None), FORMS, kept, True, "r")
