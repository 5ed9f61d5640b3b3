"""The report in a headless browser: nothing overlaps, nothing is cut off, light and dark.

``DAGENT_SCREENSHOTS=folder`` keeps what the browser saw.
"""

from __future__ import annotations

import base64
import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagent.compiler.pipeline import compile
from dagent.runtime.history import events_of, keep_plan
from dagent.runtime.report.page import render
from dagent.runtime.report.sections import DEEP

pytestmark = pytest.mark.browser

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
if not CHROMIUM or not shutil.which("chromedriver"):
    pytest.skip("Chromium and its driver are not installed", allow_module_level=True)

ARMS = "arms { seeds = [1, 2]  arm uniform { control = uniform } }"
# What a user may write: a word without an end, and an override of direction.
NASTY = ("W" * 150, "\u202e\u05e9\u05dc\u05d5\u05dd")
SIZES = {"wide": (1200, 900), "narrow": (520, 900)}
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
# The least contrast of a heat map's cells, as WCAG counts it.
CONTRAST = """
const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgb = colour => {
  paint.fillStyle = colour;
  paint.fillRect(0, 0, 1, 1);
  return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const light = colour => rgb(colour).map(c => c / 255)
  .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0.05);
const cell = document.querySelector('.heat td');
const found = [];
for (let v = 0; v <= 100; v++) {
  cell.style.setProperty('--v', v);
  cell.classList.toggle('deep', v / 100 >= arguments[0]);
  const style = getComputedStyle(cell);
  const both = [light(style.color), light(style.backgroundColor)].sort((a, b) => a - b);
  found.push(both[1] / both[0]);
}
return Math.min(...found);
"""
OVERLAPS = """
const found = [];
for (const svg of document.querySelectorAll('svg')) {
  const frame = svg.getBoundingClientRect();
  if (!frame.width) continue;
  const texts = [...svg.querySelectorAll('text')]
    .map(t => [t.textContent, t.getBoundingClientRect()]);
  texts.forEach(([text, a], i) => {
    if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.bottom > frame.bottom + 1)
      found.push(text + ' is cut off');
    for (const [other, b] of texts.slice(i + 1))
      if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
        found.push(text + ' on ' + other);
  });
}
return found;
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports of executions of the stand-in: with and without arms, and of nasty texts."""
    path = Path(__file__).parents[1] / "runtime" / "stub.py"
    spec = importlib.util.spec_from_file_location("dagent_browser_stub", path)
    assert spec
    assert spec.loader
    stub = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stub)
    made = {}
    nasty = stub.SPEC.replace("Add numbers.", "Add " + " ".join(NASTY))
    for name, text in (("one", stub.SPEC), ("arms", stub.SPEC + ARMS), ("nasty", nasty)):
        folder = stub.make_project(tmp_path_factory.mktemp(name), text)
        for file in ("sums.py", "dev.jsonl", "test.jsonl") if name == "nasty" else ():
            text = (folder / file).read_text()
            for skill, other in zip(("add", "double"), NASTY, strict=True):
                text = text.replace(f'"{skill}"', f'"{other}"')
            (folder / file).write_text(text)
        stub.run_project(folder)
        keep_plan(compile(folder / "sums.dagent").plan, folder)
        made[name] = folder / "report.html"
        made[name].write_text(render(events_of(folder), folder), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--hide-scrollbars",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["one", "arms", "nasty"])
def test_nothing_overlaps_and_the_page_does_not_scroll_sideways(
    pages: dict[str, Path], browser: Any, name: str, size: str, tmp_path: Path
) -> None:
    browser.set_window_size(*SIZES[size])
    browser.get(pages[name].as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.execute_script(OVERLAPS) == []
    width = "return [document.documentElement.scrollWidth, window.innerWidth]"
    scroll, window = browser.execute_script(width)
    assert scroll <= window
    assert browser.get_log("browser") == []
    keep(browser, tmp_path, f"report-{name}-{size}")


def test_an_override_of_direction_ends_with_its_text(pages: dict[str, Path], browser: Any) -> None:
    """The counts beside a skill stand in their order: "20, 60", not "06 ,02"."""
    browser.get(pages["nasty"].as_uri())
    places = browser.execute_script(
        "return [...document.querySelectorAll('.heat .count')].map(span => {"
        "const text = span.firstChild, end = text.length;"
        "const at = (i, j) => { const r = document.createRange(); r.setStart(text, i);"
        "r.setEnd(text, j); return r.getBoundingClientRect().left; };"
        "return [at(0, 1), at(end - 1, end)]; })"
    )
    assert len(places) == 2
    assert all(first < last for first, last in places)


def test_it_follows_the_readers_theme(pages: dict[str, Path], browser: Any, tmp_path: Path) -> None:
    browser.get(pages["one"].as_uri())
    seen = {}
    for theme in ("light", "dark"):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": theme}]},
        )
        seen[theme] = browser.execute_script(
            "return ['body', 'svg text', '.answer'].map(s => {"
            "const c = getComputedStyle(document.querySelector(s));"
            "return s === 'svg text' ? c.fill : c.backgroundColor; })"
        )
        keep(browser, tmp_path, f"report-{theme}")
    assert all(a != b for a, b in zip(seen["light"], seen["dark"], strict=True))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_number_of_the_heat_map_can_be_read(
    pages: dict[str, Path], browser: Any, theme: str
) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": theme}]},
    )
    browser.get(pages["one"].as_uri())
    assert browser.execute_script(CONTRAST, DEEP) >= 4.5


def test_a_phone_shows_why_the_gate_decided_so(
    pages: dict[str, Path], browser: Any, tmp_path: Path
) -> None:
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        browser.get(pages["one"].as_uri())
        widths = browser.execute_script(
            "return [...document.querySelectorAll('.wide')].filter("
            "e => e.getAttribute('aria-label').startsWith('What the gate decided'))"
            ".map(e => [e.scrollWidth, e.clientWidth])"
        )
        assert widths
        assert all(needed <= there for needed, there in widths)
        keep(browser, tmp_path, "report-phone")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_prints_also_what_is_folded(pages: dict[str, Path], browser: Any) -> None:
    browser.get(pages["one"].as_uri())
    heights = "return [...document.querySelectorAll('details')].map(d => d.clientHeight)"
    folded = browser.execute_script(heights)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        printed = browser.execute_script(heights)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert folded
    assert all(after > 1.5 * before for before, after in zip(folded, printed, strict=True))
    assert base64.b64decode(browser.print_page()).startswith(b"%PDF")


def keep(browser: Any, tmp_path: Path, name: str) -> None:
    folder = Path(os.environ.get("DAGENT_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(folder / f"{name}.png"))
