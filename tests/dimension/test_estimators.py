"""The intrinsic dimension: exact neighbours, estimators that recover what is known, statuses."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import stats
from scipy.spatial.distance import cdist

from stages.base import params, workers
from stages.dimension import known as known_dimension
from stages.dimension.estimators import (
    Estimate,
    Estimator,
    estimators,
    measure,
    measure_each,
)
from stages.dimension.neighbours import log_distances
from tests.helpers.frozen import FROZEN

SETTINGS = FROZEN.dimension
Points = NDArray[np.float64]
ALL = [pytest.param(estimator, id=estimator.label) for estimator in estimators(SETTINGS)]


def settings(**changes: object) -> params.Dimension:
    return params.Dimension.model_validate(SETTINGS.model_dump() | changes)


def draw(*shape: int, seed: int = 0) -> Points:
    return np.random.default_rng(seed).standard_normal(shape)


def torus(dimension: int, samples: int, seed: int) -> Points:
    """Even density and no edge, so that nothing but curvature biases an estimator."""
    angles = np.random.default_rng(seed).random((samples, dimension)) * 2 * np.pi
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def embedded(points: Points, coordinates: int = 64, seed: int = 1) -> Points:
    """The points on a random plane of a space of more coordinates; distances stay."""
    basis = np.linalg.qr(draw(coordinates, points.shape[1], seed=seed))[0]
    return points @ basis.T


def whole(found: list[Estimate]) -> dict[str, Estimate]:
    """The estimates from all points at once, by label."""
    return {Estimator(e.estimator, e.neighbours).label: e for e in found if e.blocks == 1}


def values(found: list[Estimate]) -> list[float]:
    return [e.dimension for e in found]


def brute_force(points: Points, neighbours: int) -> Points:
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    return np.log(np.sort(distances, axis=1)[:, :neighbours])


CLOUDS = {
    "gaussian": draw(700, 17),
    "relu": np.maximum(draw(1100, 64), 0),
    "wide": draw(300, 500),
    "few_coordinates": draw(900, 2),
    "few_points": draw(22, 10),
    "outlier": np.concatenate([draw(400, 8), np.full((1, 8), 1e6)]),
    "tight_clusters": 1e-7 * draw(400, 8) + np.repeat(np.eye(8), 50, axis=0),
    "far_from_zero": draw(400, 8) + 1e7,
}


@pytest.mark.parametrize("points", CLOUDS.values(), ids=CLOUDS)
def test_neighbours_are_exact(points: Points) -> None:
    found = log_distances(points, {1: 20})[1][0]
    assert np.abs(found - brute_force(points, 20)).max() < 1e-12


@pytest.mark.parametrize("points", [draw(1307, 12), draw(307, 2)], ids=["product", "tree"])
def test_neighbours_in_blocks_are_those_of_each_block_alone(points: Points) -> None:
    asked = {1: 20, 2: 19, 3: 3, 7: 5}  # blocks that do not nest, and points that are in none
    for blocks, found in log_distances(points, asked).items():
        samples = len(points) // blocks
        assert found.shape == (blocks, samples, asked[blocks])
        for block, logs in enumerate(found):
            alone = points[block * samples : (block + 1) * samples]
            assert np.abs(logs - brute_force(alone, asked[blocks])).max() < 1e-12


def test_pieces_of_work_made_side_by_side_give_the_same_distances() -> None:
    points, asked = draw(1500, 40), {5: 4, 1: 20}
    alone = log_distances(points, asked)
    with workers.threads() as apply:
        together = log_distances(points, asked, apply)
    assert all(np.array_equal(alone[n], together[n]) for n in asked)


@pytest.mark.parametrize(
    "points",
    [np.maximum(draw(1000, 64), 0), torus(3, 1000, 0)],
    ids=["relu", "torus"],
)
def test_agrees_with_scikit_dimension(points: Points) -> None:
    skdim = pytest.importorskip("skdim.id")
    ours = whole(measure(points, SETTINGS))
    assert ours["twonn"].dimension == pytest.approx(
        skdim.TwoNN(discard_fraction=SETTINGS.discard).fit(points).dimension_, rel=1e-9
    )
    with np.errstate(divide="ignore"):  # of the largest ratio, which its estimate does not use
        unbiased = skdim.TwoNN(discard_fraction=0, method="mle").fit(points).dimension_
    m = len(points)
    assert ours["likelihood_2"].dimension == pytest.approx(unbiased * m / (m - 1), rel=1e-9)
    for k in (5, 10, 20):
        pooled = skdim.MLE().fit(points, n_neighbors=k, comb="mle").dimension_
        assert ours[f"likelihood_{k}"].dimension == pytest.approx(pooled, rel=1e-9)


def test_the_ratio_is_the_regression_of_the_released_code() -> None:
    points = draw(800, 5)
    distances = np.exp(brute_force(points, 4))
    ours = whole(measure(points, SETTINGS))
    for k in (2, 3, 4):
        mu = np.sort(distances[:, k - 1] / distances[:, 0])
        share = np.arange(1, 801) / 800
        with np.errstate(divide="ignore"):
            y = -np.log(1 - share ** (1 / (k - 1)))
        slope = np.polyfit(np.log(mu)[:720], y[:720], 1)[0]
        assert ours[f"ratio_{k}"].dimension == pytest.approx(slope, rel=1e-9)


def modelled(dimension: float, points: int, neighbours: int, seed: int) -> Points:
    """Log distances as the model has them: from volumes that are the times of a Poisson process."""
    volumes = np.random.default_rng(seed).exponential(size=(points, neighbours)).cumsum(axis=1)
    return np.log(volumes) / dimension


@pytest.mark.parametrize("estimator", ALL)
def test_recovers_the_dimension_where_the_model_holds(estimator: Estimator) -> None:
    # A factor of k - 2 in place of k - 1 would be off by a quarter at k = 5.
    logs = modelled(17.0, 200_000, 20, seed=0)
    assert estimator(logs, SETTINGS.discard) == pytest.approx(17, rel=0.01)


def test_a_ratio_of_exact_quantiles_gives_the_dimension_exactly() -> None:
    share = np.arange(1, 1001) / 1001
    for k in (2, 3, 4):
        spread = -np.log(1 - share ** (1 / (k - 1))) / 9
        logs = np.zeros((1000, k))
        logs[:, -1] = spread
        # F is i / m in the estimator and i / (m + 1) here: the same as m grows
        assert Estimator("ratio", k)(logs, 0.1) == pytest.approx(9, rel=5e-3)
        assert Estimator("ratio", k)(logs + 3, 0.1) == pytest.approx(9, rel=5e-3)


@pytest.mark.parametrize("shape", known_dimension.SHAPES)
@pytest.mark.parametrize("dimension", [2, 3, 5])
def test_recovers_low_dimensions_embedded_in_64(
    shape: known_dimension.Shape, dimension: int
) -> None:
    points = embedded(known_dimension.points(shape, dimension, 2000, 0))
    for label, estimate in whole(measure(points, SETTINGS)).items():
        assert estimate.status == "ok"
        assert estimate.coordinates == 64
        assert estimate.dimension == pytest.approx(dimension, rel=0.12), label


def test_reads_low_at_17_and_lower_with_more_neighbours_and_fewer_points() -> None:
    found = measure(draw(2500, 17), SETTINGS)
    ours = whole(found)
    by_neighbours = [ours[f"likelihood_{k}"].dimension for k in (2, 5, 10, 20)]
    assert by_neighbours[0] < 17
    assert by_neighbours == sorted(by_neighbours, reverse=True)
    by_samples = [e.dimension for e in found if e.estimator == "likelihood" and e.neighbours == 20]
    assert by_samples == sorted(by_samples)


def test_a_cube_reads_lower_than_a_gaussian() -> None:
    gaussian, uniform = (
        whole(measure(known_dimension.points(shape, 17, 2000, 0), SETTINGS))["likelihood_10"]
        for shape in known_dimension.SHAPES
    )
    assert uniform.high < gaussian.low


@pytest.mark.parametrize(
    "moved",
    [
        lambda x: 1e-3 * x,
        lambda x: x - 40,
        lambda x: x - x.max(),
        lambda x: x - x.min(),
        lambda x: x @ np.linalg.qr(draw(10, 10, seed=3))[0],
    ],
    ids=["scale", "translation", "at_most_0", "at_least_0", "rotation"],
)
def test_does_not_change_with(moved: object) -> None:
    assert callable(moved)
    points = draw(600, 10)
    assert values(measure(moved(points), SETTINGS)) == pytest.approx(
        values(measure(points, SETTINGS)), rel=1e-6, nan_ok=True
    )


def test_type_and_layout_of_the_points_do_not_matter() -> None:
    points = np.random.default_rng(0).integers(0, 256, (500, 40), dtype=np.uint8)
    points[:, 7] = 3  # a coordinate that never varies
    expected = measure(points, SETTINGS)
    assert expected[0].coordinates == 39
    assert measure(points.astype(np.float32), SETTINGS) == expected
    assert measure(np.asfortranarray(points.astype(np.float64)), SETTINGS) == expected


def test_duplicates_are_left_out_and_counted() -> None:
    points = np.maximum(draw(900, 12), 0)
    repeated = np.concatenate([points, points[:50], points[100:110]])
    expected = [replace(e, duplicates=60) for e in measure(points, SETTINGS)]
    assert all(e.duplicates == 0 for e in measure(points, SETTINGS))
    assert measure(repeated, SETTINGS) == expected


def test_zero_and_minus_zero_are_the_same_point() -> None:
    points = np.maximum(draw(100, 3), 0)
    found = measure(np.concatenate([points, np.where(points == 0, -0.0, points)]), SETTINGS)
    distinct = len(np.unique(points, axis=0))
    assert {e.duplicates for e in found} == {200 - distinct}


def statuses(points: Points, **changes: object) -> set[str]:
    found = measure(points, settings(**changes))
    for e in found:
        with_number, with_interval = e.status in ("ok", "no interval"), e.status == "ok"
        assert math.isfinite(e.dimension) == with_number
        assert math.isfinite(e.low) == math.isfinite(e.high) == with_interval
    return {e.status for e in found}


def test_constant_points_have_no_dimension() -> None:
    assert statuses(np.zeros((1000, 64))) == {"constant"}
    assert statuses(np.full((1000, 64), 2.5)) == {"constant"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_points_that_are_not_finite_have_no_dimension(value: float) -> None:
    points = draw(1000, 8)
    points[500, 3] = value
    assert statuses(points) == {"not finite"}


@pytest.mark.parametrize("samples", [0, 1, 2, 5, 6])
def test_too_few_points_for_the_neighbours_have_no_dimension(samples: int) -> None:
    assert statuses(draw(samples, 8), ratio_neighbours=[6], likelihood_neighbours=[6]) <= {
        "too few",
        "no interval",
        "tied",
    }
    few = measure(draw(samples, 8), settings(likelihood_neighbours=[6]))
    assert {e.status for e in few if e.neighbours == 6} == {"too few"}
    enough = measure(draw(7, 8), settings(likelihood_neighbours=[6], blocks=[1]))
    assert {e.status for e in enough if e.neighbours == 6} == {"no interval"}


def test_too_few_points_for_blocks_give_a_number_without_an_interval() -> None:
    found = whole(measure(draw(100, 8), SETTINGS))
    assert found["likelihood_20"].status == "no interval"
    assert found["likelihood_20"].samples == 100
    assert 4 < found["likelihood_20"].dimension < 12


def test_points_all_equally_far_apart_have_no_dimension() -> None:
    # A network of which every image switches on one unit of its own
    assert statuses(np.eye(420)) == {"tied"}


def test_one_live_unit_has_dimension_one() -> None:
    points = np.zeros((3000, 64))
    points[:, 11] = np.maximum(draw(3000), 0)
    found = whole(measure(points, SETTINGS))
    assert found["twonn"].coordinates == 1
    assert 1400 < found["twonn"].duplicates < 1600
    for estimate in found.values():
        assert estimate.dimension == pytest.approx(1, rel=0.1)


def test_points_must_be_a_table_of_numbers() -> None:
    with pytest.raises(ValueError, match=r"points must be numbers of shape \(m, p\)"):
        measure(np.zeros((10, 3, 2)), SETTINGS)
    with pytest.raises(ValueError, match="points must be numbers"):
        measure(np.array([["a", "b"]]), SETTINGS)


def test_intervals_cover_the_known_dimension() -> None:
    runs = 80
    few = settings(ratio_neighbours=[2, 3], likelihood_neighbours=[2, 5], blocks=[20, 1])
    sets = [partial(torus, 2, 2000, seed) for seed in range(runs)]
    found = [whole(estimates) for estimates in measure_each(sets, few)]
    for label in found[0]:
        covered = sum(run[label].low <= 2 <= run[label].high for run in found)
        assert covered >= 70, label  # of 80, where 76 are expected
        width = np.mean([run[label].high - run[label].low for run in found])
        scatter = np.std([run[label].dimension for run in found])
        assert 3 < width / scatter < 6, label


def test_the_interval_is_students_of_the_logarithm_over_blocks() -> None:
    points = np.random.default_rng(4).normal(size=(600, 5))
    settings = SETTINGS.model_copy(update={"blocks": [4]})
    distinct = points[np.random.default_rng(settings.seed).permutation(600)]
    alone = settings.model_copy(update={"blocks": [1]})
    blocks = [[e.dimension for e in measure(part, alone)] for part in np.split(distinct, 4)]
    for estimate, values in zip(measure(points, settings), np.transpose(blocks), strict=True):
        assert estimate.dimension == pytest.approx(values.mean())
        half = stats.t.ppf((1 + settings.confidence) / 2, 3) * stats.sem(np.log(values))
        assert np.log(estimate.high / estimate.dimension) == pytest.approx(half)
        assert np.log(estimate.dimension / estimate.low) == pytest.approx(half)


def test_each_block_is_measured_apart_and_all_points_are_used() -> None:
    found = measure(draw(1000, 5), SETTINGS)
    assert [(e.blocks, e.samples) for e in found[:: len(ALL)]] == [
        (20, 50),
        (10, 100),
        (5, 200),
        (1, 1000),
    ]
    logs = log_distances(draw(1000, 5), {1: 20})[1][0]  # of all points: the order has no say
    for label, estimate in whole(found).items():
        estimator = Estimator(estimate.estimator, estimate.neighbours)
        assert estimate.dimension == pytest.approx(estimator(logs, 0.1), rel=1e-9), label


def test_the_same_points_give_the_same_numbers_in_any_company() -> None:
    sets = [partial(draw, 500, 20, seed=seed) for seed in range(4)]
    together = measure_each(sets, SETTINGS)
    assert together == measure_each(sets, SETTINGS)
    assert together[::-1] == measure_each(sets[::-1], SETTINGS)
    assert together[2] == measure(sets[2](), SETTINGS)


def test_the_seed_draws_the_blocks() -> None:
    points = draw(1000, 5)
    one, other = measure(points, SETTINGS), measure(points, settings(seed=1))
    assert one[0].dimension != other[0].dimension
    assert values(one[-len(ALL) :]) == pytest.approx(values(other[-len(ALL) :]), rel=1e-9)


def test_known_points_are_what_their_names_say() -> None:
    gaussian = known_dimension.points("gaussian", 3, 20_000, 0)
    uniform = known_dimension.points("uniform", 3, 20_000, 0)
    assert gaussian.shape == uniform.shape == (20_000, 3)
    assert np.cov(gaussian.T) == pytest.approx(np.eye(3), abs=0.05)
    assert uniform.min() > 0
    assert uniform.max() < 1
    assert np.cov(uniform.T) == pytest.approx(np.eye(3) / 12, abs=0.005)
    assert not np.array_equal(uniform, known_dimension.points("uniform", 3, 20_000, 1))


def test_equivalent_inverts_the_readings() -> None:
    readings = {20: 17.0, 2: 2.0, 10: 9.0}
    assert known_dimension.equivalent(9.0, readings) == 10
    assert known_dimension.equivalent(13.0, readings) == 15
    assert math.isnan(known_dimension.equivalent(1.9, readings))
    assert math.isnan(known_dimension.equivalent(17.1, readings))
    assert math.isnan(known_dimension.equivalent(math.nan, readings))
    assert math.isnan(known_dimension.equivalent(5.0, {2: 6.0, 4: 5.0}))
    assert math.isnan(known_dimension.equivalent(5.0, {2: 6.0, 4: math.nan}))


def test_context_is_of_the_same_estimator_neighbours_and_sample_size() -> None:
    def row(shape: str, known: int, neighbours: int, blocks: int, dimension: float) -> dict:
        kind = {"estimator": "likelihood", "neighbours": neighbours, "blocks": blocks}
        sample = {"samples": 1000 // blocks, "dimension": dimension}
        return {"shape": shape, "known": known} | kind | sample

    calibration = pd.DataFrame(
        [
            row(shape, known, neighbours, blocks, known * factor)
            for shape, share in (("gaussian", 0.9), ("uniform", 0.8))
            for neighbours, blocks, factor in ((5, 1, share), (5, 4, share / 2), (9, 1, share / 3))
            for known in (2, 20)
        ]
    )
    table = pd.DataFrame(
        {
            "estimator": "likelihood",
            "neighbours": [5, 5, 9, 7, 5, 5],
            "blocks": [1, 4, 1, 1, 1, 1],
            "samples": [960, 250, 1000, 1000, 900, 1000],
            "dimension": [9.0, 4.5, 3.0, 9.0, 9.0, math.nan],
        }
    )
    found = known_dimension.in_context(table, calibration)
    nothing = [math.nan] * 3
    assert found["as_gaussian"].tolist() == pytest.approx([10, 10, 10, *nothing], nan_ok=True)
    assert found["as_uniform"].tolist() == pytest.approx(
        [11.25, 11.25, 11.25, *nothing], nan_ok=True
    )
    assert found[table.columns].equals(table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks": [20, 10]}, "blocks must hold 1, all the points at once"),
        ({"blocks": [1000, 1]}, "neighbours must be fewer than the 10 points"),
        ({"likelihood_neighbours": [1]}, "greater than or equal to 2"),
        ({"ratio_neighbours": [3, 3]}, "must not repeat a value"),
        ({"discard": 1.0}, "less than 1"),
        ({"known": {"samples": 9, "dimensions": [2, 4], "compare": 3}}, "compare must be one of"),
    ],
)
def test_params_that_cannot_be_measured_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**change)


def test_a_reading_at_an_end_of_the_known_ones_is_not_outside() -> None:
    readings = {2: 1.9, 4: 3.5, 8: 6.0}
    assert [known_dimension.equivalent(x, readings) for x in (1.9, 6.0)] == [2, 8]
    assert math.isnan(known_dimension.equivalent(1.8, readings))
