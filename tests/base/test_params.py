"""params.yaml: what is refused, and that a line says where, what was found, and what is allowed."""

import re
import time
from collections.abc import Iterator
from difflib import ndiff
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from stages.base import params
from stages.base.errors import InputError
from stages.base.params.fields import Section
from tests.helpers import frozen
from tests.helpers.frozen import FROZEN
from tests.helpers.root import ROOT
from tests.helpers.tiny import dumped

PAPER = "cnn.sweeps.paper"
STUDY = "studies.perceptron"
TASKS = "parity.configurations.notebook"
LIMITED = f"{TASKS}.data_limited"


def load(content: str, folder: Path) -> params.Params:
    file = folder / "params.yaml"
    file.write_text(content)
    return params.load(file)


def faults(content: dict[str, Any] | str, folder: Path) -> list[str]:
    """The lines by which params are refused, less the file's name."""
    text = content if isinstance(content, str) else dumped(content)
    with pytest.raises(InputError) as error:
        load(text, folder)
    start = f"{folder / 'params.yaml'}: "
    lines = str(error.value).splitlines()
    assert all(line.startswith(start) for line in lines)
    return [line.removeprefix(start) for line in lines]


def change(content: dict[str, Any], path: str, value: Any) -> None:
    *sections, key = path.split(".")
    for name in sections:
        content = content[name]
    content[key] = value


def test_the_committed_params_are_valid() -> None:
    p = params.load(ROOT / "params.yaml")
    assert p.cnn.widths == list(range(1, 21))
    assert p.cnn.sweeps["paper"].learning_rate == 1e-3
    assert next(iter(p.parity.configurations)) == "notebook"


@pytest.mark.parametrize("text", ["1e-3", "1.e-3", "1.0e-3", ".1e-2", "1E-3", "0.001", "+1e-3"])
def test_floats_are_those_of_yaml_1_2(
    tiny_params: dict[str, Any], tmp_path: Path, text: str
) -> None:
    change(tiny_params, f"{PAPER}.learning_rate", "RATE")
    p = load(dumped(tiny_params).replace("RATE", text), tmp_path)
    assert p.cnn.sweeps["paper"].learning_rate == 1e-3


def test_params_cannot_be_changed_after_validation(tiny_params: dict[str, Any]) -> None:
    p = params.Params.model_validate(tiny_params)
    with pytest.raises(ValueError, match="frozen"):
        p.cnn.sweeps["paper"].epochs = 3  # type: ignore[misc]


