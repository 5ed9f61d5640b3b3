"""MLflow's own page, in a headless browser: two executions compared, and their rounds listed.

``DAGENT_SCREENSHOTS=folder`` keeps what the browser saw.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagent.runtime import tracking

pytestmark = pytest.mark.browser

pytest.importorskip("mlflow", reason="the extra dagent[track] is not installed")
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
if not CHROMIUM or not shutil.which("chromedriver"):
    pytest.skip("Chromium and its driver are not installed", allow_module_level=True)

SELECT = {"one": (0.32, 0.31, 0.58, 0.71), "two": (0.33, 0.47, 0.45, 0.62)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two executions, mirrored by the real tracking process."""
    path = Path(__file__).parents[1] / "runtime" / "made_project.py"
    spec = importlib.util.spec_from_file_location("made_project", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.MadeProject(tmp_path_factory.mktemp("project"))
    made.write("one", made.events(SELECT["one"]))
    settings = {"engineer.planner": "uniform"}
    later = made.events(SELECT["two"], 1, "2026-01-05T11:00:00+00:00", settings)
    made.write("two", later)
    assert tracking.start(made.folder, "two").finish() is None
    return made


@pytest.fixture(scope="module")
def page(project: Any) -> Iterator[str]:
    """The address that ``dagent ui`` prints."""
    root = str(Path(tracking.__file__).parents[1])
    code = (
        "import sys; sys.path.append(sys.argv.pop(1));from dagent.cli import main; sys.exit(main())"
    )
    ui = subprocess.Popen(
        [sys.executable, "-c", code, root, "ui", "--port", "0", "--no-open"],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")},
    )
    try:
        yield ui.stdout.readline().strip()
    finally:
        # SIGTERM ends it the way Ctrl-C does; a shell's background jobs are deaf to SIGINT.
        ui.send_signal(signal.SIGTERM)
        assert ui.wait(120) == 0, "a polite end is quiet"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--window-size=1600,1400",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


def test_the_compare_page_shows_every_round_of_both_executions(
    project: Any, page: str, browser: Any, tmp_path: Path
) -> None:
    one, two = (tracking.RunFolder(project.folder, name).cursor() for name in SELECT)
    go(browser, page, f'compare-runs?runs=["{one.run}","{two.run}"]&experiments=["1"]')
    scroll_to(browser, "Metrics")
    names = [f"by_round/{number}" for number in range(4)]
    wait(browser, lambda: all(name in text(browser) for name in names))
    keep(browser, tmp_path, "compare")
    # The page draws names and values as two grids; line by line they stand at one height.
    rows = {name: values_beside(browser, name) for name in names}
    assert rows == {
        f"by_round/{number}": [str(SELECT["one"][number]), str(SELECT["two"][number])]
        for number in range(4)
    }

    series = f'metric?runs=["{one.run}","{two.run}"]&metric="select/accuracy"&experiments=["1"]'
    go(browser, page, series + '&plot_metric_keys=["select/accuracy"]')
    wait(browser, lambda: sorted(curves(browser)) == sorted(map(list, SELECT.values())))
    keep(browser, tmp_path, "series")


def test_the_rounds_are_nested_runs(page: str, browser: Any, tmp_path: Path) -> None:
    go(browser, page, "experiments/1/runs?workflowType=machine_learning&compareRunsMode=TABLE")
    wait(browser, lambda: text(browser).count("quickstart-s") == 2)
    for name in {word for word in text(browser).split() if word.startswith("quickstart-s")}:
        unfold = f"//a[normalize-space()='{name}']/ancestor::*[@role='gridcell']//button"
        browser.find_element("xpath", unfold).click()
    rounds = ["round 0 (base)", "round 1", "round 2", "round 3"]
    wait(browser, lambda: all(text(browser).count(name) >= 2 for name in rounds))
    keep(browser, tmp_path, "runs")


def test_dagent_ui_opens_on_the_charts(page: str, browser: Any, tmp_path: Path) -> None:
    browser.get(page)
    wait(browser, lambda: "champion/accuracy" in text(browser) and curves(browser))
    keep(browser, tmp_path, "charts")


def go(browser: Any, page: str, place: str) -> None:
    browser.get("about:blank")
    browser.get(f"{page.split('#')[0]}#/{place}")


def text(browser: Any) -> str:
    return str(browser.find_element("tag name", "body").text)


def wait(browser: Any, done: Any) -> None:
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    ignored = [StaleElementReferenceException]
    WebDriverWait(browser, 60, 0.3, ignored).until(lambda _: done())


def scroll_to(browser: Any, heading: str) -> None:
    path = f"//*[contains(@class, 'collapse-header')][contains(., '{heading}')]"
    wait(browser, lambda: browser.find_elements("xpath", path))
    element = browser.find_elements("xpath", path)[-1]
    browser.execute_script("arguments[0].scrollIntoView({block: 'start'})", element)


def values_beside(browser: Any, name: str) -> list[str]:
    """The texts at the height of ``name``, to its right, from left to right."""
    return list(
        browser.execute_script(
            """
            const walker = document.createTreeWalker(
                document.querySelector('.CompareRunView'), NodeFilter.SHOW_TEXT);
            const texts = [];
            while (walker.nextNode()) {
                const range = document.createRange();
                range.selectNodeContents(walker.currentNode);
                const at = range.getBoundingClientRect();
                const text = walker.currentNode.data.trim();
                if (text && at.height) texts.push({text, left: at.left, y: at.top + at.height / 2});
            }
            const label = texts.find(t => t.text === arguments[0]);
            return texts
                .filter(t => t.left > label.left && Math.abs(t.y - label.y) < 12)
                .sort((a, b) => a.left - b.left)
                .map(t => t.text);
            """,
            name,
        )
    )


def curves(browser: Any) -> list[list[float]]:
    """The heights of the lines of the first chart."""
    found = browser.execute_script(
        """
        const chart = document.querySelector('.js-plotly-plot');
        return chart ? chart.data.map(line => Array.from(line.y || [])) : [];
        """
    )
    unique = {tuple(line): list(line) for line in found if len(line) > 1}
    return list(unique.values())


def keep(browser: Any, tmp_path: Path, name: str) -> None:
    folder = Path(os.environ.get("DAGENT_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(folder / f"{name}.png"))
