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
from stages.manifold import readings
from stages.pages import text
from stages.pages.text import number, percent

Row = Mapping[str, Any]


class Column(NamedTuple):
    """A column of a table: its head, and what it shows of a row."""

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
    """A section: its name in the page and in prose.html, its title, the names of its figures."""

    name: str
    title: str
    figures: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    explorer: str = ""


def word(head: str, key: str) -> Column:
    """Text; an absent one is empty."""

    def show(row: Row) -> str:
        absent = row[key] is None or row[key] != row[key]  # NaN is not itself
        return "" if absent else text.choice(str(row[key]))

    return Column(head, show)


def value(head: str, key: str, digits: int = 2) -> Column:
    """A number."""
    return Column(head, lambda row: number(row[key], digits), numeric=True)


def share(head: str, key: str) -> Column:
    """A percentage."""
    return Column(head, lambda row: percent(row[key]), numeric=True)


def between(head: str, low: str, high: str, digits: int = 2) -> Column:
    """An interval."""
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
TOLERANCE = (
    share("Agrees from", "agrees_from"),
    share("Differs below", "differs_below"),
    word("What would decide it", "would_tell"),
)


def sections(read: Mapping[str, pd.DataFrame], p: Params, judged: Row) -> list[Section]:
    """The story in order.

    Args:
        read: the tables, by the names of their files.
        judged: what `text.verdict`, `text.dimension` and `text.parity` make of the verdict.
    """
    confidence = f"{percent(p.fit.confidence)} interval"
    bounds = between(confidence, "low", "high")
    named = Column("Quantity", lambda row: text.QUANTITIES[row["quantity"]])
    sweeps = p.drawn
    fits = read["cnn_fits"]
    models = read["cnn_sensitivity"].query("factor == 'model' and model == 'irreducible_loss'")
    dimension = (
        value("4/alpha", "dimension"),
        between(confidence, "dimension_low", "dimension_high"),
    )
    which = word("Sweep", "sweep"), word("Metric", "metric"), word("Epochs", "epochs")
    widths = Column("Widths", lambda row: f"{row['first_width']}–{row['last_width']}")  # noqa: RUF001
    rule = p.verdict.dimension
    networks = readings.by_estimator(read["dimension"], rule)
    students = students_ended(read["students"])
    exponents = read["parity_exponents"]
    exponents = exponents[~exponents["status"].str.contains("no runs")]
    parity_bounds = Column(
        f"{percent(p.quanta.confidence)} interval",
        lambda row: text.close(row["low"], row["high"]),
        numeric=True,
    )
    parity_which = word("Quantity", "name"), word("Configuration", "configuration")
    ours = Column("Ours", lambda row: text.significant(row["ours"]), numeric=True)
    theirs = Column("Published", lambda row: text.significant(row["published_low"]), numeric=True)
    imported = [
        Table.of(
            f"Files of sweep {name}, by width",
            read[f"{name}-widths"],
            *(value(text.choice(str(key)), str(key), 0) for key in read[f"{name}-widths"]),
        )
        for name in p.imports
    ]
    found = [
        Section(
            "trained",
            "What was trained",
            [f"cnn_violin_{name}" for name in sweeps],
            [_protocols(p), _configurations(p), _failed(read["cnn_failed"]), *imported],
        ),
        Section(
            "falls",
            "What falls how",
            ["cnn_figure6", *(f"cnn_scaling_{name}" for name in sweeps)],
            [
                Table.of(
                    "The verdict: ours beside the published",
                    judged["rows"],
                    named,
                    Column("Published", text.published, numeric=True),
                    value("Ours", "ours"),
                    bounds,
                    OUTCOME,
                    *TOLERANCE,
                ),
                Table.of(
                    "4/alpha of every metric, choice of epochs, quantile and range of widths, with "
                    "and without failed runs",
                    fits,
                    *which,
                    word("Quantile", "quantile"),
                    widths,
                    word("Failed runs", "failed"),
                    value("alpha", "alpha", 3),
                    *dimension,
                    STATUS,
                ),
                Table.of(
                    f"How often such intervals hold a known exponent, {p.calibration.sweeps} "
                    "simulated sweeps a case",
                    read["coverage"],
                    word("Case", "case"),
                    share("Nominal", "nominal"),
                    share("Measured", "coverage"),
                ),
            ],
            "cnn",
        ),
        Section(
            "choices",
            "What the exponent depends on",
            ["cnn_epochs", "cnn_sensitivity", "cnn_local_slopes"],
            [
                Table.of(
                    "The verdict with one choice made otherwise",
                    judged["others"],
                    named,
                    word("Choice", "choice"),
                    value("Ours", "ours"),
                    bounds,
                    OUTCOME,
                ),
                Table.of(
                    "With an irreducible loss: L = E + A N^-alpha, all widths",
                    models,
                    *which,
                    *dimension,
                    value("E, nats", "irreducible", 3),
                    between(confidence, "irreducible_low", "irreducible_high", 3),
                    STATUS,
                ),
                Table.of(
                    "One power law? 4/alpha over all, the narrower and the wider half of the "
                    "verdict's sizes, and with an irreducible loss or error",
                    read["verdict_shape"],
                    word("Quantity", "quantity"),
                    word("Sizes", "part"),
                    value("4/alpha", "ours"),
                    bounds,
                    value("E", "floor", 3),
                    STATUS,
                ),
                Table.of(
                    "4/alpha of the smallest sizes alone, through the published points and ours",
                    read["verdict_smallest"],
                    word("Curve", "curve"),
                    value("Sizes", "sizes", 0),
                    value("Theirs", "published"),
                    value("Ours", "ours"),
                    bounds,
                    STATUS,
                ),
            ],
        ),
        Section(
            "dimension",
            "The dimension, measured",
            [],
            [
                Table.of(
                    "Dimension of images and hidden layers",
                    networks[networks["layer"] != "logits"],
                    word("Source", "source"),
                    value("Width", "width", 0),
                    word("Layer", "layer"),
                    value("Coordinates", "coordinates", 0),
                    value("Read", "dimension", 1),
                    between(confidence, "low", "high", 1),
                    value("As Gaussian", "as_gaussian", 1),
                    value("As uniform", "as_uniform", 1),
                    STATUS,
                )
            ],
        ),
        Section(
            "theory",
            "Where the theory holds",
            ["figure1", "students", "method"],
            [
                Table.of(
                    "4/alpha and the measured dimension, of all that was trained",
                    read["figure1"],
                    word("Of", "panel"),
                    word("Kind", "kind"),
                    word("Name", "name"),
                    value("Dimension", "dimension", 1),
                    between(confidence, "dimension_low", "dimension_high", 1),
                    value("4/alpha", "value", 1),
                    between(confidence, "low", "high", 1),
                ),
                Table.of(
                    "4/alpha of students, by configuration",
                    students,
                    word("Configuration", "configuration"),
                    value("Theory", "expected", 1),
                    word("Widths", "widths"),
                    value("4/alpha", "value", 1),
                    between(confidence, "low", "high", 1),
                    OUTCOME,
                ),
                Table.of(
                    "Generated images: dimension read, by the true one",
                    read["method"],
                    value("d", "known", 0),
                    word("Quantity", "quantity"),
                    word("Widths", "widths"),
                    value("Read", "dimension", 1),
                    between(confidence, "low", "high", 1),
                    value("Read / d", "ratio"),
                    OUTCOME,
                ),
                Table.of(
                    "Generated images trained otherwise: 4/alpha",
                    read["regime"],
                    value("d", "known", 0),
                    word("Training", "change"),
                    word("Loss", "quantity"),
                    word("Widths", "widths"),
                    value("4/alpha", "dimension", 1),
                    between(confidence, "low", "high", 1),
                    value("4/alpha / d", "ratio"),
                    OUTCOME,
                ),
            ],
        ),
        Section(
            "quanta",
            "The quanta",
            [
                f"parity_{name}"
                for name in ("curves", "emergence", "learning_times", "scaling", "exponents")
            ],
            [
                Table.of(
                    "The verdict on the quanta",
                    judged["parity_rows"],
                    *parity_which,
                    theirs,
                    ours,
                    parity_bounds,
                    OUTCOME,
                    *TOLERANCE,
                ),
                Table.of(
                    "Learning time against frequency, widest networks",
                    read["parity_emergence"],
                    word("Configuration", "configuration"),
                    word("When", "definition"),
                    word("Tasks", "tasks"),
                    value("Learned", "learned", 0),
                    value("Censored", "censored", 0),
                    value("Seeds", "seeds", 0),
                    value("Slope", "slope"),
                    between("Over seeds", "slope_low", "slope_high"),
                    between("Over tasks", "tasks_low", "tasks_high"),
                    STATUS,
                ),
                Table.of(
                    "Exponents of the mean loss",
                    exponents,
                    word("Configuration", "configuration"),
                    value("alpha", "alpha", 1),
                    word("Against", "exponent"),
                    value("Ours", "value", 3),
                    between(f"{percent(p.quanta.confidence)} interval", "low", "high", 3),
                    value("Theory", "theory", 3),
                    value("Few tasks", "finite", 3),
                    value("Published", "published", 3),
                    value("Runs", "runs", 0),
                    STATUS,
                ),
                Table.of(
                    f"How often such intervals hold what is put into {p.calibration.sweeps} "
                    "simulated families a case",
                    read["parity_coverage"],
                    word("Case", "case"),
                    value("Seeds", "seeds", 0),
                    word("Over", "over"),
                    value("Truth", "truth", 3),
                    value("Mean", "mean", 3),
                    share("Nominal", "nominal"),
                    share("Measured", "coverage"),
                ),
            ],
            "parity",
        ),
    ]
    return [section for section in found if section.figures or section.tables]


