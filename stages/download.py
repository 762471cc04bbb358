"""Stage `download`: images of params.yaml, and the record by which everything else knows them.

    python -m stages.download cifar10

Fetches or makes the arrays of `images.<name>` in data/<name>/, and writes data/<name>.json, its
only output: `stages.images.stored` says where from, and what the record holds.
"""

import argparse

from stages.base import errors, item, params
from stages.images import stored


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="a key of section images")
    name = parser.parse_args(item.arguments()).name
    images = stored.record(name, params.lookup(params.load().images, name, "images"))
    print(f"{len(images.train_images):,} training and {len(images.test_images):,} test images")


if __name__ == "__main__":
    errors.run(main)
