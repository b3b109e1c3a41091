"""Split conformal intervals: the rank by hand, and coverage over many validation parts."""

from __future__ import annotations

import numpy as np
import pytest

from nnrun.statistics.conformal import half_width, least_examples, rank_of


def test_ranks_by_hand():
    """In floating point 0.07 · 100 lies above 7, which is the rank."""
    assert [rank_of(n, 0.9) for n in (9, 10, 199, 200)] == [9, 10, 180, 181]
    assert (rank_of(99, 0.07), rank_of(99, 0.5)) == (7, 50)
    assert [least_examples(level) for level in (0.5, 0.9, 0.95, 0.99, 0.999)] == [1, 9, 19, 99, 999]
    assert half_width(np.array([3.0, 1.0, 2.0, 5.0, 4.0, 9.0, 8.0, 7.0, 6.0]), 0.9) == 9
    assert half_width(np.arange(19.0, 0, -1), 0.9) == 18
    levels = np.array([0.5, 0.9, 0.99])  # as one takes them from an array
    assert [(rank_of(99, level), least_examples(level)) for level in levels] == [(50, 1), (90, 9), (99, 99)]


@pytest.mark.parametrize(("examples", "level"), [(9, 0.9), (30, 0.9), (50, 0.5)])
def test_a_new_error_lies_inside_at_the_level_whatever_the_errors_are(examples, level):
    """The chance is rank / (n + 1), exactly, for errors that are drawn alike; here of heavy tails."""
    draw, repetitions = np.random.default_rng(0), 20_000
    errors = np.abs(draw.standard_cauchy((repetitions, examples + 1)))
    inside = np.mean([new <= half_width(known, level) for *known, new in errors.tolist()])
    expected = rank_of(examples, level) / (examples + 1)
    assert expected >= level
    assert abs(inside - expected) < 4.5 * np.sqrt(expected * (1 - expected) / repetitions)


def test_each_of_several_targets_has_the_width_that_it_has_alone():
    errors = np.abs(np.random.default_rng(0).standard_cauchy((40, 3)) * [1.0, 1e5, 1e-3])
    alone = [half_width(column, 0.8) for column in errors.T]
    np.testing.assert_array_equal(half_width(errors, 0.8), alone)
    assert isinstance(alone[0], float)
