"""The CUDA kernels against the reference, on a GPU or, where there is none, interpreted.

Triton's interpreter (see conftest.py) runs the same kernels in numpy, in float32: slowly, so the
cases are small. Those in CUDA C++, of precision float16, a C++ compiler makes for the CPU: their
shared memory is filled with NaNs there, so what is read before it is written shows.
"""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.helpers import emulated, plain
from tests.helpers.frozen import FROZEN

pytest.importorskip("triton", reason="PyTorch brings no Triton on this platform")

from stages.base.errors import InputError
from stages.base.params import CnnSweep, Manifold, Snapshot, StudyTraining
from stages.classification import draws, splits
from stages.classification.history import Trained
from stages.cnn import fused, one, replicas
from stages.cnn.network import initial
from stages.images import generated
from stages.images.arrays import Images, open_images
from stages.networks.cnn import Network
from stages.training import device as devices
from stages.training import kernels
from stages.training.adam import Adam
from stages.training.kernels import Launcher, Layer, Weights

SWEEPS = FROZEN.cnn.sweeps
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PRECISIONS = ("float32", "float16")


def sweep(name: str = "notebook", **changes: object) -> CnnSweep:
    small = {"batch_size": 2, "epochs": 1, "precision": "float32"}
    return SWEEPS[name].model_copy(update=small | changes)


def cut(images: Images, train: int, test: int) -> Images:
    return Images(
        images.train_images[:train],
        images.train_labels[:train],
        images.test_images[:test],
        images.test_labels[:test],
    )


@pytest.fixture(autouse=True)
def _large_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few programs and turns of a loop, but not one: the interpreter takes its time over each."""
    if DEVICE.type == "cpu":
        for name, value in {
            "CONV1_CELLS": 128,
            "CONV1_WEIGHT_CELLS": 128,
            "CONV1_WEIGHT_K": 32,
            "CONV2_WEIGHT_ROWS": 128,
            "LINEAR1_K": 256,
            "K": 128,
        }.items():
            monkeypatch.setattr(replicas, name, value)
        monkeypatch.setattr(kernels, "BLOCK", 4096)
        monkeypatch.setattr(fused, "compiled", emulated.compiled)


@pytest.fixture(scope="module")
def images(small_images: Path) -> Images:
    return cut(open_images(small_images), 3, 1)  # a full batch and a short one


def trained(
    s: CnnSweep, width: int, seeds: list[int], images: Images
) -> tuple[replicas.Replicas, dict[str, replicas.Results]]:
    """The state after one epoch, and the results of its passes."""
    data = splits.data(s, images, DEVICE)
    engine = replicas.Replicas(s, width, len(seeds), data, images.classes)
    engine.load([initial(width, seed, images.classes, s.initial_weights) for seed in seeds])
    orders = replicas._orders(engine, s, seeds, epoch=1)
    return engine, replicas._launch_epoch(engine, orders)


@pytest.mark.parametrize(("width", "classes"), [(1, 10), (3, 100), (20, 10)])
def test_flattened_weights_come_back(width: int, classes: int) -> None:
    network = initial(width, 0, classes)
    back = replicas.unflatten(replicas.flatten(network), width, classes)
    for ours, theirs in zip(back.parameters(), network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("name", "width", "classes"), [("notebook", 3, 100), ("paper", 9, 10)])
def test_an_epoch_agrees_with_the_reference_to_rounding(
    name: str, width: int, classes: int, images: Images
) -> None:
    changes = {"augment_validation": True} if name == "notebook" else {"initial_weights": "keras"}
    s = sweep(name, evaluate_training=name == "paper", **changes)
    images = replace(images, classes=classes)
    engine, results = trained(s, width, [5], images)
    reference = plain.Replica(s, width, seed=5, classes=classes)
    pixels, labels = (
        torch.from_numpy(np.array(a)) for a in (images.train_images, images.train_labels)
    )
    order = draws.shuffled(len(pixels), 5, 1, s.augment)
    expected = reference.epoch(pixels, labels, order, train=True)
    got = [value[0] for value in results.pop("training").means(over_batches=True)]
    assert got == pytest.approx(expected, rel=1e-5)
    if s.evaluate_training:
        order = draws.validation(len(pixels), 5, 1, False)
        expected = reference.epoch(pixels, labels, order, train=False)
        got = [value[0] for value in results.pop("evaluation").means(over_batches=False)]
        assert got == pytest.approx(expected, rel=1e-5)
    pixels, labels = (
        torch.from_numpy(np.array(a)) for a in (images.test_images, images.test_labels)
    )
    order = draws.validation(len(pixels), 5, 1, s.augment_validation)
    expected = reference.epoch(pixels, labels, order, train=False)
    got = [value[0] for value in results.pop("validation").means(over_batches=False)]
    assert got == pytest.approx(expected, rel=1e-5)
    assert not results
    torch.testing.assert_close(
        engine.weights.values[0].cpu(), replicas.flatten(reference.network), rtol=1e-3, atol=1e-4
    )


def test_soft_labels_fresh_images_and_a_falling_rate_are_those_of_the_cpus_loop() -> None:
    made = generated.images(Manifold(dimension=2, seed=0, patches=9, train=3, test=2))
    beyond = {"label_temperature": 0.5, "fresh_images": True, "schedule": "linear"}
    s = StudyTraining(**sweep("paper", epochs=3, learning_rate=0.01).model_dump() | beyond)
    ours = replicas.train(s, 2, [1], made, DEVICE, lambda *_: None)
    theirs = one.train(s, 2, [1], made, lambda *_: None)
    for metric, values in theirs.history.values.items():
        np.testing.assert_allclose(ours.history.values[metric], values, rtol=1e-3, err_msg=metric)
    assert ours.history.values["validation_loss"].max() < np.log(10)  # less the labels' entropy
    state = theirs.networks[2].state_dict()
    for key, value in ours.networks[2].state_dict().items():
        torch.testing.assert_close(value, state[key], rtol=1e-2, atol=1e-3)


def gradients(engine: replicas.Replicas) -> dict[str, Tensor]:
    """Of the first replica's layers in the last step: the sums of their partial ones."""
    weights, starts = engine.weights, engine.weights.partial_offsets
    ends = [*starts.values(), weights.total_partials][1:]
    sizes = np.diff([*weights.offsets.values(), weights.total]).tolist()
    return {
        name: weights.partials[0, start:end].view(-1, size).sum(0).cpu()
        for (name, start), end, size in zip(starts.items(), ends, sizes, strict=True)
    }


