"""Which images a run sees, in which order, cropped and flipped how: the same on every device.

All of it is drawn on the CPU from a counter-based generator keyed by (seed, epoch), so neither
the device nor the replicas trained beside a run change what it sees. A draw is one int32: bits
0-16 the image's index, 17-20 and 21-24 the crop's row and column offset (4: not moved), 25 the
flip.
"""

import numpy as np
import numpy.typing as npt

PADDING = 4
"""Zero padding of the random crop, in pixels; offsets run from 0 to twice this."""
INDEX_BITS = 17
MAX_IMAGES = 1 << INDEX_BITS
UNMOVED = PADDING | PADDING << 4
"""A draw without its index: neither moved nor flipped."""

Draws = npt.NDArray[np.int32]


def _generator(seed: int, epoch: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, epoch, stream))))


def shuffled(images: int, seed: int, epoch: int, augment: bool) -> Draws:
    """The training images of an epoch: each once, in random order. (images,)."""
    generator = _generator(seed, epoch, stream=0)
    order: Draws = generator.permutation(images).astype(np.int32)
    return _augmented(order, generator) if augment else order | UNMOVED << INDEX_BITS


def in_order(images: int) -> Draws:
    """Images as they are: each once, in order. (images,)."""
    return np.arange(images, dtype=np.int32) | UNMOVED << INDEX_BITS


def validation(images: int, seed: int, epoch: int, augment: bool) -> Draws:
    """The validation images after an epoch: each once, in order. (images,)."""
    if augment:
        return _augmented(np.arange(images, dtype=np.int32), _generator(seed, epoch, stream=1))
    return in_order(images)


def _augmented(index: Draws, generator: np.random.Generator) -> Draws:
    rows, columns = generator.integers(0, 2 * PADDING + 1, (2, len(index)), dtype=np.int32)
    flips = generator.integers(0, 2, len(index), dtype=np.int32)
    packed: Draws = index | (rows | columns << 4 | flips << 8) << INDEX_BITS
    return packed
