"""Aggregation: exactly the parts that params.yaml asks for, or a line for each bad one."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from stages import aggregate_cnn, aggregate_parity
from stages.base import params, parts
from stages.base.errors import InputError
from stages.cnn import part as cnn_part
from tests.helpers.tiny import write_params

TABLE = Path("metrics/cnn.parquet")
PART = Path("metrics/runs/cnn/paper-2.parquet")


def frame(part: parts.Part, seeds: list[int]) -> pd.DataFrame:
    """Rows as a CNN part has them, with random numbers in the columns that are measured."""
    made = part.configuration
    widths = made["widths"] if "study" in made else [made["width"]]
    epochs = range(1, made["params"]["epochs"] + 1)
    rows = pd.DataFrame(product(widths, seeds, epochs), columns=["width", "seed", "epoch"])
    measured = np.random.default_rng(widths[0]).random((len(rows), 6))
    rows[part.schema.names[5:]] = measured
    return rows.assign(
        sweep=made.get("sweep", made.get("study")), parameters=cnn_part.parameters(rows["width"])
    )


def write(p: params.Params) -> None:
    for part in aggregate_cnn.expected(p):
        part.write(frame(part, [0, 1]))


def run(family: str = "cnn") -> None:
    (aggregate_cnn if family == "cnn" else aggregate_parity).main()


@pytest.fixture
def p(
    tiny_params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> params.Params:
    """A root with every part of the CNN sweeps, and their table."""
    monkeypatch.chdir(tmp_path)
    write_params(Path(), tiny_params)
    p = params.load()
    write(p)
    run()
    return p


def part(p: params.Params) -> parts.Part:
    return next(part for part in aggregate_cnn.expected(p) if part.path == PART)


def refused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines by which aggregation refuses the parts; the table that was there stays."""
    before = TABLE.read_bytes()
    with pytest.raises(InputError) as error:
        run()
    assert TABLE.read_bytes() == before
    assert sorted(path.name for path in Path("metrics").iterdir()) == ["cnn.parquet", "runs"]
    return str(error.value).splitlines()


def only(lines: list[str]) -> str:
    assert len(lines) == 1
    assert lines[0].startswith(f"{PART}: ")
    assert f"train it again: dvc repro, or restore it: git checkout -- {PART}" in lines[0]
    return lines[0]


def test_the_table_holds_every_part_in_the_order_of_params(p: params.Params) -> None:
    table = pd.read_parquet(TABLE)
    parts = table[["sweep", "width"]].drop_duplicates().to_numpy().tolist()
    sweeps = ["notebook", "paper", "paper_keras", "perceptron"]
    assert parts == [[name, width] for name in sweeps for width in (1, 2)]
    expected = pd.concat([part.read() for part in aggregate_cnn.expected(p)])
    for column in cnn_part.SCHEMA.names[1:]:
        np.testing.assert_array_equal(table[column], expected[column])


