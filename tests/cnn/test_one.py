"""Training on the CPU: the protocol, step for step, and that runs do not touch each other."""

from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from stages.base.params import CnnSweep, Snapshot
from stages.classification import draws
from stages.classification.history import History, Run
from stages.classification.one import Replica
from stages.classification.splits import Split
from stages.cnn import one
from stages.cnn import part as cnn_part
from stages.cnn.network import initial
from stages.cnn.part import parameters
from stages.dimension import activations
from stages.images.arrays import Images, open_images
from stages.manifold import selection
from stages.networks.cnn import Network
from stages.training.adam import Adam
from tests.helpers import plain
from tests.helpers.frozen import FROZEN
from tests.helpers.rows import rows

SWEEPS = FROZEN.cnn.sweeps


def small(name: str, **changes: object) -> CnnSweep:
    return SWEEPS[name].model_copy(update={"batch_size": 16, "epochs": 2, "seeds": 3} | changes)


def replica(sweep: CnnSweep, width: int, seed: int, steps: int = 9) -> Replica[Network]:
    network = initial(width, seed, weights=sweep.initial_weights)
    return Replica(network, one.passes(sweep), sweep, Adam.of(sweep).rates(steps))


def splits(images: Images) -> tuple[Split, Split]:
    return (
        Split.of(images.train_images, images.train_labels),
        Split.of(images.test_images, images.test_labels),
    )


def quiet(done: int, loss: float) -> None:
    del done, loss


@pytest.fixture
def images(small_images: Path) -> Images:
    return open_images(small_images)


@pytest.mark.parametrize("width", [1, 7, 20])
def test_parameters_are_those_of_the_network(width: int) -> None:
    assert parameters(width) == sum(p.numel() for p in Network(width).parameters())


def test_the_published_sizes() -> None:
    assert [parameters(n) for n in (1, 13, 20)] == [5408, 70160, 115114]


