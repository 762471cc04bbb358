"""Tables of runs as sweeps: what is read, flagged and refused, and the page that says so."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from stages import import_runs
from stages.base.errors import InputError
from stages.base.params import Import, Params
from stages.cnn import part as cnn_part
from stages.tensorboard import imported
from tests.helpers.clone import Clone
from tests.helpers.root import ROOT
from tests.helpers.tiny import dumped, tiny

FALLING = [2.2, 2.0, 1.9, 1.8]
FAILED_ABOVE = 2.25


def table(sizes: tuple[int, ...] = (700, 300), seeds: int = 2) -> pd.DataFrame:
    """Runs that fall, the smaller slower."""
    rows = [
        {"parameters": size, "seed": seed, "epoch": epoch, "train_loss": loss - size / 1e4,
         "validation_loss": loss + seed / 100}
        for size in sizes for seed in range(seeds) for epoch, loss in enumerate(FALLING, start=1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def read(path: Path, **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    spec = Import.model_validate({"runs": str(path)} | settings)
    return imported.read("mine", path, spec, FAILED_ABOVE)


def written(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_csv(folder / "runs.csv", index=False)
    return folder / "runs.csv"


def test_every_row_is_there_by_size_seed_and_epoch_whatever_the_order(tmp_path: Path) -> None:
    frame = table()
    mixed = frame.sample(frac=1, random_state=0)
    found, files = read(written(mixed, tmp_path))
    mixed.to_parquet(tmp_path / "runs.parquet")
    pd.testing.assert_frame_equal(read(tmp_path / "runs.parquet")[0], found)
    assert list(found) == cnn_part.SCHEMA.names
    assert found["width"].tolist() == [1] * 8 + [2] * 8  # in the order of the sizes
    ordered = frame.sort_values(["parameters", "seed", "epoch"], ignore_index=True)
    for name in ordered:
        np.testing.assert_array_equal(found[name], ordered[name].astype(found[name].dtype))
    assert found["validation_accuracy"].isna().all()
    assert files["flags"].tolist() == [""] * 4
    assert files["seed"].tolist() == [0, 1, 0, 1]


def test_columns_epochs_and_percentages_may_be_told_otherwise(tmp_path: Path) -> None:
    frame = table().assign(width=lambda f: f["parameters"] // 100, acc=12.5)
    frame = frame.rename(columns={"parameters": "size", "epoch": "step"})
    frame["step"] *= 500
    columns = {"parameters": "size", "epoch": "step", "validation_accuracy": "acc"}
    found, _ = read(
        written(frame, tmp_path), columns=columns, epoch={"first": 500, "every": 500}, percent=True
    )
    assert found["width"].unique().tolist() == [3, 7]
    assert found["epoch"].tolist() == 4 * [1, 2, 3, 4]
    assert (found["validation_accuracy"] == 0.125).all()


def test_runs_have_the_flags_that_logs_have(tmp_path: Path) -> None:
    frame = table(seeds=6).query("parameters == 300").astype({"train_loss": float})
    of = {seed: rows.index for seed, rows in frame.groupby("seed")}
    frame.loc[of[0], "train_loss"] = 2.3026
    frame.loc[of[1][:2], "train_loss"] = 2.3
    frame.loc[of[2][3], "validation_loss"] = np.inf
    frame = frame.drop(of[3][2:])
    text = frame.to_csv(index=False)
    (tmp_path / "runs.csv").write_text(f"{text}300,6,1,1,1\n300,6,2,1,\n300,7,1,,1\n")
    found, files = read(tmp_path / "runs.csv")
    flags = ["dead", "late", "not_finite", "short", "", "", "short", "empty"]
    assert files["flags"].tolist() == flags
    assert files["partial_epochs"].tolist() == [0] * 6 + [1, 1]
    assert found.groupby("seed").size().tolist() == [4, 4, 4, 2, 4, 4, 1]


Change = Callable[[pd.DataFrame], pd.DataFrame]
BAD: list[tuple[Change, dict[str, Any], str]] = [
    (lambda f: f.drop(columns=["seed", "epoch"]), {}, "{}: no column seed, epoch; it has the "
     "columns parameters, train_loss, validation_loss; name yours: imports.*.columns"),
    (lambda f: f, {"columns": {"width": "n"}}, "{}: no column n; it has the columns para"),
    (lambda f: f[:0], {}, "{}: no rows; it has the columns parameters"),
    (lambda f: f.assign(seed="first"), {}, "{}: cannot be read as a table of numbers (In CSV"),
    (lambda f: f.assign(parameters=f["parameters"] + 0.5), {},
     "{}: row 1 has 700.5 as parameters; expected a whole number from 1"),
    (lambda f: f.assign(seed=-1), {}, "{}: row 1 has -1 as seed; expected a whole number from 0"),
    (lambda f: f.assign(seed=None), {}, "{}: row 1 has nan as seed; expected a whole number fr"),
    (lambda f: f.assign(epoch=f["epoch"] - 1), {},
     "{}: row 1 has 0 as epoch; expected 1, 2, ...: see imports.*.epoch"),
    (lambda f: f, {"epoch": {"every": 2}}, "{}: row 2 has 2 as epoch; expected 1, 3, ...: see"),
    (lambda f: f.assign(train_loss=0.0), {},
     "{}: n = 1, N = 300, seed 0: train_loss is 0 at epoch 1; expected more than 0 nats"),
    (lambda f: f.assign(train_accuracy=50.0), {}, "{}: n = 1, N = 300, seed 0: train_accuracy is "
     "50 at epoch 1; expected 0 to 1; for percentages set imports.*.percent"),
    (lambda f: f.assign(validation_loss=f["validation_loss"].where(f["epoch"] > 2)), {},
     "{}: n = 1, N = 300, seed 0: mixed epochs: 2 of 4 have no value of one of train_loss, valid"),
    (lambda f: f.assign(train_loss=None)[f["epoch"] == 1], {}, "{}: no row has all of train_los"),
    (lambda f: f.assign(width=5), {}, "{}: width 5 with 300 parameters (n = 5, N = 300, seed 0) "
     "and 700 parameters (n = 5, N = 700, seed 0); expected one size; import the networks apart"),
    (lambda f: f.assign(width=f["parameters"] // 100, parameters=300), {},
     "{}: N must grow with width: 300 parameters at width 3, 300 at 7"),
    (lambda f: pd.concat([f, f[2:3].assign(train_loss=9)]), {},
     "{}: row 17 is a second one of parameters 700, seed 0, epoch 3; leave one of them out"),
    (lambda f: f.assign(epoch=1000 * f["epoch"]), {},
     "{}: the first epoch is 1000; expected 1; if these are steps set imports.*.epoch: first (10"),
    (lambda f: f, {"epochs": 3}, "{}/n = 1, N = 300, seed 0: mixed epochs: its last is 4; expect"),
    (lambda f: f, {"epochs": 5}, "{}: no run is complete: the longest has 4 epochs; expected 5"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "settings", "wanted"), BAD)
def test_what_is_no_sweep_is_refused_in_one_line(
    change: Change, settings: dict[str, Any], wanted: str, tmp_path: Path
) -> None:
    path = written(change(table()), tmp_path)
    with pytest.raises(InputError) as error:
        read(path, **settings)
    assert str(error.value).startswith(wanted.replace("{}", str(path)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["no.csv", "no.parquet", "torn.parquet", "ragged.csv", "two.csv"])
def test_a_file_that_is_no_table_is_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "torn.parquet":
        path.write_bytes(b"PAR1")
    if name == "ragged.csv":
        path.write_text("a,b\n1,2,3\n")
    if name == "two.csv":
        path.write_text(
            "parameters,seed,epoch,train_loss,train_loss,validation_loss\n1,1,1,1,1,1\n"
        )
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: cannot be read as a table of numbers (")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"runs": "a.csv", "tags": {"train_loss": "x"}}, "tags: means nothing for a table"),
        ({"runs": "a.csv", "epoch": {"tag": "x"}}, "epoch.tag: means nothing for a table"),
        ({"runs": "logs", "columns": {"seed": "x"}}, "columns: means nothing for a folder of logs"),
        ({"runs": "a.csv", "columns": {"loss": "x"}}, "'validation_loss' or 'validation_accuracy'"),
    ],
)
def test_params_of_the_other_kind_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        Import.model_validate(settings)


def test_the_command_counts_runs_and_no_faults_of_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(table(), tmp_path)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["import_runs", str(path), "--out", f"{tmp_path}/a.parquet"])
    import_runs.main()
    head, *_, last = capsys.readouterr().out.splitlines()
    assert head.split()[2:] == ["found", "complete", "short", "empty", "dead", "late", "not_finite"]
    assert last == "4 runs found, 4 runs in the table"
    assert pd.read_csv(tmp_path / "a-widths.csv").columns.tolist() == head.split()


def blocks(kind: str) -> list[str]:
    text = (ROOT / "docs/import.md").read_text()
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_the_page_trains_elsewhere_and_its_runs_are_fitted_as_a_sweep(ready: Clone) -> None:
    keys, graph, named = blocks("yaml")
    Params.model_validate(tiny() | yaml.safe_load(keys))
    (ready.root / "digits").mkdir()
    (ready.root / "digits/train.py").write_text(blocks("python")[0])
    (ready.root / "digits/dvc.yaml").write_text(graph)
    (ready.root / "params.yaml").write_text(dumped(tiny() | {"imports": yaml.safe_load(named)}))
    ready.run("dvc", "repro", "fit_cnn")
    rows = pd.read_parquet(ready.root / "metrics/cnn.parquet").query("sweep == 'digits'")
    runs = pd.read_csv(ready.root / "digits/runs.csv")
    assert rows.groupby("width")["parameters"].unique().map(list).to_dict() == {
        n: [64 * n + n + 10 * n + 10] for n in (2, 3, 4, 6, 8)
    }
    np.testing.assert_allclose(rows["validation_loss"], runs["validation_loss"], rtol=1e-6)
    fits = pd.read_csv(ready.root / "metrics/cnn_fits.csv").query("sweep == 'digits'")
    best = fits.query("epochs == 'best' and metric == 'validation_loss' and quantile == 0.5")
    assert (best.query("widths == 'all'")["alpha"] > 0.5).all()
    assert len(pd.read_csv(ready.root / "metrics/runs/imports/digits-files.csv")) == 15
