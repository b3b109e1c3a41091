"""Each augmentation against what its source says, in NumPy and SciPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, stats

from nnrun.augment.alternating_flip import alternating_flip
from nnrun.augment.cutmix import cutmix
from nnrun.augment.cutout import cutout
from nnrun.augment.horizontal_flip import horizontal_flip
from nnrun.augment.mixup import mixup
from nnrun.augment.random_crop import random_crop
from nnrun.augment.rotate import rotate, turned
from nnrun.augment.translate import translate
from nnrun.loss.cross_entropy import cross_entropy
from nnrun.types import Batch

pytestmark = pytest.mark.usefixtures("float64")

MANY = 2000


def batch(n: int, height: int = 6, width: int = 7, channels: int = 2) -> Batch:
    """Images of which no two pixels are equal and none is 0."""
    x = np.random.default_rng(0).normal(size=(n, height, width, channels))
    return Batch(jnp.asarray(x), jnp.arange(n, dtype=jnp.int32), jnp.ones(n))


def apply(augment, given: Batch, seed: int = 0) -> Batch:
    return jax.jit(augment)(jax.random.key(seed), given)


def test_half_of_the_images_are_mirrored():
    given = batch(MANY, 2, 3, 1)
    found, x = np.asarray(apply(horizontal_flip(), given).x), np.asarray(given.x)
    mirrored = (found == x[:, :, ::-1]).all((1, 2, 3))
    assert (mirrored | (found == x).all((1, 2, 3))).all()
    assert stats.binomtest(int(mirrored.sum()), MANY, 0.5).pvalue > 1e-3


def test_alternating_flip_mirrors_where_the_turn_is_odd():
    given = batch(6)._replace(turn=jnp.asarray([0, 1, 2, 3, 2**32 - 1, 8], jnp.uint32))
    x = np.asarray(given.x)
    wanted = np.where(np.array([0, 1, 0, 1, 1, 0], bool)[:, None, None, None], x[:, :, ::-1], x)
    for seed in range(2):
        np.testing.assert_array_equal(apply(alternating_flip(), given, seed).x, wanted)


def test_a_certain_flip_is_its_own_inverse():
    given = batch(5)
    once = apply(horizontal_flip(1.0), given)
    np.testing.assert_array_equal(once.x, np.asarray(given.x)[:, :, ::-1])
    np.testing.assert_array_equal(apply(horizontal_flip(1.0), once, 1).x, given.x)


@pytest.mark.parametrize(("augment", "padded"), [
    (random_crop, lambda image: np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect")),
    (translate, lambda image: np.pad(image, ((2, 2), (2, 2), (0, 0)))),
])  # fmt: skip
def test_crops_are_those_of_the_padded_image_and_all_are_as_likely(augment, padded):
    """Each result is one of the 25 windows of NumPy's padding, and χ² finds them equally frequent."""
    given = batch(MANY, 4, 5, 1)
    found, windows = np.asarray(apply(augment(2), given).x), np.zeros((5, 5))
    for image, crop in zip(np.asarray(given.x), found, strict=True):
        whole = padded(image)
        fits = [
            (i, j) for i in range(5) for j in range(5) if np.array_equal(whole[i : i + 4, j : j + 5], crop)
        ]
        assert len(fits) == 1
        windows[fits[0]] += 1
    assert stats.chisquare(windows.ravel()).pvalue > 1e-3


def test_the_largest_reflection():
    """One pixel less than the side, as far as NumPy's."""
    given = batch(300, 3, 4, 1)
    found = np.asarray(apply(random_crop(2), given).x)
    seen = set()
    for image, crop in zip(np.asarray(given.x), found, strict=True):
        whole = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
        fits = {
            (i, j) for i in range(5) for j in range(5) if np.array_equal(whole[i : i + 3, j : j + 4], crop)
        }
        assert fits
        seen |= fits
    assert len(seen) == 25


