"""`make docs` builds the site without a warning, and it works in a browser that has no network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import browser

ROOT = Path(__file__).parents[2]
SECONDS = 30  # until a search has to be answered
# Pixels by which a page can be scrolled to the right; wide tables and programs scroll in boxes of their own.
SIDEWAYS = "const page = document.querySelector('.content'); return page.scrollWidth - page.clientWidth"
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built with the interpreter that runs this test."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = ["make", f"BIN={Path(sys.executable).parent}", f"SITE={folder}", "-o", ".venv/ready", "docs"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"MAKEFLAGS": ""})
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    if reason := browser.why_not():
        pytest.skip(reason)
    with browser.browser(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


def test_every_page_is_built_and_generated_text_is_in_it(site):
    assert {path.stem for path in (ROOT / "docs").rglob("*.md")} <= {path.stem for path in site.rglob("*.html")}
    text = {
        name: next(site.rglob(f"{name}.html")).read_text(encoding="utf-8") for name in ("commands", "settings", "api")
    }
    assert "--allow-change" in text["commands"]
    assert "ppo.learning_rate" in text["settings"]
    for name in ("token_env.Solver", "agents.load", "agents.study.objective", "benchmarks.results"):
        assert f'id="{name}"' in text["api"]


def test_search_works_from_disk(site, driver):
    from selenium.webdriver.support.ui import WebDriverWait

    browser.set_screen(driver, 1280)
    driver.get(f"{(site / 'search.html').as_uri()}?q=conjugate+gradient")
    results = WebDriverWait(driver, SECONDS).until(
        lambda page: page.find_elements("css selector", "#search-results li a")
    )
    assert any("settings.html" in result.get_attribute("href") for result in results)
    assert driver.get_log("browser") == []


def test_pages_fit_a_telephone_are_dark_in_the_dark_and_load_nothing_from_a_network(site, driver):
    grounds, loaded = [], []
    for scheme in ("light", "dark"):
        browser.set_screen(driver, 390, scheme)
        for path in sorted(site.rglob("*.html")):
            driver.get(path.as_uri())
            assert driver.execute_script(SIDEWAYS) == 0, path.name
            loaded += browser.requested(driver, path.as_uri())
        grounds.append(driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert len(set(grounds)) == 2
    assert len(loaded) > 100
    assert [url for url in loaded if not url.startswith(("file:", "data:"))] == []
