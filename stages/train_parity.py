"""Stage `train_parity`: every run of one configuration, a family side by side, into its parts."""

import argparse

import pandas as pd

from stages.base import errors, item, params, progress
from stages.parity import part as parity_part
from stages.parity.plan import families
from stages.parity.train import train
from stages.training import device


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configuration")
    parser.add_argument("--family", action="store_true", help="it is an alpha of the family")
    arguments = parser.parse_args(item.arguments())
    name = params.FAMILY * arguments.family + arguments.configuration

    configurations = params.load().parity.named
    configuration = params.lookup(configurations, name, "parity.configurations")
    histories = []
    for family in families(configuration):
        total = len(family.runs) * family.steps
        with progress.Progress(f"train_parity {name}, {family}", total, "run-steps") as report:
            histories.append(train(configuration, family, device.choose(), report))
    for kind, part in parity_part.configuration_parts(name, configuration).items():
        rows = pd.concat([history.frame(kind) for history in histories])
        part.write(rows.assign(configuration=name))


if __name__ == "__main__":
    errors.run(main)