@pytest.mark.parametrize(("augment", "message"), [
    (random_crop(6), "padding 6 needs images of at least 7 × 7 pixels, these have 6 × 7"),
    (translate(6), "pixels 6 needs images of at least 7"),
    (cutout(7), "size 7 needs images of at least 7"),
])  # fmt: skip
def test_what_is_larger_than_the_image_is_refused(augment, message):
    with pytest.raises(ValueError, match=message):
        augment(jax.random.key(0), batch(2))


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_cutout_covers_one_square_about_a_pixel(size):
    """Rows and columns about each centre, cut at the border, each centre as often as another."""
    given = batch(MANY)
    found = np.asarray(apply(cutout(size), given).x)
    assert (found[found != 0] == np.asarray(given.x)[found != 0]).all()
    covered = (found == 0).all(3)
    assert (covered == (found == 0).any(3)).all()
    squares = {}
    for c in range(6):
        for d in range(7):
            square = np.zeros((6, 7), bool)
            top, left = c - size // 2, d - size // 2
            square[max(top, 0) : top + size, max(left, 0) : left + size] = True
            squares[square.tobytes()] = squares.get(square.tobytes(), 0) + 1
    shapes, counts = np.unique(covered, axis=0, return_counts=True)
    assert {shape.tobytes() for shape in shapes} == squares.keys()
    expected = [MANY * squares[shape.tobytes()] / 42 for shape in shapes]
    assert stats.chisquare(counts, expected).pvalue > 1e-3


def test_cutout_leaves_some_images_alone():
    found = np.asarray(apply(cutout(2, p=0.3), batch(MANY)).x)
    covered = int((found == 0).any((1, 2, 3)).sum())
    assert stats.binomtest(covered, MANY, 0.3).pvalue > 1e-3


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (90, 1), (180, 2), (-90, -1)])
def test_quarter_turns_are_those_of_numpy(degrees, turns):
    x = batch(3, 6, 6).x
    found = turned(x, jnp.full(3, np.deg2rad(degrees)))
    np.testing.assert_allclose(found, np.rot90(x, turns, axes=(1, 2)), atol=1e-13)


def test_no_turn_changes_no_bit():
    x = batch(3).x
    np.testing.assert_array_equal(turned(x, jnp.zeros(3)), x)


def test_rotations_are_those_of_scipy():
    """Bilinear, zeros outside, any angle, images that are not square."""
    x, angles = batch(4).x, np.array([12.0, -37.0, 101.0, 3.5])
    found = turned(x, jnp.asarray(np.deg2rad(angles)))
    for image, angle, result in zip(np.asarray(x), angles, found, strict=True):
        wanted = ndimage.rotate(image, angle, reshape=False, order=1, mode="grid-constant")
        np.testing.assert_allclose(result, wanted, atol=1e-12)


def test_angles_are_uniform():
    """Read off a ramp, whose value at offset (0, 1) from the centre is sin φ."""
    ramp = jnp.broadcast_to(jnp.arange(-2.0, 3.0)[None, :, None, None], (MANY, 5, 5, 1))
    given = Batch(ramp, jnp.zeros(MANY, jnp.int32), jnp.ones(MANY))
    found = -np.rad2deg(np.arcsin(apply(rotate(20.0), given).x[:, 2, 3, 0]))
    assert stats.kstest(found, stats.uniform(-20, 40).cdf).pvalue > 1e-3


def probabilities(share, alpha):
    return stats.kstest(np.asarray(share), stats.beta(alpha, alpha).cdf).pvalue


@pytest.mark.quick("0.2")
@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_of_mixup_are_of_the_beta_distribution(alpha):
    """One for each example, and one for a whole batch under many keys."""
    example = apply(mixup(alpha, "example"), batch(MANY, 1, 1, 1)).share
    keys = jax.random.split(jax.random.key(3), MANY)
    whole = jax.jit(jax.vmap(lambda key: mixup(alpha)(key, batch(2, 1, 1, 1)).share))(keys)
    assert probabilities(example, alpha) > 1e-3
    np.testing.assert_array_equal(whole[:, 0], whole[:, 1])
    assert probabilities(whole[:, 0], alpha) > 1e-3


@pytest.mark.quick("example")
@pytest.mark.parametrize("per", ["batch", "example"])
def test_mixup_blends_inputs_and_keeps_both_labels(per):
    """Labels are the positions of the examples, so `other` tells the partner."""
    given = batch(50)
    found = apply(mixup(1.0, per), given)
    x, share = np.asarray(given.x), np.asarray(found.share)[:, None, None, None]
    np.testing.assert_array_equal(np.sort(found.other), np.arange(50))
    np.testing.assert_allclose(found.x, share * x + (1 - share) * x[np.asarray(found.other)], rtol=1e-12)


