"""The same quantile regression by scikit-learn, as the replication notebook made it.

The linear program of 40,000 rows takes it a minute. The rows far from the minimum are known to lie
above or below it; of either kind they count as one row, their sum, and the program is that of the
rest (Portnoy & Koenker 1997, Statistical Science 12, 279-300). Its solution is that of all rows if
none has changed sides, and is made again with more of them where one has.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_NEAR = 1500


def line(
    x: Floats, y: Floats, quantile: float, slope: float, intercept: float
) -> tuple[float, float]:
    """Slope and intercept that minimise the sum of check losses, by `QuantileRegressor`.

    Args:
        x, y: (rows,)
        slope, intercept: of a line near the minimum. What comes out does not depend on it.
    """
    from sklearn.linear_model import QuantileRegressor  # a second, and few fits need it

    design = np.stack([np.ones_like(x), x], axis=1)
    guess = np.array([intercept, slope])
    near = _NEAR
    while True:
        order = np.argsort(np.abs(y - design @ guess), kind="stable")
        inside, outside = order[:near], order[near:]
        above = outside[y[outside] > design[outside] @ guess]
        below = outside[y[outside] <= design[outside] @ guess]
        sums = [some for some in (above, below) if len(some)]
        regressor = QuantileRegressor(quantile=quantile, alpha=0, fit_intercept=False)
        # the mean of several rows, with their number as its weight, is their sum
        found = regressor.fit(
            np.concatenate([design[inside], *(design[some].mean(axis=0)[None] for some in sums)]),
            np.concatenate([y[inside], *(y[some].mean()[None] for some in sums)]),
            np.concatenate([np.ones(len(inside)), *([float(len(some))] for some in sums)]),
        ).coef_
        residual = y - design @ found
        if (residual[above] >= 0).all() and (residual[below] <= 0).all():
            return float(found[1]), float(found[0])
        guess, near = found, 2 * near
