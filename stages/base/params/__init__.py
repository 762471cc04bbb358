"""params.yaml as typed, validated objects, a module for each part of it."""

from stages.base.params.cnn import (
    BY_HAND,
    Cnn,
    CnnSweep,
    InitialWeights,
    Study,
    StudyTraining,
    Training,
)
from stages.base.params.dimension import Dimension, KnownDimension
from stages.base.params.document import PARAMS, Params, load, lookup, published
from stages.base.params.fits import Calibration, Fit, Quanta, Sensitivity
from stages.base.params.images import (
    FolderImages,
    ImageSet,
    Manifold,
    NamedImages,
    PublishedImages,
)
from stages.base.params.imports import LIST, TABLES, CurveTags, EpochSteps, Import, Quantity
from stages.base.params.parity import FAMILY, DataLimited, Parity, ParityConfiguration
from stages.base.params.plot import Plot
from stages.base.params.published import Figure6, Michaud, Published, SharmaKaplan
from stages.base.params.regime import Change, Regime
from stages.base.params.students import StudentConfiguration, StudentProtocol, Students
from stages.base.params.verdict import (
    Definition,
    DimensionRule,
    FitRule,
    Layer,
    LearningRule,
    ParityVerdict,
    Verdict,
)

__all__ = [
    "BY_HAND",
    "FAMILY",
    "LIST",
    "PARAMS",
    "TABLES",
    "Calibration",
    "Change",
    "Cnn",
    "CnnSweep",
    "CurveTags",
    "DataLimited",
    "Definition",
    "Dimension",
    "DimensionRule",
    "EpochSteps",
    "Figure6",
    "Fit",
    "FitRule",
    "FolderImages",
    "ImageSet",
    "Import",
    "InitialWeights",
    "KnownDimension",
    "Layer",
    "LearningRule",
    "Manifold",
    "Michaud",
    "NamedImages",
    "Params",
    "Parity",
    "ParityConfiguration",
    "ParityVerdict",
    "Plot",
    "Published",
    "PublishedImages",
    "Quanta",
    "Quantity",
    "Regime",
    "Sensitivity",
    "SharmaKaplan",
    "StudentConfiguration",
    "StudentProtocol",
    "Students",
    "Study",
    "StudyTraining",
    "Training",
    "Verdict",
    "load",
    "lookup",
    "published",
]
