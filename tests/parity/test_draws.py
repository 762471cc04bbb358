"""Which samples a run of multitask sparse parity sees, and which tasks it is set."""

import hashlib
from math import comb

import numpy as np
import pytest
from scipy import stats

from stages.base.params import ParityConfiguration
from stages.parity import draws, tasks
from stages.parity.draws import Draws, Samples

CONFIGURATION = ParityConfiguration(
    tasks=10,
    bits=100,
    subset_size=3,
    alpha=0.4,
    widths=[16],
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
    learned_below=0.1,
    task_curves=0,
)


def test_tasks_come_at_their_frequencies() -> None:
    draws = Draws(CONFIGURATION, seed=0)
    drawn = [draws.batch(step).task for step in range(100)]
    counts = np.bincount(np.concatenate(drawn), minlength=10)
    expected = counts.sum() * tasks.frequencies(10, 0.4)
    assert counts.sum() == 500_100
    assert 0.001 < stats.chisquare(counts, expected).pvalue < 0.999


def test_frequencies_are_a_power_law_that_sums_to_one() -> None:
    frequencies = tasks.frequencies(500, 0.4)
    assert frequencies.sum() == pytest.approx(1)
    assert frequencies[0] / frequencies[9] == pytest.approx(10**1.4)


def test_bits_are_fair_and_independent() -> None:
    samples = [Draws(CONFIGURATION, seed=0).batch(step) for step in range(20)]
    packed = np.concatenate([s.words for s in samples]).view(np.uint8)
    bits = np.unpackbits(packed, axis=1, bitorder="little").astype(float)
    score = (bits.mean(axis=0) - 0.5) * 2 * np.sqrt(len(bits))
    assert stats.kstest(score, "norm").pvalue > 0.001
    pairs = np.corrcoef(bits, rowvar=False)[np.triu_indices(bits.shape[1], 1)] * np.sqrt(len(bits))
    assert stats.kstest(pairs, "norm").pvalue > 0.001


def test_batches_list_their_tasks_in_order() -> None:
    for size in (1, 6, 5001):
        c = CONFIGURATION.model_copy(update={"batch_size": size})
        for samples in (0, 7000):
            task = Draws(c, 0, samples).batch(step=1).task
            assert len(task) == min(size, samples - size) if samples else size
            assert (np.diff(task) >= 0).all()


@pytest.mark.parametrize("bits", [3, 32, 100, 150, 256])
def test_labels_are_the_parity_of_the_tasks_bits(bits: int) -> None:
    c = CONFIGURATION.model_copy(update={"bits": bits, "tasks": 1 if bits == 3 else 7})
    c = c.model_copy(update={"batch_size": 200})
    samples = Draws(c, seed=5).batch(step=4)
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
    samples = [draws.batch(step) for step in range(5)]
    samples += [draws.evaluation(chosen, 100, step) for step in range(1, 6)]
    samples.append(Draws(CONFIGURATION, seed=1).batch(0))
    words = np.concatenate([s.words for s in samples])
    assert len(np.unique(words, axis=0)) == len(words)


def test_steps_and_seeds_are_set_tasks_of_their_own() -> None:
    drawn = [(seed, step) for seed in range(3) for step in range(3)]
    counts = [np.bincount(Draws(CONFIGURATION, seed).batch(step).task) for seed, step in drawn]
    assert len({tuple(each) for each in counts}) == len(drawn)


def test_samples_are_those_that_parts_were_trained_on() -> None:
    c = CONFIGURATION.model_copy(update={"batch_size": 6})
    fresh, limited = Draws(c, 3), Draws(c, 3, samples=10)
    drawn = [fresh.batch(2), limited.batch(3), limited.evaluation(np.arange(2), 3, step=2)]
    content = [array.astype("<u4").tobytes() for each in drawn for array in vars(each).values()]
    assert hashlib.md5(b"".join(content)).hexdigest() == "444f372aac2b3b74a6616b0588aa9dad"


