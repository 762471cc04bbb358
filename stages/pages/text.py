"""How results are written for people: templates, numbers and the names of things.

Numbers have as many digits as their intervals deserve; a missing one is a dash.
"""

import math
from math import isfinite
from typing import Any

import pandas as pd

from stages.base.params import Params, SharmaKaplan
from stages.base.tables import where
from stages.manifold import readings
from stages.pages.template import environment as loader
from stages.quanta.verdict import NOT_TRAINED
from stages.statistics.equivalence import OUTCOMES, RULE

CURVES = {
    "test_loss": "Test loss",
    "train_loss": "Training loss",
    "test_error": "Test error",
    "train_error": "Training error",
}
"""The curves of Figure 6."""
_OF_CURVES = {"": "4/alpha", "_drawn": "4/alpha of the drawn points", "_level": "ours / theirs"}
QUANTITIES = {
    **{f"{n}{of}": f"{c}, {words}" for of, words in _OF_CURVES.items() for n, c in CURVES.items()},
    "intrinsic_dimension": "Dimension of the last hidden layer",
    "dimension_ratio": "4/alpha of test loss / dimension",
    "notebook": "The notebook's 4/alpha, epochs pooled",
}
PARITY = {
    "learning_exponent": "Learning time against 1/p, exponent",
    "learning_steps": "Steps until a task is learned, ours / theirs",
    "loss_by_parameters": "Mean loss against N, ours / theirs",
    "loss_by_samples": "Mean loss against D, ours / theirs",
    "drawn_N": "alpha_N of the drawn points",
    "drawn_D": "alpha_D of the drawn points",
    "alpha_N": "alpha_N at alpha = {}",
    "alpha_S": "alpha_S at alpha = {}",
    "alpha_D": "alpha_D at alpha = {}",
}
"""Quantities of multitask sparse parity, with a place for alpha."""
RUNS = {
    "included": "all runs",
    "short_excluded": "without short runs",
    "excluded": "without failed runs",
}
"""Words for what is done with failed runs."""
SYMBOLS = dict(zip(OUTCOMES, "✓✗?", strict=True))


def number(value: float | None, digits: int = 2) -> str:
    """A number to so many decimals, with thousands marked; a dash for none."""
    if value is None or not isfinite(value):
        return "–"  # noqa: RUF001 (a dash, as in any table)
    return f"{value:,.{digits}f}".replace("-", "−")  # noqa: RUF001


def interval(low: float, high: float, digits: int = 2) -> str:
    """An interval, or nothing where there is none."""
    return f"[{number(low, digits)}, {number(high, digits)}]" if isfinite(high - low) else ""


def close(low: float, high: float) -> str:
    """An interval to three significant digits, or nothing where there is none."""
    return f"[{significant(low)}, {significant(high)}]" if isfinite(high - low) else ""


def percent(value: float) -> str:
    """A share as a percentage, to a tenth."""
    return "–" if not isfinite(value) else f"{round(100 * value, 1):g}%"  # noqa: RUF001


def published(row: Any) -> str:
    """A published value, or range."""
    low, high = float(row["published_low"]), float(row["published_high"])
    return f"{low:.2f}" if low == high else f"{low:g} to {high:g}"


def choice(text: str) -> str:
    """What is varied, in words: "epochs=last" is "epochs: last"."""
    return text.replace("=", ": ").replace("_", " ")


def verdict(table: pd.DataFrame, curve: pd.DataFrame, p: Params) -> dict[str, Any]:
    """What the verdict's tables say, for a template: `rows` by the rules, `others` by other
    choices, `by` quantity and choice, `counts` of outcomes by the rules, `curves`; and `scatter`,
    about what one run per width would have for half an interval, where all widths have as many.
    """
    study = p.trained.get(p.verdict.fit.sweep)
    root = math.sqrt(study.training.seeds) if study else math.nan
    records = table.to_dict("records")
    rows = [row for row in records if row["choice"] == RULE]
    by: dict[str, dict[str, Any]] = {name: {} for name in QUANTITIES}
    for row in records:
        by[row["quantity"]][row["choice"]] = row
    return {
        "rows": rows,
        "others": [row for row in records if row["choice"] != RULE],
        "by": by,
        "counts": _counts(rows),
        "scatter": {row["quantity"]: (row["high"] - row["low"]) / 2 * root for row in rows},
        "p": p,
        "curves": curves(curve),
    }


def _counts(rows: list[Any]) -> dict[str, int]:
    outcomes = [row["outcome"] for row in rows]
    return {outcome: outcomes.count(outcome) for outcome in SYMBOLS}


