"""A headless browser without network, for pages: one definition of how it is found and asked."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientWebSocketResponse

NAMES = ["chromium", "chromium-browser", "google-chrome"]
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = [
    *["headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "hide-scrollbars"],
    *["disable-background-networking", "disable-component-update", "disable-sync"],
    *["enable-logging=stderr", "host-resolver-rules=MAP * ~NOTFOUND"],
]
KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "ArrowUp": (38, ""),
    "ArrowRight": (39, ""),
    "ArrowDown": (40, ""),
}
"""What a key is to Windows, and the text that it types."""
needs_browser = pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(NAMES)} is here")


def opened(page: Path, home: Path, *flags: str, before: list[str] | None = None) -> tuple[str, str]:
    """A page as the browser leaves it after 30 s of its own time, and what the browser said.

    Args:
        home: an empty folder for the browser's profile.
        before: a command that runs another, such as one that cuts the network off.
    """
    if BROWSER is None:
        pytest.skip(f"none of {', '.join(NAMES)} is here")
    all_flags = [*FLAGS, "dump-dom", "virtual-time-budget=30000", f"user-data-dir={home}", *flags]
    command = [*(before or []), BROWSER, *(f"--{flag}" for flag in all_flags), page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    return done.stdout, done.stderr


class Tab:
    """A page that is driven through DevTools' protocol, in real time."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._sent = 0
        self.complaints: list[str] = []

    async def send(self, method: str, **params: Any) -> Any:
        """What the browser answers; what it says meanwhile of errors is kept."""
        self._sent += 1
        await self._socket.send_json({"id": self._sent, "method": method, "params": params})
        while (said := await self._socket.receive_json(timeout=150)).get("id") != self._sent:
            if said["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(str(said["params"]))
        assert "error" not in said, said
        return said["result"]

    async def ask(self, script: str) -> Any:
        """What the body of an async function returns in the page, as far as JSON can say it."""
        asked = {"expression": f"(async () => {{ {script} }})()", "awaitPromise": True}
        found = await self.send("Runtime.evaluate", returnByValue=True, **asked)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def press(self, key: str) -> None:
        """Press a key of `KEYS`."""
        code, text = KEYS[key]
        named = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        await self.send("Input.dispatchKeyEvent", type="keyUp", **named)


def driven(
    page: str, home: Path, width: int, act: Callable[[Tab], Awaitable[Any]], *, dark: bool = False
) -> Any:
    """What `act` returns of a page of this width, in CSS pixels, once its explorers are ready.

    A complaint of the page's scripts is an error.
    """
    return asyncio.run(_driven(page, home, width, act, dark))


async def _driven(
    page: str, home: Path, width: int, act: Callable[[Tab], Awaitable[Any]], dark: bool
) -> Any:
    (home / "page.html").write_text(page)
    profile = home / "profile"
    flags = [*FLAGS, "remote-debugging-port=0", f"user-data-dir={profile}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [str(BROWSER), *(f"--{flag}" for flag in flags), "about:blank"]
    process = await asyncio.create_subprocess_exec(*command, **quiet, start_new_session=True)
    try:
        async with asyncio.timeout(180):
            return await _acted(profile, width, act, dark, (home / "page.html").as_uri())
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its tabs are processes, too
        await process.wait()


async def _acted(
    profile: Path, width: int, act: Callable[[Tab], Awaitable[Any]], dark: bool, page: str
) -> Any:
    port = profile / "DevToolsActivePort"
    while not (port.exists() and port.read_text()):
        await asyncio.sleep(0.1)
    address = f"http://127.0.0.1:{port.read_text().split()[0]}/json"
    async with aiohttp.ClientSession() as session:
        async with session.get(address) as answer:
            [at] = [tab for tab in await answer.json() if tab["type"] == "page"]
        async with session.ws_connect(at["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            tab = Tab(socket)
            for domain in ("Runtime", "Log", "Page"):
                await tab.send(f"{domain}.enable")
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
            await tab.send("Emulation.setDeviceMetricsOverride", **size)
            theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            await tab.send("Emulation.setEmulatedMedia", features=[theme])
            await tab.send("Page.navigate", url=page)
            while not await tab.ask("return document.documentElement?.dataset.explorers"):
                await asyncio.sleep(0.02)
            found = await act(tab)
    assert not tab.complaints, tab.complaints
    return found


def asked(page: str, home: Path, width: int, script: str, *, dark: bool = False) -> Any:
    """What a script answers in a page of this width: `driven`, and `Tab.ask`."""
    return driven(page, home, width, lambda tab: tab.ask(script), dark=dark)
