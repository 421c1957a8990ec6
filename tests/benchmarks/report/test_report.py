"""The page of all results: what it says without a browser, and what it does in one."""

import json
import re
import time
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from agents.settings.layers import make_settings, merge_layers
from benchmarks.__main__ import app
from benchmarks.files import RESULTS
from benchmarks.measures.metrics import METRICS
from benchmarks.measures.results_file import results_file
from benchmarks.published import english
from benchmarks.report import write_report
from benchmarks.report.messages import read_messages
from benchmarks.report.studies import capacity_map, group_rows, learning_rates
from benchmarks.suite.cases import BENCHMARKS
from tests.support.benchmarks.rows import make_row
from tests.support.servers import browser
from token_env import SettingError

FIGURES = ("learning", "loss", "rates", "capacity", "rarity", "tokens", "tenths", "last", "speed", "time")
SECONDS = 30  # until a page has to be there


def write_rows(folder, benchmark, rows):
    lines = "".join(row.model_dump_json() + "\n" for row in rows)
    results_file(benchmark, folder).write_text(lines, encoding="utf-8")


def sizes_side_by_side(**changes):
    """Two seeds of every case."""
    cases = BENCHMARKS["fast-vs-stable"].cases
    return [make_row("fast-vs-stable", case.name, seed, **changes) for case in cases for seed in (0, 1)]


def changed(row, layer):
    """The row with other settings."""
    return row.model_copy(update={"settings": make_settings(merge_layers(row.settings.to_dict(), layer))})


def studied():
    """Cases of a study of learning rates, and of a grid of widths and vocabularies."""
    names = [case.name for case in BENCHMARKS["claims"].cases]
    return [name for name in names if name.startswith(("fast/rate-", "grid/"))]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with every section."""
    folder = tmp_path_factory.mktemp("report")
    write_rows(folder, "fast-vs-stable", sizes_side_by_side(revision="<script>alert(1)</script>"))
    write_rows(folder, "claims", [make_row("claims", name) for name in studied()])
    (folder / english.PUBLISHED.name).write_bytes(english.PUBLISHED.read_bytes())
    assert write_report(folder, folder / "report.html") == ""
    return folder / "report.html"


class Elements(HTMLParser):
    """All elements of a page, by tag, with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_everything_is_inside_the_page(page):
    elements = Elements(page.read_text(encoding="utf-8")).found
    assert {tag for tag, _ in elements} >= {"table", "figure", "select", "details"}
    assert not [tag for tag, attributes in elements if "src" in attributes or tag == "link"]
    links = [attributes["href"] for tag, attributes in elements if tag == "a"]
    names = {attributes.get("id") for _, attributes in elements}
    assert links
    assert {link for link in links if link[1:] not in names} == set()


def test_what_comes_from_results_is_escaped(page):
    text = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert(1)" not in text


def test_every_metric_is_defined(page):
    text = page.read_text(encoding="utf-8")
    for metric in METRICS.values():
        assert f'id="def-{metric.name}"' in text


