"""Copies of trials are no evidence: each setting counts once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nnrun.report.sweep.answer import answer, as_data, read_sweep
from nnrun.report.sweep.evidence import distinct
from nnrun.report.sweep.folder import TrialRecord


def record(number: int, settings: dict[str, Any], value: float | None = 0.5) -> TrialRecord:
    name = f"sgd-{number:03d}"
    return TrialRecord(
        name, "digits", "sgd", number, f"trials/{name}", settings, "done", value, (value,), 10, 1.0, None
    )


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3]), st.sampled_from(["a", [1, 2], None])), max_size=12)
)
def test_the_first_of_each_setting_counts(settings: list[tuple[Any, Any]]) -> None:
    trials = [record(i, {"rate": rate, "hidden": hidden}) for i, (rate, hidden) in enumerate(settings)]
    expected = [i for i, pair in enumerate(settings) if pair not in settings[:i]]
    assert [trial.number for trial in distinct(trials)] == expected


def copied(folder: Path, times: int) -> Path:
    """Every trial of a sweep, so many times over."""
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    copies = [
        {**line, "number": line["number"] + 100 * i, "trial": f"{line['trial']}-{i}"}
        for i in range(times)
        for line in lines
    ]
    (folder / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in copies))
    return folder


def test_twelve_trials_of_four_settings_say_what_four_trials_say(make_sweep: Any) -> None:
    """Importance was p = 0.003 out of eight copies."""
    truth = {"sgd": 0.93}
    four = make_sweep(trials=4, wanted=4, truth=truth, name="four")
    twelve = copied(make_sweep(trials=4, wanted=4, truth=truth, name="twelve"), 3)
    few, many = as_data(answer(read_sweep(four))), as_data(answer(read_sweep(twelve)))
    assert many["importance"] == few["importance"] == {"digits": {"sgd": []}}
    assert many["best_of_k"] == few["best_of_k"]
    copies = [text for text in many["warnings"] if "copies" in text]
    assert copies == [
        "sgd: its 12 trials have only 4 different settings, the others are copies and count once; "
        "write sweep.search: grid, or wider ranges"
    ]
    assert not any("copies" in text for text in few["warnings"])


def test_trials_that_have_not_learned_are_named(make_sweep: Any) -> None:
    folder = make_sweep(trials=4, wanted=4, truth={"sgd": 0.93})
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    for risen, expected in ((0, 0), (2, 1)):
        records = [{**line, "risen": 3 if line["number"] < risen else 0} for line in lines]
        (folder / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in records))
        texts = [text for text in as_data(answer(read_sweep(folder)))["warnings"] if "not learned" in text]
        assert len(texts) == expected
    assert texts[0].startswith("sgd: 2 of 4 trials")


def test_trials_that_were_judged_on_other_examples_are_named(make_sweep: Any) -> None:
    """The best of several splits of the data is the one with the easiest validation part."""
    folder = make_sweep(trials=4, wanted=4, truth={"sgd": 0.93})
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    for key, count in (("batch_size", 0), ("split_seed", 1), ("validation", 1), ("mine", 1)):
        records = [
            {
                **line,
                "settings": {**line["settings"], f"data.{key}": line["number"]},
                "judged_on": f"a {line['number'] if count else 0}",
            }
            for line in lines
        ]
        (folder / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in records))
        warnings = as_data(answer(read_sweep(folder)))["warnings"]
        texts = [text for text in warnings if "not judged on the same examples" in text]
        assert [text.split()[0] for text in texts] == [f"data.{key}"] * count