MADE = {"source": "manifold", "dimension": 2, "seed": 0, "patches": 9, "train": 9, "test": 9}
BAD: list[tuple[str, Any, str]] = [
    ("images", {}, "at least 1 item"),
    ("images.cifar10", {"source": "imagenet"}, "'imagenet' found using 'source'"),
    ("images.cifar10", MADE | {"dimension": 0}, "greater than or equal to 1 (got 0)"),
    ("images.cifar10", MADE | {"train": 200000}, "less than or equal to 131072 (got 200000)"),
    (f"{PAPER}.weights_seeds", 0, "greater than 0 (got 0)"),
    ("cnn.images", "mnist", "must be one of cifar10 (got 'mnist')"),
    ("studies.paper_keras.images", "mnist", "must be one of cifar10 (got 'mnist')"),
    ("studies.paper_keras.network", "torchvision.ops:MLP", "docs/network.md, 'A class that lies "
     "elsewhere' (got 'torchvision.ops:MLP')"),
    ("cnn.images", "Cifar", "must be small letters, digits and _, a letter first (got 'Cifar')"),
    ("imports", {"mine": {"runs": ""}}, "imports.mine.runs: must be a path, and not empty (got '"),
    ("studies.paper_keras.widths", [2, 2], "must not repeat a value (got [2, 2])"),
    ("cnn.widths", [], "at least 1 item"),
    ("cnn.widths", [1, 2, 1], "must not repeat a value (got [1, 2, 1])"),
    ("cnn.widths", 3, "valid list (got 3)"),
    ("cnn.sweeps", {}, "at least 1 item"),
    (f"{PAPER}.learning_rate", 0, "greater than 0 (got 0)"),
    (f"{PAPER}.learning_rate", "1e-3x", "valid number (got '1e-3x')"),
    (f"{PAPER}.learning_rate", True, "valid number (got True)"),
    (f"{PAPER}.learning_rate", float("inf"), "finite number (got inf)"),
    (f"{PAPER}.weight_decay", -0.1, "greater than or equal to 0 (got -0.1)"),
    (f"{PAPER}.optimizer", "sgd", "'adam' or 'adamw' (got 'sgd')"),
    (f"{PAPER}.batch_size", 0, "greater than 0 (got 0)"),
    (f"{PAPER}.batch_size", 32.5, "valid integer (got 32.5)"),
    (f"{PAPER}.seeds", -1, "greater than 0 (got -1)"),
    (f"{PAPER}.epochs", "50", "valid integer (got '50')"),
    (f"{PAPER}.augment", "yes please", "valid boolean (got 'yes please')"),
    (f"{PAPER}.augment_validation", 1, "valid boolean (got 1)"),
    (f"{PAPER}.precision", "bf16", "'tf32' or 'float32' (got 'bf16')"),
    (f"{PAPER}.input_range", [0], "at least 2 items"),
    (f"{TASKS}.tasks", 0, "greater than 0 (got 0)"),
    (f"{TASKS}.bits", 257, "less than or equal to 256 (got 257)"),
    (f"{TASKS}.alpha", 0, "greater than 0 (got 0)"),
    ("parity.alphas.values", [0.5, 9e-5], "greater than or equal to 0.0001 (got 9e-05)"),
    ("parity.alphas.values", [float("inf")], "finite number (got inf)"),
    (f"{TASKS}.logits", 3, "1 or 2 (got 3)"),
    (f"{TASKS}.widths", [], "at least 1 item"),
    (f"{TASKS}.learned_below", 0.5, "less than 0.5 (got 0.5)"),
    (f"{TASKS}.task_curves", -1, "greater than or equal to 0 (got -1)"),
    (f"{LIMITED}.samples", [2**30 + 1], "less than or equal to 1073741824"),
    (f"{LIMITED}.samples", [5, 5], "must not repeat a value (got [5, 5])"),
    ("fit.quantiles", [0.5, 1.0], "less than 1 (got 1.0)"),
    ("fit.epochs", ["first"], "'pooled', 'last', 'best' or 'best_error' (got 'first')"),
    ("fit.resamples", 99, "greater than or equal to 100 (got 99)"),
    ("fit.confidence", 1, "less than 1 (got 1)"),
    ("fit.seed", -1, "greater than or equal to 0 (got -1)"),
    ("calibration.sweeps", 19, "greater than or equal to 20 (got 19)"),
    ("dimension.ratio_neighbours", [1], "greater than or equal to 2 (got 1)"),
    ("dimension.discard", 1.0, "less than 1 (got 1.0)"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "allowed"), BAD)
def test_a_bad_value_is_one_line_with_its_path_what_is_allowed_and_what_it_is(
    tiny_params: dict[str, Any], tmp_path: Path, path: str, value: Any, allowed: str
) -> None:
    change(tiny_params, path, value)
    (line,) = faults(tiny_params, tmp_path)
    assert line.startswith(path)
    assert allowed in line


# Values that are each allowed, but not together: the line has the section's path.
IMPOSSIBLE: list[tuple[str, Any, str, str]] = [
    (f"{PAPER}.input_range", [1, 0], PAPER, "input_range must be [low, high] with low < high"),
    (f"{PAPER}.weights_seeds", 3, PAPER, "weights_seeds must be at most seeds (2; got 3)"),
    (f"{TASKS}.subset_size", 9, TASKS, "subset_size must be at most bits (8)"),
    (f"{TASKS}.tasks", 29, TASKS, "tasks must be at most 28"),
    (f"{TASKS}.evaluate_every", 3, TASKS, "evaluate_every must divide steps (20)"),
    (f"{LIMITED}.evaluate_every", 4, LIMITED, "evaluate_every must divide steps (10)"),
    (f"{STUDY}.training.precision", "float16", STUDY, "precision must be tf32 or float32 but for"),
    ("fit.quantiles", [0.2, 0.5, 0.2], "fit", "quantiles must not repeat a value"),
    ("fit.quantiles", [0.2], "fit", "quantiles must hold 0.5"),
    ("fit.epochs", ["last", "last"], "fit", "epochs must not repeat a value"),
    ("fit.widths", {"all": [1, 2]}, "fit.widths", "all is always there"),
    ("fit.widths", {"few": [2, 1]}, "fit.widths", "few must be [first, last]"),
    ("dimension.known.compare", 3, "dimension.known", "compare must be one of dimensions"),
    ("dimension.blocks", [2], "dimension", "blocks must hold 1"),
    ("dimension.blocks", [100, 1], "dimension", "neighbours must be fewer than the 3 points"),
    ("plot.band", [0.8, 0.2], "plot", "band must be [low, high] with low < high"),
]


