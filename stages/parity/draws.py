"""Which samples a run sees: the same on every device, whatever is trained beside it.

Every random word is Philox's of the key (seed, stream) and of a counter that says what it is for,
so it can be drawn anywhere, in any order; `step` there is how many optimizer steps were taken
before. Only integers are compared, never floats. A batch's tasks are drawn independently and then
listed in order: the order within a batch has no meaning, and samples of one task are cheaper
together.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.params import ParityConfiguration
from stages.parity import philox, tasks

BATCH_TASKS = 0
"""Stream of a batch's tasks: counter (sample / 4, step, 0, 0), word sample % 4."""
BATCH_BITS = 1
"""Stream of a batch's bits: counter (place in the batch, step, block of 128 bits, 0)."""
EVALUATION_BITS = 2
"""Stream of the bits that a task is evaluated on: counter (sample, step, block, task)."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Some samples: task (n,), from 0; bits packed, (n, words); label (n,), 0 or 1."""

    task: npt.NDArray[np.int64]
    words: tasks.Words
    label: npt.NDArray[np.uint8]


class Draws:
    """What one seed of a configuration sees."""

    def __init__(self, configuration: ParityConfiguration, seed: int) -> None:
        c = configuration
        self._tasks, self._seed = c.tasks, seed
        self._thresholds = tasks.thresholds(c.tasks, c.alpha)
        self.masks = tasks.masks(tasks.subsets(c.tasks, c.bits, c.subset_size, seed), c.bits)

    def counts(self, size: int, step: int) -> npt.NDArray[np.int64]:
        """How many of a batch's samples each task has. (tasks,)."""
        quads = np.arange(-(-size // 4))
        drawn = philox.words((self._seed, BATCH_TASKS), (quads, step, 0, 0)).reshape(-1)[:size]
        before = np.searchsorted(np.sort(drawn), self._thresholds)
        return np.diff(before, prepend=0, append=size)

    def batch(self, size: int, step: int) -> Samples:
        """The batch that the step after `step` steps trains on, sorted by task."""
        task = np.repeat(np.arange(self._tasks), self.counts(size, step))
        return self._samples(task, BATCH_BITS, np.arange(size), step, 0)

    def evaluation(self, task: npt.NDArray[np.int64], size: int, step: int) -> Samples:
        """The samples on which some tasks are evaluated after `step` steps: `size` of each."""
        of_sample = np.repeat(task, size)
        sample = np.tile(np.arange(size), len(task))
        return self._samples(of_sample, EVALUATION_BITS, sample, step, of_sample)

    def _samples(
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
