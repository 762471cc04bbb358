"""Logs of TensorBoard as a CNN sweep and back: what is read, flagged, refused and fitted."""

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import filterfalse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.repo import Repo

from stages import aggregate_cnn, import_runs, report
from stages.base import params, parts
from stages.base.errors import InputError
from stages.base.params import Import
from stages.cnn import part as cnn_part
from stages.cnn.part import parameters as parameters_of
from stages.commands import export as export_tensorboard
from stages.drawing import cnn
from stages.drawing import cnn_scaling as cnn_sweep
from stages.drawing.cnn import Drawn
from stages.manifold import beside, selection, simulate
from stages.manifold import fits as cnn_fits
from stages.tensorboard import events, imported, logs, quality
from stages.tensorboard.part import ImportPart, import_part
from tests.helpers.clone import Clone, isolated
from tests.helpers.frozen import FROZEN
from tests.helpers.graph import TRAINING, as_written, file_of, needs, unnamed
from tests.helpers.root import ROOT
from tests.helpers.tiny import dumped, tiny, write_params

TAGS = params.CurveTags().model_dump()
CHANCE = 2.3026
FAILED_ABOVE = 2.25
EPOCHS = 6
FALLING = [2.2, 2.0, 1.9, 1.8, 1.7, 1.6]


def log(
    path: Path,
    loss: Sequence[float] = FALLING,
    start: float = 0.0,
    texts: Mapping[str, str] | None = None,
    steps: Sequence[int] | None = None,
    tags: Mapping[str, str] = TAGS,
    scale: float = 1.0,
    more: Mapping[str, Sequence[float]] | None = None,
) -> Path:
    """An event file of one run, with accuracies that follow from its training loss."""
    values = {
        "train_loss": loss,
        "train_accuracy": [scale * (1 - value / 2.6) for value in loss],
        "validation_loss": [value + 0.1 for value in loss],
        "validation_accuracy": [scale * (0.9 - value / 2.6) for value in loss],
    }
    steps = range(len(loss)) if steps is None else steps
    scalars = {tags[metric]: of for metric, of in values.items()} | dict(more or {})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(events.write(start, texts or {}, steps, scalars))
    return path


def spec(**settings: Any) -> Import:
    return Import.model_validate({"runs": "logs"} | settings)


