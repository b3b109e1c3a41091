"""The answer of a sweep: what is chosen, said, warned of and missing, over made-up sweeps with a known truth."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.errors import RunError
from nnrun.report.curves import band, seed_curves
from nnrun.report.sweep.cautions import border, cautions, missing
from nnrun.report.sweep.evidence import ranked
from nnrun.report.sweep.findings import answer
from nnrun.report.sweep.folder import DimensionRecord, is_sweep, read_sweep
from nnrun.report.sweep.reached import reached
from nnrun.report.sweep.verdict import sentences
from nnrun.statistics.metric import Metric


def records(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def rewrite(folder: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    found = records(folder, name)
    for record in found:
        change(record)
    (folder / name).write_text("".join(json.dumps(record) + "\n" for record in found))


def about(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "sweep.json").read_text())
    (folder / "sweep.json").write_text(json.dumps({**content, **changes}))


def test_the_alternatives_best_first_with_what_was_measured(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep()
    found = answer(read_sweep(folder))
    [part] = found.bases
    assert part.metric.name == "test/accuracy"
    assert [row.alternative for row in part.rows] == ["adam", "nesterov", "sgd"]
    finals = {one["alternative"]: one for one in records(folder, "final.jsonl")}
    for row in part.rows:
        known = finals[row.alternative]["metrics"]["test/accuracy"]
        assert row.mean == pytest.approx(np.mean(known))
        assert row.low is not None and row.high is not None and row.low < np.mean(known) < row.high
        assert row.trial == finals[row.alternative]["trial"]
        mine = [one for one in records(folder, "trials.jsonl") if one["alternative"] == row.alternative]
        assert row.validation == max(one["value"] for one in mine if one["value"] is not None)
        assert (row.trials, row.unstable) == (20, sum(one["value"] is None for one in mine))


def test_the_words(make_sweep: Callable[..., Path]) -> None:
    found = answer(read_sweep(make_sweep()))
    said = sentences(found)
    assert said[0].startswith("adam is ahead on validation data; its test/accuracy is 96.")
    assert "adam and nesterov show no significant difference (p = " in said[1]
    # 3 · 2 / 2¹⁰ is the least that ten seeds can give; half of adam's draws diverged.
    assert re.fullmatch(
        r"adam's chosen setting beats sgd's by 3\.\d\d points \[3\.\d\d, 4\.\d\d\] \(p = 0\.0059, 10 seeds\); "
        r"over other searches \[0\.\d\d, 5\.\d\d\] \(p = 0\.07, 20 trials\): another search could turn it round",
        said[2],
    )


def test_one_alternative_with_one_fresh_seed_is_told_that_it_has_no_interval(
    make_sweep: Callable[..., Path],
) -> None:
    found = answer(read_sweep(make_sweep()))
    [part] = found.bases
    best = part.rows[0]
    several = found._replace(bases=(part._replace(rows=(best,), comparisons=()),))
    assert sentences(several)[0].startswith("the chosen setting has test/accuracy 96.")
    assert sentences(several)[0].endswith("(10 seeds)")
    single = best._replace(values={0: 0.9625}, mean=0.9625, low=None, high=None)
    alone = found._replace(bases=(part._replace(rows=(single,), comparisons=()),))
    assert sentences(alone)[0] == (
        "the chosen setting has test/accuracy 96.25% (1 seed, which has no interval: sweep.final_seeds=5 gives it one)"
    )


def test_a_metric_of_which_less_is_better(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep()
    about(folder, metric="val/loss", goal="min", bounds=[0, None])

    def turned(record: dict[str, Any]) -> None:
        record["value"] = None if record["value"] is None else 1 - record["value"]
        record["values"] = [None if value is None else 1 - value for value in record["values"]]

    rewrite(folder, "trials.jsonl", turned)
    found = answer(read_sweep(folder))
    assert found.bases[0].metric.name == "test/loss"
    assert [row.alternative for row in found.bases[0].rows] == ["adam", "nesterov", "sgd"]
    assert any(text.startswith("adam's chosen setting beats sgd's by 0.0") for text in sentences(found))
    curve = found.bases[0].best_of["adam"]
    assert curve[0].value > curve[-1].value


def test_an_unfinished_sweep_says_what_is_missing(make_sweep: Callable[..., Path]) -> None:
    found = answer(read_sweep(make_sweep(trials=7, final=0)))
    assert found.bases[0].metric.name == "val/accuracy"
    assert found.bases[0].comparisons == []
    assert missing(found)[0] == "21 of 60 trials have ended"
    assert missing(found)[1].startswith("not yet trained on fresh seeds: ")
    assert "not yet tried on fresh ones" in sentences(found)[0]


def test_a_sweep_that_has_only_begun(make_sweep: Callable[..., Path]) -> None:
    found = answer(read_sweep(make_sweep(trials=0, final=0)))
    assert sentences(found) == []
    assert missing(found)[0] == "0 of 60 trials have ended"
    assert cautions(found) == []


def test_a_finished_sweep_misses_nothing(make_sweep: Callable[..., Path]) -> None:
    """A grid may have fewer points than trials were asked for."""
    folder = make_sweep(trials=12)
    assert missing(answer(read_sweep(folder))) == ["36 of 60 trials have ended"]
    (folder / "state.json").write_text('{"status": "done"}')
    assert missing(answer(read_sweep(folder))) == []


def test_no_comparison_was_asked_for(make_sweep: Callable[..., Path]) -> None:
    found = answer(read_sweep(make_sweep(final=0, final_wanted=0)))
    assert "final_seeds: 0" in missing(found)[0]


def test_too_few_seeds(make_sweep: Callable[..., Path]) -> None:
    """Of three pairs none can get below 3 · 2 / 2³."""
    [text, *_] = cautions(answer(read_sweep(make_sweep(final=3))))
    assert text.startswith("3 seeds are too few: in 3 comparisons")
    assert "sweep.final_seeds: 7" in text


def test_how_many_seeds_would_tell(make_sweep: Callable[..., Path]) -> None:
    """Differences of 0.1 ± 0.2 points: an effect of half a standard deviation, 34 seeds for a single pair."""
    folder = make_sweep(truth={"nesterov": 0.96, "adam": 0.96})
    spread = np.array([-1.0, 1.0] * 5)
    values = {"nesterov": np.full(10, 0.95), "adam": 0.951 + 0.002 * spread / spread.std(ddof=1)}

    def settle(record: dict[str, Any]) -> None:
        record["metrics"]["test/accuracy"] = values[record["alternative"]].tolist()

    rewrite(folder, "final.jsonl", settle)
    [text] = [text for text in cautions(answer(read_sweep(folder))) if "cannot tell" in text]
    assert text == (
        "10 seeds cannot tell adam from nesterov (about 34 would), if the difference is the 0.10 points seen"
    )


def test_fresh_seeds_that_diverged(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep()

    def lose(record: dict[str, Any]) -> None:
        if record["alternative"] == "adam":
            record["metrics"] = {
                name: [None, None, *values[2:]] for name, values in record["metrics"].items()
            }

    rewrite(folder, "final.jsonl", lose)
    found = answer(read_sweep(folder))
    assert [row.alternative for row in found.bases[0].rows] == ["nesterov", "sgd", "adam"]
    assert "adam: 2 of 10 fresh seeds diverged; its mean is of the others, so it looks better than it is" in (
        cautions(found)
    )
    assert {pair.seeds for pair in found.bases[0].comparisons} == {8, 10}


def test_fresh_seeds_that_failed(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep()

    def fail(record: dict[str, Any]) -> None:
        if record["alternative"] == "adam":
            record.update(status="failed", metrics={}, seeds=[], run="final/gone")

    rewrite(folder, "final.jsonl", fail)
    found = answer(read_sweep(folder))
    assert found.bases[0].metric.name == "test/accuracy"
    assert [row.alternative for row in found.bases[0].rows] == ["nesterov", "sgd", "adam"]
    assert "adam: its runs on fresh seeds failed; see the reason in final.jsonl" in cautions(found)


def test_one_fresh_seed(make_sweep: Callable[..., Path]) -> None:
    found = answer(read_sweep(make_sweep(final=1)))
    assert found.bases[0].comparisons == []
    assert (
        "with 1 seed no difference can be distinguished from chance; write sweep.final_seeds: 7"
        in cautions(found)
    )
    assert sentences(found)[0].startswith("adam is ahead on validation data; its ") and sentences(found)[
        0
    ].endswith("(1 seed)")


def test_trials_that_diverged_or_failed(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep()

    def lose(record: dict[str, Any]) -> None:
        if record["alternative"] == "sgd" and record["number"] < 8:
            record.update(status="diverged" if record["number"] else "failed", value=None, values=[])

    rewrite(folder, "trials.jsonl", lose)
    texts = cautions(answer(read_sweep(folder)))
    assert any(text.startswith("sgd: 7 of 20 trials diverged") for text in texts)
    assert any(text.startswith("sgd: 1 of 20 trials failed") for text in texts)


LOG = DimensionRecord("optimizer.learning_rate", "log", 1e-4, 1.0, ())


@pytest.mark.parametrize(
    ("dimension", "value", "end"),
    [
        (LOG, 0.7, "upper"),  # log10 from −4 to 0: 5% are a fifth of a decade, 0.63
        (LOG, 0.6, None),
        (LOG, 1.5e-4, "lower"),
        (LOG, 1.7e-4, None),
        (DimensionRecord("model.dropout", "uniform", 0.0, 0.6, ()), 0.01, None),
        (DimensionRecord("model.dropout", "uniform", 0.1, 0.6, ()), 0.12, "lower"),
        (DimensionRecord("model.dropout", "uniform", 0.0, 0.6, ()), 0.58, "upper"),
        (DimensionRecord("model.depth", "int", 2, 6, ()), 6, "upper"),
        (DimensionRecord("model.depth", "int", 2, 6, ()), 5, None),
        (DimensionRecord("model.width", "log_int", 8, 512, ()), 8, "lower"),
        (DimensionRecord("optimizer.momentum", "choice", None, None, (0.8, 0.9, 0.99)), 0.99, "upper"),
        (DimensionRecord("optimizer.momentum", "choice", None, None, (0.8, 0.9, 0.99)), 0.9, None),
        (DimensionRecord("optimizer.momentum", "choice", None, None, (0.8, 0.9)), 0.9, None),
        (DimensionRecord("model.activation", "choice", None, None, ("relu", "tanh", "gelu")), "relu", None),
        (DimensionRecord("model.batch_norm", "choice", None, None, (True, False)), True, None),
        (DimensionRecord("x", "normal", 0.0, 2.0, ()), 3.5, "upper"),
        (DimensionRecord("x", "normal", 0.0, 2.0, ()), -3.5, "lower"),
        (DimensionRecord("x", "normal", 0.0, 2.0, ()), 3.0, None),
    ],
)
def test_the_border_of_a_range(dimension: DimensionRecord, value: Any, end: str | None) -> None:
    assert border(dimension, value) == end


def test_the_best_at_the_border_is_told(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep()
    best = max((one for one in records(folder, "trials.jsonl") if one["value"]), key=lambda one: one["value"])

    def move(record: dict[str, Any]) -> None:
        if record["trial"] == best["trial"]:
            record["settings"]["optimizer.learning_rate"] = 1.2e-4

    rewrite(folder, "trials.jsonl", move)
    name = best["alternative"]
    texts = cautions(answer(read_sweep(folder)))
    assert (
        f"{name}: the best optimizer.learning_rate, 0.00012, is at the lower end of its range"
        in "\n".join(texts)
    )


def test_a_ranking_that_changes_with_the_budget(make_sweep: Callable[..., Path]) -> None:
    """One lucky trial of twenty is rarely among five; a row of good ones always is."""
    folder = make_sweep(truth={"steady": 0.9, "wild": 0.9})

    def settle(record: dict[str, Any]) -> None:
        wild = record["alternative"] == "wild"
        value = (0.97 if record["number"] == 3 else 0.5) if wild else 0.9
        record.update(status="done", value=value, values=[value] * 3)

    rewrite(folder, "trials.jsonl", settle)
    [text] = [text for text in cautions(answer(read_sweep(folder))) if "budget:" in text]
    # wild after five trials: 0.97 with chance 5/20, else 0.5, on average 0.6175
    assert "after 5 trials of tuning steady would lead" in text
    assert "90.00% against 61.75% of wild" in text
    assert text.endswith("after 20 it is wild")


def test_validation_and_test_disagree(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep()

    def swap(record: dict[str, Any]) -> None:
        if record["alternative"] == "adam":
            record["metrics"]["test/accuracy"] = [
                value - 0.02 for value in record["metrics"]["test/accuracy"]
            ]

    rewrite(folder, "final.jsonl", swap)
    found = answer(read_sweep(folder))
    chosen = max(found.bases[0].rows, key=lambda row: row.validation or 0)
    assert chosen.alternative == "adam"
    assert any(
        text.startswith(
            "validation and test disagree: adam is the best by val/accuracy, nesterov by test/accuracy, by "
        )
        for text in cautions(found)
    )


def test_a_lucky_winner_of_the_search(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep()

    def lucky(record: dict[str, Any]) -> None:
        if record["alternative"] == "sgd" and record["value"] is not None:
            record["value"] += 0.02

    rewrite(folder, "trials.jsonl", lucky)
    assert any(
        "partly lucky: val/accuracy then → on fresh seeds: " in t
        for t in cautions(answer(read_sweep(folder)))
    )


def test_several_bases_have_an_answer_each_and_a_profile(make_sweep: Callable[..., Path]) -> None:
    found = answer(read_sweep(make_sweep(bases=("digits", "wine"), truth={"sgd": 0.93, "adam": 0.968})))
    assert [part.base for part in found.bases] == ["digits", "wine"]
    assert sentences(found)[0].startswith("digits: adam ")
    assert set(found.profile) == {"sgd", "adam"}
    assert found.profile["adam"][-1][1] == 1.0


def test_the_target_and_the_way_to_it(make_sweep: Callable[..., Path]) -> None:
    """Curves go 0.5, 0.9, 1 times the last value at steps 10, 20, 30; 100 steps take a second."""
    folder = make_sweep()
    about(folder, target=0.8)
    found = answer(read_sweep(folder))
    for row in found.bases[0].rows:
        assert row.reached is not None
        assert (row.reached.seeds, row.reached.of, row.reached.steps) == (10, 10, 20.0)
        assert row.reached.seconds == pytest.approx(0.2)
    folder = make_sweep(name="default")
    found = answer(read_sweep(folder))
    finals = {one["alternative"]: one["metrics"]["val/accuracy"] for one in records(folder, "final.jsonl")}
    assert found.bases[0].target == pytest.approx(min(np.mean(values) for values in finals.values()))


def test_curves_with_a_band(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep() / "final" / "adam"
    curves = seed_curves(folder, "val/accuracy")
    assert len(curves) == 10
    found = band(curves)
    assert found is not None
    assert found.steps.tolist() == [10, 20, 30]
    last = [values[-1] for _, values in curves]
    assert found.mean[-1] == pytest.approx(np.mean(last))
    # t of 9 degrees of freedom at 97.5% is 2.262157
    assert found.high[-1] - found.mean[-1] == pytest.approx(
        2.262157 * np.std(last, ddof=1) / math.sqrt(10), rel=1e-6
    )
    assert reached(folder, Metric("val/accuracy", True), 2.0) == (0, 10, math.inf, math.inf)
    assert reached(folder, Metric("val/nothing", True), 2.0) is None


def test_a_curve_that_stopped_early_keeps_its_last_value() -> None:
    long = np.array([1, 2, 3]), np.array([0.0, 2.0, 4.0])
    short = np.array([1, 2]), np.array([2.0, 4.0])
    lost = np.array([1, 2, 3]), np.array([0.0, np.nan, np.nan])
    found = band([long, short, lost])
    assert found is not None
    assert found.mean.tolist() == [1.0, 3.0, 4.0]
    assert band([lost]) is None


def test_a_torn_last_line_is_ignored_and_another_damaged_one_is_told(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(trials=3, final=0)
    assert is_sweep(folder)
    with (folder / "trials.jsonl").open("a") as file:
        file.write('{"trial": "sgd-0')
    assert len(read_sweep(folder).trials) == 9
    with (folder / "trials.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(RunError, match=r"trials\.jsonl:10: damaged line"):
        read_sweep(folder)
    (folder / "trials.jsonl").write_text('{"trial": "sgd-000"}\n')
    with pytest.raises(RunError, match="records are damaged"):
        read_sweep(folder)


def test_what_is_no_sweep_or_too_new(make_sweep: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not the folder of a sweep"):
        read_sweep(tmp_path)
    folder = make_sweep(trials=1, final=0)
    about(folder, format=3)
    with pytest.raises(RunError, match="this nnrun reads 2; use the nnrun that wrote it"):
        read_sweep(folder)


def test_the_ranking_of_trials(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(trials=6, final=0)

    def stop(record: dict[str, Any]) -> None:
        if record["trial"] == "adam-001":
            record.update(status="stopped", value=0.999)

    rewrite(folder, "trials.jsonl", stop)
    order = ranked(read_sweep(folder).trials, Metric("val/accuracy", True))
    done = [one for one in order if one.status == "done"]
    assert order[: len(done)] == done
    assert order[len(done)].trial == "adam-001"
    assert [one.value for one in done] == sorted((one.value for one in done), reverse=True)  # type: ignore[type-var]
    assert all(one.value is None for one in order[len(done) + 1 :])
