"""A browser for tests: headless Chromium, driven by the WebDriver protocol (W3C).

Nothing but Python's own library, because one page needs few of its commands.
"""
import base64
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's id, from the standard


def chromium():
    return shutil.which("chromium") or shutil.which("google-chrome")


def is_available():
    return bool(shutil.which("chromedriver") and chromium())


def without():
    """The exit status of a test where there is no browser: skipped, or failed where one must be."""
    must = os.environ.get("REGRAD_BROWSER") == "required"
    print(f"{'failed' if must else 'skipped'}: this test needs chromium and chromedriver "
          "(chromium-driver in Debian)")
    return 1 if must else 77


class Browser:
    def __init__(self, profile, width=1200, height=900, dark=False):
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env={**os.environ, "HOME": str(profile)})
        self.session = ""
        started = next(line for line in self.driver.stdout if "successfully on port" in line)
        port = started.split("port")[-1].strip(" .\n")
        self.root = f"http://127.0.0.1:{port}"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--hide-scrollbars",
                     "--disable-ipc-flooding-protection",  # tests follow links fast
                     f"--user-data-dir={profile}/chromium",
                     f"--window-size={width},{height}"]
        options = {"args": arguments, "binary": chromium()}
        try:
            answer = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": {
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}})
        except Exception:
            self.driver.terminate()
            raise
        self.session = f"/session/{answer['sessionId']}"
        self.emulate(width, height, dark)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.ask("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait(10)

    def ask(self, method, path, body=None):
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.root + path, data,
                                         {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.read().decode()[:500]}") from None

    def devtools(self, command, **parameters):
        return self.ask("POST", f"{self.session}/goog/cdp/execute",
                        {"cmd": command, "params": parameters})

    def emulate(self, width, height, dark=False, media="", touch=False):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=touch)
        self.devtools("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.devtools("Emulation.setEmulatedMedia", media=media,
                      features=[{"name": "prefers-color-scheme",
                                 "value": "dark" if dark else "light"}])

    def open(self, path):
        self.ask("POST", f"{self.session}/url", {"url": path.resolve().as_uri()})

    def run(self, script, *arguments):
        return self.ask("POST", f"{self.session}/execute/sync",
                        {"script": script, "args": list(arguments)})

    def find(self, selector):
        return self.ask("POST", f"{self.session}/element",
                        {"using": "css selector", "value": selector})[ELEMENT]

    def point(self, selector, kind="mouse", press=False):
        """Moves the mouse to the middle of an element, or touches it."""
        self.run("document.querySelector(arguments[0])"
                 ".scrollIntoView({block: 'center', inline: 'center'})", selector)
        actions = [{"type": "pointerMove", "duration": 0, "x": 0, "y": 0,
                    "origin": {ELEMENT: self.find(selector)}}]
        if press or kind == "touch":
            actions += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.ask("POST", f"{self.session}/actions", {"actions": [
            {"type": "pointer", "id": kind, "parameters": {"pointerType": kind},
             "actions": actions}]})

    def keys(self, selector, text):
        self.ask("POST", f"{self.session}/element/{self.find(selector)}/value", {"text": text})

    def log(self, kind):
        return self.ask("POST", f"{self.session}/se/log", {"type": kind})

    def errors(self):
        return [entry["message"] for entry in self.log("browser")]

    def requests(self):
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [message["params"]["request"]["url"] for message in messages
                if message["method"] == "Network.requestWillBeSent"]

    def screenshot(self, path, whole=True):
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def wait(self, script, seconds=10):
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.05)
