"""Images whose manifold has a known dimension, and labels that no small network learns whole.

What the method is calibrated on, and what the demo has instead of a download. A place z, uniform in
the cube [0, 1]^d, becomes an image, and the image's label is a function of z.

- **Images.** Each channel is a sum of waves: the lowest Fourier modes of the image, all of the same
  amplitude, the phase of each linear in z. So an image is a texture whose waves travel as z moves.
  The modes are orthogonal, and the rates of the phases are drawn at random and then made
  orthogonal. The distance of two images then depends on their distance in z alone, equally in
  every direction and at every place: the manifold is the cube itself, bent in 3,072 dimensions,
  and evenly filled. (Clipping at 0 and 255, half a percent of the pixels, and rounding disturb
  that a little.)
- **Labels.** The largest of ten random functions of z, each a sum of random waves with a Gaussian
  covariance (random Fourier features, Rahimi & Recht 2007), scaled to the same mean and spread so
  that the classes are about as frequent. There is no noise: the labels are certain, and a network
  large enough could have a loss of 0.

How fine a function is, is given by a number of patches: how many balls of the radius within which
it turns by a radian have the volume of the cube. So images and labels are as rich at any d, where
a fixed length would leave little to learn at d = 2 and nothing to hold on to at d = 16.

The same settings give the same bytes: the draws come from a counter-based generator, and all is
computed in double precision. What libraries round differently on other machines is about 1e-12 of
a grey level; it shows where a pixel lies that near to a half, in one data set out of thousands.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.base.params import Manifold
from stages.base.params.images import CIFAR
from stages.images.arrays import CLASSES, Images

Floats = NDArray[np.float64]
UInt8 = NDArray[np.uint8]
Places = Floats
"""Points of the cube, (n, d)."""
Arrays = Any
"""NumPy's or PyTorch's."""
Put = Callable[[Floats], Arrays]

CYCLES = 5
"""The highest frequency of an image's waves, in cycles across it. The network pools twice: its 8 x
8 places follow no more."""
CONTRAST = 45.0
"""The standard deviation of a pixel over waves of random phase, in grey levels."""
BENDS = 1000
"""Patches of the map to images, at a quarter of their rate: the map bends over lengths that hold
many of 10,000 images, and pixels still differ by several levels between neighbours at d = 2."""
BEND = 0.25
FEATURES = 256
"""Waves in each of the functions of z that make the labels."""
REFERENCE = 10_000
"""Places over which these functions are made alike in mean and spread."""
BLOCK = 4096
"""Places at a time."""


def rate(patches: float, dimension: int) -> float:
    """The rate, in radians per unit of z, at which a function of so many patches turns."""
    ball = math.pi ** (dimension / 2) / math.gamma(dimension / 2 + 1)
    return float((patches * ball) ** (1 / dimension))


def images(settings: Manifold) -> Images:
    """The data set. 60,000 images take about 5 s on 2 cores."""
    train, test = _places(settings)
    picture, label = picture_of(settings), label_of(settings)
    train_images, train_labels = _mapped(picture, train), _mapped(label, train)
    test_images, test_labels = _mapped(picture, test), _mapped(label, test)
    made = partial(Made, settings)
    return Images(train_images, train_labels, test_images, test_labels, made=made)


def test_images(settings: Manifold) -> UInt8:
    """The test images alone, for what needs no others."""
    return _mapped(picture_of(settings), _places(settings)[1])


def _places(settings: Manifold) -> tuple[Places, Places]:
    draw = _generator(settings.seed, 0)
    train, test = (draw.random((n, settings.dimension)) for n in (settings.train, settings.test))
    return train, test


def _mapped(function: Callable[[Places], UInt8], places: Places) -> UInt8:
    blocks = range(0, len(places), BLOCK)
    mapped = np.concatenate([function(places[start : start + BLOCK]) for start in blocks])
    return np.ascontiguousarray(mapped)


class Made:
    """What training may ask of generated images beside their arrays, in arrays of a library.

    Args:
        library: numpy or torch.
        put: makes an array of it, on a device say, of NumPy's.
    """

    def __init__(self, settings: Manifold, library: Any, put: Put) -> None:
        self._settings, self._library, self._put = settings, library, put
        self._picture = picture_of(settings, library, put)
        self._score = scores_of(settings, library, put)

    def scores(self) -> tuple[Arrays, Arrays]:
        """The scores, (n, classes), of the training and of the test images."""
        train, test = (self._score(self._put(places)) for places in _places(self._settings))
        return train, test

    def fresh(self, epoch: int) -> tuple[Arrays, Arrays]:
        """Other training images, as many, and their scores; those of each epoch, from 1, differ."""
        s = self._settings
        places = self._put(_generator(s.seed, 3, epoch).random((s.train, s.dimension)))
        blocks = range(0, len(places), BLOCK)
        pictures = [self._picture(places[start : start + BLOCK]) for start in blocks]
        return self._library.concatenate(pictures), self._score(places)


def picture_of(
    settings: Manifold, library: Any = np, put: Put = np.asarray
) -> Callable[[Arrays], Arrays]:
    """The map from places, (n, d), to images, (n, 32, 32, 3); arguments as of `Made`."""
    draw = _generator(settings.seed, 1)
    height, width, channels = CIFAR
    modes = _modes()
    waves = channels * modes.shape[1]
    across = np.linalg.qr(draw.standard_normal((waves, settings.dimension)))[0].T
    turns = put(across * math.sqrt(waves) * BEND * rate(BENDS, settings.dimension))
    phases = put(draw.uniform(0, 2 * math.pi, waves))
    amplitude = CONTRAST * math.sqrt(2 / modes.shape[1])
    cosines, sines = (put(each) for each in modes)

    def picture(places: Arrays) -> Arrays:
        angles = (places @ turns + phases).reshape(len(places), channels, -1)
        planes = library.cos(angles) @ cosines - library.sin(angles) @ sines
        levels = library.round(library.clip(127.5 + amplitude * planes, 0, 255))
        planes = library.asarray(levels, dtype=library.uint8)
        return library.moveaxis(planes.reshape(-1, channels, height, width), 1, 3)

    return picture


def label_of(settings: Manifold) -> Callable[[Places], UInt8]:
    """The map from places, (n, d), to labels, (n,)."""
    scores = scores_of(settings)
    return lambda places: scores(places).argmax(axis=1).astype(np.uint8)


def scores_of(
    settings: Manifold, library: Any = np, put: Put = np.asarray
) -> Callable[[Arrays], Arrays]:
    """The map from places to the functions whose largest is the label: (n, classes), each of mean 0
    and variance 1 over the cube. Arguments as of `Made`."""
    draw = _generator(settings.seed, 2)
    dimension = settings.dimension
    waves = draw.standard_normal((dimension, FEATURES)) * rate(settings.patches, dimension)
    phases = draw.uniform(0, 2 * math.pi, FEATURES)
    weights = draw.standard_normal((FEATURES, CLASSES))
    reference = np.cos(draw.random((REFERENCE, dimension)) @ waves + phases) @ weights
    mean, spread = put(reference.mean(axis=0)), put(reference.std(axis=0))
    waves, phases, weights = put(waves), put(phases), put(weights)
    return lambda places: (library.cos(places @ waves + phases) @ weights - mean) / spread


def _modes() -> Floats:
    """Cosines and sines of the image's lowest Fourier modes, (2, modes, 1024)."""
    height, width, _ = CIFAR
    waves = [
        (u, v)
        for u in range(CYCLES + 1)
        for v in range(-CYCLES, CYCLES + 1)
        if (u, v) > (0, 0) and u**2 + v**2 <= CYCLES**2
    ]
    rows, columns = np.mgrid[:height, :width].reshape(2, -1)
    angles = [2 * math.pi * (u * rows / height + v * columns / width) for u, v in waves]
    return np.stack([np.cos(angles), np.sin(angles)])


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
