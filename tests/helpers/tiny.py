"""params.yaml cut down to what trains in seconds."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import yaml

from stages.base import params, tables
from tests.helpers.frozen import FROZEN
from tests.helpers.root import ROOT


def tiny() -> dict[str, Any]:
    made = FROZEN.model_dump(exclude_none=True)
    made["cnn"]["widths"] = [1, 2]
    for sweep in made["cnn"]["sweeps"].values():
        sweep |= {"batch_size": 16, "epochs": 2, "seeds": 2}
    keras = {"initial_weights": "keras", "evaluate_training": True}
    training = made["cnn"]["sweeps"]["paper"] | keras
    study = {"images": "cifar10", "network": "cnn", "widths": [1, 2]}
    made["studies"] = {"paper_keras": study | {"training": training}}
    made["studies"]["perceptron"] = study | {"network": "mlp", "training": {**training}}
    name, configuration = next(iter(made["parity"]["configurations"].items()))
    configuration |= {"tasks": 3, "bits": 8, "subset_size": 2, "batch_size": 64, "task_curves": 3}
    configuration |= {"widths": [8, 16], "steps": 20, "evaluate_every": 5}
    configuration |= {"evaluation_samples": 32, "seeds": 2}
    limited = {"widths": [16], "samples": [50, 150], "steps": 10, "evaluate_every": 5}
    configuration["data_limited"] = limited
    family = {key: value for key, value in configuration.items() if key != "alpha"}
    family |= {"task_curves": 0, "widths": [8], "data_limited": limited | {"samples": [50]}}
    made["parity"]["configurations"] = {name: configuration}
    made["parity"]["alphas"] = {"values": [0.5], "training": family}
    students = made["students"]
    students["protocol"] |= {"hidden": 20, "width_count": 3, "teachers": 2, "evaluations": 1}
    students["protocol"] |= {"evaluation_samples": 300, "schedule": 1e-4}
    name, configuration = next(iter(students["configurations"].items()))
    students["configurations"] = {name: configuration | {"seeds": 2}}
    made["fit"]["resamples"] = 100
    made["quanta"]["resamples"] = 100
    made["calibration"]["sweeps"] = 20
    made["dimension"] |= {"ratio_neighbours": [2], "likelihood_neighbours": [2, 5]}
    made["dimension"] |= {"blocks": [2, 1]}
    made["dimension"]["known"] = {"samples": 300, "dimensions": [2, 17, 40], "compare": 17}
    params.Params.model_validate(made)
    return made


def dumped(content: Any) -> str:
    """Write content as YAML, nothing by reference."""
    return yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False)


def write_carrying(path: Path, p: params.Params, *sections: str) -> None:
    """Write a table without rows that carries sections of params, as aggregation would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    carried = p.model_dump(mode="json", include={*sections})
    tables.write_parquet(pd.DataFrame(), path, pa.schema([]), carried)


def write_params(folder: Path, content: dict[str, Any]) -> None:
    """Write params.yaml to a folder, and beside it the published numbers as they are."""
    (folder / "params.yaml").write_text(dumped(content))
    shutil.copy(ROOT / "published.yaml", folder)