def students_ended(table: pd.DataFrame) -> pd.DataFrame:
    """4/alpha over all teachers at the end of training; `table` is metrics/students.csv."""
    last = table["phase"] == table["phase"].max()
    found: pd.DataFrame = table[
        last & (table["quantity"] == "4/alpha") & (table["teacher"] == "all")
    ]
    return found


def _failed(table: pd.DataFrame) -> Table:
    return Table.of(
        "Runs that failed",
        table[table["failed"] > 0],
        word("Sweep", "sweep"),
        value("Width", "width", 0),
        value("Runs", "runs", 0),
        value("Failed", "failed", 0),
        word("Seeds", "seeds"),
    )


def _protocols(p: Params) -> Table:
    """A column for each sweep and study."""
    trained = {name: study.training.model_dump() for name, study in p.trained.items()}
    settings = next(iter(trained.values()), {})
    return Table.of(
        "The sweeps and studies, as trained",
        [{"setting": key} | {name: t.get(key) for name, t in trained.items()} for key in settings],
        word("Setting", "setting"),
        *(word(name, name) for name in trained),
    )


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
    return Table.of(
        "The parity configurations, as trained",
        rows,
        word("Configuration", "name"),
        value("alpha", "alpha", 1),
        value("Tasks", "tasks", 0),
        word("Widths", "widths"),
        word("Training sets", "data"),
        value("Seeds", "seeds", 0),
        value("Steps", "steps", 0),
        word("Optimizer", "optimizer"),
        Column("Rate", lambda row: row["learning_rate"], numeric=True),
        value("Logits", "logits", 0),
    )
