"""Stage `aggregate_parity`: every part of the parity configurations, as one table of each kind.

In metrics: parity_losses.parquet, parity_tasks.parquet and parity_curves.parquet. Parts are
enumerated and refused as `aggregate_cnn` does.
"""

from pathlib import Path

from stages.base import errors, params, parts
from stages.parity.part import SCHEMAS, configuration_parts


def expected(p: params.Params) -> dict[str, list[parts.PartFile]]:
    """The parts that params.yaml asks for, in its order, by kind."""
    of_configurations = [configuration_parts(name, c) for name, c in p.parity.named.items()]
    return {kind: [of[kind] for of in of_configurations] for kind in SCHEMAS}


def main() -> None:
    p = params.load()
    made = {Path(f"metrics/parity_{kind}.parquet"): some for kind, some in expected(p).items()}
    parts.aggregate(made, p, "parity")


if __name__ == "__main__":
    errors.run(main)
