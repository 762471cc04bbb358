"""Any network through the generic engine, on the CPU and side by side, against plain loops."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stages.base import params
from stages.base.errors import InputError
from stages.base.params import CnnSweep, Snapshot
from stages.classification import draws, modules, one
from stages.classification.history import Run, Trained
from stages.classification.modules import Kind
from stages.classification.splits import Data, Split, mean_loss
from stages.cnn import one as by_hand
from stages.images.arrays import Images, open_images
from stages.studies import branches
from stages.training import device as devices
from stages.training.adam import Adam
from tests.helpers.root import ROOT

SWEEPS = params.load(ROOT / "params.yaml").cnn.sweeps
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ENGINES = ["one", "branches"]


class Batched(nn.Module):
    """Batch statistics, and no bias before them: its gradient would be nothing but rounding."""

    last_hidden = "linear1"

    def __init__(self, width: int, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(shape[0], width, 3, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.linear1 = nn.Linear(width, 8)
        self.linear2 = nn.Linear(8, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(images)).relu().mean((2, 3))
        result: torch.Tensor = self.linear2(self.linear1(x).relu())
        return result


def small(name: str, **changes: object) -> CnnSweep:
    few = {"batch_size": 16, "epochs": 2, "precision": "float32"}
    return SWEEPS[name].model_copy(update=few | changes)


def quiet(done: int, loss: float) -> None:
    del done, loss


def data_of(images: Images) -> Data:
    return Data(
        Split.of(images.train_images, images.train_labels),
        Split.of(images.test_images, images.test_labels),
    )


@pytest.fixture
def images(small_images: Path) -> Images:
    return open_images(small_images)


def train(
    engine: str,
    network: str | type[nn.Module],
    sweep: CnnSweep,
    runs: Sequence[tuple[int, int]],
    data: Data,
    *,
    falling: bool = False,
) -> Trained[nn.Module]:
    shape = tuple(data.train.pixels.shape[1:])
    channels_first = (shape[2], shape[0], shape[1])

    def initial(run: Run) -> nn.Module:
        if isinstance(network, str):
            return Kind(network, channels_first, 10).initial(*run, sweep.initial_weights)
        return modules.initial(lambda: network(run.width, channels_first, 10), run.seed, "pytorch")

    steps = sweep.epochs * -(-len(data.train) // sweep.batch_size)
    rates = Adam.of(sweep).rates(steps, falling=falling)
    named = [Run(*run) for run in runs]
    if engine == "one":
        return one.train(sweep, named, initial, one.plainly(sweep), data, rates, quiet)
    return branches.train(sweep, named, initial, data, rates, DEVICE, quiet)


@pytest.mark.parametrize(
    ("network", "width", "expected"),
    [
        ("cnn", 8, torch.channels_last),  # 8 and 16 channels: few
        ("cnn", 7, torch.channels_last),  # 7 and 14
        ("cnn", 10, torch.contiguous_format),  # 10 and 20: many, and not all in fours
        ("cnn", 9, torch.contiguous_format),  # 9 and 18
        ("cnn", 20, torch.channels_last),  # 20 and 40
        ("mnist_cnn", 7, torch.channels_last),
        ("mlp", 64, torch.channels_last),  # no channels at all
    ],
)
def test_channels_lie_last_unless_they_are_many_and_not_in_fours(
    network: str, width: int, expected: torch.memory_format
) -> None:
    assert branches.memory_format(Kind(network, (3, 32, 32), 10).build(width)) == expected


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", list(SWEEPS))
def test_the_reference_cnn_agrees_with_the_engine_written_by_hand_to_rounding(
    engine: str, name: str, images: Images
) -> None:
    sweep = small(name, evaluate_training=True, augment_validation=name == "notebook")
    expected = by_hand.train(sweep, 3, [0, 4], images, quiet)
    got = train(engine, "cnn", sweep, [(3, 0), (3, 4)], data_of(images))
    for metric, values in expected.history.values.items():
        np.testing.assert_allclose(got.history.values[metric], values, rtol=1e-4, err_msg=metric)
    state = expected.networks[3].state_dict()
    for key, ours in got.networks[3].state_dict().items():
        torch.testing.assert_close(ours, state[key], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("network", ["mlp", "mnist_cnn", Batched])
def test_both_engines_agree_to_rounding(network: str | type[nn.Module], images: Images) -> None:
    """Odd sizes, a short last batch, widths mixed; running statistics where there are some."""
    sweep = small("notebook", augment=True)
    runs = [(2, 0), (2, 1), (3, 0)]
    data = data_of(images)
    found = [train(engine, network, sweep, runs, data, falling=True) for engine in ENGINES]
    for metric, values in found[0].history.values.items():
        np.testing.assert_allclose(found[1].history.values[metric], values, rtol=1e-4)
    for width in (2, 3):
        state = found[0].networks[width].state_dict()
        for key, ours in found[1].networks[width].state_dict().items():
            torch.testing.assert_close(ours, state[key], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("network", ["mnist_cnn", Batched])
def test_a_run_is_the_same_to_the_bit_alone_and_among_others_and_a_second_time(
    engine: str, network: str | type[nn.Module], images: Images
) -> None:
    sweep, data = small("notebook"), data_of(images)
    among = train(engine, network, sweep, [(2, 0), (4, 1), (4, 0), (2, 1)], data)
    alone = train(engine, network, sweep, [(4, 1)], data)
    for metric, values in alone.history.values.items():
        np.testing.assert_array_equal(values[0], among.history.values[metric][1])
    for ours, theirs in zip(
        alone.networks[4].state_dict().values(),
        among.networks[4].state_dict().values(),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("engine", ENGINES)
def test_batch_statistics_are_those_of_a_plain_loop(engine: str, images: Images) -> None:
    sweep, data = small("paper", epochs=1), data_of(images)
    trained = train(engine, Batched, sweep, [(3, 7)], data)
    network = modules.initial(lambda: Batched(3, (3, 32, 32), 10), 7, "pytorch")
    optimizer = torch.optim.Adam(network.parameters(), sweep.learning_rate)
    order = draws.shuffled(len(data.train), 7, 1, augment=False) & (draws.MAX_IMAGES - 1)
    losses = []
    for batch in torch.from_numpy(order).long().split(sweep.batch_size):
        x = data.train.pixels[batch].permute(0, 3, 1, 2) / 255
        loss = nn.functional.cross_entropy(network(x), data.train.labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert trained.history.values["train_loss"][0, 0] == pytest.approx(np.mean(losses), rel=1e-5)
    ours = trained.networks[3].state_dict()
    for key, value in network.state_dict().items():
        torch.testing.assert_close(ours[key], value, rtol=1e-3, atol=1e-5)
    network.eval()
    logits = network(data.validation.pixels.permute(0, 3, 1, 2) / 255)
    expected = nn.functional.cross_entropy(logits, data.validation.labels).item()
    found = trained.history.values["validation_loss"][0, 0]
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_best_epochs_weights_are_those_of_a_run_that_ends_there(
    engine: str, images: Images
) -> None:
    """With its batch statistics then; of the seeds that are asked for, at each width."""
    kept = {"weights_seeds": 2, "best_weights": True, "learning_rate": 0.1}
    sweep, data = small("paper", epochs=4, **kept), data_of(images)
    runs = [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)]
    trained = train(engine, Batched, sweep, runs, data)
    wanted = {Snapshot(1), Snapshot(0, "best"), Snapshot(1, "best")}
    assert {width: {*each} for width, each in trained.further.items()} == {2: wanted, 3: wanted}
    best = trained.history.values["validation_loss"].argmin(axis=1) + 1
    kept_rows = [0, 1, 3, 4]
    assert len({*best[kept_rows]}) > 1
    for row in kept_rows:
        width, seed = runs[row]
        until = sweep.model_copy(update={"epochs": int(best[row])})
        ended = train(engine, Batched, until, [(width, seed)], data).networks[width].state_dict()
        for name, ours in trained.further[width][Snapshot(seed, "best")].items():
            assert torch.equal(ours, ended[name]), (width, seed, name)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_epoch_has_its_own_images_where_they_are_fresh(engine: str, images: Images) -> None:
    """Images that are the other half of the set in the second epoch, against training on halves."""
    sweep = small("paper", epochs=2)
    whole = data_of(images).train
    half = len(whole) // 2
    parts = [Split(whole.pixels[at : at + half], whole.labels[at : at + half]) for at in (0, half)]
    data = Data(parts[0], data_of(images).validation, lambda epoch: parts[epoch - 1])
    data = Data(
        Split(parts[0].pixels.clone(), parts[0].labels.clone()), data.validation, data.fresh
    )
    trained = train(engine, "mlp", sweep, [(3, 2)], data)
    network = Kind("mlp", (3, 32, 32), 10).initial(3, 2)
    optimizer = torch.optim.Adam(network.parameters(), sweep.learning_rate)
    for epoch, part in enumerate(parts, start=1):
        order = draws.shuffled(half, 2, epoch, augment=False) & (draws.MAX_IMAGES - 1)
        for batch in torch.from_numpy(order).long().split(sweep.batch_size):
            logits = network(part.pixels[batch].permute(0, 3, 1, 2) / 255)
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, part.labels[batch]).backward()
            optimizer.step()
    for ours, theirs in zip(trained.networks[3].parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_the_loss_of_soft_labels_is_the_divergence_and_of_certain_ones_the_cross_entropy() -> None:
    random = np.random.default_rng(0)
    logits = random.standard_normal((6, 4))
    soft = random.dirichlet(np.ones(4), 6)
    soft[0] = [0, 1, 0, 0]
    predicted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    terms = np.where(soft > 0, soft * np.log(np.where(soft > 0, soft, 1) / predicted), 0)
    labels = torch.from_numpy(soft.argmax(1))
    tensors = torch.from_numpy(logits), labels, torch.from_numpy(soft)
    assert mean_loss(*tensors).item() == pytest.approx(terms.sum(1).mean())
    best = torch.from_numpy(soft[1:]).log(), labels[1:], tensors[2][1:]
    assert mean_loss(*best).item() == pytest.approx(0, abs=1e-12)
    certain = torch.nn.functional.one_hot(labels, 4).double()
    assert mean_loss(tensors[0], labels, certain).item() == pytest.approx(
        mean_loss(tensors[0], labels, None).item()
    )


def test_a_falling_rate_falls_linearly_to_nothing() -> None:
    rates = Adam(0.5, 0, decoupled=False).rates(4, falling=True)
    np.testing.assert_allclose(rates, [0.5, 0.375, 0.25, 0.125])
    assert set(Adam(0.5, 0, decoupled=False).rates(4)) == {0.5}


def test_what_sums_in_no_fixed_order_is_refused(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
        step()  # as where it is captured
        return step

    class Warns(Batched):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            warnings.warn("x_cuda does not have a deterministic implementation.", stacklevel=1)
            return super().forward(images)

    monkeypatch.setattr(devices, "captured", run)
    with pytest.raises(InputError, match="no fixed order: x_cuda"):
        train("branches", Warns, small("paper"), [(2, 0)], data_of(images))
