"""Debian's chromium without a window, driven over a pipe by the DevTools protocol: no port, and no package needed."""

import base64
import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from time import monotonic
from typing import Any, Self

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
)
LIMIT = 60  # seconds for one answer


class Browser:
    """One page of a new browser, whose user has no past; it is closed at the end of the block."""

    def __init__(self, folder: Path, width: int = 1280, height: int = 800):
        self.folder, self.size = folder, (width, height)
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        assert CHROMIUM is not None
        reading, self.to_browser = os.pipe()
        self.from_browser, writing = os.pipe()
        flags = [*FLAGS, f"--user-data-dir={self.folder}", "--window-size={},{}".format(*self.size)]
        # chromium reads commands from descriptor 3 and writes answers to 4
        script = f'exec "$@" 3<&{reading} 4>&{writing}'
        command = ["bash", "-c", script, "bash", CHROMIUM, "--remote-debugging-pipe", *flags, "about:blank"]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, pass_fds=(reading, writing), **quiet)  # type: ignore[call-overload]
        os.close(reading)
        os.close(writing)
        self.received, self.number, self.session = b"", 0, None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.to_browser)  # at which it ends
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.from_browser)

    def send(self, method: str, **parameters: Any) -> Any:
        """Give one command and wait for its result; events that come meanwhile are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, page: Path) -> None:
        """Load a file and wait until its scripts have run and two frames are drawn."""
        self.send("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())
        self.frames()

    def frames(self) -> None:
        """Wait until what was changed is drawn."""
        self.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives in the page."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def mouse(self, kind: str, at: tuple[float, float], **more: Any) -> None:
        """Let the mouse do something at a point of the window, as the user's would."""
        self.send("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], **more)
        self.frames()

    def click(self, at: tuple[float, float]) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, at, button="left", clickCount=1)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def _next(self) -> Any:
        deadline = monotonic() + LIMIT
        while b"\0" not in self.received:
            ready, _, _ = select.select([self.from_browser], [], [], max(deadline - monotonic(), 0))
            assert ready, f"the browser did not answer within {LIMIT} seconds"
            part = os.read(self.from_browser, 1 << 20)
            assert part, "the browser ended"
            self.received += part
        message, _, self.received = self.received.partition(b"\0")
        return json.loads(message)
