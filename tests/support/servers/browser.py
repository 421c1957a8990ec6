"""A headless Chromium without a network, for tests of pages."""

import importlib.util
import json
import shutil
from contextlib import contextmanager

CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def why_not():
    """Why pages cannot be tested here; None if they can."""
    if not (CHROMIUM and DRIVER):
        return "Chromium is not installed; type apt-get install chromium chromium-driver"
    if importlib.util.find_spec("selenium") is None:
        return "Selenium is not installed; type pip install -c constraints.txt '.[dev]'"
    return None


@contextmanager
def browser(profile):
    """A driver of Chromium, its network cut off, its own log and that of its requests kept."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        driver.execute_cdp_cmd("Network.enable", {})
        cut = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", cut)
        yield driver
    finally:
        driver.quit()


def requested(driver, address):
    """The addresses that a page has asked for since the last call, its own among them."""
    events = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    asked = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [one["request"]["url"] for one in asked if one["documentURL"].partition("#")[0] == address]


def set_screen(driver, width, scheme="light"):
    """A screen of this width, light or dark."""
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
