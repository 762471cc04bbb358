"""What Numba compiles for training a student on a CPU: its steps on some batches, in one call.

Activations lie by unit, then sample: loops over samples become vector instructions, and so do the
products of matrices, which are BLAS's. A call holds no lock: other threads run beside it.
"""
# mypy: ignore-errors
# What is compiled here is typed by its signature.

import numpy as np
from numba import njit

from stages.training.adam import BETA1, BETA2, EPSILON

TILE = 1000
"""Samples whose activations are held at once: of 106 units, they fit a core's cache."""


def _signatures(pattern):
    return [pattern.replace("real", precision) for precision in ("float32", "float64")]


@njit(
    _signatures("void(real[::1], real[::1], float64, real)"),
    nogil=True, cache=True, fastmath={"nsz"},
)  # fmt: skip
def _slopes(values, targets, exponent, share):
    """Replace values by the derivatives of losses by them, times a sample's share in the mean."""
    real = values.dtype.type
    if exponent == 0:
        for i in range(len(values)):
            values[i] = (real(1) / (real(1) + np.exp(-values[i])) - targets[i]) * share
    elif exponent == 2:
        for i in range(len(values)):
            values[i] = (values[i] - targets[i]) * (real(2) * share)
    else:
        for i in range(len(values)):
            error = values[i] - targets[i]
            slope = abs(error) ** real(exponent - 1) * (real(exponent) * share)
            values[i] = np.sign(error) * slope


@njit(
    _signatures(
        "void(real[:, :, ::1], real[:, ::1], int64, float64, real[:, ::1], real[::1], real[:, ::1])"
    ),
    nogil=True, cache=True, fastmath={"reassoc", "nsz"},
)  # fmt: skip
def train(inputs, targets, width, exponent, schedule, values, moments):
    """Take a step for each batch.

    Args:
        inputs, targets: (steps, batch, seen) and (steps, batch).
        width: of the student.
        exponent: the p of the mean |error|^p; 0 for the divergence, of targets as probabilities.
        schedule: Adam's corrections of each step, (steps, 2); see `Adam.schedule`.
        values, moments: (N,) and (2, N), which change.
    """
    real = values.dtype.type
    zero = real(0)
    steps, batch, seen = inputs.shape
    n = width
    at_bias1 = seen * n
    at2 = at_bias1 + n
    at_bias2 = at2 + n * n
    at3 = at_bias2 + n
    outputs = (len(values) - at3) // (n + 1)
    last = at3 + (outputs - 1) * n
    at_bias3 = last + n
    gradient = np.empty_like(values)
    weights1, slopes1 = values[:at_bias1].reshape(seen, n), gradient[:at_bias1].reshape(seen, n)
    weights2, slopes2 = values[at2:at_bias2].reshape(n, n), gradient[at2:at_bias2].reshape(n, n)
    product1, product2 = np.empty_like(slopes1), np.empty_like(slopes2)
    weights3, slopes3 = np.empty(n, values.dtype), gradient[last:at_bias3]

    tile = min(batch, TILE)
    held, held_last = (
        np.empty((3, n, tile), values.dtype),
        np.empty((3, n, batch % tile), values.dtype),
    )
    for step in range(steps):
        gradient[:] = zero
        weights3[:] = values[last:at_bias3]
        bias3 = values[-1]
        if outputs == 2:
            weights3 -= values[at3:last]
            bias3 -= values[-2]
        for start in range(0, batch, tile):
            size = min(tile, batch - start)
            room = held if size == tile else held_last
            hidden1, hidden2, errors1 = room[0], room[1], room[2]
            x = inputs[step, start : start + size]
            contrasts = np.full(size, bias3, values.dtype)
            np.dot(weights1.T, x.T, hidden1)
            for i in range(n):
                for j in range(size):
                    hidden1[i, j] = max(hidden1[i, j] + values[at_bias1 + i], zero)
            np.dot(weights2.T, hidden1, hidden2)
            for i in range(n):
                for j in range(size):
                    hidden = max(hidden2[i, j] + values[at_bias2 + i], zero)
                    hidden2[i, j] = hidden
                    contrasts[j] += hidden * weights3[i]

            _slopes(contrasts, targets[step, start : start + size], exponent, real(1 / batch))
            gradient[-1] += contrasts.sum()
            # from here on the slopes by a layer's sums take the place of its activations
            for i in range(n):
                of_weight = of_bias = zero
                for j in range(size):
                    of_weight += hidden2[i, j] * contrasts[j]
                    slope = contrasts[j] * weights3[i] if hidden2[i, j] > zero else zero
                    hidden2[i, j] = slope
                    of_bias += slope
                slopes3[i] += of_weight
                gradient[at_bias2 + i] += of_bias
            np.dot(hidden1, hidden2.T, product2)
            slopes2 += product2
            np.dot(weights2, hidden2, errors1)
            for i in range(n):
                of_bias = zero
                for j in range(size):
                    slope = errors1[i, j] if hidden1[i, j] > zero else zero
                    errors1[i, j] = slope
                    of_bias += slope
                gradient[at_bias1 + i] += of_bias
            np.dot(x.T, errors1.T, product1)
            slopes1 += product1
        if outputs == 2:
            gradient[at3:last] = -slopes3
            gradient[-2] = -gradient[-1]

        for i in range(len(values)):
            slope = gradient[i]
            moments[0, i] += real(1 - BETA1) * (slope - moments[0, i])
            moments[1, i] = real(BETA2) * moments[1, i] + real(1 - BETA2) * slope * slope
            denominator = np.sqrt(moments[1, i]) * schedule[step, 1] + real(EPSILON)
            values[i] -= schedule[step, 0] * moments[0, i] / denominator
