"""Parts: what is written is what is read, and a file is there whole or not at all."""

import errno
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from stages.base import files, params, parts
from stages.base.errors import InputError
from stages.cnn import part as cnn_part


@pytest.fixture
def part(
    tiny_params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> parts.Part:
    monkeypatch.chdir(tmp_path)
    p = params.Params.model_validate(tiny_params)
    return cnn_part.sweep_part(p.cnn_images, "paper", p.cnn.sweeps["paper"], 2)


def frame(rows: int = 4) -> pd.DataFrame:
    columns = {name: [1] * rows for name in cnn_part.SCHEMA.names}
    keys = {"seed": [i // 2 for i in range(rows)], "epoch": [i % 2 + 1 for i in range(rows)]}
    own = {"sweep": ["paper"] * rows, "width": [2] * rows, "parameters": [10_210] * rows}
    return pd.DataFrame(columns | keys | own)


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
        "weights_seeds": 2,
        "best_weights": True,
    }
    assert set(changes) == set(params.CnnSweep.model_fields)
    for name, value in changes.items():
        other = cnn_part.sweep_part(
            p.cnn_images, "paper", paper.model_copy(update={name: value}), 2
        )
        assert other.fingerprint != part.fingerprint, name
    assert cnn_part.sweep_part(p.cnn_images, "paper", paper, 3).fingerprint != part.fingerprint
    assert cnn_part.sweep_part(p.cnn_images, "other", paper, 2).fingerprint != part.fingerprint


def test_a_part_that_keeps_one_seeds_weights_is_made_as_before_that_was_a_setting(
    part: parts.Part, tiny_params: dict[str, Any]
) -> None:
    paper = params.Params.model_validate(tiny_params).cnn.sweeps["paper"]
    new = {"weights_seeds", "best_weights"}
    before = part.configuration | {"params": paper.model_dump(exclude=new)}
    assert replace(part, configuration=before).fingerprint == part.fingerprint


def test_a_whole_number_and_the_same_float_are_the_same_params(
    part: parts.Part, tiny_params: dict[str, Any]
) -> None:
    # DVC may write `0` where the file had `0.0`: no reason to refuse a part.
    tiny_params["cnn"]["sweeps"]["paper"] |= {"weight_decay": 0, "input_range": [0, 1]}
    p = params.Params.model_validate(tiny_params)
    again = cnn_part.sweep_part(p.cnn_images, "paper", p.cnn.sweeps["paper"], 2)
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


WRONG: list[tuple[str, Any, str]] = [
    ("sweep", "notebook", "sweep notebook in row 0, not paper"),
    ("width", 3, "width 3 in row 0, not 2"),
    ("parameters", -1, "parameters -1 in row 0, not 10210"),
    ("seed", 0, "seed 0 in row 2, not 1"),
    ("epoch", 2, "epoch 2 in row 0, not 1"),
    ("train_loss", 0.0, "train_loss 0 is not from "),
    ("validation_loss", -5.0, "validation_loss -5 is not from "),
    ("train_accuracy", 7.0, "train_accuracy 7 is not from 0 to 1"),
    ("validation_accuracy", -0.25, "validation_accuracy -0.25 is not from 0 to 1"),
]


@pytest.mark.parametrize(("column", "value", "said"), WRONG)
def test_a_part_that_holds_what_it_cannot_is_refused(
    part: parts.Part, column: str, value: Any, said: str
) -> None:
    part.write(frame().assign(**{column: value}))
    with pytest.raises(InputError, match=re.escape(said)):
        part.read()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_run_that_diverged_is_a_result(part: parts.Part, value: float) -> None:
    part.write(frame().assign(train_loss=[1.0, value, value, value], validation_loss=value))
    np.testing.assert_array_equal(part.read()["train_loss"], [1.0, value, value, value])


@pytest.mark.parametrize("change", ["lacks", "more", "type"])
def test_a_part_of_other_columns_or_types_is_refused(part: parts.Part, change: str) -> None:
    part.write(frame())
    table = pq.read_table(part.path)
    loss = cnn_part.SCHEMA.get_field_index("train_loss")
    match change:
        case "lacks":
            other = table.drop_columns("train_loss")
        case "more":
            other = table.append_column("another", table["seed"])
        case "type":
            other = table.set_column(loss, "train_loss", table["train_loss"].cast(pa.float64()))
    pq.write_table(other.replace_schema_metadata(table.schema.metadata), part.path)
    with pytest.raises(InputError, match=r"paper-2\.parquet: other columns or types than sweep, "):
        part.read()


@pytest.mark.parametrize("metadata", [b"[1]", b"{", b"\xff", b"null"])
def test_a_part_whose_metadata_are_none_is_damaged(part: parts.Part, metadata: bytes) -> None:
    part.write(frame())
    table = pq.read_table(part.path).replace_schema_metadata({"configuration": metadata})
    pq.write_table(table, part.path)
    with pytest.raises(InputError, match=r"paper-2\.parquet: (damaged|made with other params)"):
        part.read()


def test_one_bit_never_makes_other_numbers_nor_a_traceback(part: parts.Part) -> None:
    rng = np.random.default_rng(0)
    whole = frame().assign(train_loss=rng.random(4), validation_loss=rng.random(4))
    part.write(whole)
    content, expected = part.path.read_bytes(), part.read()
    refused = 0
    for place in rng.permutation(8 * len(content))[:600].tolist():
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        part.path.write_bytes(flipped)
        try:
            pd.testing.assert_frame_equal(part.read(), expected)
        except InputError:
            refused += 1
    assert refused > 300


@pytest.fixture
def trained(part: parts.Part) -> parts.Part:
    """A part with weights, trained on images that have a record."""
    assert part.images
    for path in (part.weights, part.images):
        path.parent.mkdir(parents=True)
        path.write_bytes(path.name.encode())
    part.write(frame())
    return part


@pytest.fixture
def hashes(trained: parts.Part) -> dict[str, str]:
    """What dvc.lock has of what the part's stage depends on."""
    assert trained.images
    return {"data/cifar10.json": files.digest(trained.images), "stages/cnn": "0.dir"}


def test_a_part_with_its_weights_of_the_right_images_fits(
    trained: parts.Part, hashes: dict[str, str]
) -> None:
    trained.check(hashes)


def test_a_part_of_other_images_is_refused(trained: parts.Part, hashes: dict[str, str]) -> None:
    other = hashes | {"data/cifar10.json": "0"}
    with pytest.raises(InputError, match=r"other images \([0-9a-f]{32}; data/cifar10\.json is 0"):
        trained.check(other)


def test_a_part_that_does_not_say_its_images_is_refused(
    trained: parts.Part, hashes: dict[str, str]
) -> None:
    assert trained.images
    trained.images.unlink()
    trained.write(frame())
    with pytest.raises(InputError, match=r"other images \(it does not say which"):
        trained.check(hashes)


@pytest.mark.parametrize("content", [b"weights of others", b"weight", b""])
def test_weights_of_others_damaged_or_missing_are_refused(
    trained: parts.Part, hashes: dict[str, str], content: bytes
) -> None:
    trained.weights.write_bytes(content)
    with pytest.raises(InputError, match=r"paper-2\.safetensors: damaged, or another part's"):
        trained.check(hashes)
    trained.weights.unlink()
    with pytest.raises(InputError, match=r"paper-2\.safetensors: No such file"):
        trained.check(hashes)


def test_the_columns_are_part_of_the_fingerprint(part: parts.Part) -> None:
    other = replace(part, schema=part.schema.remove(part.schema.get_field_index("train_loss")))
    assert other.fingerprint != part.fingerprint


def interrupted(*args: object) -> None:
    raise KeyboardInterrupt


def test_all_files_have_the_mode_that_a_plain_open_gives(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with files.aside(tmp_path / "a.safetensors") as path:
        save_file({"a": np.zeros(1)}, path)
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_interrupt_of_the_last_step_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("first")
    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt), files.aside(path) as temporary:
        temporary.write_text("second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_where_nothing_can_be_written_the_first_error_is_the_one_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "the second")

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(OSError, match="the first"), files.aside(tmp_path / "table.csv"):
        raise OSError(errno.EROFS, "the first")
