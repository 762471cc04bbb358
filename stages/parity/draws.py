"""Which samples a run sees: the same on every device, whatever is trained beside it.

Every random word is Philox's of the key (seed, stream) and of a counter that says what it is for,
so it can be drawn anywhere, in any order; `step` there is how many optimizer steps were taken
before. Only integers are compared, never floats. A batch's samples are listed by task: the order
within a batch has no meaning, and samples of one task are cheaper together.

A run sees fresh samples in each step, or has a training set, which it goes through in an order
shuffled anew for each pass, a full batch at a time and then what is left. Smaller training sets of
a seed are part of its larger ones. In evaluation every run sees fresh samples only.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.base import philox
from stages.base.params import ParityConfiguration
from stages.parity import shuffle, tasks

BATCH_TASKS = 0
"""Stream of a batch's tasks: counter (sample / 4, step, 0, 0), word sample % 4."""
BATCH_BITS = 1
"""Stream of a batch's bits: counter (place in the batch, step, block of 128 bits, 0)."""
EVALUATION_BITS = 2
"""Stream of the bits that a task is evaluated on: counter (sample, step, block, task)."""
TRAINING_SET_BITS = 3
"""Stream of a training set's bits: counter (how many of its task come before, 0, block, task)."""
ORDER = 4
"""Stream of the order in which a pass goes through the training set: see `shuffle`."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Some samples: task (n,), from 0; bits packed, (n, words); label (n,), 0 or 1."""

    task: npt.NDArray[np.int64]
    words: tasks.Words
    label: npt.NDArray[np.uint8]


def counts(configuration: ParityConfiguration, seed: int, samples: int) -> npt.NDArray[np.int64]:
    """How many of the first `samples` samples of a seed's training sets each task has. (tasks,)."""
    generator = np.random.Philox(np.random.SeedSequence([seed, 1]))
    drawn = generator.random_raw(-(-samples // 2)).view(np.uint32)[:samples]
    return _counted(drawn, tasks.thresholds(configuration.tasks, configuration.alpha))


def _counted(drawn: tasks.Words, thresholds: tasks.Words) -> npt.NDArray[np.int64]:
    before = np.searchsorted(np.sort(drawn), thresholds)
    return np.diff(before, prepend=0, append=len(drawn))


class Draws:
    """What one run of a configuration sees.

    Attributes:
        masks: see `tasks.masks`; (tasks, words).
    """

    def __init__(self, configuration: ParityConfiguration, seed: int, samples: int = 0) -> None:
        """`samples` is the size of the training set, or 0 for fresh samples without end."""
        c = configuration
        self._tasks, self._seed = c.tasks, seed
        self._thresholds = tasks.thresholds(c.tasks, c.alpha)
        self.masks = tasks.masks(tasks.subsets(c.tasks, c.bits, c.subset_size, seed), c.bits)
        self._samples = samples
        self._batch = min(c.batch_size, samples) if samples else c.batch_size
        self._ends = np.cumsum(counts(c, seed, samples))

    def batch(self, step: int) -> Samples:
        """The batch that the step after `step` steps trains on, by task."""
        if self._samples:
            return self._of_training_set(step)
        quads = np.arange(-(-self._batch // 4))
        drawn = philox.words((self._seed, BATCH_TASKS), (quads, step, 0, 0))
        counts = _counted(drawn.reshape(-1)[: self._batch], self._thresholds)
        task = np.repeat(np.arange(self._tasks), counts)
        return self._drawn(task, BATCH_BITS, np.arange(self._batch), step, 0)

    def _of_training_set(self, step: int) -> Samples:
        done, batch = divmod(step, -(-self._samples // self._batch))
        first = batch * self._batch
        places = np.arange(first, min(first + self._batch, self._samples))
        chosen = np.sort(shuffle.permuted((self._seed, ORDER), done, places, self._samples))
        task = np.searchsorted(self._ends, chosen, side="right")
        rank = chosen - np.concatenate([[0], self._ends])[task]
        return self._drawn(task, TRAINING_SET_BITS, rank, 0, task)

    def evaluation(self, task: npt.NDArray[np.int64], size: int, step: int) -> Samples:
        """The samples on which some tasks are evaluated after `step` steps: `size` of each."""
        task_of = np.repeat(task, size)
        sample = np.tile(np.arange(size), len(task))
        return self._drawn(task_of, EVALUATION_BITS, sample, step, task_of)

    def _drawn(
        self,
        task: npt.NDArray[np.int64],
        stream: int,
        sample: npt.NDArray[np.int64],
        step: int,
        last: npt.ArrayLike,
    ) -> Samples:
        key = (self._seed, stream)
        blocks = range(self.masks.shape[1] // 4)
        words = np.hstack([philox.words(key, (sample, step, block, last)) for block in blocks])
        return Samples(task, words, tasks.labels(words, self.masks.take(task, axis=0)))
