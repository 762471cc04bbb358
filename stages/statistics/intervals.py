"""Intervals by known distributions, without scipy.stats, whose import takes a second a process."""

from scipy.special import betaincinv, stdtrit


def clopper_pearson(held: int, of: int, confidence: float) -> tuple[float, float]:
    """The exact interval of a share, from `held` of `of` (Clopper & Pearson 1934)."""
    tail = (1 - confidence) / 2
    low = betaincinv(held, of - held + 1, tail) if held else 0.0
    high = betaincinv(held + 1, of - held, 1 - tail) if held < of else 1.0
    return float(low), float(high)


def student_margin(error: float, freedom: float, confidence: float) -> float:
    """Half the width of Student's interval about a mean of standard error `error`."""
    return float(stdtrit(freedom, (1 + confidence) / 2) * error)
