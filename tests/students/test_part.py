"""The section of params, and the part that the stage writes of what it trained."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from stages.base import params
from stages.base.params import Students
from stages.students.part import part
from stages.students.plan import configurations
from tests.helpers.root import ROOT
from tests.helpers.students import SMALL, train


def section(change: dict[str, object] | None = None, **protocol: object) -> Students:
    """The real section, with changes of its protocol and of configuration `kl_4`."""
    made = params.load(ROOT / "params.yaml").students.model_dump()
    made["protocol"] |= protocol
    made["configurations"]["kl_4"] |= change or {}
    return Students.model_validate(made)


def test_configurations_are_the_authors() -> None:
    found = configurations(section())
    assert found["squared_2"].widths == (8, 10, 13, 17, 22, 29, 38)
    assert found["squared_8"].widths == (15, 19, 25, 32, 42, 55, 72)
    assert found["squared_12"].widths == found["kl_4"].widths == (22, 28, 37, 48, 62, 81, 106)
    assert found["power1_8"].widths == (12, 15, 20, 26, 34, 44, 57)
    assert (found["kl_4"].outputs, found["squared_4"].outputs) == (2, 1)
    powers = {name: c.exponent for name, c in found.items() if name.startswith("power")}
    assert powers == {"power1_8": 1, "power3_8": 3}
    product = found["product"]
    assert (product.inputs, product.factors, product.dimension, product.seen) == (9, 3, 3, 9)
    for name, c in found.items():
        assert name.endswith(f"_{c.dimension}") or name == "product"
        assert [phase.steps for phase in c.phases] == [200000, 20000, 20000]


def test_one_key_shortens_every_phase() -> None:
    c = configurations(section(schedule=0.1))["kl_4"]
    assert [phase.steps for phase in c.phases] == [20000, 2000, 2000]
    c = configurations(section(schedule=1e-5))["kl_4"]
    assert [phase.steps for phase in c.phases] == [5, 5, 5]


@pytest.mark.parametrize(
    ("change", "protocol", "message"),
    [
        ({"dimension": 21}, {}, "kl_4: 21 inputs"),
        ({"factors": 11}, {}, "kl_4: 4 inputs for each of 11 factors"),
        ({"narrowest": 30}, {}, "at most 128"),
        ({"loss": 0.5}, {}, "greater than or equal to 1"),
        ({}, {"width_growth": 1.04}, "raise growth"),
        ({}, {"inputs_seen": "some"}, "relevant"),
    ],
)
def test_impossible_sections_are_refused(
    change: dict[str, object], protocol: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        section(change, **protocol)


def test_part_holds_what_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained, made = train(SMALL), part("small-3", SMALL)
    names = {"configuration": "small-3", "dimension": 3, "loss_function": "2"}
    made.write(trained.frame().assign(**names))
    once = made.path.read_bytes()
    read = made.read()
    pd.testing.assert_frame_equal(
        read.drop(columns=list(names)), trained.frame(), check_dtype=False, check_like=True
    )
    assert np.array_equal(read["loss"], trained.losses.reshape(-1))
    made.write(train(SMALL).frame().assign(**names))
    assert made.path.read_bytes() == once
