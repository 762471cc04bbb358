"""The last hidden layer from saved weights: the network's own numbers, and only its own weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from stages.base import parts, workers
from stages.base.errors import InputError
from stages.cnn import part as cnn_part
from stages.cnn.network import initial
from stages.dimension.activations import BATCH, LAYERS, last_hidden, layers, trained
from stages.dimension.estimators import measure
from stages.images.arrays import open_images
from stages.networks.cnn import Network
from tests.helpers.frozen import FROZEN
from tests.helpers.rows import rows

PARAMS = FROZEN
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (BATCH + 7, 32, 32, 3), dtype=np.uint8)


def scaled(images: NDArray[np.uint8], low: float, high: float) -> Tensor:
    pixels = torch.from_numpy(images.astype(np.float64)).permute(0, 3, 1, 2)
    return low + pixels / 255 * (high - low)


def hidden(
    network: Network, images: NDArray[np.uint8], input_range: list[float]
) -> NDArray[np.float32]:
    return last_hidden([network], images, input_range)[0]


def briefly_trained(width: int) -> Network:
    network = initial(width, seed=0)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    images, labels = scaled(IMAGES[:64], -1, 1).float(), torch.arange(64) % 10
    for _ in range(10):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return network


@pytest.fixture
def part(tmp_path: Path) -> parts.Part:
    name, sweep = next(iter(PARAMS.cnn.sweeps.items()))
    part = cnn_part.sweep_part(PARAMS.cnn_images, name, sweep, 2)
    return replace(part, path=tmp_path / "cnn" / part.path.name)


def save(part: parts.Part, network: Network) -> None:
    part.weights.parent.mkdir(exist_ok=True)
    save_file(network.state_dict(), part.weights)
    part.write(rows(part))


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("input_range", [[-1.0, 1.0], [0.0, 1.0]])
def test_activations_are_those_of_the_network(width: int, input_range: list[float]) -> None:
    network = briefly_trained(width)
    found = layers(network, hidden(network, IMAGES, input_range))
    assert tuple(found) == LAYERS
    network = network.double()
    with torch.no_grad():
        x = scaled(IMAGES, *input_range)
        for convolution in (network.conv1, network.conv2):
            x = nn.functional.max_pool2d(torch.relu(convolution(x)), 2)
        before = network.linear1(torch.relu(network.conv3(x)).flatten(1))
        after = torch.relu(before)
        expected = dict(zip(LAYERS, (before, after, network.linear2(after)), strict=True))
    for name, values in expected.items():
        assert found[name].shape == values.shape == (len(IMAGES), 10 if name == "logits" else 64)
        assert found[name].dtype == np.float32
        assert np.abs(found[name] - values.numpy()).max() < 1e-5 * values.abs().max()
    assert before.min() < 0 == after.min()


def test_an_image_is_not_changed_by_those_beside_it() -> None:
    network = initial(4, seed=1)
    together = hidden(network, IMAGES, [0.0, 1.0])
    for row in (0, BATCH - 1, BATCH, BATCH + 6):
        alone = hidden(network, IMAGES[row : row + 1], [0.0, 1.0])
        assert np.allclose(alone[0], together[row], rtol=1e-4, atol=1e-6)


def test_networks_together_say_what_each_says_alone() -> None:
    networks = [initial(width, seed=0) for width in (5, 1, 3)]
    together = last_hidden(networks, IMAGES, [-1.0, 1.0])
    for network, found in zip(networks, together, strict=True):
        assert np.allclose(hidden(network, IMAGES, [-1.0, 1.0]), found, rtol=1e-4, atol=1e-6)


def test_batches_made_side_by_side_give_the_same_bytes() -> None:
    networks = [initial(2, seed=0), initial(4, seed=0)]
    alone = last_hidden(networks, IMAGES, [0.0, 1.0])
    with workers.threads() as apply:
        assert last_hidden(networks, IMAGES, [0.0, 1.0], apply).tobytes() == alone.tobytes()


def test_the_same_weights_give_the_same_bytes() -> None:
    one, other = (hidden(initial(3, 0), IMAGES, [0.0, 1.0]) for _ in range(2))
    assert one.tobytes() == other.tobytes()


def test_reads_images_that_are_mapped_read_only(small_images: Path) -> None:
    images = open_images(small_images).test_images
    assert not images.flags.writeable
    assert hidden(initial(1, 0), images, [0.0, 1.0]).shape == (len(images), 64)


def test_saved_weights_come_back(part: parts.Part) -> None:
    network = briefly_trained(2)
    save(part, network)
    expected = hidden(network, IMAGES, [0.0, 1.0])
    assert np.array_equal(hidden(trained(part, Network(2)), IMAGES, [0.0, 1.0]), expected)


def test_weights_that_are_missing_are_named(part: parts.Part) -> None:
    save(part, initial(2, 0))
    part.weights.unlink()
    said = rf"{part.weights}: No such file or directory; train it again: dvc repro, .*git checkout"
    with pytest.raises(InputError, match=said):
        trained(part, Network(2))


def test_weights_that_the_part_was_not_written_with_are_refused(part: parts.Part) -> None:
    save(part, initial(2, 0))
    content = bytearray(part.weights.read_bytes())
    content[-1] ^= 1  # the format itself would not notice
    part.weights.write_bytes(content)
    with pytest.raises(InputError, match=rf"{part.weights}: damaged, or another part's; "):
        trained(part, Network(2))


def test_weights_from_other_params_are_refused(part: parts.Part) -> None:
    save(part, initial(2, 0))
    other = replace(part, configuration=part.configuration | {"sweep": "other"})
    with pytest.raises(InputError, match=r"made with other params .*train it again: dvc repro"):
        trained(other, Network(2))


def test_weights_of_another_width_are_refused(part: parts.Part) -> None:
    save(part, initial(3, 0))
    with pytest.raises(InputError, match=rf"{part.weights}: not this network's"):
        trained(part, Network(2))


def test_a_dead_layer_has_no_dimension_and_the_one_before_it_has() -> None:
    network = initial(2, seed=0)
    with torch.no_grad():
        network.linear1.bias.fill_(-10)
    found = layers(network, hidden(network, IMAGES, [0.0, 1.0]))
    for name in ("activation", "logits"):
        assert {e.status for e in measure(found[name], PARAMS.dimension)} == {"constant"}
        assert {e.coordinates for e in measure(found[name], PARAMS.dimension)} == {0}
    alive = measure(found["preactivation"], PARAMS.dimension)
    assert "constant" not in {e.status for e in alive}
    assert {e.coordinates for e in alive} == {64}


def test_a_diverged_network_has_no_dimension() -> None:
    network = initial(2, seed=0)
    with torch.no_grad():
        network.conv2.weight.fill_(torch.nan)
    found = measure(hidden(network, IMAGES, [0.0, 1.0]), PARAMS.dimension)
    assert {e.status for e in found} == {"not finite"}
