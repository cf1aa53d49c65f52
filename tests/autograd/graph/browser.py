"""A headless Chromium for tests, driven through chromedriver's HTTP interface (WebDriver) with the standard library."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of a reference to an element, by the standard
TIMEOUT = 60


def missing() -> str | None:
    """What is not installed, or None."""
    if not any(map(shutil.which, NAMES)):
        return "Chromium"
    return None if shutil.which("chromedriver") else "chromedriver (Debian: chromium-driver)"


class Browser:
    """One window. As a context manager it closes the browser and the driver at the end."""

    def __init__(self, width: int = 1500, height: int = 950):
        self.profile = tempfile.TemporaryDirectory(prefix="graph-browser-", ignore_cleanup_errors=True)
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            self.session = self._start(width, height)
        except BaseException:
            self.close()
            raise

    def _start(self, width: int, height: int) -> str:
        assert self.driver.stdout is not None
        for line in self.driver.stdout:
            port = re.search(r"successfully on port (\d+)", line)
            if port:
                break
        else:
            raise RuntimeError("chromedriver did not start")
        self.address = f"http://127.0.0.1:{port[1]}/session"
        arguments = [*ARGUMENTS, f"--user-data-dir={self.profile.name}", f"--window-size={width},{height}"]
        options = {"args": arguments, "binary": next(filter(None, map(shutil.which, NAMES)))}
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        opened = self._ask("POST", "", {"capabilities": {"alwaysMatch": {"browserName": "chrome", **capabilities}}})
        self.address += "/" + opened["sessionId"]
        return opened["sessionId"]

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=TIMEOUT) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def open(self, path: Path) -> None:
        self._ask("POST", "/url", {"url": path.as_uri()})

    def script(self, code: str, *arguments: Any) -> Any:
        """The value of JavaScript code that ends in `return ...`."""
        return self._ask("POST", "/execute/sync", {"script": code, "args": list(arguments)})

    def find(self, selector: str) -> list[str]:
        """References to the elements of a CSS selector."""
        found = self._ask("POST", "/elements", {"using": "css selector", "value": selector})
        return [element[ELEMENT] for element in found]

    def click(self, element: str) -> None:
        """A click of the mouse: fails if something else lies over the element."""
        self._ask("POST", f"/element/{element}/click")

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Moves the mouse from one point of the window to another with its button held."""
        steps = [
            {"type": "pointerMove", "x": start[0], "y": start[1], "duration": 0},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "x": end[0], "y": end[1], "duration": 50},
            {"type": "pointerUp", "button": 0},
        ]
        self._ask("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": steps}]})

    def type(self, element: str, text: str) -> None:
        self._ask("POST", f"/element/{element}/value", {"text": text})

    def text(self, selector: str) -> str:
        return self._ask("GET", f"/element/{self.find(selector)[0]}/text")

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Messages of the console ("browser"), or what was loaded and done ("performance")."""
        return self._ask("POST", "/se/log", {"type": kind})

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def close(self) -> None:
        if hasattr(self, "session"):
            self._ask("DELETE", "")
        self.driver.terminate()
        self.driver.wait(TIMEOUT)
        assert self.driver.stdout is not None
        self.driver.stdout.close()
        self.profile.cleanup()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
