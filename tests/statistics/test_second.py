"""The second solver finds what scikit-learn finds of all rows, from wherever it starts."""

import numpy as np
import pytest
from sklearn.linear_model import QuantileRegressor

from stages.statistics import second


@pytest.mark.parametrize("tau", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("start", [(0.0, 0.0), (-0.2, 2.0), (3.0, -20.0)])
def test_rows_far_from_the_line_may_be_put_together(
    tau: float, start: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(np.log([5408, 10210, 20138, 41290, 70160]), 80)
    y = 2 - 0.2 * x + 0.05 * rng.standard_t(3, len(x))
    monkeypatch.setattr(second, "_NEAR", 25)  # most rows are put together, and some change sides
    oracle = QuantileRegressor(quantile=tau, alpha=0, solver="highs").fit(x[:, None], y)
    slope, intercept = second.line(x, y, tau, *start)
    assert slope == pytest.approx(oracle.coef_[0], rel=1e-7)
    assert intercept == pytest.approx(oracle.intercept_, rel=1e-7)
