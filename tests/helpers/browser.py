"""A headless browser without network, for pages: one definition of how it is found and asked."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.root import ROOT

NAMES = ["chromium", "chromium-browser", "google-chrome"]
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
AXE = ROOT / "node_modules/axe-core/axe.min.js"
FLAGS = [
    *["headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "hide-scrollbars"],
    *["disable-background-networking", "disable-component-update", "disable-sync", "dump-dom"],
    *["enable-logging=stderr", "host-resolver-rules=MAP * ~NOTFOUND"],
]
needs_browser = pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(NAMES)} is here")
needs_axe = pytest.mark.skipif(not AXE.exists(), reason="needs npm install --no-save axe-core")


def opened(page: Path, home: Path, *flags: str, before: list[str] | None = None) -> tuple[str, str]:
    """A page as the browser leaves it after 30 s of its own time, and what the browser said.

    Args:
        home: an empty folder for the browser's profile.
        before: a command that runs another, such as one that cuts the network off.
    """
    if BROWSER is None:
        pytest.skip(f"none of {', '.join(NAMES)} is here")
    all_flags = [*FLAGS, "virtual-time-budget=30000", f"user-data-dir={home}", *flags]
    command = [*(before or []), BROWSER, *(f"--{flag}" for flag in all_flags), page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    return done.stdout, done.stderr


def asked(page: str, home: Path, width: int, script: str, *, dark: bool = False) -> Any:
    """What a script answers that runs in a page of this width, in CSS pixels, once it is ready.

    The script is the body of an async function, and returns what JSON can say. The page is in a
    frame, as a window is never narrower than 500 pixels. A complaint of its scripts is an error.
    """
    probe = f"""<script type="module">
    while (!document.documentElement.dataset.explorers) await new Promise(r => setTimeout(r, 50));
    const answer = await (async () => {{ {script} }})();
    parent.postMessage(JSON.stringify(answer), "*");
    </script></body>"""
    before, _, after = page.rpartition("</body>")  # Vega speaks of others
    (home / "page.html").write_text(before + probe + after)
    wrapper = home / "wrapper.html"
    wrapper.write_text(
        f'<!doctype html><iframe style="width:{width}px;height:800px;border:0" src="page.html">'
        "</iframe><script>onmessage = m => document.body.title = btoa(unescape("
        "encodeURIComponent(m.data)))</script>"
    )
    size = f"window-size={max(width, 500) + 50},900"
    theme = f"blink-settings=preferredColorScheme={int(not dark)}"
    found, said = opened(wrapper, home / "profile", size, theme)
    complaints = [line for line in said.splitlines() if "CONSOLE" in line]
    answer = re.search(r'title="([^"]+)"', found)
    assert not complaints, complaints
    assert answer, said
    return json.loads(base64.b64decode(answer[1]))