@pytest.mark.parametrize(("path", "value", "where", "said"), IMPOSSIBLE)
def test_what_cannot_be_together_is_one_line(
    tiny_params: dict[str, Any], tmp_path: Path, path: str, value: Any, where: str, said: str
) -> None:
    change(tiny_params, path, value)
    (line,) = faults(tiny_params, tmp_path)
    assert line.startswith(f"{where}: {said}")


def test_a_rate_that_falls_with_decoupled_decay_is_refused(
    tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    path, falling = "studies.perceptron.training", {"optimizer": "adamw", "schedule": "linear"}
    training = tiny_params["studies"]["perceptron"]["training"] | falling
    change(tiny_params, path, training | {"weight_decay": 0.0})
    load(dumped(tiny_params), tmp_path)
    change(tiny_params, path, training | {"weight_decay": 0.01})
    (line,) = faults(tiny_params, tmp_path)
    assert line.startswith(f"{path}: weight_decay must be 0 where adamw has schedule: linear")


def test_a_dimension_at_best_epochs_is_judged_only_where_their_weights_are_kept(
    tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    change(tiny_params, "verdict.dimension.epochs", "best")
    (line,) = faults(tiny_params, tmp_path)
    assert line == "verdict.dimension.epochs: best needs best_weights: true of paper"
    change(tiny_params, f"{PAPER}.best_weights", True)
    load(dumped(tiny_params), tmp_path)


def test_the_regime_is_of_the_network_that_its_stage_depends_on(
    tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    tiny_params["images"]["made"] = MADE
    tiny_params["studies"]["made"] = tiny_params["studies"]["paper_keras"] | {"images": "made"}
    change(tiny_params, "regime.studies", ["made"])
    load(dumped(tiny_params), tmp_path)
    change(tiny_params, "studies.made.network", "mlp")
    (line,) = faults(tiny_params, tmp_path)
    assert line.startswith("regime.studies: 'made' must be a study of the network cnn on images of")


@pytest.mark.parametrize("section", ["", "cnn", PAPER, TASKS, "fit", "dimension.known"])
def test_an_unknown_key_is_named(tiny_params: dict[str, Any], tmp_path: Path, section: str) -> None:
    path = f"{section}.learning_rat".lstrip(".")
    change(tiny_params, path, 1e-3)
    assert faults(tiny_params, tmp_path) == [
        f"{path}: unknown key; remove it, or mend its spelling"
    ]


@pytest.mark.parametrize("path", ["images", "cnn.widths", f"{PAPER}.epochs", f"{TASKS}.seeds"])
def test_a_missing_key_is_named(tiny_params: dict[str, Any], tmp_path: Path, path: str) -> None:
    *sections, key = path.split(".")
    section = tiny_params
    for name in sections:
        section = section[name]
    del section[key]
    assert faults(tiny_params, tmp_path) == [f"{path}: missing; add it"]


@pytest.mark.parametrize("name", ["a-b", "A", "1st", "", "a b", "a.b", "a/b"])
@pytest.mark.parametrize("section", ["cnn.sweeps", "parity.configurations"])
def test_a_name_that_could_not_be_a_file_and_a_stage_is_refused(
    tiny_params: dict[str, Any], tmp_path: Path, section: str, name: str
) -> None:
    family, key = section.split(".")
    entries = tiny_params[family][key]
    entries[name] = next(iter(entries.values()))
    (line,) = faults(tiny_params, tmp_path)
    assert line.startswith(section)
    assert line.endswith(f"(got {name!r})")


def test_every_fault_has_its_line(tiny_params: dict[str, Any], tmp_path: Path) -> None:
    change(tiny_params, f"{PAPER}.epochs", 0)
    change(tiny_params, f"{TASKS}.seed", 3)
    del tiny_params["cnn"]["widths"]
    lines = faults(tiny_params, tmp_path)
    assert sorted(line.partition(":")[0] for line in lines) == [
        "cnn.sweeps.paper.epochs",
        "cnn.widths",
        "parity.configurations.notebook.seed",
    ]


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    twice = re.sub(r"^( +epochs: 50\n)", r"\1\1", text, count=1, flags=re.MULTILINE)
    assert twice != text
    (line,) = faults(twice, tmp_path)
    assert re.search(r'found duplicate key "epochs" \(line \d+\)$', line)


@pytest.mark.parametrize("text", ["cnn: {", "cnn: [1, 2", "\tcnn: 1", "a: b: c", "a: *b"])
def test_what_is_no_yaml_is_one_line(tmp_path: Path, text: str) -> None:
    (line,) = faults(text, tmp_path)
    assert line.startswith("not valid YAML: ")


@pytest.mark.parametrize("text", ["", "3", "[1, 2]", "cnn"])
def test_what_holds_no_sections_is_one_line(tmp_path: Path, text: str) -> None:
    (line,) = faults(text, tmp_path)
    assert "dict" in line


@pytest.mark.parametrize("text", ["? [1, 2]\n: 3\n", "{1: 2}: 3\n", "1: 2\n"])
def test_keys_that_are_no_names_are_refused(tmp_path: Path, text: str) -> None:
    assert faults(text, tmp_path)


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"cnn: \xff\xfe\n")
    with pytest.raises(InputError, match=r"params\.yaml: not valid YAML"):
        params.load(tmp_path / "params.yaml")


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read .*; run from the root"):
        params.load(tmp_path / "params.yaml")


PLAIN: list[tuple[str, str]] = [
    ("a: &a 1\n", "anchors, references and merges are not allowed; repeat it (line 1)"),
    ("a: 1\nb: {<<: {c: 1}}", "anchors, references and merges are not allowed; repeat it (line 2)"),
    ("a: !!python/tuple [1]", "tags are not allowed (line 1)"),
    ("a: !mine 1", "tags are not allowed (line 1)"),
    ("a: 2026-13-45", "month must be in 1..12"),
    (f"a: {'9' * 5000}", "a value has more than 1000 characters (line 1)"),
    ("[" * 5000, "too deep or too much: 20 levels and 10000 values (line 1)"),
    ("{a: " * 5000, "too deep or too much: 20 levels and 10000 values (line 1)"),
    ("".join(f"k{i}: 1\n" for i in range(30_000)), "too deep or too much: 20 levels and 10000"),
    ("a:\n" + "- -1\n" * 100_000, "too deep or too much: 20 levels and 10000 values"),
    (
        "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)),
        "anchors, references and merges are not allowed; repeat it (line 1)",
    ),
]


@pytest.mark.parametrize(("text", "said"), PLAIN, ids=range(len(PLAIN)))
def test_what_is_not_said_outright_is_one_line_at_once(
    tmp_path: Path, text: str, said: str
) -> None:
    start = time.perf_counter()
    (line,) = faults(text, tmp_path)
    assert line.startswith(f"not valid YAML: {said}")
    assert len(line) < 200
    assert time.perf_counter() - start < 1


SPELLED = {text: False for text in ["7", "+7", "010", "0x10", "0b11", "1_0"]}
SPELLED |= {text: True for text in ["yes", "on", "1:30", "2026-01-02", "1e1", "~", "7.0", "''"]}


@pytest.mark.parametrize(("text", "refused"), SPELLED.items())
def test_a_spelling_means_to_us_what_it_means_to_dvc_or_is_refused(
    tiny_params: dict[str, Any], tmp_path: Path, text: str, refused: bool
) -> None:
    change(tiny_params, "cnn.widths", ["WIDTH"])
    try:
        (width,) = load(dumped(tiny_params).replace("WIDTH", text), tmp_path).cnn.widths
    except InputError:
        width = None
    assert (width is None) == refused
    if refused:
        return
    (tmp_path / "dvc.yaml").write_text(
        "stages: {a: {matrix: {width: '${cnn.widths}'}, cmd: 'echo ${item.width}'}}"
    )
    Repo.init(str(tmp_path), no_scm=True).close()
    with Repo(str(tmp_path)) as repo:
        (stage,) = repo.index.stages
    assert stage.cmd == f"echo {width}"


def test_faults_are_at_most_twenty_lines_and_short_ones(
    tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    change(tiny_params, "cnn.widths", [-1] * 200 + ["x" * 900] * 30)
    lines = faults(tiny_params, tmp_path)
    assert len(lines) == 21
    assert lines[-1] == "and 210 more"
    assert max(map(len, lines)) < 300


TOO_LARGE: list[tuple[str, dict[str, Any], str]] = [
    (PAPER, {"seeds": 10**12}, "less than or equal to 10000 (got 1000000000000)"),
    (PAPER, {"seeds": 10_000, "epochs": 1001}, "makes a part of 10,010,000 rows"),
    (PAPER, {"epochs": 2**31}, "less than 2147483648"),
    (PAPER, {"batch_size": 2**24 + 1}, "less than or equal to 16777216"),
    ("cnn", {"widths": [4097]}, "less than or equal to 4096 (got 4097)"),
    (
        "studies.paper_keras.training",
        {"seeds": 10_000, "epochs": 501},
        "makes a part of 10,020,000 rows",
    ),
    (TASKS, {"seeds": 10_000, "steps": 2505}, "makes a part of 10,060,000 rows"),
    (TASKS, {"evaluation_samples": 2**20 + 1}, "less than or equal to 1048576"),
    ("fit", {"seed": 2**63}, "less than 9223372036854775808"),
    ("fit", {"resamples": 10**6 + 1}, "less than or equal to 1000000"),
    ("dimension.known", {"samples": 10**6 + 1}, "less than or equal to 1000000"),
]


@pytest.mark.parametrize(("section", "values", "said"), TOO_LARGE)
def test_what_would_end_in_a_memory_error_is_refused(
    tiny_params: dict[str, Any], tmp_path: Path, section: str, values: dict[str, Any], said: str
) -> None:
    for key, value in values.items():
        change(tiny_params, f"{section}.{key}", value)
    (line,) = faults(tiny_params, tmp_path)
    assert said in line


def test_rows_up_to_the_limit_are_allowed(tiny_params: dict[str, Any], tmp_path: Path) -> None:
    tiny_params["cnn"]["sweeps"]["paper"] |= {"seeds": 10_000, "epochs": 500}
    assert load(dumped(tiny_params), tmp_path).cnn.sweeps["paper"].epochs == 500


def test_a_name_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(InputError, match=r"params\.yaml: cnn\.sweeps: no 'papr'; there is a, b$"):
        params.lookup({"a": 1, "b": 2}, "papr", "cnn.sweeps")


@pytest.mark.parametrize(
    ("override", "lines"),
    [
        ("plot.width=7", (1, 1)),
        ("cnn.sweeps.paper.learning_rate=5e-4", (1, 1)),
        ("parity.alphas.training.seeds=12", (1, 1)),
        ("fit.widths.published=[1,12]", (1, 1)),
        ("cnn.widths=[1,2]", (0, 18)),
    ],
)
def test_an_override_changes_the_lines_that_it_names(
    tmp_path: Path, override: str, lines: tuple[int, int]
) -> None:
    before = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(before)
    apply_overrides(tmp_path / "params.yaml", [override])
    after = (tmp_path / "params.yaml").read_text()
    changes = [line[0] for line in ndiff(before.splitlines(), after.splitlines())]
    assert (changes.count("+"), changes.count("-")) == lines
    key, _, value = override.partition("=")
    assert _value(YAML(typ="safe").load(after), key) == YAML(typ="safe").load(value)


def _within(section: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in params, by its path."""
    for key, value in (section if isinstance(section, dict) else vars(section)).items():
        yield f"{path}{key}", value
        if isinstance(value, dict | Section):
            yield from _within(value, f"{path}{key}.")


REAL = (ROOT / "params.yaml").read_text()
NAMED = [path for path, value in _within(params.load(ROOT / "params.yaml")) if type(value) is dict]


@pytest.mark.parametrize("depth", range(5))
def test_an_override_may_empty_any_list_and_what_has_names(tmp_path: Path, depth: int) -> None:
    # DVC puts a comment behind such a key, or before the first name, between the key and its value.
    expected = YAML(typ="safe").load(REAL)
    overrides = []
    for path, value in [*_within(expected)]:
        if path.count(".") == depth and (path in NAMED or isinstance(value, list)):
            is_list = isinstance(value, list)
            overrides += [f"{path}=[]"] if is_list else [f"~{path}.{name}" for name in value]
            value.clear()
    assert overrides
    (tmp_path / "params.yaml").write_text(REAL)
    apply_overrides(tmp_path / "params.yaml", overrides)
    assert YAML(typ="safe").load((tmp_path / "params.yaml").read_text()) == expected


def test_an_override_changes_one_line_of_any_value(tmp_path: Path) -> None:
    content = YAML(typ="safe").load(REAL)
    values = {p: v for p, v in _within(content) if not isinstance(v, dict | list)}
    others = {
        path: f"{value}_other"
        if isinstance(value, str)
        else str(not value).lower()
        if isinstance(value, bool)
        else str(value + 1)
        for path, value in values.items()
    }
    (tmp_path / "params.yaml").write_text(REAL)
    apply_overrides(tmp_path / "params.yaml", [f"{path}={v}" for path, v in others.items()])
    text = (tmp_path / "params.yaml").read_text()
    lines = zip(REAL.splitlines(), text.splitlines(), strict=True)
    assert sum(before != after for before, after in lines) == len(values)
    now = YAML(typ="safe").load(text)
    assert {path: _value(now, path) for path in others} == {
        path: YAML(typ="safe").load(value) for path, value in others.items()
    }


def _value(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content[part]
    return content


def test_the_params_of_the_tests_stay_when_those_of_the_project_change() -> None:
    live = params.load(ROOT / "params.yaml").model_dump()
    live["fit"] |= {"quantiles": [0.5], "widths": {"other": [2, 3]}, "new": 1}
    live["cnn"]["sweeps"] = {"another": live["cnn"]["sweeps"]["paper"] | {"epochs": 7, "new": 2}}
    found = frozen.pinned(live, frozen.PINNED)
    assert found["fit"] == FROZEN.fit.model_dump() | {"new": 1}
    sweeps = {name: sweep.model_dump() for name, sweep in FROZEN.cnn.sweeps.items()}
    assert found["cnn"]["sweeps"] == {name: sweep | {"new": 2} for name, sweep in sweeps.items()}


def test_a_fault_in_images_names_its_key_and_not_the_kind_of_images(
    tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    made = {"source": "manifold", "dimension": 2, "seed": 0, "patches": 0, "train": 9, "test": 9}
    tiny_params["images"]["made"] = made
    [line] = faults(tiny_params, tmp_path)
    assert line.startswith("images.made.patches: Input should be greater than 0")
    tiny_params["images"]["made"] = made | {"patches": 1, "dimension": 65}
    [line] = faults(tiny_params, tmp_path)
    assert line.startswith("images.made.dimension: Input should be less than or equal to 64")


@pytest.mark.parametrize(
    ("key", "values", "said"),
    [
        ("widths", [13, 13], ""),
        ("widths", [14, 13], "sharma_kaplan: widths must be [first, last]"),
        ("expected", [18.0, 16.0], "sharma_kaplan: expected must be"),
    ],
)
def test_published_ranges_ascend(tmp_path: Path, key: str, values: list[float], said: str) -> None:
    content = params.published(ROOT / "published.yaml").model_dump()
    content["sharma_kaplan"][key] = values
    (tmp_path / "published.yaml").write_text(dumped(content))
    if not said:
        assert params.published(tmp_path / "published.yaml").sharma_kaplan.widths == values
        return
    with pytest.raises(InputError) as caught:
        params.published(tmp_path / "published.yaml")
    assert said in str(caught.value)
