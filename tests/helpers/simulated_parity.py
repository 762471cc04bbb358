"""Tables of multitask sparse parity, as aggregation makes them, from the simulator."""

from dataclasses import replace
from itertools import product
from math import log
from pathlib import Path

import numpy as np
import pandas as pd

from stages.base.params import ParityConfiguration
from stages.base.tables import write_parquet
from stages.parity import part as parity_part
from stages.parity.plan import curve_steps, families
from stages.parity.tasks import frequencies
from stages.quanta import simulate as simulate_parity
from stages.quanta.simulate import Truth
from tests.helpers.frozen import FROZEN

BIT = log(2)


def configuration(**changes: object) -> ParityConfiguration:
    """The paper's problem with fewer tasks and steps, changed as wanted."""
    made = {
        **{"tasks": 60, "bits": 100, "subset_size": 3, "alpha": 0.4, "widths": [20, 60, 200]},
        **{"logits": 2, "optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 0},
        **{"batch_size": 20000, "steps": 20000, "evaluate_every": 100, "evaluation_samples": 100},
        **{"learned_below": 0.1, "task_curves": 30, "seeds": 3, "precision": "tf32"},
    }
    return ParityConfiguration.model_validate(made | changes)


def tables(
    configurations: dict[str, ParityConfiguration], truth: Truth | None = None, seed: int = 0
) -> dict[str, pd.DataFrame]:
    """The tables of all runs of some configurations; `truth` but for the tasks' frequencies."""
    found: dict[str, list[pd.DataFrame]] = {kind: [] for kind in parity_part.SCHEMAS}
    for name, c in configurations.items():
        own = replace(truth or Truth(np.ones(1)), frequencies=frequencies(c.tasks, c.alpha))
        rng = np.random.default_rng([seed, *name.encode()])
        for family in families(c):
            for width, samples, run in product(family.widths, family.samples, family.seeds):
                key = {"configuration": name, "width": width, "samples": samples, "seed": run}
                steps = np.array(family.evaluated, float)
                losses, mean = simulate(own, width, samples, steps, rng)
                means = {"step": steps, "mean_loss": mean * BIT}
                found["losses"].append(pd.DataFrame(key | means))
                found["tasks"].append(pd.DataFrame(key | of_tasks(steps, losses, c.learned_below)))
                if samples == 0 and width == max(c.widths) and c.task_curves:
                    kept = np.isin(steps, curve_steps(c))
                    step, task = (index.ravel() for index in np.indices(losses[kept].shape))
                    of = {"step": steps[kept][step], "task": task + 1}
                    of |= {"loss": losses[kept].ravel() * BIT}
                    of |= {"accuracy": 1 - losses[kept].ravel() / 2}
                    found["curves"].append(pd.DataFrame(key | of))
    return {kind: typed(kind, some) for kind, some in found.items()}


def simulate(
    truth: Truth, width: int, samples: int, steps: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The losses of one run in bits, (steps, tasks), and their mean, (steps,)."""
    share = simulate_parity.by_width(truth, [width])[0]
    if samples:
        share = share * simulate_parity.by_samples(truth, [samples], rng)[0]
    learning = simulate_parity.learning_steps(truth, 1, rng)[0]
    losses = 1 - share * simulate_parity.fallen(truth, steps, learning)
    if samples:
        losses += truth.overfit * (1 - share) * (steps / steps[-1])[:, None]
    return losses, simulate_parity.noisy(truth, (losses @ truth.frequencies)[None], rng)[0]


def of_tasks(steps: np.ndarray, losses: np.ndarray, below: float) -> dict[str, object]:
    """When each task was learned, as the run's schema has it; plainly, task by task."""
    columns: dict[str, list[float]] = {}
    for number, loss in enumerate(losses.T, start=1):
        above = np.flatnonzero(loss >= below)
        later = steps[above[-1] + 1 :] if len(above) else steps
        learned = later[0] if len(later) else np.nan
        under = steps[loss < below]
        high = steps[(loss >= 0.9) & ~(steps >= learned)]
        values = {
            "task": number,
            "not_before": steps[above[-1]] if len(above) else 0,
            "learned": learned,
            "first_under": under[0] if len(under) else np.nan,
            "began": high[-1] if len(high) and len(later) else np.nan,
            "loss": loss[-1] * BIT,
            "accuracy": 1 - loss[-1] / 2,
        }
        for column, value in values.items():
            columns.setdefault(column, []).append(value)
    return dict(columns)


def typed(kind: str, some: list[pd.DataFrame]) -> pd.DataFrame:
    """One table with the types that a part's have when they are read."""
    schema = parity_part.SCHEMAS[kind]
    table = pd.concat(some) if some else pd.DataFrame(columns=schema.names)
    nullable = {"learned": "Int32", "first_under": "Int32", "began": "Int32"}
    table = table.astype({k: v for k, v in nullable.items() if k in table})
    import pyarrow as pa

    return pa.Table.from_pandas(table, schema=schema, preserve_index=False).to_pandas()


def save(
    folder: Path, made: dict[str, pd.DataFrame], configurations: dict[str, ParityConfiguration]
) -> Path:
    """Write the tables as aggregation does of these configurations."""
    folder.mkdir(exist_ok=True, parents=True)
    section = FROZEN.parity.model_dump()
    section["configurations"] = {name: c.model_dump() for name, c in configurations.items()}
    section["alphas"]["values"] = []
    for kind, table in made.items():
        path, schema = folder / f"parity_{kind}.parquet", parity_part.SCHEMAS[kind]
        write_parquet(table, path, schema, {"parity": section})
    return folder