@pytest.mark.quick(1)
@pytest.mark.parametrize("augment", [mixup(), cutmix(p=1.0)])
def test_partners_are_permuted_among_the_real_examples(augment):
    given = batch(12)._replace(weight=jnp.asarray([1.0] * 7 + [0.0] * 5))
    partners = jax.vmap(lambda key: augment(key, given).other)(jax.random.split(jax.random.key(0), MANY))
    np.testing.assert_array_equal(np.sort(partners[:, :7], axis=1), np.tile(np.arange(7), (MANY, 1)))
    for i in range(7):
        assert stats.chisquare(np.bincount(partners[:, i], minlength=7)).pvalue > 1e-4


@pytest.mark.parametrize("per", ["batch", "example"])
def test_cutmix_takes_a_rectangle_and_tells_its_area(per):
    given = batch(60)
    found = apply(cutmix(1.0, 1.0, per), given)
    x, other = np.asarray(given.x), np.asarray(found.other)
    rectangles = set()
    for i, image in enumerate(np.asarray(found.x)):
        taken = (image != x[i]).all(2)
        if other[i] != i:
            rows, columns = taken.any(1), taken.any(0)
            assert (taken == rows[:, None] & columns[None]).all()
            assert all((np.diff(np.flatnonzero(side)) == 1).all() for side in (rows, columns))
            np.testing.assert_allclose(found.share[i], 1 - taken.mean(), rtol=1e-12)
            rectangles.add(taken.tobytes())
        np.testing.assert_array_equal(image, np.where(taken[..., None], x[other[i]], x[i]))
    assert (len(rectangles) == 1) == (per == "batch")


def test_cutmix_covers_as_much_as_its_definition():
    """Mean area over many rectangles against the paper's own recipe, drawn with NumPy."""
    size = 16
    found = apply(cutmix(1.0, 1.0, "example"), batch(MANY, size, size, 1)).share
    rng = np.random.default_rng(1)
    length = np.floor(size * np.sqrt(1 - rng.beta(1, 1, 100 * MANY))).astype(int)
    sides = []
    for centre in rng.integers(0, size, (2, len(length))):
        begin = centre - length // 2
        sides.append(np.clip(begin + length, 0, size) - np.clip(begin, 0, size))
    wanted = 1 - sides[0] * sides[1] / size**2
    assert abs(found.mean() - wanted.mean()) < 4 * wanted.std() / np.sqrt(MANY)
    assert stats.ks_2samp(np.asarray(found), wanted[:5000]).pvalue > 1e-3


def test_cutmix_mixes_with_its_probability():
    share = np.asarray(apply(cutmix(1.0, 0.3, "example"), batch(MANY, 20, 20, 1)).share)
    mixed = int((share < 1).sum())  # a rectangle of no pixel is rare: √(1 − λ) < 1/20
    assert stats.binomtest(mixed, MANY, 0.3 * (1 - 1 / 400)).pvalue > 1e-3


def test_one_blending_is_all():
    twice = mixup()(jax.random.key(0), batch(4))
    for augment in (mixup(), cutmix()):
        with pytest.raises(ValueError, match="keep one of mixup, cutmix"):
            augment(jax.random.key(1), twice)


def test_the_blended_loss_is_that_of_blended_targets():
    """Cross-entropy with the soft targets λ onehot(y) + (1 − λ) onehot(y'), written out in NumPy."""
    from nnrun.training.objective import StepContext, make_objective
    from nnrun.types import Layer

    given = batch(9, 1, 1, 4)._replace(weight=jnp.asarray([1.0] * 7 + [0.0] * 2))
    given = apply(mixup(1.0, "example"), given._replace(y=given.y % 4))
    model = Layer(lambda key, shape: ({}, {}, (4,)), lambda p, s, x, key, weight: (x.reshape(-1, 4) * p, s))
    made = StepContext(model, cross_entropy(), lambda params: jnp.zeros(()), {}, given, None)
    z, eye, share = 2 * np.asarray(given.x).reshape(-1, 4), np.eye(4), np.asarray(given.share)[:, None]
    soft = share * eye[np.asarray(given.y)] + (1 - share) * eye[np.asarray(given.other)]
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    hits = (soft * eye[z.argmax(1)]).sum(1)
    scale = jnp.full((1, 4), 2.0)
    for parts in (1, 4):
        objective = make_objective(made, parts)
        value, (_, means) = objective(scale)
        np.testing.assert_allclose(value, -(soft * log_p).sum(1)[:7].mean(), rtol=1e-12)
        np.testing.assert_allclose(means["loss"], value, rtol=1e-12)
        np.testing.assert_allclose(means["accuracy"], hits[:7].mean(), rtol=1e-12)
        np.testing.assert_allclose(objective.value_of(objective.outputs_of(scale)), value, rtol=1e-12)