def read(folder: Path, **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    return imported.read("mine", folder, spec(**settings), FAILED_ABOVE)


def part_of(frame: pd.DataFrame, path: Path, **settings: Any) -> ImportPart:
    part = import_part("mine", spec(**settings), path)
    part.write(frame)
    return part


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs with everything that can be wrong with a run, two of them in one folder."""
    folder = tmp_path_factory.mktemp("logs") / "logs"
    log(folder / "n_1/a/tfevents.1", start=3)
    log(folder / "n_1/a/tfevents.2", [CHANCE] * EPOCHS, start=1)
    log(folder / "n_1/b/tfevents", FALLING[:4], start=2)
    log(folder / "n_1/c/tfevents", [2.3, 2.29, *FALLING[:4]], start=4)
    log(folder / "n_1/d/tfevents", [*FALLING[:5], np.nan], start=0.5)
    log(folder / "n_2/a/tfevents", [2.1, *FALLING[1:], 1.5], steps=[0, 1, 2, 3, 4, 5, 5])
    content = log(folder / "n_2/b/tfevents", start=1).read_bytes()
    (folder / "n_2/b/tfevents").write_bytes(content[:-20])
    content = bytearray(log(folder / "n_2/c/tfevents", start=2).read_bytes())
    content[-6] ^= 1
    (folder / "n_2/c/tfevents").write_bytes(content)
    log(folder / "n_5/a/tfevents", [])
    log(folder / "n_5/b/tfevents")
    log(folder / "n_5/c/hparams/tfevents", [1.0], tags={m: f"hparam/{m}" for m in TAGS})
    (folder / "other/empty").mkdir(parents=True)
    (folder / "other/empty/tfevents").touch()
    (folder / "notes.txt").touch()
    return folder


def test_every_file_is_a_row_with_its_flags(logdir: Path) -> None:
    _, files = read(logdir)
    flags = dict(zip(files["file"], files["flags"], strict=True))
    assert flags == {
        "n_1/a/tfevents.1": "",
        "n_1/a/tfevents.2": "dead",
        "n_1/b/tfevents": "short",
        "n_1/c/tfevents": "late",
        "n_1/d/tfevents": "not_finite",
        "n_2/a/tfevents": "duplicate_steps",
        "n_2/b/tfevents": "short damaged_tail",
        "n_2/c/tfevents": "short bad_crc",
        "n_5/a/tfevents": "empty",
        "n_5/b/tfevents": "",
        "n_5/c/hparams/tfevents": "empty unknown_tags",
        "other/empty/tfevents": "empty",
    }
    by_file = files.set_index("file")
    assert by_file.loc["n_1/c/tfevents", "fell_at_epoch"] == 3
    assert by_file.loc["n_2/a/tfevents", "duplicate_steps"] == 4
    assert by_file.loc["n_2/b/tfevents", "partial_epochs"] == 1
    assert by_file.loc["n_2/c/tfevents", ["epochs", "bad_records"]].tolist() == [5, 1]


def test_the_quality_table_counts_the_files_of_each_width(logdir: Path) -> None:
    _, files = read(logdir)
    table = quality.of_widths(files)
    assert table["width"].tolist()[:3] == [1, 2, 5]
    assert pd.isna(table["width"][3])  # a log that does not say, last
    assert table["parameters"].tolist()[:3] == [5408, 10210, 25264]
    assert table["found"].tolist() == [5, 3, 3, 1]
    assert table["complete"].tolist() == [4, 1, 1, 0]
    assert (table["complete"] + table["short"] + table["empty"] == table["found"]).all()
    for flag in quality.FLAGS:
        assert table[flag].sum() == files["flags"].str.split().map(lambda of, f=flag: f in of).sum()
    assert table[quality.FLAGS].sum().min() == 1


def test_short_and_dead_runs_stay_in_the_table_and_only_empty_files_are_not(logdir: Path) -> None:
    table, files = read(logdir)
    assert list(table) == cnn_part.SCHEMA.names
    counts = table.groupby(["width", "seed"]).size()
    listed = files.dropna(subset=["seed"]).set_index(["width", "seed"])["epochs"]
    assert counts.to_dict() == listed.to_dict()
    assert files.loc[files["seed"].isna(), "flags"].str.contains("empty").all()
    failures = selection.failures(table, FAILED_ABOVE)
    failed = {
        tuple(run)
        for run in failures[failures[[*selection.FAILURES]].any(axis=1)][
            ["width", "seed"]
        ].to_numpy()
    }
    bad = files["flags"].str.contains("short|dead|not_finite")
    assert failed == {tuple(run) for run in files.loc[bad, ["width", "seed"]].to_numpy()}


def test_seeds_are_in_the_order_in_which_runs_started(logdir: Path) -> None:
    _, files = read(logdir)
    ordered = files[files["width"] == 1].sort_values("seed")["file"].str.removeprefix("n_1/")
    assert ordered.tolist() == [
        *["d/tfevents", "a/tfevents.2", "b/tfevents", "a/tfevents.1", "c/tfevents"]
    ]


def test_runs_that_started_together_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ["b", "c", "a"]:
        log(tmp_path / f"n_1/{name}/tfevents")
    _, files = read(tmp_path)
    assert files["file"].tolist() == [f"n_1/{name}/tfevents" for name in "abc"]


def test_of_a_step_given_twice_the_last_value_counts(logdir: Path) -> None:
    table, files = read(logdir)
    seed = files.set_index("file").loc["n_2/a/tfevents", "seed"]
    run = table[(table["width"] == 2) & (table["seed"] == seed)]
    assert run["epoch"].tolist() == [*range(1, EPOCHS + 1)]
    np.testing.assert_allclose(run["train_loss"], [2.1, *FALLING[1:5], 1.5], rtol=1e-6)


PLACES = {
    "path": ({"path": r"w(?P<width>\d+)_N(?P<parameters>\d+)"}, "run_w7_N35840", {}, {}),
    "text": ({"text": {"width": "Width/text_summary"}}, "x", {"Width/text_summary": "**7**"}, {}),
    "scalars": ({"scalars": {"width": "model/n"}}, "x", {}, {"model/n": [7.0] * EPOCHS}),
    "parameters": ({"text": {"parameters": "N"}}, "x", {"N": "35,840 parameters"}, {}),
}


@pytest.mark.parametrize("place", PLACES)
def test_width_and_parameters_are_found_where_the_params_say(place: str, tmp_path: Path) -> None:
    settings, folder, texts, more = PLACES[place]
    log(tmp_path / folder / "tfevents", texts=texts, more=more)
    table, _ = read(tmp_path, **settings)
    assert set(table["width"]) == {7}
    assert set(table["parameters"]) == {35840}


def test_the_size_follows_from_the_width_and_the_width_from_the_size() -> None:
    for width in [*range(1, 300), 4096]:
        size = parameters_of(width)
        assert size == 54 * width**2 + 4640 * width + 714
        assert logs.width_of(size) == width
        assert logs.width_of(size + 1) == 0


def test_another_network_has_the_size_that_its_logs_state(tmp_path: Path) -> None:
    log(tmp_path / "n_3/tfevents", texts={"Model size/text_summary": "1000"})
    table, _ = read(tmp_path)
    assert set(zip(table["width"], table["parameters"], strict=True)) == {(3, 1000)}


@pytest.mark.parametrize(
    ("epoch", "steps", "more"),
    [
        ({"first": 1}, range(1, 7), {}),
        ({"first": 390, "every": 391}, range(390, 2346, 391), {}),
        ({"tag": "epoch"}, range(390, 2346, 391), {"epoch": [0, 1, 2, 3, 4, 5]}),
    ],
)
def test_epochs_are_counted_from_one_whatever_the_steps(
    epoch: dict[str, Any], steps: range, more: dict[str, list[float]], tmp_path: Path
) -> None:
    log(tmp_path / "n_1/tfevents", steps=steps, more=more)
    table, _ = read(tmp_path, epoch=epoch)
    assert table["epoch"].tolist() == [1, 2, 3, 4, 5, 6]


def test_other_tags_percentages_and_logs_without_accuracies_can_be_read(tmp_path: Path) -> None:
    tags = {"train_loss": "loss/train", "validation_loss": "loss/test"}
    tags |= {"train_accuracy": "acc/train", "validation_accuracy": "acc/test"}
    log(tmp_path / "n_1/tfevents", tags=tags, scale=100)
    table, _ = read(tmp_path, tags=tags, percent=True)
    np.testing.assert_allclose(table["train_accuracy"], 1 - np.array(FALLING) / 2.6, rtol=1e-6)
    lacking = tags | {"train_accuracy": None, "validation_accuracy": None}
    table, _ = read(tmp_path, tags=lacking)
    assert table["train_accuracy"].isna().all()
    np.testing.assert_allclose(table["train_loss"], FALLING, rtol=1e-6)


def _no_files(folder: Path) -> None:
    (folder / "n_1").mkdir()
    (folder / "n_1/log.txt").touch()


def _two_widths(folder: Path) -> None:
    log(folder / "run/tfevents.1", texts={"Channel count/text_summary": "1"})
    log(folder / "run/tfevents.2", texts={"Channel count/text_summary": "2"})


def _two_stated(folder: Path) -> None:
    for name, epochs in [("a", "6"), ("b", "100")]:
        log(folder / f"n_1/{name}/tfevents", texts={"Epochs/text_summary": epochs})


def _two_sizes(folder: Path) -> None:
    for name, size in [("a", "1000"), ("b", "1001")]:
        log(folder / f"n_1/{name}/tfevents", texts={"Model size/text_summary": size})


def _by_batch(folder: Path) -> None:
    log(folder / "n_1/tfevents", more={TAGS["train_loss"]: [1.0] * EPOCHS})
    content = (folder / "n_1/tfevents").read_bytes()
    batches = events.write(0.0, {}, range(6, 40), {TAGS["train_loss"]: [1.0] * 34})
    (folder / "n_1/tfevents").write_bytes(content + batches)


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no event files": (
        _no_files,
        {},
        "{}: no event files among 1 files; expected names with tfevents in them",
    ),
    "no folder": (shutil.rmtree, {}, "{}: no such folder; name the one that holds the event files"),
    "unknown tags": (
        lambda f: log(f / "n_1/tfevents", tags={m: f"my/{m}" for m in TAGS}),
        {},
        "{}: no file has Loss/Train, Accuracy/Train, Loss/Validation, Accuracy/Validation; other "
        "tags of scalars in 1 files: my/train_accuracy, my/train_loss, my/validation_accuracy, "
        "my/validation_loss; name yours: imports.*.tags",
    ),
    "one tag unknown": (
        lambda f: log(f / "n_1/tfevents"),
        {"tags": {"train_loss": "Loss/train"}},
        "{}/n_1/tfevents: mixed epochs: Loss/train has none; Accuracy/Train has 6 epochs, 1 to 6; "
        "Loss/Validation has 6 epochs, 1 to 6; Accuracy/Validation has 6 epochs, 1 to 6; expected "
        "each tag at every epoch",
    ),
    "two widths in one folder": (
        _two_widths,
        {},
        "{}/run: two widths in one folder: 1 (tfevents.1), 2 (tfevents.2); expected one width a "
        "folder; move the files apart",
    ),
    "two widths in one log": (
        lambda f: log(f / "n_1/tfevents", texts={"Channel count/text_summary": "2"}),
        {},
        "{}/n_1/tfevents: two values of width: 1 by its path and 2 by text Channel "
        "count/text_summary; expected one",
    ),
    "two sizes of a width": (
        _two_sizes,
        {},
        "{}: width 1 with 1000 parameters (n_1/a/tfevents) and 1001 parameters (n_1/b/tfevents); "
        "expected one size; import the networks apart",
    ),
    "no width": (
        lambda f: log(f / "run/tfevents"),
        {},
        r"{}/run/tfevents: no width and no parameters; expected in its path '\\bn_(?P<width>\\d+)'"
        ", or one of Channel count/text_summary, Model size/text_summary, Epochs/text_summary; "
        "see imports.*.path, text, scalars, hyperparameters",
    ),
    "a width in words": (
        lambda f: log(f / "n_1/tfevents", texts={"Channel count/text_summary": "one or two"}),
        {},
        "{}/n_1/tfevents: width by text Channel count/text_summary is 'one or two'; expected one "
        "whole number from 1",
    ),
    "a size of no width": (
        lambda f: log(f / "run/tfevents", texts={"Model size/text_summary": "5409"}),
        {},
        "{}/run/tfevents: 5409 parameters and no width; of the project's network no width has so "
        "many; say where the width is: imports.*.path, text, ...",
    ),
    "mixed epochs of tags": (
        _by_batch,
        {},
        "{}/n_1/tfevents: mixed epochs: Loss/Train has 40 epochs, 1 to 40; Accuracy/Train has 6 "
        "epochs, 1 to 6; Loss/Validation has 6 epochs, 1 to 6; Accuracy/Validation has 6 epochs, "
        "1 to 6; expected each tag at every epoch",
    ),
    "mixed epochs of logs": (
        _two_stated,
        {},
        "{}: mixed epochs: logs say that they have 6 (n_1/a/tfevents), 100 (n_1/b/tfevents); "
        "expected one number; import them apart, or set imports.*.epochs",
    ),
    "more epochs than expected": (
        lambda f: log(f / "n_1/tfevents"),
        {"epochs": 5},
        "{}/n_1/tfevents: mixed epochs: its last is 6; expected 5 at most (imports.*.epochs)",
    ),
    "no run complete": (
        lambda f: log(f / "n_1/tfevents"),
        {"epochs": 7},
        "{}: no run is complete: the longest has 6 epochs; expected 7 (imports.*.epochs); if 6 are "
        "all, set imports.*.epochs",
    ),
    "steps between epochs": (
        lambda f: log(f / "n_1/tfevents"),
        {"epoch": {"every": 10}},
        "{}/n_1/tfevents: mixed epochs: Loss/Train is at 1; expected steps 0, 10, 20, ...; see "
        "imports.*.epoch",
    ),
    "two steps in an epoch": (
        lambda f: log(f / "n_1/tfevents", more={"epoch": [0, 0, 1, 1, 2, 2]}),
        {"epoch": {"tag": "epoch"}},
        "{}/n_1/tfevents: mixed epochs: Loss/Train has 6 steps in 3 epochs; expected one value an "
        "epoch; see imports.*.epoch",
    ),
    "no epoch at a step": (
        lambda f: log(f / "n_1/tfevents"),
        {"epoch": {"tag": "epoch"}},
        "{}/n_1/tfevents: no epoch of Loss/Train at step 0: epoch has none there; expected one at "
        "every step; see imports.*.epoch",
    ),
    "percentages": (
        lambda f: log(f / "n_1/tfevents", scale=100),
        {},
        "{}/n_1/tfevents: Accuracy/Train is 15.3846 at epoch 1; expected 0 to 1; for percentages "
        "set imports.*.percent",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_that_says_what_was_found_and_expected(
    case: str, tmp_path: Path
) -> None:
    make, settings, message = BAD[case]
    make(tmp_path)
    with pytest.raises(InputError) as caught:
        read(tmp_path, **settings)
    assert str(caught.value) == message.replace("{}", str(tmp_path), 1)


def test_many_faults_are_some_lines_and_a_count(tmp_path: Path) -> None:
    for i in range(30):
        log(tmp_path / f"n_1/{i:02}/tfevents", scale=100)
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    *lines, last = str(caught.value).splitlines()
    assert len(lines) == imported.SHOWN
    assert last == f"{tmp_path}: and {30 - imported.SHOWN} more"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("path", "n_(", "must be a regular expression: missing )"),
        ("path", r"(?P<size>\d+)", "named groups must be of width, parameters, epochs"),
        ("text", {"size": "N"}, "Input should be 'width', 'parameters' or 'epochs'"),
        ("late_from", 1, "Input should be greater than or equal to 2"),
        ("tag", "loss", "unknown key"),
    ],
)
def test_bad_params_of_an_import_are_named(
    key: str, value: object, message: str, tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    tiny_params["imports"] = {"mine": {"runs": "logs", key: value}}
    path = tmp_path / "params.yaml"
    path.write_text(dumped(tiny_params))
    with pytest.raises(InputError, match=rf"imports\.mine\.{key}") as caught:
        params.load(path)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_rule_of_the_verdict_may_name_an_import_where_there_are_numbers(
    tiny_params: dict[str, Any],
) -> None:
    tiny_params["imports"] = {"mine": {"runs": "logs"}}
    tiny_params["verdict"]["fit"]["sweep"] = "mine"
    params.Params.model_validate(tiny_params)
    tiny_params["verdict"]["dimension"]["sweep"] = "mine"
    with pytest.raises(ValueError, match=r"verdict\.dimension\.sweep must be one of notebook"):
        params.Params.model_validate(tiny_params)
    for name in ("paper", "paper_keras"):  # a sweep, and a study
        taken = {"imports": {name: {"runs": "logs"}}}
        with pytest.raises(ValueError, match=rf"\.{name} and imports\.{name}: two sweeps of one"):
            params.Params.model_validate(tiny_params | taken)
    studies = {"notebook": tiny_params["studies"]["paper_keras"]}
    with pytest.raises(ValueError, match=r"sweeps\.notebook and studies\.notebook: two"):
        params.Params.model_validate(tiny_params | {"studies": studies})


def test_a_part_is_read_back_as_it_was_written_and_has_the_same_bytes(
    logdir: Path, tmp_path: Path
) -> None:
    table, _ = read(logdir)
    part = part_of(table, tmp_path / "mine.parquet")
    first = part.path.read_bytes()
    pd.testing.assert_frame_equal(part.read(), table)
    part.write(read(logdir)[0])
    assert part.path.read_bytes() == first


def test_a_part_that_is_not_what_the_params_ask_for_is_refused(
    logdir: Path, tmp_path: Path
) -> None:
    table, _ = read(logdir)
    part = part_of(table, tmp_path / "mine.parquet")
    mend = "import it again: dvc repro"
    for other, fault in [
        (import_part("mine", spec(), tmp_path / "none.parquet"), "missing"),
        (import_part("mine", spec(late_from=3), part.path), "made with other params"),
        (part_of(table[table["seed"] > 0], tmp_path / "seeds.parquet"), "its rows are not seeds"),
        (part_of(table[::-1], tmp_path / "order.parquet"), "its rows are not seeds"),
        (part_of(table.assign(sweep="other"), tmp_path / "name.parquet"), "its rows are not seeds"),
    ]:
        with pytest.raises(InputError, match=fault) as caught:
            other.read()
        assert str(caught.value).startswith(f"{other.path}: ")
        assert mend in str(caught.value)
    part.path.write_bytes(part.path.read_bytes()[:-9])
    with pytest.raises(InputError, match="damaged"):
        part.read()


def test_an_import_joins_the_table_after_our_sweeps_and_leaves_their_rows_alone(
    logdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ours = simulate.sweep(simulate.Truth(epochs=2), [1, 2], 2, np.random.default_rng(0), "paper")
    own = parts.Part(
        "train_cnn@paper-1",
        Path("own.parquet"),
        cnn_part.SCHEMA,
        cnn_part.RANGES,
        {},
        pd.MultiIndex.from_frame(ours[["width", "seed", "epoch"]]),
    )
    own.write(ours)
    part = part_of(read(logdir)[0], Path("mine.parquet"))
    alone, both = (pd.concat(parts.read_all(of)[0]) for of in ([own], [own, part]))
    assert both["sweep"].unique().tolist() == ["paper", "mine"]
    pd.testing.assert_frame_equal(
        both[: len(ours)].astype({"sweep": "category"}), alone, check_categorical=False
    )
    p = FROZEN
    named = p.model_copy(update={"imports": {"mine": spec()}})
    *expected, last = aggregate_cnn.expected(named)
    assert last == import_part("mine", spec(), Path("metrics/runs/imports/mine.parquet"))
    known = [part.path for part in aggregate_cnn.expected(p)]
    assert [part.path for part in expected] == known


@pytest.fixture(scope="module")
def uneven() -> pd.DataFrame:
    """A sweep with runs that are cut off, lack an epoch, are dead, both, or are not finite."""
    truth = simulate.Truth(epochs=4, drift=2.0)
    table = simulate.sweep(truth, [1, 2, 4, 8], 3, np.random.default_rng(1), "mine")
    of = {(width, seed): rows for (width, seed), rows in table.groupby(["width", "seed"])}
    table = table.drop(of[1, 2].index[2:]).drop(of[4, 0].index[1]).drop(of[2, 1].index[2:])
    dead = of[1, 1].index.union(of[2, 1].index[:2])
    table.loc[dead, ["train_loss", "validation_loss"]] = np.float32(CHANCE)
    table.loc[of[8, 1].index[3], "validation_loss"] = np.nan
    return table.reset_index(drop=True)


def test_fits_are_with_and_without_the_runs_that_failed_or_are_short(uneven: pd.DataFrame) -> None:
    fit = FROZEN.fit
    fit = fit.model_copy(update={"resamples": 100, "quantiles": [0.5], "epochs": ["last"]})
    tables = cnn_fits.fit(uneven, fit)
    (short,) = tables.failed.groupby("sweep")["short"].sum()
    assert (short, tables.failed["failed"].sum()) == (3, 5)
    at_two = tables.failed[tables.failed["width"] == 2].iloc[0]
    assert (at_two["failed"], at_two["short"], at_two["at_chance"]) == (1, 1, 1)
    fits = tables.fits.query("metric == 'train_loss' and widths == 'all'").set_index("failed")
    runs = {"included": 12, "short_excluded": 9, "excluded": 7}
    assert fits["runs"].to_dict() == fits["rows"].to_dict() == runs
    whole = selection.sound(uneven, selection.failures(uneven, fit.failed_above))
    again = cnn_fits.fit(whole, fit).fits
    again = again.query("metric == 'train_loss' and widths == 'all' and failed == 'included'")
    numbers = ["alpha", "alpha_low", "alpha_high", "amplitude"]
    assert fits.loc["excluded", numbers].tolist() == again[numbers].iloc[0].tolist()


def test_figures_have_room_for_more_sweeps_and_say_what_an_import_lacks(
    uneven: pd.DataFrame,
) -> None:
    p = FROZEN
    fit = p.fit.model_copy(update={"resamples": 100, "quantiles": [0.5], "epochs": ["pooled"]})
    lacking = uneven.assign(train_accuracy=np.nan)
    fitted = cnn_fits.fit(lacking, fit)
    tables = Drawn(lacking, fitted.fits, fitted.sensitivity, fitted.local_slopes)
    axes = cnn_sweep.scaling(tables, "mine", p.plot).axes
    empty = [a.get_title() for a in axes if "not recorded" in {t.get_text() for t in a.texts}]
    assert empty == ["Training accuracy"]
    widths = [cnn.grid(1, columns, p.plot, 0.5)[0].get_figwidth() for columns in (1, 2, 3)]
    shares = [0.6, 1.0, 1.2]
    np.testing.assert_allclose(widths, [p.plot.width * share for share in shares])
    for widths, shown in [
        ([1, 2, 4, 8], ["5,408", "10,210", "20,138", "41,290"]),
        ([1, 20, 21, 40], ["5,408", "10,210", "41,290"]),
    ]:
        rows = uneven.replace({"width": dict(zip([1, 2, 4, 8], widths, strict=True))})
        axes = cnn_sweep.violins(replace(tables, runs=rows), "mine", p.plot).axes
        assert [label.get_text() for label in axes[2].get_xticklabels()] == shown


def test_the_report_rests_on_files_that_the_graph_makes_for_imports() -> None:
    graph = as_written()
    named = FROZEN.model_copy(update={"imports": {"mine": spec()}})
    tables, drawn = report.of_sweeps(named)
    stages = tables | {path: stage for path, (stage, _) in drawn.items() if "mine" in path}
    for path, stage in stages.items():
        made = graph[stage.partition("@")[0]]
        outs = [next(iter(out)) for out in made.get("do", made)["outs"]]
        named_outs = {out.replace("${key}", "mine") for out in outs}
        assert named_outs & {path, str(Path(path).parent)}
        assert str(Path(path).parent) in graph["report"]["deps"]
    assert len(stages) == 3


def test_what_is_exported_imports_to_the_same_table(uneven: pd.DataFrame, tmp_path: Path) -> None:
    assert export_tensorboard.write(uneven, tmp_path / "logs") == 12
    table, files = read(tmp_path / "logs")
    pd.testing.assert_frame_equal(table, uneven.astype({"sweep": "category"}), check_exact=True)
    assert files["flags"].value_counts().to_dict() == {
        **{"": 7, "short": 2, "short dead": 1, "dead": 1, "not_finite": 1}
    }
    export_tensorboard.write(table, tmp_path / "again")
    for path in (tmp_path / "logs").rglob("*tfevents*"):
        again = tmp_path / "again" / path.relative_to(tmp_path / "logs")
        assert again.read_bytes() == path.read_bytes()


def test_an_export_refuses_a_folder_that_is_there_and_a_sweep_that_is_not(
    uneven: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "table.parquet"
    uneven.to_parquet(path)
    with pytest.raises(InputError, match="no sweep 'paper'; there is mine"):
        export_tensorboard.read(path, "paper")
    with pytest.raises(InputError, match="make it again: dvc repro"):
        export_tensorboard.read(tmp_path / "none.parquet", "mine")
    with pytest.raises(InputError, match="is there already; name a new folder"):
        export_tensorboard.write(export_tensorboard.read(path, "mine"), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["table.parquet"]


def test_without_dvc_a_command_prints_the_quality_table_and_writes_it_beside_the_part(
    logdir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    out = tmp_path / "mine.parquet"
    command = ["import_runs", str(logdir), "--out", str(out), "--set", "late_from=4"]
    monkeypatch.setattr("sys.argv", command)
    import_runs.main()
    header, *rows, last = capsys.readouterr().out.splitlines()
    widths = pd.read_csv(tmp_path / "mine-widths.csv")
    assert header.split() == list(widths)
    assert len(rows) == len(widths) == 4
    assert last == "12 files, 9 runs in the table"
    assert widths["late"].sum() == 0
    assert len(pd.read_csv(tmp_path / "mine-files.csv")) == 12
    pd.testing.assert_frame_equal(pd.read_parquet(out), read(logdir)[0], check_categorical=False)


def test_settings_of_the_command_are_checked_like_params() -> None:
    made = import_runs.specify(
        ["tags.train_loss=loss", "epoch.first=1", r"path=w(?P<width>\d+)"], {"runs": "logs"}
    )
    assert made == spec(tags={"train_loss": "loss"}, epoch={"first": 1}, path=r"w(?P<width>\d+)")
    for setting, fault in [
        ("tags.loss=x", "--set tags.loss: Extra inputs are not permitted"),
        ("late_from", "--set late_from: expected key=value"),
        ("path.x=1", "--set path.x=1: path has no keys"),
        ("path=(", "--set path: must be a regular expression"),
    ]:
        with pytest.raises(InputError) as caught:
            import_runs.specify([setting], {"runs": "logs", "path": "x"})
        assert str(caught.value).startswith(fault)


def test_the_graph_has_a_stage_for_each_import_and_none_without(tmp_path: Path) -> None:
    graph = as_written()
    kept = ["import_runs"]
    for imports, names in [
        ({}, []),
        ({"mine": {"runs": "my logs"}}, [f"{name}@mine" for name in kept]),
    ]:
        content = {"imports": imports, "fit": {"failed_above": 2.25}, "plot": {}}
        write_params(tmp_path, content)
        for name in kept:
            graph[name]["do"].pop("wdir", None)
        stages = {"stages": {name: graph[name] for name in kept}}
        (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(stages))
        Repo.init(str(tmp_path), no_scm=True, force=True).close()
        with Repo(str(tmp_path)) as repo:
            found = {stage.name: stage for stage in repo.index.stages}
        assert list(found) == names
    stage = found["import_runs@mine"]
    assert "my logs" in {dep.def_path for dep in stage.deps}


def test_the_stages_of_imports_name_the_modules_that_they_use() -> None:
    graph = as_written()
    deps = graph["import_runs"]["do"]["deps"]
    modules = {*filterfalse(unnamed, needs("stages.import_runs"))}
    used = {str(path) for path in map(file_of, modules) if path and path.name != "__init__.py"}
    named = {dep for dep in deps if dep.startswith("stages/")}
    assert all(any(path == dep or path.startswith(f"{dep}/") for dep in named) for path in used)
    assert all(any(path == dep or path.startswith(f"{dep}/") for path in used) for dep in named)


@pytest.mark.parametrize("name", ["bob's logs", "logs'; touch X; '", "$(touch X)", "a\nb"])
def test_no_shell_reads_the_name_of_a_folder(logdir: Path, tmp_path: Path, name: str) -> None:
    clone = Clone(tmp_path / "clone", isolated(tmp_path) | {"PYTHONPATH": str(ROOT)})
    clone.root.mkdir()
    shutil.copytree(logdir / "n_2/a", clone.root / name / "n_2/a")
    write_params(clone.root, tiny() | {"imports": {"mine": {"runs": name}}})
    graph = yaml.safe_load((ROOT / TRAINING).read_text())
    of_import = graph["stages"]["import_runs"]["do"]
    of_import["deps"] = [dep for dep in of_import["deps"] if "{" in dep]
    graph["stages"] = {"import_runs": graph["stages"]["import_runs"]}
    (clone.root / TRAINING).parent.mkdir(parents=True)
    (clone.root / TRAINING).write_text(yaml.safe_dump(graph))
    clone.run("git", "init", "--quiet")
    clone.run("dvc", "init", "--quiet")
    clone.run("dvc", "repro", "--single-item", f"{TRAINING}:import_runs@mine")
    assert (clone.root / "metrics/runs/imports/mine.parquet").exists()
    assert not (clone.root / "X").exists()


def listing(folder: Path) -> str:
    """As md5sum writes it."""
    return "".join(
        f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in sorted(folder.rglob("*tfevents*"))
    )


def test_a_list_of_md5s_stands_for_the_logs_beside_it(logdir: Path, tmp_path: Path) -> None:
    shutil.copytree(logdir, tmp_path / "theirs")
    place = tmp_path / "theirs.md5"
    place.write_text(listing(tmp_path / "theirs"))
    listed, files = imported.read("mine", place, spec(), FAILED_ABOVE)
    table, of_folder = read(logdir)
    pd.testing.assert_frame_equal(listed, table)
    pd.testing.assert_frame_equal(files, of_folder)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "n_1/a/tfevents.1").unlink(), "n_1/a/tfevents.1: not there"),
        (lambda folder: (folder / "n_1/a/tfevents.1").write_bytes(b""), "tfevents.1: changed"),
        (lambda folder: (folder / "n_1/tfevents.9").touch(), "n_1/tfevents.9: not listed"),
        (lambda folder: shutil.rmtree(folder), "theirs: no such folder"),
        (lambda folder: folder.with_suffix(".md5").unlink(), "theirs.md5: cannot be read"),
        (lambda folder: folder.with_suffix(".md5").write_text("no list"), "line 1: expected"),
        (
            lambda folder: folder.with_suffix(".md5").write_text(f"{'0' * 32}  ../tfevents\n"),
            "line 1: expected md5",
        ),
    ],
)
def test_logs_that_are_not_those_of_the_list_are_refused(
    logdir: Path, tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    folder = shutil.copytree(logdir, tmp_path / "theirs")
    folder.with_suffix(".md5").write_text(listing(folder))
    spoil(folder)
    with pytest.raises(InputError, match=re.escape(said)):
        logs.listed(folder.with_suffix(".md5"))


def test_what_is_beside_ours_is_of_sound_runs_at_the_last_epoch(uneven: pd.DataFrame) -> None:
    ours = uneven.assign(sweep="ours", train_loss=1.01 * uneven["train_loss"])
    both = pd.concat([uneven.astype({"sweep": str}), ours[ours["width"] < 8]], ignore_index=True)
    table = beside.by_width(both, ["mine"], "ours", FAILED_ABOVE).set_index("width")
    assert table.index.tolist() == [1, 2, 4]  # which both have
    assert table["runs"].tolist() == [3, 3, 3]
    assert table["short"].tolist() == [1, 1, 1]
    whole = uneven[(uneven["width"] == 1) & (uneven["seed"] == 0) & (uneven["epoch"] == 4)]
    assert table.loc[1, "train_loss"] == pytest.approx(whole["train_loss"].item())
    assert table["at_chance"].tolist() == [1, 1, 0]
    assert table.loc[1, "train_loss_ratio"] == pytest.approx(1.01)
    assert beside.by_width(both, [], "ours", FAILED_ABOVE).empty
