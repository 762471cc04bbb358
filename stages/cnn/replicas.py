"""Replicas of one network, trained side by side on a GPU: a step of all of them is one graph.

The counterpart of stages/cnn/one.py, which trains one replica on the CPU.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import triton
from torch import Tensor

from stages.base.params import CnnSweep
from stages.classification import draws, splits
from stages.classification.history import History, Report, Run, Tensors, Trained
from stages.classification.splits import Data, Split
from stages.cnn import kernels
from stages.cnn.fused import Fused
from stages.cnn.network import initial
from stages.images.arrays import CLASSES, Images
from stages.networks.cnn import HIDDEN, Network
from stages.training import device as devices
from stages.training import kept
from stages.training.adam import Adam
from stages.training.kernels import Launcher, Layer, Weights

CHUNKS = 16
"""Chunks of a batch over which a convolution's weight gradient is summed in parallel."""
CROP_BLOCK = 1024
CONV1_CELLS, CONV1_WEIGHT_CELLS, CONV1_WEIGHT_K = 64, 32, 16
CONV2_CELLS, CONV2_PIXELS, CONV2_WEIGHT_ROWS = 64, 256, 32
CONV3_ROWS, CONV3_WEIGHT_ROWS = 64, 32
HEAD_ROWS, LINEAR1_K, LINEAR1_ROWS = 16, 32, 16
K = 32
"""How the kernels tile their work, the fastest of what was measured at n = 1, 5, 12 and 20."""
WARPS_STAGES = {
    "conv1_forward": (2, 1),
    "conv2_forward": (4, 1),
    "conv3_backward_weight": (2, 1),
    "conv2_backward_weight": (1, 1),
    "conv2_backward_input": (8, 3),
    "conv1_backward_weight": (1, 1),
}
"""Warps of a program and stages of its pipeline, likewise; the other kernels have 4 and 3."""