def reference_gradients(network: Network) -> dict[str, Tensor]:
    """Of the same layers, as `replicas.flatten` orders their weights."""
    for parameter in network.parameters():
        parameter.data = parameter.grad
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in network.children()]
    parts = replicas.flatten(network).split(sizes)
    return dict(zip(dict(network.named_children()), parts, strict=True))


def error(ours: Tensor, theirs: Tensor) -> float:
    """The norm of the difference, relative."""
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize(
    ("name", "width", "batch", "train"),
    [
        ("notebook", 1, 2, 3),
        ("paper", 3, 11, 16),
        ("notebook", 5, 17, 18),
        ("notebook", 9, 3, 4),
        ("paper", 13, 2, 3),
        ("notebook", 20, 2, 3),
        ("paper", 32, 1, 1),
    ],
)
def test_float16_rounds_where_the_reference_does(
    name: str,
    width: int,
    batch: int,
    train: int,
    small_images: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each step from the weights that it begins with, a full batch and a short one.

    By norms: sums in another order may round one value or choose one maximum otherwise.
    """
    monkeypatch.setattr(replicas, "CHUNKS", 2)  # 5, 5 and 1 of 11 images
    tolerance = 3e-4 if DEVICE.type == "cpu" else 2e-2  # a GPU's linear layers are in TF32
    s = sweep(name, batch_size=batch, precision="float16")
    images = cut(open_images(small_images), train, 1)
    engine = replicas.Replicas(s, width, 1, splits.data(s, images, DEVICE))
    engine.load([initial(width, 5, images.classes, s.initial_weights)])
    scale = fused.RANGE * 2.0 ** np.ceil(np.log2(batch))
    for part, order in replicas._orders(engine, s, [5], epoch=1).items():
        epoch = engine.passes[part]
        epoch.begin(order)
        for start in range(0, len(order[0]), batch):
            network, drawn = engine.network(0), order[0][start : start + batch]
            engine.steps[part]()
            index = drawn & (draws.MAX_IMAGES - 1)
            of = "train" if part == "training" else "test"
            pixels, labels = (getattr(images, f"{of}_{what}") for what in ("images", "labels"))
            x = plain.inputs(s, torch.from_numpy(np.array(pixels)), drawn)
            y = torch.from_numpy(np.array(labels))[index].long()
            losses = F.cross_entropy(plain.rounded_logits(network, x, scale), y, reduction="none")
            got = epoch.losses[0, start : start + batch].cpu()
            torch.testing.assert_close(got, losses.detach(), rtol=tolerance, atol=0)
            if part == "training":
                losses.mean().backward()
                expected = reference_gradients(network)
                for layer, gradient in gradients(engine).items():
                    assert error(gradient, expected[layer]) < tolerance, layer


def test_float16_differs_from_float32_as_its_rounding_does(images: Images) -> None:
    """By its 10 bits of mantissa; before pooling also by maxima that are others when rounded."""
    both = [trained(sweep(batch_size=3, precision=p), 5, [3], images) for p in PRECISIONS]
    float32, float16 = (gradients(engine) for engine, _ in both)
    for name, gradient in float16.items():
        limit = 0.2 if name in ("conv1", "conv2") else 2e-3
        assert 2e-5 < error(gradient, float32[name]) < limit, name


def test_float16_takes_no_network_that_does_not_fit_on_chip(images: Images) -> None:
    with pytest.raises(InputError, match=r"^width 33: .* width 32 at most; set precision to tf32$"):
        trained(sweep(precision="float16"), 33, [0], images)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_replica_is_the_same_to_the_bit_alone_and_beside_others(
    precision: str, images: Images
) -> None:
    s = sweep(precision=precision)
    alone, result = trained(s, 2, [3], images)
    among, results = trained(s, 2, [0, 3], images)
    assert torch.equal(alone.weights.values[0], among.weights.values[1])
    mine, theirs = (r["training"].means(over_batches=True)[0] for r in (result, results))
    assert mine[0] == theirs[1]


def test_an_epochs_results_are_its_own(images: Images) -> None:
    """They are averaged while the next epoch runs."""
    evaluated = {"evaluate_training": True}
    one, two = (
        replicas.train(sweep(epochs=epochs, **evaluated), 1, [3], images, DEVICE, lambda *_: None)
        for epochs in (1, 2)
    )
    for metric, values in two.history.values.items():
        assert values[0, 0] == one.history.values[metric][0, 0], metric
    assert two.history.values["train_loss"][0, 1] != two.history.values["train_loss"][0, 0]


def test_the_best_epochs_weights_are_those_of_a_run_that_ends_there(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one group of replicas and in several; only of the seeds that are asked for."""
    kept = {"weights_seeds": 2, "best_weights": True, "learning_rate": 0.1}

    def train(seeds: list[int], epochs: int = 2, device: Any = DEVICE) -> Trained[Network]:
        s = sweep("paper", epochs=epochs, **kept)
        return replicas.train(s, 1, seeds, images, device, lambda *_: None)

    together = train([0, 1, 2])
    assert together.history.values["validation_loss"][:2].argmin(axis=1).tolist() == [1, 0]
    further = together.further[1]
    assert set(further) == {Snapshot(1), Snapshot(0, "best"), Snapshot(1, "best")}
    ends = {Snapshot(1): train([1]), Snapshot(0, "best"): train([0])}
    ends[Snapshot(1, "best")] = train([1], epochs=1)
    for snapshot, ended in ends.items():
        for name, value in ended.networks[1].state_dict().items():
            assert torch.equal(further[snapshot][name], value), (snapshot, name)

    data = splits.data  # as on a GPU that holds two replicas
    monkeypatch.setattr(splits, "data", lambda s, images, _: data(s, images, DEVICE))
    monkeypatch.setattr(devices, "groups", lambda *_: [1, 2])
    in_groups = train([0, 1, 2], device=SimpleNamespace(type="cuda")).tensors(1)
    for name, value in together.tensors(1).items():
        assert torch.equal(in_groups[name], value), name


@pytest.mark.parametrize("decoupled", [True, False])
def test_adam_is_pytorchs(decoupled: bool) -> None:
    """Three steps of two replicas, the gradient of one layer in three partial sums."""
    optimizer = Adam(learning_rate=0.01, weight_decay=0.1, decoupled=decoupled)
    layers = [Layer("a", 5000, chunks=3), Layer("b", 5, chunks=1)]
    weights = Weights(layers, replicas=2, device=DEVICE)
    random = torch.Generator().manual_seed(0)
    start = torch.randn(2, 5005, generator=random)
    weights.load(start)
    schedule = torch.from_numpy(optimizer.schedule(3)).to(DEVICE)
    reference = [torch.nn.Parameter(row.clone()) for row in start]
    theirs = [optimizer.optimizer([row]) for row in reference]
    for step in range(3):
        partials = torch.randn(2, 15005, generator=random)
        weights.partials.copy_(partials)
        weights.update(optimizer, schedule, torch.tensor(step, dtype=torch.int32, device=DEVICE))
        for row, parameter, stepper in zip(partials, reference, theirs, strict=True):
            parameter.grad = torch.cat([row[:15000].view(3, 5000).sum(0), row[15000:]])
            stepper.step()
    expected = torch.stack([row.detach() for row in reference])
    torch.testing.assert_close(weights.values.cpu(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("left_out", "special"),
    [({"total"}, {}), (set(), {"widht": 3}), (set(), {"total": 3})],
    ids=["missing", "unknown", "twice"],
)
def test_a_launch_with_other_arguments_than_the_kernels_is_refused(
    left_out: set[str], special: dict[str, int]
) -> None:
    launch = Launcher(1, dict.fromkeys(set(kernels.adam.arg_names) - left_out, 1))
    (wrong,) = left_out | special.keys()
    with pytest.raises(TypeError, match=f"adam: {wrong}: missing, unknown or given twice"):
        launch(kernels.adam, (1,), **special)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["tf32", "float16"])
@pytest.mark.parametrize("width", [1, 7, 20])
def test_on_a_gpu_groups_and_neighbours_change_nothing(
    width: int, precision: str, small_images: Path
) -> None:
    images = open_images(small_images)
    s = sweep(batch_size=16, epochs=2, precision=precision)
    together = replicas.train(s, width, range(5), images, DEVICE, lambda done, loss: None)
    alone = replicas.train(s, width, [3], images, DEVICE, lambda done, loss: None)
    for metric, values in alone.history.values.items():
        np.testing.assert_array_equal(values[0], together.history.values[metric][3])