def test_sections_without_results_say_what_to_type(tmp_path):
    write_rows(tmp_path, "fast-vs-stable", sizes_side_by_side()[:2])
    write_report(tmp_path, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for name in ("rates", "capacity"):
        section = text.partition(f'<section id="{name}"')[2].partition("</section>")[0]
        assert f"Not run yet: type <code>python -m benchmarks run claims --results {tmp_path}</code>" in section


def test_without_results_nothing_is_written(tmp_path):
    out = tmp_path / "report.html"
    result = CliRunner().invoke(app, ["report", "--results", str(tmp_path), "--out", str(out)])
    assert result.exit_code == 2
    assert f"error: there are no results in '{tmp_path}' that claims can be tested with; type" in result.stderr
    assert not out.exists()


def test_lines_that_are_left_out_are_told_on_the_page_and_by_the_exit_code(tmp_path):
    write_rows(tmp_path, "fast-vs-stable", sizes_side_by_side()[:2])
    with results_file("fast-vs-stable", tmp_path).open("a") as file:
        file.write("nonsense\n")
    out = tmp_path / "new" / "report.html"
    result = CliRunner().invoke(app, ["report", "--results", str(tmp_path), "--out", str(out)])
    assert result.exit_code == 2
    assert "line 3, is left out" in result.stderr
    assert "line 3, is left out" in out.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_refused(tmp_path):
    write_rows(tmp_path, "fast-vs-stable", sizes_side_by_side()[:1])
    with pytest.raises(SettingError, match="cannot write"):
        write_report(tmp_path, tmp_path)


def test_the_words_of_agents_earn_what_was_published():
    messages = read_messages(RESULTS)
    published = json.loads(english.PUBLISHED.read_text(encoding="utf-8"))["problems"]
    for lines, problem in zip(messages.lines, published, strict=True):
        by_speaker = {line.speaker: line for line in lines}
        for speaker, name in (("best possible answer", "optimal"), ("PPO agent", "agent")):
            assert by_speaker[speaker].episode_return == pytest.approx(problem[name]["return"], abs=2e-3)
            assert " ".join(word.text for word in by_speaker[speaker].words) == problem[name]["said"]


def test_messages_are_shown_without_an_agent(tmp_path):
    messages = read_messages(tmp_path)
    assert messages.agent is None
    assert [line.speaker for line in messages.lines[0]][:2] == ["the message itself", "best possible answer"]


def test_words_that_the_language_does_not_have_are_refused(tmp_path):
    told = json.loads(english.PUBLISHED.read_text(encoding="utf-8"))
    told["problems"][3]["agent"]["said"] = "zyzzyva"
    (tmp_path / english.PUBLISHED.name).write_text(json.dumps(told))
    with pytest.raises(SettingError, match="type python -m benchmarks paraphrases"):
        read_messages(tmp_path)


def test_studies_are_found_by_settings_that_differ_and_nothing_else():
    rows = [make_row(seed=seed) for seed in (0, 1)]
    faster = [changed(row, {"ppo": {"learning_rate": 0.5}}) for row in rows]
    wider = [changed(row, {"policy": {"hidden": [7]}}) for row in rows]
    assert [len(group) for group in group_rows([*rows, *faster, *wider], "learning_rate")] == [4, 2]
    assert learning_rates([*rows, *faster, *wider]) is None  # two rates are no study
    slower = [changed(row, {"ppo": {"learning_rate": 1e-6}}) for row in rows]
    drawn = learning_rates([*rows, *faster, *wider, *slower])
    assert [row[1:3] for row in drawn.numbers.rows] == [["1e-06", "2"], ["5e-03", "2"], ["5e-01", "2"]]


def test_a_map_needs_two_widths_and_two_vocabularies():
    row = make_row()
    places = [(hidden, vocab) for hidden in ([8], [16, 16]) for vocab in (32, 64)]
    grid = [changed(row, {"policy": {"hidden": hidden}, "env": {"vocab_size": vocab}}) for hidden, vocab in places]
    assert capacity_map(grid[:2]) is None
    told = {(line[0], line[1]): line[2:] for line in capacity_map(grid).numbers.rows}
    assert told[("Return", "16 + 16")] == ["+1.20", "+1.20"]
    assert capacity_map(grid).views[0] == "Score, %"


@pytest.fixture(scope="module")
def driver(page, tmp_path_factory):
    if reason := browser.why_not():
        pytest.skip(reason)
    with browser.browser(tmp_path_factory.mktemp("chromium")) as driver:
        opened(driver, page, 1280)
        yield driver


def opened(driver, page, width, scheme="light"):
    """The page on such a screen, all its figures drawn."""
    browser.set_screen(driver, width, scheme)
    driver.get(page.as_uri())
    until(driver, "return [...document.querySelectorAll('figure')].every(one => one.querySelector('.main-svg'))")


def until(driver, script):
    last = time.monotonic() + SECONDS
    while not driver.execute_script(script):
        assert time.monotonic() < last, script
        time.sleep(0.05)


def lines_drawn(driver, figure):
    return driver.execute_script(f"return document.querySelectorAll('#figure-{figure} .scatterlayer .trace').length")


def press(driver, selector, keys=" "):
    driver.find_element("css selector", selector).send_keys(keys)


def test_the_page_is_drawn_offline_and_without_a_complaint(driver, page):
    names = driver.execute_script("return [...document.querySelectorAll('figure')].map(one => one.id)")
    assert names == [f"figure-{name}" for name in FIGURES]
    for name in names:
        drawn = f"return document.querySelectorAll('#{name} .trace, #{name} .hm').length"
        assert driver.execute_script(drawn) > 0, name
    assert driver.get_log("browser") == []
    asked = browser.requested(driver, page.as_uri())
    assert [address for address in asked if not address.startswith("data:")] == [page.as_uri()]


def test_seeds_are_drawn_when_they_are_asked_for(driver):
    before = lines_drawn(driver, "learning")
    press(driver, "#seeds")
    assert lines_drawn(driver, "learning") == before + 6  # a trace a case
    press(driver, "#seeds")
    assert lines_drawn(driver, "learning") == before


def test_keys_hide_what_they_stand_for_by_keyboard(driver):
    before = lines_drawn(driver, "loss")
    press(driver, "#figure-loss .keys button")
    assert driver.find_element("css selector", "#figure-loss .keys button").get_attribute("aria-pressed") == "false"
    assert lines_drawn(driver, "loss") == before - 2  # a line and its band
    press(driver, "#figure-loss .keys button")
    assert lines_drawn(driver, "loss") == before


def test_readers_choose_what_a_figure_shows(driver):
    shown = "return document.querySelector('#figure-speed .xtitle').textContent"
    assert driver.execute_script(shown) == "Episodes per minute"
    press(driver, "#figure-speed select", "T")
    assert driver.execute_script(shown) == "Training time, min"


def test_messages_can_be_walked_through(driver):
    told = "return [...document.querySelectorAll('.message:not([hidden]) .here')].map(line => line.textContent)"
    first = driver.execute_script(told)
    press(driver, "#step", "\ue014")  # arrow to the right
    second = driver.execute_script(told)
    assert len(first) == len(second) == 5
    assert all(re.fullmatch(r"\w+: cosine [\d.]+ · [\d.]+ nats · earns [+−][\d.]+", line) for line in second)
    assert first != second
    press(driver, "#message", "\ue015")  # arrow down
    assert driver.execute_script("return document.querySelector('.message:not([hidden])').dataset.message") == "1"


def test_the_table_shows_more_rows_when_asked(driver):
    rows = "return [...document.querySelectorAll('table.main tr')].filter(row => row.offsetHeight).length"
    before = driver.execute_script(rows)
    press(driver, "#all-rows")
    assert driver.execute_script(rows) > before


def test_a_dark_screen_has_its_own_colours(driver, page):
    colour = "return document.querySelector('#figure-loss .ytitle').style.fill"
    light = driver.execute_script(colour)
    browser.set_screen(driver, 1280, "dark")
    until(driver, f"{colour} !== {json.dumps(light)}")


def test_nothing_is_wider_than_a_telephone(driver, page):
    opened(driver, page, 390)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
    wide = (
        "return [...document.querySelectorAll('main *')].filter(one => !one.closest('.scroll, svg, nav')"
        " && one.getBoundingClientRect().right > 391).map(one => one.outerHTML.slice(0, 80))"
    )
    assert driver.execute_script(wide) == []
    assert driver.get_log("browser") == []
