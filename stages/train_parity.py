"""Stage `train_parity`: every seed of one configuration, side by side, into one part."""

import argparse

from stages import errors, params, runs
from stages.parity.train import train
from stages.training import device, progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configuration")
    name = parser.parse_args().configuration

    configurations = params.load().parity.configurations
    configuration = params.lookup(configurations, name, "parity.configurations")
    part = runs.parity_part(name, configuration)
    total = configuration.seeds * configuration.steps
    with progress.Progress(f"train_parity {name}", total, "run-steps") as report:
        history = train(configuration, range(configuration.seeds), device.choose(), report)
    part.write(history.frame(name))


if __name__ == "__main__":
    errors.run(main)
