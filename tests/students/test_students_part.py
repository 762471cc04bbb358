"""The section of params, and the part that the stage writes of what it trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from stages.students.configuration import Phase
from stages.students.params_section import Students
from stages.students.part import part
from tests.students.helpers import SMALL, train


def section(**protocol: object) -> dict[str, Any]:
    return {
        "protocol": {
            "inputs": 20, "inputs_seen": "all", "hidden": 600, "scale": 6.0, "widths": 7,
            "growth": 1.3, "teachers": 3, "seeds": 10, "schedule": 1.0,
            "phases": {
                "first": {"steps": 200000, "batch_size": 200, "learning_rate": 0.01},
                "slow": {"steps": 20000, "batch_size": 4000, "learning_rate": 0.001},
            },
            "evaluations": 5, "evaluation_samples": 10000, "precision": "float32",
        } | protocol,
        "dimensions": [2, 8, 12],
        "losses": {
            "squared": {"loss": 2.0, "narrowest": [[1, 8], [7, 15], [11, 22]]},
            "kl": {"loss": "kl", "narrowest": [[1, 22]]},
        },
        "others": {
            "cubed": {"loss": 3.0, "dimension": 8, "narrowest": 12},
            "product": {"loss": 2.0, "dimension": 3, "narrowest": 12, "factors": 3, "inputs": 9},
        },
    }  # fmt: skip


def test_configurations_are_the_authors() -> None:
    found = Students.model_validate(section()).configurations()
    assert list(found) == [
        "squared-2", "squared-8", "squared-12", "kl-2", "kl-8", "kl-12", "cubed", "product",
    ]  # fmt: skip
    assert found["squared-2"].widths == (8, 10, 13, 17, 22, 29, 38)
    assert found["squared-8"].widths == (15, 19, 25, 32, 42, 55, 72)
    assert found["squared-12"].widths == found["kl-2"].widths == (22, 28, 37, 48, 62, 81, 106)
    assert (found["kl-8"].outputs, found["cubed"].exponent) == (2, 3)
    product = found["product"]
    assert (product.inputs, product.factors, product.dimension, product.seen) == (9, 3, 3, 9)


def test_one_key_shortens_every_phase() -> None:
    c = Students.model_validate(section(schedule=0.1)).configurations()["kl-2"]
    assert c.phases == (Phase(20000, 200, 0.01), Phase(2000, 4000, 0.001))
    c = Students.model_validate(section(schedule=1e-5)).configurations()["kl-2"]
    assert [phase.steps for phase in c.phases] == [5, 5]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"inputs": 10}, "inputs"), ({"growth": 1.05}, "growth"), ({"inputs_seen": "some"}, "seen")],
)
def test_impossible_sections_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Students.model_validate(section(**change))


def test_a_loss_says_its_widths_from_dimension_one_on() -> None:
    wrong = section()
    wrong["losses"]["kl"]["narrowest"] = [[3, 22]]
    with pytest.raises(ValidationError, match="dimension 1"):
        Students.model_validate(wrong)


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
