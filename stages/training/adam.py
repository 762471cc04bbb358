"""Adam and AdamW: the settings, and PyTorch's optimizer for one replica.

Kingma & Ba (2015); Loshchilov & Hutter (2019). `stages/training/kernels.py` holds the same update
for many replicas at once; the two agree to float rounding.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim.adam import adam as update

if TYPE_CHECKING:  # engines also run where there are no params
    from stages.base.params import Training

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""PyTorch's defaults, which both papers and the replication notebook keep."""


@dataclass(frozen=True)
class Adam:
    """What the update depends on; `decoupled` weight decay is AdamW's."""

    learning_rate: float
    weight_decay: float
    decoupled: bool

    @classmethod
    def of(cls, training: "Training") -> "Adam":
        """The optimizer that a section of params names."""
        return cls(training.learning_rate, training.weight_decay, training.optimizer == "adamw")

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> "Optimizer":
        """PyTorch's optimizer, all tensors updated in one call."""
        return Optimizer(self, list(parameters))

    def rates(self, steps: int, *, falling: bool = False) -> npt.NDArray[np.float64]:
        """The learning rate of each step; a falling one goes linearly to 0 after the last."""
        shares = 1 - np.arange(steps) / steps if falling else np.ones(steps)
        return self.learning_rate * shares

    def schedule(
        self, steps: int, rates: npt.NDArray[np.float64] | None = None
    ) -> npt.NDArray[np.float32]:
        """Both bias corrections of each step, (steps, 2): lr / (1 - b1^t), 1 / sqrt(1 - b2^t).

        `rates` are those of the steps, if not always the learning rate.
        """
        t = np.arange(1, steps + 1, dtype=np.float64)
        first = (self.learning_rate if rates is None else rates) / (1 - BETA1**t)
        second = 1 / np.sqrt(1 - BETA2**t)
        return np.stack([first, second], axis=1).astype(np.float32)


class Optimizer:
    """`torch.optim.Adam` or `AdamW` to the bit, by PyTorch's function in place of its class.

    The class imports PyTorch's compiler, which takes 2 s, and longer for a step of a small network.
    """

    def __init__(self, settings: Adam, parameters: list[nn.Parameter]) -> None:
        self.settings = settings
        self.parameters = parameters
        self._means = [torch.zeros_like(p) for p in parameters]
        self._squares = [torch.zeros_like(p) for p in parameters]
        self._steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in parameters]

    @property
    def state(self) -> list[torch.Tensor]:
        """All that the next step depends on beside the gradients, the parameters among it."""
        return [*self.parameters, *self._means, *self._squares, *self._steps]

    @property
    def taken(self) -> int:
        """The steps that it has taken."""
        return int(self._steps[0])

    @torch.no_grad()
    def step(
        self, rate: float | Tensor | None = None, gradients: list[Tensor] | None = None
    ) -> None:
        """Update the parameters by their gradients, or by those that are given.

        Args:
            rate: the learning rate, if it is not the one of the settings; on a GPU a tensor there.
        """
        update(
            self.parameters,  # type: ignore[arg-type]
            gradients or [p.grad for p in self.parameters],  # type: ignore[misc]
            self._means,
            self._squares,
            [],
            self._steps,
            fused=True,
            decoupled_weight_decay=self.settings.decoupled,
            amsgrad=False,
            beta1=BETA1,
            beta2=BETA2,
            lr=self.settings.learning_rate if rate is None else rate,
            weight_decay=self.settings.weight_decay,
            eps=EPSILON,
            maximize=False,
        )

    @torch.no_grad()
    def reset(self) -> None:
        """Forget the moments and the number of steps."""
        for tensor in (*self._means, *self._squares, *self._steps):
            tensor.zero_()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None
