"""Stage `train_parity`: every run of one configuration, a family side by side, into its parts."""

import argparse

import pandas as pd

from stages.base import errors, item, params, progress
from stages.parity import part as parity_part
from stages.parity.plan import families
from stages.parity.train import train
from stages.training import device, kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configuration")
    parser.add_argument("--family", action="store_true", help="it is an alpha of the family")
    arguments = parser.parse_args(item.arguments())
    name = params.FAMILY * arguments.family + arguments.configuration

    configurations = params.load().parity.named
    configuration = params.lookup(configurations, name, "parity.configurations")
    parts = parity_part.configuration_parts(name, configuration)
    chosen = device.choose()
    histories = []
    for family in families(configuration):
        runs, part = len(family.runs), parts["losses"]
        label, total = f"train_parity {name}, {family}", runs * family.steps
        with progress.Progress(label, total, "run-steps", part.stage, runs) as report:
            keeping = kept.of(part, chosen, report, ["parity"])
            histories.append(train(configuration, family, chosen, report, keeping))
    for kind, part in parts.items():
        rows = pd.concat([history.frame(kind) for history in histories])
        part.write(rows.assign(configuration=name))
    keeping.remove()


if __name__ == "__main__":
    errors.run(main)