def test_the_same_parts_make_the_same_bytes(
    p: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = TABLE.read_bytes()
    TABLE.unlink()
    run()
    assert TABLE.read_bytes() == before


def test_a_part_that_params_no_longer_name_is_left_out(
    p: params.Params, tiny_params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_params["cnn"]["widths"] = [2]
    write_params(Path(), tiny_params)
    run()
    widths = pd.read_parquet(TABLE).groupby("sweep", observed=True)["width"].unique()
    studies = {"paper_keras": [1, 2], "perceptron": [1, 2]}
    assert widths.map(list).to_dict() == {"notebook": [2], "paper": [2]} | studies
    assert Path("metrics/runs/cnn/paper-1.parquet").exists()


def test_n_that_was_counted_is_one_for_each_width_and_grows(
    p: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = cnn_part.study_part(p.cnn_images, "perceptron", p.studies["perceptron"])
    rows = part.read()
    part.write(rows.assign(parameters=7))
    assert refused(monkeypatch)[0].startswith(f"{part.path}: N does not grow with width; ")
    part.write(rows.assign(parameters=rows["parameters"] + rows["epoch"]))
    assert refused(monkeypatch)[0].startswith(f"{part.path}: several N at one width; ")


def test_a_missing_part(p: params.Params, monkeypatch: pytest.MonkeyPatch) -> None:
    PART.unlink()
    assert "missing" in only(refused(monkeypatch))


@pytest.mark.parametrize("kept", [0, 3, 1000, -1])
def test_a_truncated_part(p: params.Params, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    PART.write_bytes(PART.read_bytes()[:kept])
    assert "damaged" in only(refused(monkeypatch))


def test_a_part_of_other_params(
    p: params.Params, tiny_params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_params["cnn"]["sweeps"]["paper"]["learning_rate"] = 2e-3
    write_params(Path(), tiny_params)
    first, second = refused(monkeypatch)  # both widths, each by its name
    assert "paper-1.parquet: made with other params" in first
    assert "paper-2.parquet: made with other params" in second
    assert "learning_rate: 0.001, params.yaml has 0.002" in second


def test_a_part_of_another_width(p: params.Params, monkeypatch: pytest.MonkeyPatch) -> None:
    PART.write_bytes(PART.with_name("paper-1.parquet").read_bytes())
    assert "width: 1, params.yaml has 2" in only(refused(monkeypatch))


@pytest.mark.parametrize("seeds", [[], [0], [1], [0, 1, 2], [0, 0], [1, 2]])
def test_a_part_of_other_seeds(
    p: params.Params, monkeypatch: pytest.MonkeyPatch, seeds: list[int]
) -> None:
    part(p).write(frame(part(p), seeds))
    assert "not" in only(refused(monkeypatch))


def test_a_part_that_lacks_an_epoch_of_a_seed(
    p: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = frame(part(p), [0, 1])
    rows.loc[0, "epoch"] = 2  # seed 0 has epoch 2 twice, and no epoch 1
    part(p).write(rows)
    assert "epoch" in only(refused(monkeypatch))


def test_a_file_that_is_no_part_at_all(p: params.Params, monkeypatch: pytest.MonkeyPatch) -> None:
    frame(part(p), [0, 1]).to_parquet(PART)
    assert "other params" in only(refused(monkeypatch))


def test_each_bad_part_has_its_line(p: params.Params, monkeypatch: pytest.MonkeyPatch) -> None:
    PART.unlink()
    other = PART.with_name("notebook-1.parquet")
    other.write_bytes(b"")
    lines = refused(monkeypatch)
    assert [line.partition(":")[0] for line in lines] == [str(other), str(PART)]


def parity_frame(part: parts.Part) -> pd.DataFrame:
    """Rows as a parity part has them, with random numbers for what is measured."""
    rows = part.keys.to_frame(index=False).assign(configuration=part.configuration["configuration"])
    measured = [name for name in part.schema.names if name not in rows]
    for name, values in zip(
        measured, np.random.default_rng(0).random((9, len(rows))), strict=False
    ):
        rows[name] = values.astype(np.float32) if part.schema.field(name).type == "float" else 5
    return rows


@pytest.fixture
def parity(
    tiny_params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, list[parts.Part]]:
    """A root with the parts of two parity configurations, one without fixed training sets."""
    monkeypatch.chdir(tmp_path)
    configurations = tiny_params["parity"]["configurations"]
    tiny_params["parity"]["alphas"]["values"] = []
    configurations["other"] = configurations["notebook"] | {"data_limited": None, "task_curves": 0}
    write_params(Path(), tiny_params)
    by_kind = aggregate_parity.expected(params.load())
    for part in (part for of_kind in by_kind.values() for part in of_kind):
        part.write(parity_frame(part))
    return by_kind


def test_parity_has_a_table_of_each_kind(
    parity: dict[str, list[parts.Part]], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = parity["tasks"][1]
    censored = parity_frame(part).astype({"learned": "Int32"})
    censored.loc[3, "learned"] = pd.NA
    part.write(censored)
    run("parity")
    tables = {name: pd.read_parquet(f"metrics/parity_{name}.parquet") for name in parity}
    for name, some in parity.items():
        expected = pd.concat([part.read() for part in some], ignore_index=True)
        columns = expected.columns[1:]
        pd.testing.assert_frame_equal(tables[name][columns], expected[columns], check_dtype=False)
        assert pq.read_schema(f"metrics/parity_{name}.parquet").names == some[0].schema.names
    assert set(tables["losses"]["configuration"]) == {"notebook", "other"}
    assert set(tables["curves"]["configuration"]) == {"notebook"}
    tasks = tables["tasks"]
    (row,) = np.nonzero(tasks["learned"].isna())[0]
    assert row == len(parity["tasks"][0].keys) + 3
    assert pq.read_schema("metrics/parity_tasks.parquet").field("learned").type == "int32"


def test_a_table_may_be_of_one_part(
    parity: dict[str, list[parts.Part]], tiny_params: dict[str, Any]
) -> None:
    part, table = parity["tasks"][0], Path("metrics/one.parquet")
    parts.aggregate({table: [part]}, params.Params.model_validate(tiny_params))
    pd.testing.assert_frame_equal(pd.read_parquet(table), part.read(), check_dtype=False)


@pytest.mark.parametrize("kind", ["losses", "tasks", "curves"])
def test_a_parity_part_without_one_of_its_runs(
    parity: dict[str, list[parts.Part]], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    part = parity[kind][0]
    frame = parity_frame(part)
    frame.loc[frame["seed"] == 1, "seed"] = 0
    part.write(frame)
    with pytest.raises(InputError) as error:
        run("parity")
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{part.path}: seed 0 in row ")
    assert ", not 1; remove it and train it again: dvc repro, or restore it: " in line
    assert not Path("metrics/parity_losses.parquet").exists()
