"""The stages that measure dimension, end to end on small data: whole tables, the same bytes."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from stages import (
    calibrate_dimension,
    measure_cnn,
    measure_dimension,
    measure_images,
    measure_study,
)
from stages.base import params, parts
from stages.base.errors import InputError
from stages.base.tables import where
from stages.classification.modules import Kind
from stages.cnn import part as cnn_part
from stages.cnn.network import initial
from stages.dimension.activations import last_hidden
from stages.dimension.estimators import estimators, measure
from stages.images import stored
from stages.images.arrays import Images, open_images, save_images
from stages.networks.cnn import Network
from tests.helpers.rows import rows
from tests.helpers.tiny import write_carrying, write_params

OUTPUTS = {
    name: Path("metrics") / name
    for name in (
        "dimension_calibration.csv",
        "dimension_images.csv",
        "dimension_cnn.csv",
        "dimension.csv",
    )
}
REPEATED = 3


def save(part: parts.Part, snapshots: list[params.Snapshot], *, dead: bool) -> None:
    width = part.configuration["width"]
    write({each.prefix: network(width, dead=dead, seed=drawn(each)) for each in snapshots}, part)


def drawn(snapshot: params.Snapshot) -> int:
    """The seed of a snapshot's weights, which are not trained: another for each."""
    return snapshot.seed + 4 * (snapshot.epochs == "best")


def write(networks: Mapping[str, nn.Module], part: parts.Part) -> None:
    """Weights, by names that begin with those of the networks."""
    part.weights.parent.mkdir(parents=True, exist_ok=True)
    state = {f"{n}{key}": t for n, each in networks.items() for key, t in each.state_dict().items()}
    save_file(state, part.weights)
    part.write(rows(part))


def network(width: int, *, dead: bool, seed: int = 0) -> Network:
    """Not trained; if dead, none of its hidden units is above 0."""
    made = initial(width, seed)
    if dead:
        with torch.no_grad():
            made.linear1.bias.fill_(-1)
    return made


@pytest.fixture
def root(
    tiny_params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> params.Params:
    """A clone's root after training: 300 test images; the networks of width 1 are dead.

    Of `paper` and of the perceptron there are further weights.
    """
    monkeypatch.chdir(tmp_path)
    tiny_params["cnn"]["sweeps"]["paper"] |= {"weights_seeds": 2, "best_weights": True}
    tiny_params["studies"]["perceptron"]["training"] |= {"weights_seeds": 2}
    tiny_params["dimension"] |= {"ratio_neighbours": [2], "likelihood_neighbours": [2, 5]}
    tiny_params["dimension"]["blocks"] = [10, 1]
    known = {"samples": 300, "dimensions": [2, 17, 40], "compare": 17}
    tiny_params["dimension"]["known"] = known
    write_params(Path(), tiny_params)
    p = params.load()

    write_carrying(Path("metrics/cnn.parquet"), p, "images", "cnn", "studies", "imports")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (300, 32, 32, 3), dtype=np.uint8)
    images[-REPEATED:] = images[0]
    labels = np.zeros(300, np.uint8)
    save_images(Path("data/cifar10"), Images(images, labels, images, labels))
    stored.write_record(stored.Place(Path("data"), "cifar10", p.images["cifar10"]))
    for name, sweep in p.cnn.sweeps.items():
        for width in p.cnn.widths:
            part = cnn_part.sweep_part(p.cnn_images, name, sweep, width)
            save(part, sweep.snapshots, dead=width == 1)
    for name, study in p.studies.items():
        cnn = study.network == "cnn"
        named = {
            f"{each.prefix}{n}.": network(n, dead=n == 1, seed=4)
            if cnn
            else perceptron(n, each.seed)
            for n, each in product(study.widths, study.training.snapshots)
        }
        write(named, cnn_part.study_part(p.cnn_images, name, study))
    return p


def perceptron(width: int, seed: int = 0) -> nn.Module:
    """Not trained; every unit of its last hidden layer lives."""
    made = Kind("mlp", (3, 32, 32), 10).initial(width, 3 + seed)
    with torch.no_grad():
        made.get_parameter("linear2.bias").fill_(1)
    return made


def run_all() -> dict[str, bytes]:
    calibrate_dimension.main()
    measure_images.main()
    measure_cnn.main()
    for name in params.load().studies:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("sys.argv", ["measure_study", name])
            measure_study.main()
    measure_dimension.main()
    return {name: path.read_bytes() for name, path in OUTPUTS.items()}


