"""The samples of a teacher: uniform in [-1/2, 1/2], the same on every device, never repeated.

Every random word is Philox's of the key (teacher, stream) and of the counter (sample, step, block
of 4 inputs, d), where `step` is how many steps all students have taken before: all students of a
teacher learn from the same samples, whatever their width, seed or loss.
"""

import numpy as np
import numpy.typing as npt

from stages.base import philox
from stages.students.configuration import Configuration

TRAINING, EVALUATION = 0, 1
"""Streams of random words."""


def inputs(
    configuration: Configuration,
    teacher: int,
    stream: int,
    sample: npt.NDArray[np.int64],
    step: npt.NDArray[np.int64] | int,
) -> npt.NDArray[np.float32]:
    """Some samples' inputs, (samples, seen), multiples of 2^-24: exact in float32."""
    c = configuration
    drawn = np.hstack(
        [
            philox.words((teacher, stream), (sample, step, block, c.dimension))
            for block in range(-(-c.seen // 4))
        ]
    )[:, : c.seen]
    return (drawn >> 8).astype(np.float32) * np.float32(2**-24) - np.float32(0.5)