def test_initial_weights_are_pytorchs_and_leave_its_generator_alone() -> None:
    torch.manual_seed(5)
    expected = Network(3)
    before = torch.get_rng_state()
    network = initial(3, seed=5)
    assert torch.equal(before, torch.get_rng_state())
    for ours, theirs in zip(network.parameters(), expected.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_initial_weights_of_keras_are_glorots_and_its_biases_zero() -> None:
    fans = {"conv1": 9 * 3 + 9 * 5, "conv2": 9 * 5 + 9 * 10, "conv3": 9 * 10 + 9 * 10}
    fans |= {"linear1": 360 + 64, "linear2": 64 + 10}  # inputs + outputs, at width 5
    state = initial(5, seed=3, weights="keras").state_dict()
    assert set(state) == {f"{name}.{kind}" for name in fans for kind in ("weight", "bias")}
    for name, fan in fans.items():
        limit = (6 / fan) ** 0.5
        weight = state[f"{name}.weight"]
        assert 0.95 * limit < weight.abs().max() <= limit
        assert weight.std() == pytest.approx(limit / 3**0.5, rel=0.1)
        assert not state[f"{name}.bias"].any()
    again, other = (initial(5, seed=seed, weights="keras").conv3.weight for seed in (3, 4))
    assert torch.equal(again, state["conv3.weight"])
    assert not torch.equal(other, state["conv3.weight"])


@pytest.mark.parametrize("kind", ["pytorch", "keras"])
def test_training_starts_from_the_weights_that_are_asked_for(kind: str, images: Images) -> None:
    still = small("paper", initial_weights=kind, learning_rate=1e-30, epochs=1)
    trained = one.train(still, 2, [1], images, quiet)
    expected = initial(2, 1, weights=kind).parameters()
    for ours, theirs in zip(trained.networks[2].parameters(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-20)


@pytest.mark.parametrize("name", list(SWEEPS))
def test_an_epoch_is_the_papers_loop(name: str, images: Images) -> None:
    """Against the loop as one would write it: float64 means, torchvision's layout, no shortcuts."""
    sweep = small(name)
    train, _ = splits(images)
    order = draws.shuffled(len(train), 2, 1, sweep.augment)  # 16, 16 and then 8
    reference = plain.Replica(sweep, width=3, seed=2)
    expected = reference.epoch(train.pixels, train.labels, order, train=True)

    ours = replica(sweep, width=3, seed=2)
    got = ours.epoch(train, order, train=True, stop=Event())
    assert got == pytest.approx(expected, rel=1e-5)
    for mine, theirs in zip(ours.network.parameters(), reference.network.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def test_validation_is_a_mean_over_images_however_they_are_batched(images: Images) -> None:
    _, test = splits(images)
    order = draws.validation(len(test), 0, 1, False)
    results = [
        replica(small("notebook", batch_size=b), 2, 0).epoch(test, order, train=False, stop=Event())
        for b in (5, 24)
    ]
    assert results[0] == pytest.approx(results[1], rel=1e-6)


def test_the_training_set_is_evaluated_after_the_epoch_and_changes_nothing(images: Images) -> None:
    plainly, evaluated = (
        one.train(small("notebook", evaluate_training=on), 2, [4], images, quiet)
        for on in (False, True)
    )
    added = {"evaluated_train_loss", "evaluated_train_accuracy"}
    for metric, values in plainly.history.values.items():
        if metric in added:
            assert np.isnan(values).all()
        else:
            np.testing.assert_array_equal(values, evaluated.history.values[metric])

    reference = plain.Replica(small("notebook"), width=2, seed=4)
    reference.network.load_state_dict(evaluated.networks[2].state_dict())
    train, _ = splits(images)
    order = draws.shuffled(len(train), 9, 9, augment=False)  # any order, and none is moved
    expected = reference.epoch(train.pixels, train.labels, order, train=False)
    found = (evaluated.history.values[f"evaluated_train_{m}"][0, -1] for m in ("loss", "accuracy"))
    assert tuple(found) == pytest.approx(expected, rel=1e-5)


def test_a_seed_trains_the_same_alone_and_among_others(images: Images) -> None:
    sweep = small("notebook")
    among = one.train(sweep, 2, [0, 1, 2], images, quiet)
    alone = one.train(sweep, 2, [2], images, quiet)
    for metric, values in alone.history.values.items():
        np.testing.assert_array_equal(values[0], among.history.values[metric][2])


def test_training_learns(images: Images) -> None:
    trained = one.train(small("paper", epochs=30), 4, [0], images, quiet)
    losses = trained.history.values["train_loss"][0]
    assert losses[-1] < 0.5 * losses[0]


def test_the_first_seeds_network_is_kept(images: Images) -> None:
    sweep = small("paper", epochs=1)
    trained = one.train(sweep, 2, [1, 0], images, quiet)
    again = one.train(sweep, 2, [1], images, quiet)
    for ours, theirs in zip(
        trained.networks[2].parameters(), again.networks[2].parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)
        assert ours.is_contiguous()


KEPT = {"weights_seeds": 2, "best_weights": True}
OVERSHOOTS = {"epochs": 5, "learning_rate": 0.1}
"""The best epochs of seeds 0, 1 and 2 are 1, 3 and 1."""


def test_the_best_epochs_weights_are_those_of_a_run_that_ends_there(images: Images) -> None:
    sweep = small("paper", **KEPT, **OVERSHOOTS)
    trained = one.train(sweep, 2, [0, 1, 2], images, quiet)
    best = trained.history.values["validation_loss"].argmin(axis=1) + 1
    assert best.tolist() == [1, 3, 1]
    assert set(trained.further[2]) == {Snapshot(1), Snapshot(0, "best"), Snapshot(1, "best")}
    for seed in (0, 1):
        until = sweep.model_copy(update={"epochs": int(best[seed])})
        ended = one.train(until, 2, [seed], images, quiet).networks[2].state_dict()
        for name, ours in trained.further[2][Snapshot(seed, "best")].items():
            assert torch.equal(ours, ended[name])
    last = one.train(sweep, 2, [1], images, quiet).networks[2].state_dict()
    assert all(torch.equal(ours, last[n]) for n, ours in trained.further[2][Snapshot(1)].items())


def test_a_file_with_one_seeds_weights_has_the_bytes_of_its_network(images: Images) -> None:
    trained = one.train(small("paper"), 2, [0, 1], images, quiet)
    state = trained.networks[2].state_dict()
    assert save(trained.tensors(2)) == save(state)
    more = one.train(small("paper", **KEPT), 2, [0, 1], images, quiet).tensors(2)
    assert {name: more[name] for name in state}.keys() == state.keys()
    for name, t in more.items():
        assert (name in state) == (t.dtype == torch.float32)
        assert t.dtype == torch.float16 or torch.equal(t, state[name])


def test_every_snapshot_is_read_back_from_a_file(images: Images, tmp_path: Path) -> None:
    sweep = small("paper", **KEPT, **OVERSHOOTS)
    trained = one.train(sweep, 2, [0, 1, 2], images, quiet)
    part = cnn_part.sweep_part(FROZEN.cnn_images, "paper", sweep, 2)
    part = replace(part, path=tmp_path / part.path.name)
    save_file(trained.tensors(2), part.weights)
    part.write(rows(part))
    found = {}
    for snapshot in sweep.snapshots:
        read = activations.trained(part, Network(2), snapshot=snapshot).state_dict()
        found[snapshot] = torch.cat([t.flatten() for t in read.values()])
        wanted = trained.further[2].get(snapshot) or trained.networks[2].state_dict()
        for name, t in wanted.items():
            torch.testing.assert_close(read[name], t, rtol=5e-4, atol=1e-7)
    assert len({t.numpy().tobytes() for t in found.values()}) == len(found) == 4


def test_the_best_epoch_is_that_of_a_table_of_the_losses() -> None:
    losses = np.array([
        [2, 1, 1, 3], [np.nan, 2, 1, 1 + 1e-12], [np.nan] * 4, [1 + 1e-12, 1, 2, 0.5],
        [3, np.inf, np.nan, 3],
    ])  # fmt: skip
    history = History([Run(1, seed) for seed in range(len(losses))], 4)
    taken = np.zeros(len(losses), int)
    for epoch in range(1, 5):
        history.values["validation_loss"][:, epoch - 1] = losses[:, epoch - 1]
        improved = history.improved(range(len(losses)), epoch)
        taken[improved] = epoch
        if epoch == 2:
            assert taken[3] == 1  # in float32, as parts have it, the second is no better
    frame = history.frame("a", lambda width: width).astype({"validation_loss": np.float32})
    table = selection.choose(frame.reset_index(drop=True), "best")
    assert taken.tolist() == table.sort_values("seed")["epoch"].tolist() == [2, 3, 1, 4, 1]


@pytest.mark.parametrize("name", list(SWEEPS))
@pytest.mark.parametrize("augment_validation", [False, True])
def test_some_epochs_are_the_papers_loop(
    name: str, augment_validation: bool, images: Images
) -> None:
    """Each epoch has its own order and augmentation, validation those that are asked for."""
    sweep = small(name, epochs=3, augment=not augment_validation)
    sweep = sweep.model_copy(update={"augment_validation": augment_validation})
    trained = one.train(sweep, 2, [3], images, quiet)
    replica = plain.Replica(sweep, width=2, seed=3)
    train, test = (
        (torch.from_numpy(np.array(pixels)), torch.from_numpy(labels.astype(np.int64)))
        for pixels, labels in [
            (images.train_images, images.train_labels),
            (images.test_images, images.test_labels),
        ]
    )
    metrics = ["train_loss", "train_accuracy", "validation_loss", "validation_accuracy"]
    for epoch in (1, 2, 3):
        order = draws.shuffled(len(train[0]), 3, epoch, sweep.augment)
        expected = replica.epoch(*train, order, train=True)
        order = draws.validation(len(test[0]), 3, epoch, augment_validation)
        expected += replica.epoch(*test, order, train=False)
        found = [trained.history.values[metric][0, epoch - 1] for metric in metrics]
        assert found == pytest.approx(expected, rel=1e-4)
