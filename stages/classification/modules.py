"""Networks of one's own: the file that holds one, what it must be, and its initial weights.

A network is a file of stages/networks with a class `Network(width, shape, classes)`, a PyTorch
module. `shape` is (channels, rows, columns) of an image, and the class attribute `last_hidden`
names the layer whose output, before its ReLU, is the last hidden layer. docs/network.md adds one.
"""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from stages.base.errors import InputError
from stages.base.params import InitialWeights

FOLDER = Path(__file__).parents[1] / "networks"
PACKAGE = "stages.networks"
PROBE = 2
"""Random images that a network is tried on."""
M = TypeVar("M", bound=nn.Module)


class Kind:
    """A class of networks, at the shape of its images and the number of classes.

    Raises:
        InputError: there is no such file, it has no class `Network`, or that names no layer.
    """

    def __init__(self, name: str, shape: tuple[int, int, int], classes: int) -> None:
        self.name, self.shape, self.classes = name, shape, classes
        self._where = f"stages/networks/{name}.py"
        try:
            module = importlib.import_module(f"{PACKAGE}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{PACKAGE}.{name}":
                raise InputError(f"{self._where}: {error}; install it") from None
            known = sorted({path.stem for path in FOLDER.glob("*.py")} - {"__init__"})
            there = ", ".join(known)
            raise InputError(f"{self._where}: no such network; there is {there}") from None
        except Exception as error:
            raise InputError(f"{self._where}: cannot be imported ({_reason(error)})") from None
        self._class: Any = getattr(module, "Network", None)
        if not (isinstance(self._class, type) and issubclass(self._class, nn.Module)):
            raise InputError(f"{self._where}: no class Network(nn.Module); docs/network.md has one")
        self.last_hidden: Any = getattr(self._class, "last_hidden", None)
        if not isinstance(self.last_hidden, str):
            raise InputError(
                f"{self._where}: Network does not name its last hidden layer; add the class "
                'attribute last_hidden = "NAME", a layer that forward calls'
            )

    def build(self, width: int) -> nn.Module:
        """A network of a width, its weights drawn from PyTorch's generator.

        Raises:
            InputError: the class takes no such width and images.
        """
        try:
            network: nn.Module = self._class(width, self.shape, self.classes)
        except Exception as error:
            wanted = f"Network({width}, {self.shape}, {self.classes})"
            raise InputError(f"{self._where}: {wanted} fails: {_reason(error)}") from None
        return network

    def initial(self, width: int, seed: int, weights: InitialWeights = "pytorch") -> nn.Module:
        """The network that training starts from."""
        return initial(lambda: self.build(width), seed, weights)

    def parameters(self, width: int) -> int:
        """N: the trained parameters of a width."""
        with torch.random.fork_rng(devices=[]):
            return sum(p.numel() for p in self.build(width).parameters() if p.requires_grad)

    def check(self, widths: Sequence[int], batch: int = PROBE) -> None:
        """See that networks of these widths can be trained and measured.

        `batch` is how few images a batch has, which batch statistics may be too few for.

        Raises:
            InputError: N does not grow with width, or a network fails on an image, gives no logits,
                does not call its last hidden layer, draws random numbers, has parameters that do
                nothing, or is not of 32-bit numbers.
        """
        ordered = sorted(widths)
        counts = [self.parameters(width) for width in ordered]
        for i in range(1, len(ordered)):
            if counts[i] <= counts[i - 1]:
                raise InputError(
                    f"{self._where}: N must grow with width: {counts[i - 1]:,} parameters at width "
                    f"{ordered[i - 1]}, {counts[i]:,} at {ordered[i]}"
                )
        for width in (ordered[0], ordered[-1]):
            if fault := self._fault(self.initial(width, seed=0), min(batch, PROBE)):
                raise InputError(f"{self._where}: at width {width} {fault}")

    def _fault(self, network: nn.Module, count: int) -> str:
        """What is wrong with a network, as it shows on random images."""
        if self.last_hidden not in dict(network.named_modules()):
            known = ", ".join(name for name, _ in network.named_modules() if name)
            return f"there is no layer {self.last_hidden!r}, its last_hidden; there is {known}"
        if odd := [name for name, p in network.named_parameters() if p.dtype != torch.float32]:
            return f"the parameters {', '.join(odd)} are not float32"
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(count, *self.shape, generator=generator)
        before = torch.get_rng_state()
        try:
            with torch.enable_grad():
                hidden, logits = watched(network, self.last_hidden, images)
                if logits.shape != (count, self.classes):
                    wanted = (count, self.classes)
                    return f"the logits are {tuple(logits.shape)}, not {wanted}, of {count} images"
                trained = {n: p for n, p in network.named_parameters() if p.requires_grad}
                gradients = torch.autograd.grad(
                    logits.logsumexp(1).sum(), list(trained.values()), allow_unused=True
                )
        except Exception as error:
            return f"forward or backward of a batch of {count} fails: {_reason(error)}"
        if hidden is None:
            return f"forward does not call {self.last_hidden!r}, its last_hidden"
        if not torch.equal(before, torch.get_rng_state()):
            torch.set_rng_state(before)
            return (
                "forward draws random numbers (dropout?), which the engine has none of: without it"
            )
        if unused := [n for n, g in zip(trained, gradients, strict=True) if g is None]:
            return f"the parameters {', '.join(unused)} do nothing; remove them"
        return ""


def watched(network: nn.Module, layer: str, images: Tensor) -> tuple[Tensor | None, Tensor]:
    """What a layer of a network gives for images, flat (n, units), and the logits.

    None where the layer is not called.
    """
    seen: list[Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(
        lambda module, inputs, output: seen.append(
            output.flatten(1).clone()
        )  # a ReLU may be in place
    )
    try:
        logits: Tensor = network(images)
    finally:
        hook.remove()
    return (seen[-1] if seen else None), logits


def initial(build: Callable[[], M], seed: int, weights: InitialWeights) -> M:
    """A network that training starts from, by the defaults of PyTorch or of Keras, from `seed`.

    Those of Keras: Glorot's uniform weights, of variance 2 / (inputs + outputs), and zero biases,
    of convolutions and linear layers. They are drawn on the CPU, so they are the same whatever
    trains them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build()
        if weights == "keras":
            for layer in network.modules():
                if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
                    nn.init.xavier_uniform_(layer.weight)
                    if layer.bias is not None:
                        nn.init.zeros_(layer.bias)
    return network


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
