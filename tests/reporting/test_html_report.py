"""``report.html`` in a real browser: charts drawn, hover, legend and sorting, and class names that stay text."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from camri_exp.reporting.selection import Protocol
from camri_exp.reporting.write import write
from tests.helpers.browser import chromium
from tests.helpers.generated_runs import CLASSES, write_run, write_sweep

NAMES = {"camri": "CAMRI", "ce": "CE"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sweep = tmp_path_factory.mktemp("sweep <b>&")
    write_sweep(sweep, important=(1,))
    write_run(sweep / "single", "focal", 0, class_free=True)
    (sweep / "failed").mkdir()
    (sweep / "failed" / "failure.json").write_text(json.dumps({"error": "<script>alert(2)</script>"}))
    write([sweep], sweep / "report", Protocol(), NAMES)
    return sweep / "report" / "report.html"


@pytest.fixture(scope="module")
def browser(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        driver.get(report.as_uri())
        yield driver


def drawn(browser: Any) -> list[Any]:
    """All charts, after scrolling to each of them, because that draws it."""
    from selenium.webdriver.support.ui import WebDriverWait

    charts = browser.find_elements("css selector", ".chart")
    for chart in charts:
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
        WebDriverWait(browser, 60).until(lambda _, chart=chart: chart.find_elements("css selector", ".main-svg"))
    return charts


def test_nothing_is_loaded_from_elsewhere(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    page = text[: text.index("<script>")] + text[text.index("<body>") :]  # without plotly

    assert "://" not in page
    assert "Content-Security-Policy" in page
    for escaped in ("&lt;img src=x", "\\u0026lt;img src=x"):  # the name of a class, in the page and in a chart
        assert escaped in page
        page = page.replace(escaped, "")
    assert "src=" not in page


def test_charts_draw_without_console_errors(browser: Any) -> None:
    charts = drawn(browser)

    assert len(charts) == 3  # recall against accuracy, CAMRI's heat maps, angle variance
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_class_names_stay_text(browser: Any) -> None:
    drawn(browser)

    assert browser.find_elements("css selector", "img") == []
    assert CLASSES[1] in browser.find_element("css selector", "h2:nth-of-type(2)").text
    assert CLASSES[1] in browser.execute_script("return document.querySelector('.chart .ytitle').textContent")
    assert "<script>alert(2)</script>" in browser.find_element("css selector", "details").get_attribute("textContent")


def test_hover_names_the_run(browser: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    chart = drawn(browser)[0]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
    position = browser.execute_script(
        """const chart = arguments[0], box = chart.getBoundingClientRect(), {xaxis, yaxis} = chart._fullLayout;
        const run = chart.data.find(trace => trace.name === "CE");  // the first: its single runs
        return [box.x + xaxis._offset + xaxis.l2p(run.x[0]), box.y + yaxis._offset + yaxis.l2p(run.y[0])];""",
        chart,
    )

    def hovered(_: Any) -> str:
        action = ActionChains(browser)  # repeated, because a busy browser may drop a movement
        action.w3c_actions.pointer_action.move_to_location(*map(round, position))
        action.perform()
        return browser.execute_script("return arguments[0].querySelector('.hoverlayer').textContent", chart)

    text = WebDriverWait(browser, 60).until(hovered)
    assert "seed " in text
    assert "recall 0." in text
    assert "ce+" in text  # the run's folder


def test_legend_entry_hides_a_loss(browser: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    chart = drawn(browser)[0]
    hidden = "return arguments[0]._fullData.filter(trace => trace.visible === 'legendonly').map(trace => trace.name)"
    entry = next(e for e in chart.find_elements("css selector", ".legend .traces") if "CAMRI" in e.text)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
    entry.find_element("css selector", ".legendtoggle").click()

    WebDriverWait(browser, 60).until(lambda _: browser.execute_script(hidden, chart))
    assert set(browser.execute_script(hidden, chart)) == {"CAMRI"}
    assert len(browser.execute_script(hidden, chart)) == 3  # runs, means and the threshold curve


def test_recall_slider_shows_accuracies_and_missed_images(browser: Any) -> None:
    drawn(browser)
    slider = browser.find_element("css selector", ".slider")
    data = json.loads(browser.find_element("id", slider.get_attribute("data-slider")).get_attribute("textContent"))
    for position, chosen in ((120, 0), (198, 1)):
        move = (
            "const range = arguments[0].querySelector('input[type=range]'); range.value = arguments[1]; range.oninput()"
        )
        browser.execute_script(move, slider, position)
        browser.execute_script(
            "arguments[0].click()", slider.find_elements("css selector", "input[type=radio]")[chosen]
        )
        shown = [cell.text for cell in slider.find_elements("css selector", "tbody td:nth-child(3)")]
        assert shown == [f"{method['accuracy'][position]:.4f}" for method in data["methods"]]
        assert slider.find_element("css selector", "output").text == f"{data['recalls'][position]:.3f}"
        found = data["methods"][chosen]["found"].values()
        missed = sum(any(start > position for start in starts) for starts in found)
        assert len(slider.find_elements("css selector", "ul.missed li")) == min(missed, 60)


def test_table_sorts_both_ways_by_number(browser: Any) -> None:
    table = browser.find_elements("css selector", "table")[3]  # all configurations

    def column(number: int) -> list[str]:
        return [cell.text for cell in table.find_elements("css selector", f"tbody td:nth-child({number})")]

    button = table.find_element("css selector", "th:nth-child(4) button")
    for descending in (False, True):
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()
        assert column(4) == sorted(column(4), key=float, reverse=descending)
    table.find_element("css selector", "th:nth-child(1) button").click()
    assert column(1) == sorted(column(1))
