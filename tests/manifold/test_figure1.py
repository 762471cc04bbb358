"""The table of Figure 1: each mark has the numbers that the verdict's rule names."""

import math

import numpy as np
import pandas as pd
import pytest

from stages.base import params
from stages.base.params import StudentConfiguration
from stages.drawing import figure1 as drawing
from stages.manifold import figure1
from stages.statistics.intervals import student_margin
from tests.helpers.root import ROOT

P = params.load(ROOT / "params.yaml")


def students() -> pd.DataFrame:
    """4/alpha of 5 after two phases of which the last counts, and readings of two layers."""
    rows = [
        {"configuration": name, "teacher": teacher, "quantity": quantity, "phase": phase}
        | {"widths": widths, "value": value, "low": value - 1, "high": value + 1, "status": "ok"}
        for name in ("squared_4", "cubed_4")
        for teacher in ("0", "all")
        for quantity, phase, widths, value in (
            ("4/alpha", 2, "all", 9.0),
            ("4/alpha", 3, "all", 5.0),
            ("4/alpha", 3, "wider", 7.0),
            ("live", 3, "all", 6.0),
            ("before_relu", 0, "widest", 4.1),
            ("last_hidden", 0, "widest", 3.3),
        )
    ]
    return pd.DataFrame(rows)


def configuration(loss: float) -> StudentConfiguration:
    made = {"loss": loss, "dimension": 4, "narrowest": 8, "seeds": 10}
    return StudentConfiguration.model_validate(made)


def test_students_are_at_their_layer_and_their_power() -> None:
    known = {"squared_4": configuration(2), "cubed_4": configuration(3)}
    squared, cubed = figure1.of_students(students(), known, P.verdict)
    assert squared.dimension[:3] == cubed.dimension[:3] == pytest.approx((4.1, 3.1, 5.1))
    assert squared.value[:3] == pytest.approx((5, 4, 6))
    assert cubed.value[:3] == pytest.approx((7.5, 6, 9))  # 2p/alpha
    layer = P.verdict.dimension.model_copy(update={"layer": "activation"})
    other = P.verdict.model_copy(update={"dimension": layer})
    assert next(figure1.of_students(students(), known, other)).dimension.value == 3.3


def test_what_is_not_trained_has_no_mark() -> None:
    known = {"squared_4": configuration(2), "squared_9": configuration(2)}
    found = figure1.table(figure1.of_students(students(), known, P.verdict))
    assert found["name"].tolist() == ["squared_4"]


def fits(*sweeps: str) -> pd.DataFrame:
    rule = P.verdict.fit
    rows = [
        {"sweep": sweep, "metric": metric, "epochs": epochs, "quantile": 0.5, "widths": widths}
        | {"failed": "included", "dimension": value, "dimension_low": 1.0, "status": "ok"}
        for sweep in sweeps
        for metric in ("validation_loss", "train_loss")
        for epochs in ("last", "best")
        for widths in ("all", "published")
        for value in [20.0 if (metric, epochs) == ("validation_loss", rule.epochs) else 3.0]
    ]
    found = pd.DataFrame(rows).assign(dimension_high=30.0)
    small = (found["sweep"] == "small") & (found["widths"] == "published")
    found.loc[found["widths"] == "all", "dimension"] += 1
    kept: pd.DataFrame = found[~small]
    return kept


def dimensions(sweep: str, values: list[float]) -> pd.DataFrame:
    rule = P.verdict.dimension
    rows = [
        {
            "source": sweep,
            "width": width,
            "seed": 0,
            "epochs": rule.epochs,
            "layer": layer,
            "dimension": value + (layer != rule.layer),
        }
        for width, value in enumerate(values, 1)
        for layer in ("preactivation", "activation")
    ]
    of_all = {"estimator": rule.estimator, "neighbours": rule.neighbours, "blocks": 1}
    return pd.DataFrame(rows).assign(**of_all, status="ok")