def rows(samples: list[Samples]) -> np.ndarray:
    """Each sample's task and bits, as a row; 100 random bits do not come twice by chance."""
    return np.concatenate([np.column_stack([s.task, s.words]) for s in samples])


@pytest.mark.parametrize("samples", [1, 2, 4999, 5001, 10_002, 12_345])
def test_a_pass_goes_through_its_training_set_once(samples: int) -> None:
    draws = Draws(CONFIGURATION, 3, samples)
    batches = -(-samples // 5001)
    passes = [[draws.batch(n * batches + i) for i in range(batches)] for n in range(3)]
    sizes = {tuple(len(batch.task) for batch in batches) for batches in passes}
    assert sizes == {tuple(min(5001, samples - 5001 * i) for i in range(batches))}
    seen = [np.unique(rows(batches), axis=0) for batches in passes]
    assert len(seen[0]) == samples
    assert (seen[0] == seen[1]).all()
    assert (seen[0] == seen[2]).all()
    if batches > 1:
        firsts = [np.unique(rows(batches[:1]), axis=0) for batches in passes]
        assert not np.array_equal(firsts[0], firsts[1])


def test_smaller_training_sets_are_part_of_larger_ones() -> None:
    c = CONFIGURATION.model_copy(update={"batch_size": 3000})
    small, large = (
        {*map(tuple, rows([Draws(c, 0, n).batch(i) for i in range(-(-n // 3000))]).tolist())}
        for n in (4000, 7001)
    )
    assert small < large
    assert (len(small), len(large)) == (4000, 7001)


def test_a_training_sets_tasks_come_at_their_frequencies() -> None:
    counts = draws.counts(CONFIGURATION, seed=0, samples=1_000_001)
    assert counts.sum() == 1_000_001
    expected = counts.sum() * tasks.frequencies(10, 0.4)
    assert 0.001 < stats.chisquare(counts, expected).pvalue < 0.999


def test_each_seed_has_a_training_set_of_its_own() -> None:
    of_seeds = {tuple(draws.counts(CONFIGURATION, seed, 5000)) for seed in range(10)}
    assert len(of_seeds) == 10
    spread = np.std([*of_seeds], axis=0, ddof=1)
    p = tasks.frequencies(10, 0.4)
    assert (spread / np.sqrt(5000 * p * (1 - p))).mean() == pytest.approx(1, abs=0.3)


def test_batches_of_a_training_set_are_random() -> None:
    # How often a task's samples fall into the first batch of a pass: a hypergeometric number.
    c = CONFIGURATION.model_copy(update={"batch_size": 100})
    of_set, samples = draws.counts(c, 0, 300), 300
    drawn = [Draws(c, 0, samples).batch(3 * number).task for number in range(200)]
    first = np.array([np.bincount(task, minlength=10)[0] for task in drawn])
    law = stats.hypergeom(samples, of_set[0], 100)
    assert abs(first.mean() - law.mean()) < 4 * law.std() / np.sqrt(200)
    assert 0.75 < first.std() / law.std() < 1.25


def test_training_sets_and_evaluation_have_no_sample_in_common() -> None:
    training = [Draws(CONFIGURATION, 0, 10_002).batch(step) for step in (0, 1)]
    every = np.arange(10)
    evaluation = [Draws(CONFIGURATION, 0, n).evaluation(every, 100, 2) for n in (0, 10_002)]
    assert (evaluation[0].words == evaluation[1].words).all()
    both = np.concatenate([rows(training), rows(evaluation[:1])])
    assert len(np.unique(both[:, 1:], axis=0)) == len(both) == 10_002 + 1000


def test_a_tasks_evaluation_does_not_depend_on_the_others() -> None:
    draws = Draws(CONFIGURATION, seed=0)
    together = draws.evaluation(np.arange(10), 100, step=7)
    alone = draws.evaluation(np.array([4]), 100, step=7)
    assert (together.words[400:500] == alone.words).all()
    assert (together.label[400:500] == alone.label).all()
    assert (alone.task == 4).all()
