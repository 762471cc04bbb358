"""Training on the CPU: the protocol, step for step, and that runs do not touch each other."""

from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch

from stages.base import params
from stages.base.params import CnnSweep
from stages.cnn import draws, one
from stages.cnn.network import Network, initial
from stages.cnn.part import parameters
from stages.images.arrays import Images, open_images
from tests.helpers import plain
from tests.helpers.root import FROZEN

SWEEPS = params.load(FROZEN).cnn.sweeps


def small(name: str, **changes: object) -> CnnSweep:
    return SWEEPS[name].model_copy(update={"batch_size": 16, "epochs": 2, "seeds": 3} | changes)


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


@pytest.mark.parametrize("name", list(SWEEPS))
def test_an_epoch_is_the_papers_loop(name: str, images: Images) -> None:
    """Against the loop as one would write it: float64 means, torchvision's layout, no shortcuts."""
    sweep = small(name)
    order = draws.shuffled(len(images.train_images), 2, 1, sweep.augment)  # 16, 16 and then 8
    pixels = torch.from_numpy(np.array(images.train_images))
    labels = torch.from_numpy(images.train_labels.astype(np.int64))
    reference = plain.Replica(sweep, width=3, seed=2)
    expected = reference.epoch(pixels, labels, order, train=True)

    replica = one.Replica(sweep, width=3, seed=2)
    got = replica.epoch(pixels, labels, order, train=True, stop=Event())
    assert got == pytest.approx(expected, rel=1e-5)
    for ours, theirs in zip(
        replica.network.parameters(), reference.network.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_validation_is_a_mean_over_images_however_they_are_batched(images: Images) -> None:
    pixels = torch.from_numpy(np.array(images.test_images))
    labels = torch.from_numpy(images.test_labels.astype(np.int64))
    order = draws.validation(len(pixels), 0, 1, False)
    results = [
        one.Replica(small("notebook", batch_size=b), 2, 0).epoch(
            pixels, labels, order, train=False, stop=Event()
        )
        for b in (5, 24)
    ]
    assert results[0] == pytest.approx(results[1], rel=1e-6)


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
    for ours, theirs in zip(trained.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.is_contiguous()