def test_networks_are_at_the_rules_widths_layer_and_epochs() -> None:
    like = P.verdict.notebook.sweep
    values = [14.0, 15.0, 16.0]
    measured = pd.concat([dimensions(like, values), dimensions("small", [5.0, 5.0, 6.0])])
    sweeps = {like: "CIFAR-10", "small": "MNIST"}
    marks = figure1.of_networks(
        fits(like, "small", "theirs"), measured, sweeps, ["theirs"], P.verdict, P.fit.widths, 0.95
    )
    found = {mark.name: mark for mark in marks}
    assert found[like].value[:3] == (20, 1, 30)
    assert found["small"].value.value == 21  # it has no widths but its own
    logs = np.log(values)
    margin = student_margin(logs.std(ddof=1) / 3**0.5, 2, 0.95)
    expected = np.exp([logs.mean(), logs.mean() - margin, logs.mean() + margin])
    np.testing.assert_allclose(found[like].dimension[:3], expected)
    assert found["theirs"].dimension == found[like].dimension
    assert found["theirs"].kind == "CIFAR-10"
    assert found["theirs"].dimension_over == f"widths, of {like}"
    assert found["small"].kind == "MNIST"
    second = measured.assign(seed=1, dimension=measured["dimension"] * 1.21)
    mark, *_ = figure1.of_networks(
        fits(like), pd.concat([measured, second]), sweeps, [], P.verdict, P.fit.widths, 0.95
    )
    assert mark.dimension.value == pytest.approx(1.1 * expected[0])
    assert mark.dimension_over == "widths and seeds"


def test_generated_images_are_at_the_rules_layer_and_all_widths() -> None:
    layers = [("preactivation", 3.9, "widths and seeds"), ("activation", 3.5, "widths")]
    rows = [
        {"known": 4, "quantity": quantity, "widths": widths, "dimension": value, "low": value - 1}
        | {"high": value + 1, "status": "ok", "over": over}
        for quantity, value, over in [("test_loss", 5.0, math.nan), *layers]
        for widths in ("all", "wider")
    ]
    for layer, value, over in layers:
        rule = P.verdict.dimension.model_copy(update={"layer": layer})
        rules = P.verdict.model_copy(update={"dimension": rule})
        [mark] = figure1.of_known(pd.DataFrame(rows), rules)
        assert (mark.dimension[:3], mark.value[:3]) == ((value, value - 1, value + 1), (5, 4, 6))
        assert (mark.dimension_over, mark.value_over) == (over, "runs")


def test_every_row_is_drawn_with_both_intervals_and_a_marker_of_its_kind() -> None:
    known = {"squared_4": configuration(2), "cubed_4": configuration(3)}
    theirs = params.published(ROOT / "published.yaml").sharma_kaplan
    marks = figure1.table(
        [*figure1.of_students(students(), known, P.verdict), figure1.published(theirs)]
    )
    axes = drawing.draw(marks, 0.1, P.plot).axes[0]
    drawn = [line for line in axes.lines if line.get_linestyle() == "None"]
    places = np.concatenate([line.get_xydata() for line in drawn])
    np.testing.assert_allclose(places, marks[["dimension", "value"]].to_numpy())
    assert len({line.get_marker() for line in drawn}) == 3
    segments = np.concatenate([np.ravel(c.get_segments()) for c in axes.collections[1:3]])
    assert {4.0, 6.0, 3.1, 5.1} <= set(np.round(segments, 6))
    line = next(line for line in axes.lines if line.get_linestyle() == "--")
    np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())


def test_each_configuration_has_its_own_numbers() -> None:
    table = students()
    cubed = table["configuration"] == "cubed_4"
    table.loc[cubed, ["value", "low", "high"]] *= 2
    known = {"squared_4": configuration(2), "cubed_4": configuration(2)}
    squared, doubled = figure1.of_students(table, known, P.verdict)
    assert (squared.value.value, doubled.value.value) == (5, 10)
    assert (squared.dimension.value, doubled.dimension.value) == (4.1, 8.2)


def test_without_the_named_widths_all_of_them_count_and_no_other_range() -> None:
    small = fits("small")
    other = small[small["widths"] == "all"].assign(widths="wide", dimension=99.0)
    [mark] = figure1.of_networks(
        pd.concat([small, other]),
        dimensions("small", [5.0, 5.0, 6.0]),
        {"small": "MNIST"},
        [],
        P.verdict,
        P.fit.widths,
        0.95,
    )
    assert mark.value.value == 21
