"""Parts: what is written is what is read, and a file is there whole or not at all."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from stages.base import files, params, parts
from stages.base.errors import InputError
from stages.cnn import part as cnn_part


@pytest.fixture
def part(
    tiny_params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> parts.Part:
    monkeypatch.chdir(tmp_path)
    p = params.Params.model_validate(tiny_params)
    return cnn_part.sweep_part(p.origin, "paper", p.cnn.sweeps["paper"], 2)


def frame(rows: int = 4) -> pd.DataFrame:
    columns = {name: [0] * rows for name in cnn_part.SCHEMA.names}
    keys = {"seed": [i // 2 for i in range(rows)], "epoch": [i % 2 + 1 for i in range(rows)]}
    return pd.DataFrame(columns | keys | {"sweep": ["paper"] * rows, "width": [2] * rows})


def test_a_part_is_read_as_it_was_written(part: parts.Part) -> None:
    part.write(frame().assign(train_loss=[0.5, 0.25, 0.125, 2.0]))
    read = part.read()
    assert list(read.columns) == cnn_part.SCHEMA.names
    assert read["train_loss"].tolist() == [0.5, 0.25, 0.125, 2.0]
    assert pq.read_schema(part.path).equals(cnn_part.SCHEMA)


def test_the_bytes_depend_on_the_rows_only(part: parts.Part) -> None:
    part.write(frame())
    before = part.path.read_bytes()
    part.write(frame().rename(index=lambda row: row + 7)[cnn_part.SCHEMA.names[::-1]])
    assert part.path.read_bytes() == before


def test_a_part_knows_what_made_it(part: parts.Part) -> None:
    part.write(frame())
    metadata = pq.read_schema(part.path).metadata
    assert metadata[b"fingerprint"].decode() == part.fingerprint
    assert b'"learning_rate": 0.001' in metadata[b"configuration"]
    assert b'"width": 2' in metadata[b"configuration"]
    assert set(metadata) == {b"schema_version", b"configuration", b"fingerprint"}


def test_every_param_of_a_configuration_changes_the_fingerprint(
    part: parts.Part, tiny_params: dict[str, Any]
) -> None:
    p = params.Params.model_validate(tiny_params)
    paper = p.cnn.sweeps["paper"]
    changes: dict[str, Any] = {
        "optimizer": "adamw",
        "learning_rate": 0.5,
        "weight_decay": 0.5,
        "batch_size": 7,
        "seeds": 7,
        "precision": "float32",
        "initial_weights": "keras",
        "augment": True,
        "augment_validation": True,
        "evaluate_training": True,
        "input_range": [0.0, 2.0],
        "epochs": 7,
    }
    assert set(changes) == set(params.CnnSweep.model_fields)
    for name, value in changes.items():
        other = cnn_part.sweep_part(p.origin, "paper", paper.model_copy(update={name: value}), 2)
        assert other.fingerprint != part.fingerprint, name
    assert cnn_part.sweep_part(p.origin, "paper", paper, 3).fingerprint != part.fingerprint
    assert cnn_part.sweep_part(p.origin, "other", paper, 2).fingerprint != part.fingerprint


def test_a_whole_number_and_the_same_float_are_the_same_params(
    part: parts.Part, tiny_params: dict[str, Any]
) -> None:
    # DVC may write `0` where the file had `0.0`: no reason to refuse a part.
    tiny_params["cnn"]["sweeps"]["paper"] |= {"weight_decay": 0, "input_range": [0, 1]}
    p = params.Params.model_validate(tiny_params)
    again = cnn_part.sweep_part(p.origin, "paper", p.cnn.sweeps["paper"], 2)
    assert again.fingerprint == part.fingerprint


def test_a_part_names_its_stage_and_its_weights(part: parts.Part) -> None:
    assert part.stage == "train_cnn@paper-2"
    assert part.weights == Path("metrics/runs/cnn/paper-2.safetensors")


def test_rows_that_do_not_fit_the_columns_are_not_written(part: parts.Part) -> None:
    part.write(frame())
    before = part.path.read_bytes()
    with pytest.raises((KeyError, ValueError)):
        part.write(frame().drop(columns="epoch"))
    assert part.path.read_bytes() == before


@pytest.mark.parametrize("rows", [0, 3, 5])
def test_a_part_short_of_rows_or_with_too_many_is_refused(part: parts.Part, rows: int) -> None:
    part.write(frame(8)[:rows])
    fault = rf"paper-2\.parquet: {rows} rows, not 4; remove it and train it again"
    with pytest.raises(InputError, match=fault):
        part.read()


def test_an_error_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep/table.csv"
    with files.aside(path) as temporary:
        temporary.write_text("first")
    with pytest.raises(ZeroDivisionError), files.aside(path) as temporary:  # noqa: PT012
        temporary.write_text("second")
        raise ZeroDivisionError
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_what_a_kill_leaves_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    (tmp_path / ".table.csv.tmp").write_text("half")
    with files.aside(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_fingerprint_does_not_depend_on_the_order_of_keys() -> None:
    assert parts.fingerprint({"a": 1, "b": 2}) == parts.fingerprint({"b": 2, "a": 1})
    assert parts.fingerprint({"a": 1, "b": 2}) != parts.fingerprint({"a": 2, "b": 1})
