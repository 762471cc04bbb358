"""The report as data: its sections in order, with their figures and tables.

What a section says in words is in templates/prose.html, by the section's name. A section whose
figures and tables are not there is left out, and so is a table whose file is not.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd
from markupsafe import Markup, escape

from stages.base.params import Params
from stages.base.tables import where
from stages.manifold import readings
from stages.pages import text
from stages.pages.text import number, percent

Row = Mapping[str, Any]


class Column(NamedTuple):
    """A column of a table: its head, and what it shows of a row.

    The functions below take heads such as "Agrees from", whose key is agrees_from, or "E: floor".
    """

    head: str
    show: Callable[[Row], object]
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """A table to fold: what it is, its heads, and its cells; `numbers` are the classes that set
    columns of numbers to the right, such as "n2 n3".
    """

    caption: str
    heads: list[str]
    numbers: str
    rows: list[list[Markup]]

    @classmethod
    def of(cls, caption: str, rows: pd.DataFrame | Iterable[Row], *columns: Column) -> "Table":
        """The rows of a data frame or of mappings, a column each."""
        records: Iterable[Any] = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else rows
        cells = [[escape(column.show(row)) for column in columns] for row in records]
        numbers = " ".join(f"n{place}" for place, c in enumerate(columns, 1) if c.numeric)
        return cls(caption, [c.head for c in columns], numbers, cells)


@dataclass(frozen=True)
class Section:
    """A section: its name in the page and in prose.html, its title, the names of its figures.

    `of_each` are figures of one kind, one for each sweep: the first stands open, the others folded.
    """

    name: str
    title: str
    figures: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    explorer: str = ""
    of_each: list[str] = field(default_factory=list)


def _named(head: str) -> tuple[str, str]:
    """A head, and the key of what is under it."""
    shown, _, key = head.partition(": ")
    return shown, key or head.lower().replace(" ", "_")


def words(*heads: str) -> list[Column]:
    """Columns of text; an absent one is empty."""
    return [word(*_named(head)) for head in heads]


def word(head: str, key: str) -> Column:
    """Text; an absent one is empty."""

    def show(row: Row) -> str:
        absent = row[key] is None or row[key] != row[key]  # NaN is not itself
        return "" if absent else text.choice(str(row[key]))

    return Column(head, show)


def values(digits: int, *heads: str) -> list[Column]:
    """Columns of numbers, to so many digits."""

    def column(head: str, key: str) -> Column:
        return Column(head, lambda row: number(row[key], digits), numeric=True)

    return [column(*_named(head)) for head in heads]


def shares(*heads: str) -> list[Column]:
    """Columns of percentages."""

    def column(head: str, key: str) -> Column:
        return Column(head, lambda row: percent(row[key]), numeric=True)

    return [column(*_named(head)) for head in heads]


def between(head: str, of: str = "", digits: int = 2) -> Column:
    """An interval; `of` is what the keys of its ends begin with, "slope_" say."""
    low, high = f"{of}low", f"{of}high"
    return Column(head, lambda row: text.interval(row[low], row[high], digits), numeric=True)


def outcome(row: Row) -> Markup:
    """An outcome with its sign, and why where there is no sound interval."""
    result = row["outcome"]
    status = row.get("status", "ok")
    why = "" if status == "ok" else Markup(" <small>{}</small>").format(status)
    if result not in text.SYMBOLS:
        return escape(result) + why
    rank = list(text.SYMBOLS).index(result)
    sign = Markup('<span class="outcome o{}"><span aria-hidden="true">{}</span> {}</span>')
    return sign.format(rank, text.SYMBOLS[result], result) + why


OUTCOME = Column("Outcome", outcome)
STATUS = word("Status", "status")
TOLERANCE = (*shares("Agrees from", "Differs below"), word("What would decide it", "would_tell"))


def sections(read: Mapping[str, pd.DataFrame], p: Params, judged: Row) -> list[Section]:
    """The story in order, of the tables by the names of their files.

    `judged` is what `text.verdict`, `text.dimension` and `text.parity` make of the verdict.
    """
    sweeps, of = p.drawn, Table.of
    confidence = f"{percent(p.fit.confidence)} interval"
    bounds, to_tenths = between(confidence), between(confidence, digits=1)
    of_4_alpha = (*values(2, "4/alpha: dimension"), between(confidence, "dimension_"))
    named = Column("Quantity", lambda row: text.QUANTITIES[row["quantity"]])
    published = Column("Published", text.published, numeric=True)
    which = words("Sweep", "Metric", "Epochs")
    widths = Column("Widths", lambda row: f"{row['first_width']}–{row['last_width']}")  # noqa: RUF001
    floors = where(read["cnn_sensitivity"], factor="model", model="irreducible_loss")
    floor = (*values(3, "E, nats: irreducible"), between(confidence, "irreducible_", 3))
    networks = readings.measured(read["dimension"], p.verdict.dimension)
    layers = networks[networks["layer"] != "logits"]
    quanta = f"{percent(p.quanta.confidence)} interval"
    close = Column(quanta, lambda row: text.close(row["low"], row["high"]), numeric=True)
    ours = Column("Ours", lambda row: text.significant(row["ours"]), numeric=True)
    theirs = Column("Published", lambda row: text.significant(row["published_low"]), numeric=True)
    learning, exponents = read["parity_emergence"], read["parity_exponents"]
    exponents = exponents[~exponents["status"].str.contains("no runs")]
    simulated = f"{p.calibration.sweeps} simulated"
    imported = [
        of(
            f"What was found of sweep {name}, by width",
            read[f"{name}-widths"],
            *values(0, *(f"{text.choice(str(key))}: {key}" for key in read[f"{name}-widths"])),
        )
        for name in p.imports
    ]
    trained = [_protocols(p), _configurations(p), _failed(read["cnn_failed"]), *imported]
    falls = [
        of(
            "The verdict: ours beside the published",
            judged["rows"],
            *(named, published, *values(2, "Ours"), bounds, OUTCOME, *TOLERANCE),
        ),
        of(
            "4/alpha of every metric, choice of epochs, quantile and range of widths, with "
            "and without failed runs",
            read["cnn_fits"],
            *(*which, *words("Quantile"), widths, *words("Failed runs: failed")),
            *(*values(3, "alpha"), *of_4_alpha, STATUS),
        ),
        of(
            f"How often such intervals hold a known exponent, {simulated} sweeps a case",
            read["cnn_coverage"],
            *(*words("Case"), *shares("Nominal", "Measured: coverage")),
        ),
    ]
    choices = [
        of(
            "The verdict with one choice made otherwise",
            judged["others"],
            *(named, *words("Choice"), *values(2, "Ours"), bounds, OUTCOME),
        ),
        of(
            "With an irreducible loss: L = E + A N^-alpha, all widths",
            floors,
            *(*which, *of_4_alpha, *floor, STATUS),
        ),
        of(
            "One power law? 4/alpha over all, the narrower and the wider half of the "
            "verdict's sizes, and with an irreducible loss or error",
            read["verdict_shape"],
            *(*words("Quantity", "Sizes: part"), *values(2, "4/alpha: ours"), bounds),
            *(*values(3, "E: floor"), STATUS),
        ),
        of(
            "4/alpha of the smallest sizes alone, through the published points and ours",
            read["verdict_smallest"],
            *(*words("Curve"), *values(0, "Sizes"), *values(2, "Theirs: published", "Ours")),
            *(bounds, STATUS),
        ),
    ]
    dimension = of(
        "Dimension of images and hidden layers",
        layers,
        *(*words("Source"), *values(0, "Width", "Seed"), *words("Layer")),
        *values(0, "Coordinates"),
        *(*values(1, "Read: dimension"), to_tenths, *values(1, "As Gaussian", "As uniform")),
        STATUS,
    )
    theory = [
        of(
            "4/alpha and the measured dimension, of all that was trained",
            read["figure1"],
            *(*words("Of: panel", "Kind", "Name"), *values(1, "Dimension")),
            *(between(confidence, "dimension_", 1), *values(1, "4/alpha: value"), to_tenths),
        ),
        of(
            "4/alpha of students, by configuration",
            students_ended(read["students"]),
            *(*words("Configuration"), *values(1, "Theory: expected"), *words("Widths")),
            *(*values(1, "4/alpha: value"), to_tenths, OUTCOME),
        ),
        of(
            "Generated images: dimension read, by the true one",
            read["method"],
            *(*values(0, "d: known"), *words("Quantity", "Widths")),
            *(*values(1, "Read: dimension"), to_tenths, *values(2, "Read / d: ratio"), OUTCOME),
        ),
        of(
            "Generated images trained otherwise: 4/alpha",
            read["regime"],
            *(*values(0, "d: known"), *words("Training: change", "Loss: quantity", "Widths")),
            *(*values(1, "4/alpha: dimension"), to_tenths, *values(2, "4/alpha / d: ratio")),
            OUTCOME,
        ),
    ]
    of_quanta = [
        of(
            "The verdict on the quanta",
            judged["parity_rows"],
            *(*words("Quantity: name", "Configuration"), theirs, ours, close, OUTCOME, *TOLERANCE),
        ),
        of(
            "Learning time against frequency, widest networks",
            learning,
            *words("Configuration", "When: definition", "Tasks"),
            *(*values(0, "Learned", "Censored", "Seeds"), *values(2, "Slope")),
            *(between("Over seeds", "slope_"), between("Over tasks", "tasks_"), STATUS),
        ),
        of(
            "Exponents of the mean loss",
            exponents,
            *(*words("Configuration"), *values(1, "alpha"), *words("Against: exponent")),
            *(*values(3, "Ours: value"), between(quanta, digits=3)),
            *(*values(3, "Theory", "Few tasks: finite", "Published"), *values(0, "Runs"), STATUS),
        ),
        of(
            f"How often such intervals hold what is put into {simulated} families a case",
            read["parity_coverage"],
            *(*words("Case"), *values(0, "Seeds"), *words("Over"), *values(3, "Truth", "Mean")),
            *shares("Nominal", "Measured: coverage"),
        ),
    ]
    scaling, violins = ([f"cnn_{kind}_{name}" for name in sweeps] for kind in ("scaling", "violin"))
    of_parity = [
        f"parity_{name}"
        for name in ("curves", "emergence", "learning_times", "scaling", "exponents")
    ]
    varied = ["cnn_epochs", "cnn_sensitivity", "cnn_local_slopes"]
    found = [
        Section("trained", "What was trained", [], trained, "", violins),
        Section("falls", "What falls how", ["cnn_figure6"], falls, "cnn", scaling),
        Section("choices", "What the exponent depends on", varied, choices),
        Section("dimension", "The dimension, measured", [], [dimension]),
        Section("theory", "Where the theory holds", ["figure1", "students", "method"], theory),
        Section("quanta", "The quanta", of_parity, of_quanta, "parity"),
    ]
    return [section for section in found if section.figures or section.tables]


def students_ended(table: pd.DataFrame) -> pd.DataFrame:
    """4/alpha over all teachers at the end of training; `table` is metrics/students.csv."""
    return where(table, phase=table["phase"].max(), quantity="4/alpha", teacher="all")


def _failed(table: pd.DataFrame) -> Table:
    columns = *words("Sweep"), *values(0, "Width", "Runs", "Failed"), *words("Seeds")
    return Table.of("Runs that failed", table[table["failed"] > 0], *columns)


def _protocols(p: Params) -> Table:
    """A column for each sweep and study."""
    trained = {name: study.training.model_dump() for name, study in p.trained.items()}
    settings = next(iter(trained.values()), {})
    rows = [{"setting": key} | {n: t.get(key) for n, t in trained.items()} for key in settings]
    columns = *words("Setting"), *(word(name, name) for name in trained)
    return Table.of("The sweeps and studies, as trained", rows, *columns)


def _configurations(p: Params) -> Table:
    def limits(values: list[int]) -> str:
        ends = sorted({min(values), max(values)})
        return f"{len(values)}: " + "–".join(f"{end:,}" for end in ends)  # noqa: RUF001

    rows = [
        c.model_dump()
        | {"name": name, "widths": limits(c.widths)}
        | {"data": limits(c.data_limited.samples) if c.data_limited else "fresh samples"}
        for name, c in p.parity.configurations.items()
    ]
    rate = Column("Rate", lambda row: row["learning_rate"], numeric=True)
    return Table.of(
        "The parity configurations, as trained",
        rows,
        *(*words("Configuration: name"), *values(1, "alpha"), *values(0, "Tasks")),
        *(*words("Widths", "Training sets: data"), *values(0, "Seeds", "Steps")),
        *(*words("Optimizer"), rate, *values(0, "Logits")),
    )