def test_the_table_is_whole(root: params.Params) -> None:
    run_all()
    table = pd.read_csv(OUTPUTS["dimension.csv"])
    key = ["source", "width", "seed", "epochs", "layer", "estimator", "neighbours", "blocks"]
    assert not table.duplicated(key).any()
    each = len(estimators(root.dimension)) * len(root.dimension.blocks)
    sets = table.groupby(key[:5], dropna=False).size()
    layers = ["preactivation", "activation", "logits"]
    kept = [(name, 0, "last") for name in ("notebook", "paper", "paper_keras", "perceptron")]
    kept += [("paper", 1, "last"), ("paper", 0, "best"), ("paper", 1, "best")]
    kept += [("perceptron", 1, "last")]
    expected = {(name, width, *of, at) for (name, *of), width, at in product(kept, [1, 2], layers)}
    assert set(sets.drop("images").index) == expected
    assert set(sets) == {each}

    dead = (table["width"] == 1) & (table["layer"] != "preactivation")
    dead &= table["source"] != "perceptron"
    assert set(table[dead]["status"]) == {"constant"}
    others = table[~dead & (table["source"] != "perceptron")]  # of one or two units, with ties
    assert set(others["status"]) == {"ok"}
    assert (others["low"] < others["dimension"]).all()
    assert (others["dimension"] < others["high"]).all()
    assert set(others["duplicates"]) == {REPEATED}
    assert set(others["samples"]) == {(300 - REPEATED) // blocks for blocks in (10, 1)}


def test_the_images_stand_in_the_table_as_they_were_measured(root: params.Params) -> None:
    run_all()
    table = pd.read_csv(OUTPUTS["dimension.csv"])
    images = pd.read_csv(OUTPUTS["dimension_images.csv"])
    found = table[table["source"] == "images"][images.columns].reset_index(drop=True)
    assert found.equals(images)
    assert set(images["coordinates"]) == {3072}


def test_readings_stand_beside_those_of_known_data(root: params.Params) -> None:
    run_all()
    table = pd.read_csv(OUTPUTS["dimension.csv"])
    calibration = pd.read_csv(OUTPUTS["dimension_calibration.csv"])
    shown = (table["blocks"] == 1) & (table["neighbours"] == 5) & (table["width"] == 2)
    shown &= table["layer"] == "preactivation"
    row = table[shown & (table["source"] == "notebook")].iloc[0]
    known = calibration.query("shape == 'gaussian' and neighbours == 5 and blocks == 1")
    readings = known.set_index("known")["dimension"]
    assert readings[2] < row["dimension"] < readings[40]
    expected = np.interp(row["dimension"], readings, readings.index)
    assert row["as_gaussian"] == pytest.approx(expected, rel=1e-3)


def test_each_snapshot_is_measured_on_its_own_weights(root: params.Params) -> None:
    run_all()
    table = pd.read_csv(OUTPUTS["dimension_cnn.csv"])
    table = table[(table["source"] == "paper") & (table["width"] == 2)]
    images = open_images(Path("data/cifar10")).test_images
    for snapshot in root.cnn.sweeps["paper"].snapshots:
        made = network(2, dead=False, seed=drawn(snapshot))
        [hidden] = last_hidden([made], images, [0.0, 1.0])
        expected = [estimate.dimension for estimate in measure(hidden, root.dimension)]
        rows = where(table, layer="preactivation", **snapshot._asdict())
        np.testing.assert_allclose(rows["dimension"], expected, rtol=1e-9)
    perceptrons = pd.read_csv("metrics/dimension_studies/perceptron.csv").query("width == 2")
    by_seed = perceptrons.groupby(["layer", "seed"])["dimension"].first().unstack()
    assert (by_seed[0] != by_seed[1]).all()


def test_weights_of_a_seed_that_are_not_there_are_named(root: params.Params) -> None:
    part = cnn_part.sweep_part(root.cnn_images, "paper", root.cnn.sweeps["paper"], 2)
    save(part, root.cnn.sweeps["paper"].snapshots[:-1], dead=False)
    says = f"{part.weights}: not this network's weights \\(.*Missing key"
    with pytest.raises(InputError, match=says):
        measure_cnn.main()


def test_a_study_is_measured_on_its_own_networks(root: params.Params) -> None:
    run_all()
    table = pd.read_csv("metrics/dimension_studies/paper_keras.csv")
    images = open_images(Path("data/cifar10")).test_images
    [hidden] = last_hidden([network(2, dead=False, seed=4)], images, [0.0, 1.0])
    expected = [estimate.dimension for estimate in measure(hidden, root.dimension)]
    found = table[(table["width"] == 2) & (table["layer"] == "preactivation")]["dimension"]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_any_network_is_measured_where_it_says_that_its_last_hidden_layer_is(
    root: params.Params,
) -> None:
    run_all()
    table = pd.read_csv("metrics/dimension_studies/perceptron.csv")
    images = open_images(Path("data/cifar10")).test_images
    weights = {name: w.double() for name, w in perceptron(2).state_dict().items()}
    x = torch.from_numpy(images / 255).permute(0, 3, 1, 2).flatten(1)  # channels first, as torch
    x = (x @ weights["linear1.weight"].T + weights["linear1.bias"]).clamp_min(0)
    before = x @ weights["linear2.weight"].T + weights["linear2.bias"]
    after = before.clamp_min(0)
    logits = after @ weights["linear3.weight"].T + weights["linear3.bias"]
    for layer, values in (("preactivation", before), ("activation", after), ("logits", logits)):
        rows = where(table, width=2, seed=0, layer=layer)
        expected = [estimate.dimension for estimate in measure(values.numpy(), root.dimension)]
        np.testing.assert_allclose(rows["dimension"], expected, rtol=1e-2)  # in float32


def test_a_part_whose_n_is_not_that_of_its_network_is_refused(
    root: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = cnn_part.study_part(root.cnn_images, "perceptron", root.studies["perceptron"])
    part.write(part.read().assign(parameters=lambda table: table["parameters"] + 1))
    monkeypatch.setattr("sys.argv", ["measure_study", "perceptron"])
    says = "perceptron.parquet: N 3096 at width 1, and the network has 3095; remove it and train"
    with pytest.raises(InputError, match=says):
        measure_study.main()


def test_outputs_are_the_same_to_the_byte(root: params.Params) -> None:
    assert run_all() == run_all()


def test_missing_weights_stop_the_stage_and_leave_its_outputs(root: params.Params) -> None:
    before = run_all()
    name, sweep = next(iter(root.cnn.sweeps.items()))
    part = cnn_part.sweep_part(root.cnn_images, name, sweep, 2)
    part.weights.unlink()
    with pytest.raises(InputError, match=f"{part.weights}: No such file"):
        measure_cnn.main()
    assert {name: path.read_bytes() for name, path in OUTPUTS.items()} == before
