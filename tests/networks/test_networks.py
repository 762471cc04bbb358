"""The networks that come with the project: sizes, shapes, and what makes one usable."""

import importlib
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import torch

import stages.networks
from stages.base.errors import InputError
from stages.classification.modules import Kind, watched

NUMBER = count()
NAMES = ["cnn", "mlp", "mnist_cnn"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (2, 20, 36)])
def test_every_network_takes_any_images_and_number_of_classes(
    name: str, shape: tuple[int, int, int]
) -> None:
    kind = Kind(name, shape, 7)
    kind.check([1, 2, 5])
    hidden, logits = watched(kind.initial(2, 0), kind.last_hidden, torch.rand(4, *shape))
    assert hidden is not None
    assert hidden.shape[0] == 4
    assert logits.shape == (4, 7)


@pytest.mark.parametrize(
    ("name", "shape", "width", "parameters"),
    [
        ("mnist_cnn", (1, 28, 28), 2, 2724),
        ("mnist_cnn", (1, 28, 28), 8, 10242),
        ("cnn", (3, 32, 32), 13, 70160),
        ("mlp", (1, 28, 28), 10, 784 * 10 + 10 + 100 + 10 + 100 + 10),
    ],
)
def test_the_sizes_are_the_published_ones(
    name: str, shape: tuple[int, int, int], width: int, parameters: int
) -> None:
    assert Kind(name, shape, 10).parameters(width) == parameters


USABLE = """
from torch import nn

class Network(nn.Module):
    last_hidden = "hidden"

    def __init__(self, width, shape, classes):
        super().__init__()
        self.hidden = nn.Linear(shape[0] * shape[1] * shape[2], width)
        self.out = nn.Linear(width, classes)

    def forward(self, images):
        return self.out(self.hidden(images.flatten(1)).relu())
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("class Network", "class Other", "no class Network"),
        ('last_hidden = "hidden"', "", "does not name its last hidden layer"),
        ('last_hidden = "hidden"', 'last_hidden = "hiden"', "no layer 'hiden'.*hidden, out"),
        ("nn.Linear(width, classes)", "nn.Linear(width, 3)", r"logits are \(2, 3\), not \(2, 10\)"),
        ("width)", "4)", "N must grow with width: .* at width 1, .* at 2"),
        ("(width, classes)", "(width + 1, classes)", "forward or backward of a batch of 2 fails"),
        ("super().__init__()", "super().__init__(width)", "fails"),
        ("images.flatten(1)", "nn.functional.dropout(images.flatten(1))", "random numbers"),
        ("self.out = ", "self.idle = nn.Linear(1, 1); self.out = ", "idle.weight, .* do nothing"),
        ("self.hidden(images.flatten(1))", "nn.functional.linear(images.flatten(1), "
         "self.hidden.weight, self.hidden.bias)", "does not call 'hidden'"),
        ("self.out = nn.Linear(width, classes)", "self.out = nn.Linear(width, classes).double()",
         "not float32"),
        ("from torch import nn", "from torch import nn, nothing_like_it", "cannot be imported"),
        ("from torch import nn", "import nothing_like_it", "No module named 'nothing_like_it'"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_line_that_names_the_file(
    old: str, new: str, says: str, own: Callable[[str], str]
) -> None:
    assert old in USABLE
    text = USABLE.replace(old, new)
    if new == "4)":
        text = text.replace("nn.Linear(width, classes)", "nn.Linear(4, classes)")
    name = own(text)
    with pytest.raises(InputError, match=says) as error:
        Kind(name, (1, 4, 4), 10).check([2, 1])
    assert str(error.value).startswith(f"stages/networks/{name}.py: ")
    assert "\n" not in str(error.value)


def test_the_last_hidden_layer_is_seen_before_a_relu_that_works_in_place(
    own: Callable[[str], str],
) -> None:
    text = USABLE.replace(".relu()", ".relu_()")
    assert text != USABLE
    kinds = [Kind(own(of), (1, 4, 4), 10) for of in (USABLE, text)]
    images = torch.rand(5, 1, 4, 4)
    plain, in_place = (watched(kind.initial(8, 0), "hidden", images)[0] for kind in kinds)
    assert plain is not None
    assert in_place is not None
    assert plain.min() < 0
    assert torch.equal(plain, in_place)


def test_batch_statistics_of_one_image_are_refused_before_they_are_met(
    own: Callable[[str], str],
) -> None:
    text = USABLE.replace(
        "self.hidden(images.flatten(1))", "self.norm(self.hidden(images.flatten(1)))"
    )
    text = text.replace("self.out = ", "self.norm = nn.BatchNorm1d(width); self.out = ", 1)
    kind = Kind(own(text), (1, 4, 4), 10)
    kind.check([1, 2])
    with pytest.raises(
        InputError, match="at width 1 forward or backward of a batch of 1 fails: Exp"
    ):
        kind.check([1, 2], batch=1)


def test_a_network_that_is_not_there_is_one_line_with_those_that_are() -> None:
    with pytest.raises(InputError, match="no such network; there is cnn, mlp, mnist_cnn"):
        Kind("resnet", (3, 32, 32), 10)


def test_checking_a_network_leaves_pytorchs_generator_alone(own: Callable[[str], str]) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    Kind(own(USABLE), (1, 4, 4), 10).check([1, 2])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a network into a folder of its own, and tells its name."""

    def write(text: str) -> str:
        name = f"own{next(NUMBER)}"
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return name

    monkeypatch.setattr(stages.networks, "__path__", [str(tmp_path), *stages.networks.__path__])
    return write
