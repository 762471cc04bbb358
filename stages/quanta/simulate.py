"""The quantization model as a simulator: runs of known exponents, to check fits and intervals on.

Task k of frequency p_k costs 1 bit until it is learned. In a run

- it is learned at step T_k = time (p_k / p_1)^slope e^(scatter z), z standard normal and its own in
  every run; a run's slope may differ from other runs' by `between`;
- its loss falls about then as 1 / (1 + (S / T_k)^sharpness);
- a network of width w has room for the first `per_width` w tasks, the last of them in part;
- a training set of D samples teaches it if it holds `needed` e^(luck z) samples of it, and the loss
  of what is not taught rises by `overfit` bits until the end of the run.

The mean loss of a run is off by a factor e^(noise z), the same throughout the run. So the loss is
a sum over unlearned tasks, sum_{k>n} p_k, with n ~ N, S^(1/(1+alpha)), D^(1/(1+alpha)) as in
`stages.quanta.theory`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.quanta.emergence import Times

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """What simulated runs are made of."""

    frequencies: Floats  # (tasks,)
    time: float = 700.0  # steps, of the first task
    slope: float = -1.0  # of ln T against ln p
    scatter: float = 0.1  # in ln T
    between: float = 0.0  # standard deviation of the slope between runs
    sharpness: float = 8.0
    per_width: float = 0.1  # tasks
    needed: float = 5e4  # samples of a task
    luck: float = 0.2  # in the logarithm of what is needed
    overfit: float = 0.2  # bits
    noise: float = 0.02  # in ln loss


def learning_steps(truth: Truth, runs: int, rng: np.random.Generator) -> Floats:
    """T_k of each run. (runs, tasks)."""
    p = truth.frequencies
    slope = truth.slope + truth.between * rng.normal(size=(runs, 1))
    luck = truth.scatter * rng.normal(size=(runs, len(p)))
    steps: Floats = truth.time * (p / p[0]) ** slope * np.exp(luck)
    return steps


def by_width(truth: Truth, widths: npt.ArrayLike) -> Floats:
    """How much of each task networks have room for, 0 to 1. (widths, tasks)."""
    room = truth.per_width * np.asarray(widths, np.float64)[:, None]
    return np.clip(room - np.arange(len(truth.frequencies)), 0.0, 1.0)


def by_samples(truth: Truth, samples: npt.ArrayLike, rng: np.random.Generator) -> Floats:
    """Whether runs on training sets of these sizes are taught each task, 0 or 1. (runs, tasks)."""
    size = np.asarray(samples, np.float64)[:, None]
    luck = np.exp(truth.luck * rng.normal(size=(len(size), len(truth.frequencies))))
    return (size * truth.frequencies >= truth.needed * luck).astype(np.float64)


def fallen(truth: Truth, steps: Floats, learning: Floats) -> Floats:
    """How far each task's loss has fallen, 0 to 1. (steps, tasks) of (steps,) and (tasks,)."""
    ratio = steps[:, None] / learning
    return 1 - 1 / (1 + ratio**truth.sharpness)


def noisy(truth: Truth, losses: Floats, rng: np.random.Generator) -> Floats:
    """Mean losses with each run's factor. Runs are along the first axis."""
    factor = np.exp(truth.noise * rng.normal(size=len(losses)))
    return losses * factor.reshape(-1, *[1] * (losses.ndim - 1))


def final_losses(truth: Truth, share: Floats, rng: np.random.Generator) -> Floats:
    """Mean losses, in bits, of runs that have learned all that they can. (runs,)."""
    return noisy(truth, (1 - share) @ truth.frequencies, rng)


def curves(truth: Truth, steps: Floats, runs: int, rng: np.random.Generator) -> Floats:
    """Mean losses, in bits, of runs with room and samples for all tasks. (runs, steps)."""
    learning = learning_steps(truth, runs, rng)
    means = np.stack([(1 - fallen(truth, steps, each)) @ truth.frequencies for each in learning])
    return noisy(truth, means, rng)


def times(truth: Truth, seeds: int, last: int, every: int, rng: np.random.Generator) -> Times:
    """Learning times as seen at every so many steps until the last."""
    by = np.ceil(learning_steps(truth, seeds, rng) / every) * every
    censored = by > last
    return Times(
        seed=np.repeat(np.arange(seeds), len(truth.frequencies)),
        frequency=np.tile(truth.frequencies, seeds),
        after=np.where(censored, last, by - every).ravel(),
        by=np.where(censored, np.inf, by).ravel(),
    )