def curves(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each curve of Figure 6: `name`, at how many `sizes` we have it, the smallest and
    largest `ratio` of our median to the published point, and how many are `outside` the band of a
    single run.
    """
    rows = []
    for name, words in CURVES.items():
        here = where(table, curve=name).dropna(subset=["ours"])
        ratio = here["ratio"].min(), here["ratio"].max()
        outside = int(here["outside"].sum())
        rows.append({"name": words, "sizes": len(here), "ratio": ratio, "outside": outside})
    return rows


def figure6(
    smallest: pd.DataFrame,
    shape: pd.DataFrame,
    best: pd.DataFrame,
    sensitivity: pd.DataFrame,
    published: SharmaKaplan,
    p: Params,
) -> dict[str, Any]:
    """What the slopes of Figure 6 and of the notebook are of, for a template.

    `smallest`: by number of sizes, a row of each curve, and `nearest`, the number at which theirs
    is nearest to the printed one; `shape`: by quantity, its parts, and those whose halves are
    `apart`; the rule's `best_epochs` by width; the notebook's exponent `by_epoch`.
    """
    rule = p.verdict.fit
    epochs = where(best, sweep=rule.sweep, epochs=rule.epochs)
    of_notebook = where(sensitivity, sweep=p.verdict.notebook.sweep, factor="epoch")
    by_epoch = where(of_notebook, metric="validation_loss")
    parts = {
        str(quantity): {row["part"]: row for row in rows.to_dict("records")}
        for quantity, rows in shape.groupby("quantity", sort=False)
    }
    halves = {quantity: (of["narrower"], of["wider"]) for quantity, of in parts.items()}
    first, last = published.widths
    return {
        "curve_names": CURVES,
        "smallest": {
            sizes: {row["curve"]: row for row in rows.to_dict("records")}
            for sizes, rows in smallest.groupby("sizes")
        },
        "nearest": nearest(smallest, published),
        "shape": parts,
        "shape_names": CURVES | {"notebook": "Notebook, pooled", "notebook_last": "Notebook, last"},
        "apart": [
            quantity
            for quantity, (one, other) in halves.items()
            if one["high"] < other["low"] or other["high"] < one["low"]
        ],
        "best_epochs": epochs[epochs["width"].between(first, last)].to_dict("records"),
        "by_epoch": by_epoch.iloc[29::10].to_dict("records"),
    }


def imports(table: pd.DataFrame, fits: pd.DataFrame, p: Params) -> dict[str, Any]:
    """Imported sweeps beside ours, for a template: by name the rows of `beside.by_width`; and
    `exponents`, 4/alpha of the validation loss, by choice of epochs and of failed runs.
    """
    rule = p.verdict.notebook
    like = {"quantile": rule.quantile, "widths": rule.widths}
    chosen = where(fits, metric="validation_loss", **like)
    chosen = chosen[chosen["sweep"].isin([*p.imports, rule.sweep])]
    return {
        "beside": {name: where(table, sweep=name).to_dict("records") for name in p.imports},
        "exponents": {
            f"{choice(str(epochs))}, {RUNS[str(failed)]}": {
                row["sweep"]: row for row in rows.to_dict("records")
            }
            for (epochs, failed), rows in chosen.groupby(["epochs", "failed"], sort=False)
        },
    }


def nearest(smallest: pd.DataFrame, published: SharmaKaplan) -> dict[str, int]:
    """Count the smallest sizes whose exponent is nearest to the printed one, for each curve."""
    off = (smallest["published"] - smallest["curve"].map(vars(published))).abs()
    ordered = smallest.loc[off.sort_values().index]
    found = ordered.groupby("curve", sort=False)["sizes"].first()
    return {str(curve): int(sizes) for curve, sizes in found.items()}


def dimension(table: pd.DataFrame, p: Params) -> dict[str, Any]:
    """What the verdict's dimension is of, for a template: `read`, the mean over `seeds` at each
    width; seeds `left_out`; what its interval is `dimension_over`; and of the same networks behind
    the ReLU `live`, the fewest and the most units that live, and `live_correlation` of their
    number's rank with the reading's.
    """
    rule = p.verdict.dimension
    behind = rule.model_copy(update={"layer": "activation"})
    networks = readings.networks(table, rule, p.fit.widths)
    activation = readings.complete(readings.networks(table, behind, p.fit.widths))
    seeds = readings.seeds(networks)
    live = activation["coordinates"]
    return {
        "read": readings.by_width(networks).to_dict("records"),
        "seeds": seeds,
        "left_out": sorted({*map(int, networks["seed"])} - {*seeds}),
        "dimension_over": readings.over(networks),
        "live": (live.min(), live.max()),
        "live_correlation": live.rank().corr(activation["dimension"].rank()),
    }


def parity(table: pd.DataFrame) -> dict[str, Any]:
    """What the verdict's table of multitask sparse parity says, for a template.

    `parity_rows` by the rules, `parity_others` by other choices, `parity_counts` of outcomes by the
    rules, `parity_absent`: how many of each quantity have no configuration of ours.
    """
    records = [row | {"name": parity_name(row)} for row in table.to_dict("records")]
    there = [row for row in records if row["status"] != NOT_TRAINED]
    rows = [row for row in there if row["choice"] == RULE]
    return {
        "parity_rows": rows,
        "parity_others": [row for row in there if row["choice"] != RULE],
        "parity_counts": _counts(rows),
        "parity_absent": {
            quantity: count
            for quantity in PARITY
            if (count := len(where(table, quantity=quantity, status=NOT_TRAINED)))
        },
    }


def parity_name(row: Any) -> str:
    """A quantity of multitask sparse parity, with the place that it is of."""
    at = f"{row['at']:,.10g}" if isfinite(row["at"]) else ""
    return PARITY[row["quantity"]].format(at)


def said(text: Any) -> str:
    """A text that a table has; nothing where it has none."""
    return text if isinstance(text, str) else ""


def significant(value: float | None) -> str:
    """A number to three digits, or whole where it has more; a dash for none."""
    if value is None or not isfinite(value):
        return number(None)
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return number(value, digits)


def render(template: str, **content: Any) -> str:
    """Fill in a template of `templates/`, which may write numbers and names as above."""
    environment = loader(template)
    environment.filters |= {"number": number, "percent": percent, "choice": choice}
    environment.filters |= {"significant": significant, "said": said}
    environment.filters["lower_first"] = lambda text: text[:1].lower() + text[1:]
    environment.globals |= {
        "close": close,
        "interval": interval,
        "published": published,
        "quantities": QUANTITIES,
        "symbols": SYMBOLS,
    }
    return environment.get_template(template).render(content)
