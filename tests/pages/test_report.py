"""The report: one page that holds all it shows, right in a browser without a network."""

import hashlib
import html
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest

from stages import report, verdict
from stages.base import names, params
from stages.base.errors import InputError
from stages.pages import inline
from stages.pages import text as pages
from tests.helpers.graph import as_written
from tests.helpers.root import ROOT

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRAWING = """<?xml version="1.0"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="72pt" height="36pt" viewBox="0 0 72 36"
 xmlns="http://www.w3.org/2000/svg" version="1.1">
 <metadata><x/></metadata>
 <defs><style type="text/css">*{stroke-linejoin: round}</style></defs>
 <defs><clipPath id="a"><path d="M 0 0"/></clipPath><path id="b" d="M 0 0"/></defs>
 <g id="c" clip-path="url(#a)"><use xlink:href="#b" x="1"/></g>
</svg>"""

FIGURES = report.FIGURES | report.of_sweeps(params.load(ROOT / "params.yaml"))[1]


def place(folder: Path) -> None:
    """Put what the page rests on into a folder."""
    for name in ["params.yaml", "published.yaml", "metrics"]:
        (folder / name).symlink_to(ROOT / name)
    (folder / "plots/sweeps").mkdir(parents=True)
    for path in FIGURES:
        (folder / path).symlink_to(ROOT / path)


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page as the stage makes it, from the tables that are there."""
    folder = tmp_path_factory.mktemp("report")
    place(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        report.main()
        first = report.OUTPUT.read_bytes()
        report.main()
        assert report.OUTPUT.read_bytes() == first
    return first.decode()


def stage() -> dict[str, Any]:
    found: dict[str, Any] = as_written()["report"]
    return found


def test_the_graph_names_what_the_page_rests_on() -> None:
    used = {*report.TABLES, *FIGURES}
    named = {d for d in stage()["deps"] if Path(d).suffix in {".csv", ".json", ".svg"}}
    assert named == {path for path in used if not path.startswith("plots/sweeps/")}
    assert "plots/sweeps" in stage()["deps"]


def test_the_page_names_the_stages_that_made_it() -> None:
    graph = as_written()
    made = report.TABLES | {path: name for path, (name, _) in FIGURES.items()}
    sweeps = params.load(ROOT / "params.yaml").cnn.sweeps
    for path, name in made.items():
        parts = graph[name.partition("@")[0]]
        outs = [out for key in ("outs", "metrics", "plots") for out in parts.get(key, [])]
        paths = [out if isinstance(out, str) else next(iter(out)) for out in outs]
        named = [re.sub(r"\$\{item\S*?\}", sweep, each) for each in paths for sweep in sweeps]
        assert path in named, f"{name} does not make {path}"


def test_the_page_fetches_nothing_and_runs_nothing(page: str) -> None:
    assert not re.search(r"<(script|link(?! rel=\"icon\" href=\"data:)|iframe|object|embed)", page)
    assert not re.findall(r'(?:src|srcset|action)=|@import|url\((?!#)|href="(?!#|data:)', page)
    assert len(page.encode()) < 4_000_000


def test_names_within_the_page_are_unique_and_lead_somewhere(page: str) -> None:
    names = re.findall(r'\sid="([^"]+)"', page)
    assert len(names) == len(set(names))
    targets = re.findall(r'href="#([^"]+)"', page) + re.findall(r"url\(#([^)]+)\)", page)
    assert set(targets) <= set(names)


def test_the_page_names_its_images(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Is 4/alpha the dimension of CIFAR-10?" in page
    place(tmp_path)
    monkeypatch.chdir(tmp_path)
    p = params.load()
    for source in get_args(params.Data.model_fields["source"].annotation):
        changed = p.model_copy(update={"data": params.Data(source=source)})
        assert (names.images(changed) == "CIFAR-10") == (source == "cifar10")
    other = pages.render("report.html", **report.content(changed))
    assert f"Is 4/alpha the dimension of {names.images(changed)}?" in other
    assert f"what was trained here is of {names.images(changed)}" in other


def test_the_page_gives_the_md5s_of_its_sources(page: str) -> None:
    for path in [*report.TABLES, *FIGURES]:
        assert hashlib.md5((ROOT / path).read_bytes()).hexdigest() in page


def test_the_page_holds_no_number_that_is_none(page: str) -> None:
    text = re.sub(r"<svg.*?</svg>|<style>.*?</style>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|None|NaN|inf|Undefined)\b", text)


def test_every_figure_and_table_has_words_for_it(page: str) -> None:
    assert page.count("<figure>") == len(FIGURES)
    for svg in re.findall(r"<svg[^>]*>", page):
        assert re.search(r'role="img" aria-label="[^"]{20,}"', svg)
    body = page[page.index("</nav>") :]
    assert body.count("<table>") == body.count("<caption>") > 5


def test_two_drawings_share_no_name() -> None:
    one, two = (inline.svg(DRAWING, prefix, 'A "label" & more') for prefix in ("one", "two"))
    for text, prefix in [(one, "one"), (two, "two")]:
        assert f'id="{prefix}-a"' in text
        assert f"url(#{prefix}-a)" in text
        assert f'href="#{prefix}-b"' in text
        assert f"#{prefix} *{{stroke-linejoin" in text
        assert 'viewBox="0 0 72 36"' in text
        assert 'aria-label="A &quot;label&quot; &amp; more"' in text
        assert "metadata" not in text
        assert "DOCTYPE" not in text
        assert "72pt" not in text


@pytest.mark.parametrize(
    "text",
    [
        "no drawing",
        "<html/>",
        '<svg xmlns="http://www.w3.org/2000/svg"/>',
        DRAWING.replace("</svg>", "<script>1</script></svg>"),
        DRAWING.replace('"#b"', '"https://example.org/b.svg#b"'),
    ],
)
def test_what_is_no_safe_drawing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        inline.svg(text, "x", "label")


def test_a_missing_table_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "published.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    for main, named in [
        (report.main, r"verdict\.csv.*dvc repro"),
        (verdict.main, r"fits.*dvc repro"),
    ]:
        with pytest.raises(InputError, match=rf"{named}"):
            main()


MEASURE = """<script>
addEventListener("load", () => {
  const at = document.documentElement;
  const wide = [...document.querySelectorAll("body *")].filter(
    e => !e.closest(".scroll") && e.getBoundingClientRect().right > at.clientWidth + 1);
  const answer = document.querySelector(".answer p").getBoundingClientRect();
  parent.postMessage(["measured", at.clientWidth, at.scrollWidth, wide.length,
    matchMedia("(prefers-color-scheme: dark)").matches, answer.bottom < 600,
    getComputedStyle(document.body).backgroundColor].join("|"), "*");
});
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="needs chromium on the PATH")
@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_fits_a_screen(page: str, tmp_path: Path, width: int, dark: bool) -> None:
    # In a frame, as a window is never narrower than 500 pixels; the script is the test's.
    inner = html.escape(page.replace("</body>", MEASURE))
    wrapper = tmp_path / "wrapper.html"
    wrapper.write_text(
        f'<!doctype html><iframe style="width:{width}px;height:800px;border:0" srcdoc="{inner}">'
        "</iframe><script>onmessage = m => document.body.title = m.data</script>"
    )
    assert BROWSER
    flags = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    flags += " disable-component-update disable-sync hide-scrollbars dump-dom"
    done = subprocess.run(
        [
            *[BROWSER, "--headless", *(f"--{flag}" for flag in flags.split())],
            f"--user-data-dir={tmp_path / 'profile'}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            "--virtual-time-budget=5000",
            f"--window-size={max(width, 500) + 50},900",
            f"--blink-settings=preferredColorScheme={int(not dark)}",
            wrapper.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'title="measured\|([^"]+)"', done.stdout)
    assert found, done.stderr
    client, scroll, wide, is_dark, answered, background = found[1].split("|")
    assert int(client) == width
    assert int(scroll) == width, "it scrolls sideways"
    assert wide == "0", "something sticks out"
    assert is_dark == str(dark).lower()
    assert background == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")
    assert answered == "true", "the answer is not on the first screen"
    assert "CONSOLE" not in done.stderr, done.stderr
