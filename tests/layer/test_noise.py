"""The generators of dropout masks: the cipher bit for bit, the masks' units by statistics at fixed keys.

Every statistical test runs for Threefry and for the hash of `train.random: fast` alike.

A unit of 16 bits is read off `drop_mask` itself, which keeps it at rate t/65536 exactly where unit ≥ t.
Bounds are five to six standard deviations of what independent fair bits give.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.extend.random import threefry_2x32

from nnrun.layer._hash import FAST, words
from nnrun.layer._noise import drop_mask, noise_key, threefry

N = 1 << 13
KEYS = 24


@jax.jit
def _units(key):
    """The N units of a key, by bisection: a rate for each unit, 16 halvings of what it can be."""
    low = jnp.zeros(N, jnp.int32)
    for bit in range(15, -1, -1):
        kept, _ = drop_mask(key, (N,), (low + (1 << bit)).astype(jnp.float32) / 65536)
        low = jnp.where(kept, low + (1 << bit), low)
    return low


_many = jax.jit(jax.vmap(_units))


@pytest.fixture(scope="module")
def numbered():
    """Units of the keys 0, 1, ...: (KEYS, N) in 0..65535."""
    return np.asarray(_many(jax.vmap(jax.random.key)(jnp.arange(KEYS))))


@pytest.fixture(scope="module", params=["threefry", "fast"])
def generator(request):
    return request.param


@pytest.fixture(scope="module", params=["numbered", "folded", "raw"])
def units(request, generator):
    """(KEYS, N) in 0..65535: of the keys 0, 1, ...; of one key folded with the steps 0, 1, ..., as training does;
    of keys whose words are the smallest numbers, the worst that a generator is given."""
    numbers = jnp.arange(KEYS)
    if request.param == "numbered":
        keys = jax.vmap(lambda i: jax.random.key(i, impl=FAST if generator == "fast" else None))(numbers)
    elif request.param == "folded":
        keys = jax.vmap(jax.random.fold_in, (None, 0))(noise_key(jax.random.key(42), generator), numbers)
    else:
        words = jnp.stack([numbers // 5, numbers % 5], axis=1).astype(jnp.uint32)
        keys = jax.vmap(lambda data: noise_key(jax.random.wrap_key_data(data), generator))(words)
    return np.asarray(_many(keys))


def bits_of(units):
    """(..., n) -> (..., n, 16) of 0 and 1."""
    return units[..., None] >> np.arange(16) & 1


@pytest.mark.parametrize("words", [1, 7, 64, 1001])
def test_threefry_is_that_of_jax(words):
    rng = np.random.default_rng(words)
    key = jnp.asarray(rng.integers(0, 2**32, 2, dtype=np.uint32))
    counters = jnp.asarray(rng.integers(0, 2**32, 2 * words, dtype=np.uint32))
    found = jnp.concatenate(threefry(key, counters[:words], counters[words:]))
    np.testing.assert_array_equal(found, threefry_2x32(key, counters))


@pytest.mark.parametrize(("key", "counter", "cipher"), [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
])  # fmt: skip
def test_threefry_gives_the_published_answers(key, counter, cipher):
    """The vectors for threefry2x32, 20 rounds, that come with Random123."""
    x, y = (jnp.array([word], jnp.uint32) for word in counter)
    found = threefry(jnp.array(key, jnp.uint32), x, y)
    assert tuple(int(word[0]) for word in found) == cipher


def test_units_are_those_of_the_cipher(numbered):
    """Every unit of the cipher's output is used once, none twice."""
    key = jax.random.key(0)
    words = threefry_2x32(jax.random.key_data(key), jnp.arange(N // 2, dtype=jnp.uint32))
    np.testing.assert_array_equal(numbered[0], np.asarray(words).view(np.uint16))


def test_each_bit_is_balanced(units):
    bits = bits_of(units)
    z = (bits.mean((0, 1)) - 0.5) * 2 * np.sqrt(units.size)
    assert np.abs(z).max() < 5, z
    alone = (bits.mean(1) - 0.5) * 2 * np.sqrt(N)  # each key, each bit
    assert np.abs(alone).max() < 5
    assert 0.85 < alone.std() < 1.15


def test_bits_do_not_depend_on_each_other(units):
    correlation = np.corrcoef(bits_of(units).reshape(-1, 16).T)
    assert np.abs(correlation[np.triu_indices(16, 1)]).max() < 5 / np.sqrt(units.size)


@pytest.mark.parametrize("shift", [0, 8])
def test_bytes_are_uniform(units, shift):
    counts = np.bincount((units >> shift & 255).ravel(), minlength=256)
    expected = units.size / 256
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi2 - 255) < 5 * np.sqrt(2 * 255)


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 8, 64, N // 4, N // 2])
def test_serial_correlation(units, lag):
    """Neighbours share a block of the cipher; the halves of a mask share counters."""
    a, b = (units - 32767.5) / 18918.6, np.roll(units, lag, axis=1)
    r = (a * (b - 32767.5) / 18918.6).mean(1) * np.sqrt(N)
    assert np.abs(r).max() < 5
    assert abs(r.mean()) * np.sqrt(KEYS) < 5


def test_cross_key_correlation(units):
    r = np.corrcoef(units)[np.triu_indices(KEYS, 1)] * np.sqrt(N)
    assert np.abs(r).max() < 5.5
    assert 0.8 < r.std() < 1.2
    bits = bits_of(units).reshape(KEYS, -1) * 2 - 1
    r = (bits @ bits.T / np.sqrt(N * 16))[np.triu_indices(KEYS, 1)]
    assert np.abs(r).max() < 5.5


@pytest.mark.quick("fast")
def test_avalanche_over_the_bits_of_the_key(generator):
    """Flipping any one bit of the key flips half of all bits of the mask's units."""
    data = jnp.array([0x01234567, 0x89ABCDEF], jnp.uint32)
    flips = np.zeros((64, 2), np.uint32)
    flips[np.arange(64), np.arange(64) // 32] = np.uint32(1) << (np.arange(64) % 32).astype(np.uint32)
    keys = noise_key(jax.random.wrap_key_data(data[None] ^ jnp.asarray(flips)), generator)
    start = np.asarray(_units(noise_key(jax.random.wrap_key_data(data), generator)))
    changed = bits_of(np.asarray(_many(keys)) ^ start[None])  # (64, N, 16)
    z = (changed.mean((1, 2)) - 0.5) * 2 * np.sqrt(N * 16)
    assert np.abs(z).max() < 5
    by_bit = (changed.mean((0, 1)) - 0.5) * 2 * np.sqrt(64 * N)
    assert np.abs(by_bit).max() < 5


def test_runs_have_the_lengths_of_a_fair_coin(units):
    kept = units >= 32768
    changes = (kept[:, 1:] != kept[:, :-1]).sum()
    n = kept[:, 1:].size
    assert abs(changes - n / 2) < 5 * np.sqrt(n) / 2


@pytest.mark.parametrize("shape", [(1,), (3,), (5, 7), (2, 3, 4, 5), (0, 4)])
def test_any_shape_is_filled_from_the_same_kind_of_units(shape, generator):
    mask, keep = drop_mask(noise_key(jax.random.key(0), generator), shape, 0.25)
    assert mask.shape == shape
    assert mask.dtype == bool
    assert float(keep) == 0.75


@pytest.mark.parametrize("rate", [0.0, 1e-6, 0.1, 0.3, 0.5, 0.7, 0.999, 0.9999999])
def test_frequency_of_keeping_is_the_keep_probability(rate, generator):
    keys = noise_key(jax.vmap(jax.random.key)(jnp.arange(16)), generator)
    mask, keep = jax.vmap(lambda key: drop_mask(key, (1 << 14,), rate))(keys)
    keep = float(keep[0])
    assert abs(keep - (1 - rate)) <= 1 / 65536
    assert keep > 0
    assert abs(float(mask.mean()) - keep) <= 5 * np.sqrt(keep * (1 - keep) / mask.size)


def mixed(h: int) -> int:
    """The hash's mixing of 32 bits in Python's whole numbers."""
    for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
        h = (h ^ h >> shift) * factor % 2**32
    return h ^ h >> 15


def test_words_of_the_hash_by_hand():
    k0, k1 = 0x89ABCDEE, 0x01234567
    found = words(jnp.array((k0, k1), jnp.uint32), jnp.arange(50, dtype=jnp.uint32))
    b = mixed((k1 + mixed(k0 ^ 0x9E3779B9)) % 2**32)
    a = mixed((k0 + b) % 2**32)
    c = mixed((a + mixed(b)) % 2**32)
    wanted = [mixed(mixed((i * (a | 1) + b) % 2**32) ^ c) for i in range(50)]
    assert np.asarray(found).tolist() == wanted


def test_no_two_keys_of_the_hash_share_a_sequence_at_another_position():
    """Masks of steps and layers must not be each other's, shifted: every lag of every pair of 24 keys."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(1, impl=FAST), jnp.arange(KEYS))
    bits = np.asarray(jax.vmap(lambda key: drop_mask(key, (N,), 0.5)[0])(keys)) * 2.0 - 1
    spectra = np.fft.rfft(bits)
    worst = 0.0
    for i in range(KEYS):
        for j in range(i):
            worst = max(worst, np.abs(np.fft.irfft(spectra[i] * spectra[j].conj(), N)).max() / np.sqrt(N))
    assert worst < 6.5  # 2.3 million lags: the largest of so many normal numbers is about 5.2


def test_keys_made_from_keys_of_the_hash_differ():
    key = jax.random.key(7, impl=FAST)
    folded = jax.random.key_data(jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(1 << 16)))
    split = jax.random.key_data(jax.random.split(key, 1 << 16))
    together = np.concatenate([folded, split, jax.random.key_data(key)[None]]).view(np.uint64)
    assert len(np.unique(together)) == 2 * (1 << 16) + 1


def test_jax_draws_from_keys_of_the_hash():
    key = jax.random.key(11, impl=FAST)
    z, u = jax.random.normal(key, (1 << 14,)), jax.random.uniform(key, (1 << 14,))
    assert scipy.stats.kstest(np.asarray(z), "norm").pvalue > 1e-3
    assert scipy.stats.kstest(np.asarray(u), "uniform").pvalue > 1e-3
    with jax.enable_x64(True):
        wide = np.asarray(jax.random.uniform(key, (1 << 14,)))
        assert wide.dtype == np.float64
        assert scipy.stats.kstest(wide, "uniform").pvalue > 1e-3
        low = np.asarray(jax.random.bits(key, (1 << 14,), np.uint64)) & np.uint64(1)
        assert abs(low.mean() - 0.5) < 5 * 0.5 / np.sqrt(1 << 14)


def test_generators_give_different_masks_and_a_run_of_either_repeats():
    masks = [
        drop_mask(noise_key(jax.random.key(0), name), (1000,), 0.5)[0]
        for name in ("threefry", "fast", "fast")
    ]
    np.testing.assert_array_equal(masks[1], masks[2])
    assert abs(float((masks[0] == masks[1]).mean()) - 0.5) < 5 * 0.5 / np.sqrt(1000)


@pytest.mark.parametrize("shape", [(1,), (3,), (0, 4), (5, 7), (8, 6), (2, 3, 4, 5), (64, 128)])
def test_units_that_are_computed_where_they_are_have_the_same_bits(shape):
    """A batch that several devices share has the mask of one device, and so do the numbers that jax draws."""
    plain, in_place = (noise_key(jax.random.key(3), "threefry", shared) for shared in (False, True))
    plain, in_place = (jax.random.fold_in(jax.random.split(key)[1], 5) for key in (plain, in_place))
    np.testing.assert_array_equal(drop_mask(plain, shape, 0.3)[0], drop_mask(in_place, shape, 0.3)[0])
    np.testing.assert_array_equal(jax.random.normal(plain, shape), jax.random.normal(in_place, shape))
