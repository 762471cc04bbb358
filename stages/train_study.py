"""Stage `train_study`: every width and seed of one study into one part.

    python -m stages.train_study paper_keras

A study is a protocol with widths of its own (section `studies` of params.yaml). Beside the part go
the weights of each width's seed 0. 13 widths with 10 seeds of 50 epochs of batches of 32 are some
minutes on an H200, and hours on two cores.
"""

import argparse

from stages.base import errors, item, params
from stages.cnn import part as cnn_part
from stages.cnn.train import train_widths
from stages.images.stored import stored
from stages.training import device


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study")
    name = parser.parse_args(item.arguments()).study
    p = params.load()
    study = params.lookup(p.studies, name, "studies")
    part = cnn_part.study_part(p.cnn_images, name, study)
    images = stored(p.cnn.images, p.images[p.cnn.images])
    train_widths(part, name, study.training, study.widths, images, device.choose())


if __name__ == "__main__":
    errors.run(main)
