"""Stage `measure_study`: the intrinsic dimension of a study's last layers, and of its images.

    python -m stages.measure_study mnist

All weights that are kept of every width, on the test images; and the images themselves. Writes the
rows as metrics/dimension_studies/mnist.csv, unrounded: stage `measure_dimension` says what is
measured, and puts all of it together. Some 2 s of one core per network, and 10 s for the images.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import torch

from stages.base import errors, item, params, tables, workers
from stages.base.parts import Part
from stages.base.workers import Apply
from stages.classification.modules import Kind
from stages.cnn.part import study_part
from stages.dimension.activations import Floats, last_hidden, layers, of_any, trained
from stages.dimension.networks import of_images, of_networks
from stages.dimension.sources import source
from stages.images.arrays import Images
from stages.images.stored import stored
from stages.networks.cnn import Network


def by_hand(
    part: Part, study: params.Study, snapshot: params.Snapshot, images: Images, apply: Apply
) -> Iterable[dict[params.Layer, Floats]]:
    """The layers of each width of the network of Figure 6."""
    images = images.for_cnn()
    new = {width: Network(width, classes=images.classes) for width in study.widths}
    networks = [trained(part, network, width, snapshot) for width, network in new.items()]
    hidden = last_hidden(networks, images.test_images, study.training.input_range, apply)
    return map(layers, networks, hidden)


def of_others(
    part: Part, study: params.Study, snapshot: params.Snapshot, images: Images, apply: Apply
) -> Iterable[dict[params.Layer, Floats]]:
    """The layers of each width of any other network.

    Raises:
        InputError: N is not what the part says.
    """
    rows, columns, channels = images.shape
    kind = Kind(study.network, (channels, rows, columns), images.classes)
    said = part.read().groupby("width")["parameters"].first()
    for width in study.widths:
        if said[width] != (n := kind.parameters(width)):
            raise part.refused(f"N {said[width]} at width {width}, and the network has {n}")
    networks = [trained(part, kind.build(width), width, snapshot) for width in study.widths]
    scale = study.training.input_range

    def layers_of(network: torch.nn.Module) -> dict[params.Layer, Floats]:
        return of_any(network, kind.last_hidden, images.test_images, scale)

    return apply(layers_of, networks)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study")
    name = parser.parse_args(item.arguments()).study
    p = params.load()
    study = params.lookup(p.studies, name, "studies")
    named = p.named_images(study.images)
    part = study_part(named, name, study)
    images = stored(named.name, named.settings)
    torch.set_num_threads(1)  # batches and networks are worked on side by side
    with workers.threads() as apply:
        of_kind = by_hand if study.network == params.BY_HAND else of_others
        found = [of_images(source(named.name), images.test_images, p.dimension, apply)]
        for snapshot in study.training.snapshots:
            networks = of_kind(part, study, snapshot, images, apply)
            found.append(of_networks(name, study.widths, snapshot, networks, p.dimension, apply))
    table = pd.concat(found)
    tables.write(table, Path(f"metrics/dimension_studies/{name}.csv"), digits=tables.PASSED_ON)


if __name__ == "__main__":
    errors.run(main)