class Pass:
    """An epoch over some images for R replicas: its draws, its counter, its results per image.

    Attributes:
        arguments: buffers and sizes, by the names that the kernels give them.
    """

    def __init__(self, images: Split, batch: int, replicas: int) -> None:
        device = images.pixels.device
        self.images, self.batch = images, batch
        self.steps = -(-len(images) // batch)
        self.draws = torch.zeros(replicas, len(images), dtype=torch.int32, device=device)
        self.step = torch.zeros((), dtype=torch.int32, device=device)
        self.losses = torch.zeros(replicas, len(images), device=device)
        self.correct = torch.zeros(replicas, len(images), dtype=torch.uint8, device=device)
        self.arguments: dict[str, Any] = {
            "pixels": images.pixels, "labels": images.labels, "images": len(images),
            "draws": self.draws, "step": self.step,
            "losses": self.losses, "correct": self.correct,
            "SOFT": images.soft is not None,
            "soft": images.labels if images.soft is None else images.soft,
        }  # fmt: skip

    def begin(self, order: Sequence[draws.Draws]) -> None:
        """Set each replica's draws, and start over."""
        values = torch.from_numpy(np.stack(order))
        if self.draws.is_cuda:
            values = values.pin_memory()
        self.draws.copy_(values, non_blocking=True)
        self.step.zero_()


class Results:
    """An epoch's losses and hits of each image, on their way to the host while the device goes on.

    Means are taken on the host, row by row: a GPU's order of summation may depend on the number of
    replicas.
    """

    def __init__(self, epoch: Pass) -> None:
        self._batch = epoch.batch
        self._values = [
            value.to("cpu", non_blocking=True, copy=True) for value in (epoch.losses, epoch.correct)
        ]
        self._arrived = torch.cuda.Event() if epoch.losses.is_cuda else None
        if self._arrived is not None:
            self._arrived.record()

    def means(self, *, over_batches: bool) -> tuple[np.ndarray, np.ndarray]:
        """Loss (nats) and accuracy, (R,) each.

        Means over the images, or over batches, each batch counting equally.
        """
        if self._arrived is not None:
            self._arrived.synchronize()
        losses, correct = (v.numpy().astype(np.float64) for v in self._values)
        if over_batches:
            return self._over_batches(losses), self._over_batches(correct)
        return losses.mean(1), correct.mean(1)

    def _over_batches(self, values: np.ndarray) -> np.ndarray:
        replicas, images = values.shape
        short = images % self._batch
        means = values[:, : images - short].reshape(replicas, -1, self._batch).mean(2)
        if short:
            means = np.hstack([means, values[:, -short:].mean(1, keepdims=True)])
        over: np.ndarray = means.mean(1)
        return over


class Replicas:
    """R networks of one width in training, and the captured steps that advance all of them."""

    def __init__(
        self,
        sweep: CnnSweep,
        width: int,
        replicas: int,
        data: Data,
        classes: int = CLASSES,
    ) -> None:
        self.width, self.batch, self.classes = width, sweep.batch_size, classes
        self._device = data.train.pixels.device
        low, high = sweep.input_range
        chunk = max(1, self.batch // CHUNKS)
        self._chunks = -(-self.batch // chunk)
        self._heads = -(-self.batch // HEAD_ROWS)
        layers = [
            Layer("conv1", 28 * width, self._chunks),
            Layer("conv2", 18 * width**2 + 2 * width, self._chunks),
            Layer("conv3", 36 * width**2 + 2 * width, self._chunks),
            Layer("linear1", 72 * width * HIDDEN + HIDDEN, 1),
            Layer("linear2", (HIDDEN + 1) * self.classes, self._heads),
        ]
        self.weights = Weights(layers, replicas, self._device)

        def buffer(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(replicas, self.batch, *size, dtype=dtype, device=self._device)

        self._fused = None
        if sweep.precision == "float16":
            self._fused = Fused(width, self.batch, chunk, self.weights, self._device)
        self._a, self._b = a, b = _padded(width), _padded(2 * width)
        sizes = (width, 2 * width, self.classes)
        n, m, logits = (max(16, triton.next_power_of_2(size)) for size in sizes)
        self._arguments = self.weights.arguments | {
            "batch": self.batch, "width": width, "low": low, "scale": (high - low) / 255,
            "hidden3": buffer(6, 6, 2 * width), "gradient3": buffer(10, 10, b),
            "gradient4": buffer(HIDDEN),
            "N": n, "M": m, "CLASSES": self.classes, "LOGITS": logits, "CHUNK": chunk,
            "PRECISION": "ieee" if sweep.precision == "float32" else "tf32",
        }  # fmt: skip
        if self._fused is None:
            self._arguments |= {
                "inputs": buffer(34, 34, 4),
                "hidden1": buffer(18, 18, a), "gradient1": buffer(16, 16, a),
                "hidden2": buffer(8, 8, b), "gradient2": buffer(18, 18, b),
                "place1": buffer(16, 16, a, dtype=torch.uint8),
                "place2": buffer(8, 8, b, dtype=torch.uint8),
            }  # fmt: skip

        self._optimizer = Adam.of(sweep)
        evaluated = {"evaluation": data.train} if sweep.evaluate_training else {}
        seen = {"training": data.train} | evaluated | {"validation": data.validation}
        self.passes = {name: Pass(images, self.batch, replicas) for name, images in seen.items()}
        rates = splits.rates(sweep, data)
        schedule = self._optimizer.schedule(len(rates), rates)
        self._schedule = torch.from_numpy(schedule).to(self._device)
        self._branch = devices.Branch(self._device)
        self._done = torch.zeros((), dtype=torch.int32, device=self._device)
        self.steps = {
            name: devices.captured(partial(self._step, name), self._device) for name in self.passes
        }

    def load(self, networks: Sequence[Network]) -> None:
        """Start training from these networks, one a replica."""
        self.weights.load(torch.stack([flatten(network) for network in networks]))
        self._done.zero_()

    @property
    def state(self) -> list[Tensor]:
        """All that the next epoch depends on."""
        return [self.weights.values, self.weights.moments, self._done]

    def network(self, replica: int) -> Network:
        """The replica's present weights as the reference network, on the CPU."""
        return unflatten(self.weights.values[replica].cpu(), self.width, self.classes)

    def _step(self, name: str) -> None:
        epoch, train = self.passes[name], name == "training"
        self._forward(epoch, train=train)
        if train:
            self._backward(epoch)
            self.weights.update(self._optimizer, self._schedule, self._done)
            self._done += 1
        epoch.step += 1

    def _launcher(self, p: Pass) -> Launcher:
        return Launcher(len(self.weights.values), self._arguments | p.arguments, WARPS_STAGES)

    def _forward(self, p: Pass, *, train: bool) -> None:
        launch, offsets = self._launcher(p), self.weights.offsets
        if self._fused is None:
            self._convolve(launch)
        else:
            self._fused.forward(self._arguments | p.arguments, train=train)
        launch(
            kernels.head, (self._heads,), offset1=offsets["linear1"], offset2=offsets["linear2"],
            offset_partials=self.weights.partial_offsets["linear2"],
            K=LINEAR1_K, ROWS=HEAD_ROWS, TRAIN=train,
        )  # fmt: skip

    def _convolve(self, launch: Launcher) -> None:
        batch, offsets = self.batch, self.weights.offsets
        launch(kernels.crop, (batch * kernels.IMAGE.value // CROP_BLOCK,), BLOCK=CROP_BLOCK)
        launch(
            kernels.conv1_forward, (batch * kernels.AREA1.value // CONV1_CELLS,), CELLS=CONV1_CELLS
        )
        launch(
            kernels.conv2_forward, (batch * kernels.AREA2.value // CONV2_CELLS,),
            offset=offsets["conv2"], K=K, CELLS=CONV2_CELLS,
        )  # fmt: skip
        launch(
            kernels.conv3_forward, (-(-batch * kernels.AREA3.value // CONV3_ROWS),),
            offset=offsets["conv3"], K=K, ROWS=CONV3_ROWS,
        )  # fmt: skip

    def _backward(self, p: Pass) -> None:
        launch, batch, chunks = self._launcher(p), self.batch, self._chunks
        offsets, partial_offsets = self.weights.offsets, self.weights.partial_offsets
        launch(
            kernels.linear1_backward, (-(-72 * self.width // LINEAR1_K),),
            offset=offsets["linear1"], offset_partials=partial_offsets["linear1"],
            K=LINEAR1_K, ROWS=LINEAR1_ROWS,
        )  # fmt: skip
        if self._fused is not None:
            self._fused.backward(self._arguments | p.arguments)
            return
        with self._branch():
            launch(
                kernels.conv3_backward_weight, (chunks, -(-9 * self._b // K)),
                offset_partials=partial_offsets["conv3"], K=K, ROWS=CONV3_WEIGHT_ROWS,
            )  # fmt: skip
        launch(kernels.conv3_backward_input, (batch,), offset=offsets["conv3"], K=K)
        with self._branch():
            launch(
                kernels.conv2_backward_weight, (chunks, -(-9 * self._a // K)),
                offset_partials=partial_offsets["conv2"], K=K, ROWS=CONV2_WEIGHT_ROWS,
            )  # fmt: skip
        launch(
            kernels.conv2_backward_input, (batch * kernels.AREA1.value // CONV2_PIXELS,),
            offset=offsets["conv2"], K=K, PIXELS=CONV2_PIXELS,
        )  # fmt: skip
        launch(
            kernels.conv1_backward_weight, (chunks, -(-36 // CONV1_WEIGHT_K)),
            offset_partials=partial_offsets["conv1"], K=CONV1_WEIGHT_K, CELLS=CONV1_WEIGHT_CELLS,
        )  # fmt: skip
        self._branch.join()


def _padded(channels: int) -> int:
    return (channels + 3) // 4 * 4


def flatten(network: Network) -> Tensor:
    """The weights as the kernels want them: of each layer (taps, in, out), then the bias."""
    n = network.conv1.out_channels
    linear1 = network.linear1.weight.view(HIDDEN, 2 * n, 36).permute(2, 1, 0)
    matrices = [
        (network.conv1.weight.permute(2, 3, 1, 0), network.conv1.bias),
        (network.conv2.weight.permute(2, 3, 1, 0), network.conv2.bias),
        (network.conv3.weight.permute(2, 3, 1, 0), network.conv3.bias),
        (linear1, network.linear1.bias),
        (network.linear2.weight.T, network.linear2.bias),
    ]
    return torch.cat([t.detach().reshape(-1) for pair in matrices for t in pair if t is not None])


def unflatten(values: Tensor, width: int, classes: int = CLASSES) -> Network:
    """The inverse of `flatten`."""
    n, m = width, 2 * width
    shapes = [(3, 3, 3, n), (n,), (3, 3, n, m), (m,), (3, 3, m, m), (m,)]
    shapes += [(36, m, HIDDEN), (HIDDEN,), (HIDDEN, classes), (classes,)]
    sizes = [math.prod(shape) for shape in shapes]
    parts = [t.view(shape) for t, shape in zip(values.split(sizes), shapes, strict=True)]
    network = initial(width, seed=0, classes=classes)
    state = dict(zip(network.state_dict(), parts, strict=True))
    for name, value in state.items():
        if name.startswith("conv") and value.dim() == 4:
            state[name] = value.permute(3, 2, 0, 1)
    state["linear1.weight"] = state["linear1.weight"].permute(2, 1, 0).reshape(HIDDEN, -1)
    state["linear2.weight"] = state["linear2.weight"].T
    network.load_state_dict({name: value.contiguous() for name, value in state.items()})
    return network


class Best:
    """The weights of some replicas at their best epoch so far: `values`, (rows, N), on the device.

    Which epoch is the best is known only while the device is at the next one. So an epoch's weights
    are copied at its end, before that begins, and the host waits for nothing.
    """

    def __init__(self, replicas: Replicas, rows: Sequence[int]) -> None:
        self.rows, self._all = rows, replicas.weights.values
        self._index = torch.tensor(rows, dtype=torch.int64, device=self._all.device)
        self.values = self.now()

    def now(self) -> Tensor:
        """A copy of the present weights, (rows, N)."""
        copied: Tensor = self._all.index_select(0, self._index)
        return copied

    def take(self, weights: Tensor, better: np.ndarray) -> None:
        """Keep the rows of some weights that are better than those so far."""
        for i in np.flatnonzero(better).tolist():
            self.values[i].copy_(weights[i])


def train(
    sweep: CnnSweep,
    width: int,
    seeds: Sequence[int],
    images: Images,
    device: torch.device,
    report: Report,
    keeping: kept.Kept = kept.NOWHERE,
) -> Trained[Network]:
    """Train the seeds side by side, in groups that fit the device's memory.

    Raises:
        InputError: not even one replica fits the device.
    """
    data = splits.data(sweep, images, device)

    def build(replicas: int) -> Replicas:
        return Replicas(sweep, width, replicas, data, images.classes)

    sizes = [len(seeds)]
    if device.type == "cuda":
        sizes = devices.groups(len(seeds), build, f"width {width}, batch {sweep.batch_size}")
    history = History([Run(width, seed) for seed in seeds], sweep.epochs)
    networks: dict[int, Network] = {}
    bests: dict[int, Tensors] = {}

    def record(
        first: int, best: Best, epoch: int, results: dict[str, Results], weights: Tensor
    ) -> None:
        found = {n: r.means(over_batches=n == "training") for n, r in results.items()}
        losses, _ = found["training"]
        history.record(slice(first, first + len(losses)), epoch, found)
        best.take(weights, history.improved([first + row for row in best.rows], epoch))
        report(len(losses), float(losses.mean()))

    at = 0
    for size in sizes:
        group = range(at, at + size)
        replicas = build(size)
        replicas.load(
            [initial(width, seeds[i], images.classes, sweep.initial_weights) for i in group]
        )
        ours = [row for row in range(size) if seeds[at + row] < sweep.weights_seeds]
        best = Best(replicas, ours if sweep.best_weights else [])
        kept_run = keeping.run(
            f"{width}-{seeds[at]}-{size}",
            [*replicas.state, *history.state(slice(at, at + size)), best.values],
            sweep.epochs,
            size,
        )
        done = kept_run.done
        orders = _orders(replicas, sweep, [seeds[i] for i in group], done + 1)
        before: tuple[dict[str, Results], Tensor] | None = None
        for epoch in range(done + 1, sweep.epochs + 1):
            if data.fresh is not None:
                data.train.set(data.fresh(epoch))
            results = _launch_epoch(replicas, orders), best.now()
            # while the device works: the draws of the next epoch, the means of the one before
            if epoch < sweep.epochs:
                orders = _orders(replicas, sweep, [seeds[i] for i in group], epoch + 1)
            if before is not None:
                record(at, best, epoch - 1, *before)
            before = results
            if epoch == sweep.epochs or kept_run.due(epoch):
                record(at, best, epoch, *results)  # now: what is kept has its history
                kept_run.keep(epoch)
                before = None
        networks |= {at + row: replicas.network(row) for row in {0, *ours}}
        for row, values in zip(best.rows, best.values.cpu(), strict=True):
            bests[at + row] = unflatten(values, width, images.classes).state_dict()
        at += size
        del replicas, best  # before the next group takes its memory
    return Trained.of(history, networks, bests, sweep.weights_seeds)


Orders = dict[str, list[draws.Draws]]


def _orders(replicas: Replicas, sweep: CnnSweep, seeds: Sequence[int], epoch: int) -> Orders:
    """The draws of an epoch, of each replica, by pass."""
    of = {
        "training": lambda count, seed: draws.shuffled(count, seed, epoch, sweep.augment),
        "evaluation": lambda count, seed: draws.in_order(count),
        "validation": lambda count, seed: draws.validation(
            count, seed, epoch, sweep.augment_validation
        ),
    }
    return {
        name: [of[name](len(each.images), seed) for seed in seeds]
        for name, each in replicas.passes.items()
    }


def _launch_epoch(replicas: Replicas, orders: Orders) -> dict[str, Results]:
    """Train for an epoch, then evaluate."""
    for name, epoch in replicas.passes.items():
        epoch.begin(orders[name])
        for _ in range(epoch.steps):
            replicas.steps[name]()
    return {name: Results(epoch) for name, epoch in replicas.passes.items()}
