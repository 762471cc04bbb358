"""Which samples a run of multitask sparse parity sees, and which tasks it is set."""

from math import comb

import numpy as np
import pytest
from scipy import stats

from stages.params import ParityConfiguration
from stages.parity import philox, tasks
from stages.parity.draws import Draws

CONFIGURATION = ParityConfiguration(
    tasks=10,
    bits=100,
    subset_size=3,
    alpha=0.4,
    width=16,
    logits=1,
    optimizer="adam",
    learning_rate=1e-3,
    weight_decay=0,
    batch_size=5001,
    steps=10,
    evaluate_every=1,
    evaluation_samples=100,
    seeds=1,
    precision="tf32",
)


# Published with the reference implementation (Random123, kat_vectors): counter, key, words.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word, 16) for word in text.split())


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_gives_the_published_words(counter: str, key: str, expected: str) -> None:
    low, high = numbers(key)
    first, *rest = numbers(counter)
    drawn = philox.words((low, high), ([first, 0], *rest))
    assert tuple(drawn[0].tolist()) == numbers(expected)


def test_tasks_come_at_their_frequencies() -> None:
    draws = Draws(CONFIGURATION, seed=0)
    counts = np.sum([draws.counts(20_000, step) for step in range(100)], axis=0)
    expected = counts.sum() * tasks.frequencies(10, 0.4)
    assert counts.sum() == 2_000_000
    assert 0.001 < stats.chisquare(counts, expected).pvalue < 0.999


def test_frequencies_are_a_power_law_that_sums_to_one() -> None:
    frequencies = tasks.frequencies(500, 0.4)
    assert frequencies.sum() == pytest.approx(1)
    assert frequencies[0] / frequencies[9] == pytest.approx(10**1.4)


def test_bits_are_fair_and_independent() -> None:
    samples = [Draws(CONFIGURATION, seed=0).batch(5001, step) for step in range(20)]
    packed = np.concatenate([s.words for s in samples]).view(np.uint8)
    bits = np.unpackbits(packed, axis=1, bitorder="little").astype(float)
    score = (bits.mean(axis=0) - 0.5) * 2 * np.sqrt(len(bits))
    assert stats.kstest(score, "norm").pvalue > 0.001
    pairs = np.corrcoef(bits, rowvar=False)[np.triu_indices(bits.shape[1], 1)] * np.sqrt(len(bits))
    assert stats.kstest(pairs, "norm").pvalue > 0.001


def test_batches_list_their_tasks_in_order() -> None:
    draws = Draws(CONFIGURATION, seed=0)
    for size in (1, 6, 5001):
        task = draws.batch(size, step=3).task
        assert len(task) == size
        assert (np.diff(task) >= 0).all()
        assert (np.bincount(task, minlength=10) == draws.counts(size, 3)).all()


@pytest.mark.parametrize("bits", [3, 32, 100, 150, 256])
def test_labels_are_the_parity_of_the_tasks_bits(bits: int) -> None:
    c = CONFIGURATION.model_copy(update={"bits": bits, "tasks": 1 if bits == 3 else 7})
    samples = Draws(c, seed=5).batch(200, step=4)
    subsets = tasks.subsets(c.tasks, bits, c.subset_size, seed=5).tolist()
    for task, words, label in zip(samples.task, samples.words, samples.label, strict=True):
        ones = sum(int(words[bit // 32]) >> bit % 32 & 1 for bit in subsets[task])
        assert label == ones % 2


def test_subsets_differ_between_tasks_and_between_seeds() -> None:
    subsets = tasks.subsets(500, 100, 3, seed=0)
    assert len({tuple(s) for s in subsets.tolist()}) == 500
    assert (np.diff(subsets, axis=1) > 0).all()
    assert subsets.min() >= 0
    assert subsets.max() < 100
    assert (subsets == tasks.subsets(500, 100, 3, seed=0)).all()
    assert not (subsets == tasks.subsets(500, 100, 3, seed=1)).all()


def test_tasks_may_use_up_all_subsets_but_no_more() -> None:
    every = comb(6, 2)
    assert len({tuple(s) for s in tasks.subsets(every, 6, 2, seed=0).tolist()}) == every
    with pytest.raises(ValueError, match="not found"):
        tasks.subsets(every + 1, 6, 2, seed=0)
    with pytest.raises(ValueError, match="at most 15"):
        ParityConfiguration(
            **(CONFIGURATION.model_dump() | {"bits": 6, "subset_size": 2, "tasks": every + 1})
        )


def test_every_sample_is_a_fresh_one() -> None:
    # 100 random bits do not come twice by chance.
    draws = Draws(CONFIGURATION, seed=0)
    chosen = np.arange(10)
    samples = [draws.batch(5001, step) for step in range(5)]
    samples += [draws.evaluation(chosen, 100, step) for step in range(1, 6)]
    samples.append(Draws(CONFIGURATION, seed=1).batch(5001, 0))
    words = np.concatenate([s.words for s in samples])
    assert len(np.unique(words, axis=0)) == len(words)


def test_a_tasks_evaluation_does_not_depend_on_the_others() -> None:
    draws = Draws(CONFIGURATION, seed=0)
    together = draws.evaluation(np.arange(10), 100, step=7)
    alone = draws.evaluation(np.array([4]), 100, step=7)
    assert (together.words[400:500] == alone.words).all()
    assert (together.label[400:500] == alone.label).all()
    assert (alone.task == 4).all()
