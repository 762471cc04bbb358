"""Power laws above a floor, L = E + A N^-alpha: what 4/alpha becomes if the loss cannot reach 0.

Fitted in log space, as by Hoffmann et al. (2022, "Training compute-optimal large language
models", section 3.3): the least sum of Huber losses of ln L - ln(E + A N^-alpha) with E >= 0,
from several starts. Over one decade of N the floor trades off against the exponent, so that the
intervals say more than the estimates; a floor that cannot be told from 0 is called so.
"""

from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.statistics import bootstrap
from stages.statistics.bootstrap import Resampling
from stages.statistics.power_law import Law, Sample, status

Floats = NDArray[np.float64]

MIN_WIDTHS = 4  # three widths are met exactly by three free numbers
MAX_ALPHA = 4.0  # the bound on alpha: 4/alpha = 1 is the lowest dimension that a manifold has
_STARTS = (0.0, 0.3, 0.6, 0.9)  # E as a fraction of the smallest median loss of a width
_STEPS = 300
_PRECISION = 1e-10  # of the objective
_LEAST_DAMPING = 1e-9  # where E and A are one and the same (alpha = 0), nothing else fixes a step


@dataclass(frozen=True)
class Minima:
    """Where `minimise` ended, one entry per weighting."""

    theta: Floats  # (weightings, 3): E, ln A and alpha
    objective: Floats  # (weightings,)
    converged: NDArray[np.bool_]


def fit(sample: Sample, first: int, last: int, resampling: Resampling, huber: float) -> Law:
    """Fit the values of widths first..last; residuals of ln L count squared up to `huber`."""
    inside = sample.inside(first, last)
    counts = sample.size(inside)
    flaw = sample.flaw(inside, MIN_WIDTHS)
    if flaw:
        return Law(flaw, **counts)
    x, y = np.log(sample.parameters[inside]), np.log(sample.value[inside])
    x_mean, y_mean = x.mean(), y.mean()  # centred, E and A are of order 1 and less entangled
    x, y = x - x_mean, y - y_mean
    starts = _starts(x, y)
    found = minimise(x, y, np.ones((len(starts), len(y))), starts, huber)
    best = found.theta[np.argmin(found.objective)]
    if not found.converged[np.argmin(found.objective)]:
        return Law("not converged", **counts)
    if best[2] in (0.0, MAX_ALPHA):
        return Law(f"no law: alpha ran to its bound {best[2]:g}", **counts)
    weights = bootstrap.weights(sample.width_of_run, resampling.resamples, resampling.seed)[1:]
    again = minimise(x, y, weights[:, sample.run[inside]], np.tile(best, (len(weights), 1)), huber)
    possible, remark = sample.interval_flaw(inside)
    remarks = [remark]
    failed = np.mean(~again.converged)
    if possible and failed > 0.01:
        possible = False
        remarks.append(f"no interval: {failed:.0%} of the resamples did not converge")
    low, high = np.full((2, 3), nan)
    if possible:
        theta = again.theta[again.converged]
        low, high = np.transpose([bootstrap.interval(t, resampling.confidence) for t in theta.T])
    if best[0] == 0:
        remarks.append("E at its bound 0")
    elif low[0] == 0:
        remarks.append("E cannot be told from 0")
    if high[2] == MAX_ALPHA:
        remarks.append(f"alpha's interval ends at its bound {MAX_ALPHA:g}")
    unit = np.exp(y_mean)
    return Law(
        status(best[2], low[2], *remarks),
        amplitude=float(unit * np.exp(best[1] + best[2] * x_mean)),
        alpha=float(best[2]),
        alpha_low=float(low[2]),
        alpha_high=float(high[2]),
        irreducible=float(unit * best[0]),
        irreducible_low=float(unit * low[0]),
        irreducible_high=float(unit * high[0]),
        **counts,
    )


def minimise(x: Floats, y: Floats, weights: NDArray[Any], starts: Floats, huber: float) -> Minima:
    """Minimise sum_i w_i H(y_i - ln(E + exp(ln A - alpha x_i))) for every weighting.

    H(r) is r^2/2 up to |r| = huber, in units of y, and grows linearly from there. E >= 0 and
    0 <= alpha <= MAX_ALPHA are kept by projection. Levenberg-Marquardt steps, in which outliers
    have the weights of iterative reweighting, run side by side for all weightings: `x`, `y` (rows,)
    are ln N and ln L, `weights` (weightings, rows), `starts` (weightings, 3) E, ln A and alpha.
    """
    order = np.argsort(x, kind="stable")
    u, first, size_of_row = np.unique(x[order], return_index=True, return_inverse=True)
    y, weights = y[order], np.asarray(weights, float)[:, order]
    lower, upper = np.array([0.0, -np.inf, 0.0]), np.array([np.inf, np.inf, MAX_ALPHA])

    def residuals(theta: Floats, who: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
        """Residuals and clipped residuals, (weightings, rows), and the objective (weightings,)."""
        power = np.exp(theta[:, 1:2] - theta[:, 2:3] * u)
        r = y - np.log(theta[:, 0:1] + power).take(size_of_row, axis=1)
        clipped = np.clip(r, -huber, huber)
        return r, clipped, np.einsum("wi,wi->w", weights[who], clipped * (r - clipped / 2))

    theta = np.clip(starts, lower, upper)
    who = np.arange(len(theta))
    r, clipped, objective = residuals(theta, who)
    damping, converged = np.full(len(theta), 1e-3), np.zeros(len(theta), bool)
    for _ in range(_STEPS):
        t, w = theta[who], weights[who]
        power = np.exp(t[:, 1:2] - t[:, 2:3] * u)
        value = t[:, 0:1] + power
        slopes = np.stack([1 / value, power / value, -u * power / value])
        pull = np.add.reduceat(w * clipped[who], first, axis=1)
        trust = np.divide(clipped[who], r[who], out=np.ones_like(w), where=r[who] != 0)
        curvature = np.add.reduceat(w * trust, first, axis=1)
        gradient = np.einsum("iwg,wg->wi", slopes, pull)
        hessian = np.einsum("iwg,wg,jwg->wij", slopes, curvature, slopes)
        held = ((t <= lower) & (gradient <= 0)) | ((t >= upper) & (gradient >= 0))
        gradient[held] = 0.0
        hessian[held[:, :, None] | held[:, None, :]] = 0.0
        diagonal = np.einsum("wii->wi", hessian)  # a view
        diagonal += damping[who, None] * diagonal + held + 1e-300
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        done = np.einsum("wi,wi->w", step, gradient) <= _PRECISION * objective[who]
        converged[who[done]] = True
        who, trial = who[~done], np.clip(t + step, lower, upper)[~done]
        if not len(who):
            break
        new_r, new_clipped, new = residuals(trial, who)
        better = new < objective[who]
        moved = who[better]
        theta[moved], objective[moved] = trial[better], new[better]
        r[moved], clipped[moved] = new_r[better], new_clipped[better]
        damping[who] = np.maximum(damping[who] * np.where(better, 0.2, 5.0), _LEAST_DAMPING)
    return Minima(theta, objective, converged)


def _starts(x: Floats, y: Floats) -> Floats:
    """Laws through the widths' medians, for several floors below the lowest of them, (.., 3)."""
    u = np.unique(x)
    medians = np.exp([np.median(y[x == one]) for one in u])
    floors = np.array(_STARTS) * medians.min()
    lines = np.polyfit(u, np.log(medians[:, None] - floors), 1)
    return np.stack([floors, lines[1], np.clip(-lines[0], 0.05, 1.0)], axis=1)
