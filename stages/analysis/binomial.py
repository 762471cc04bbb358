"""The interval of a share, without the import of scipy.stats, which takes a second a process."""

from scipy.special import betaincinv


def clopper_pearson(held: int, of: int, confidence: float) -> tuple[float, float]:
    """The exact interval of a share, from `held` of `of` (Clopper & Pearson 1934)."""
    tail = (1 - confidence) / 2
    low = betaincinv(held, of - held + 1, tail) if held else 0.0
    high = betaincinv(held + 1, of - held, 1 - tail) if held < of else 1.0
    return float(low), float(high)
