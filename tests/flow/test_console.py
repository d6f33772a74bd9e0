"""The whole road in a real browser: a bad line mended, a model trained, deployed and compared, in both languages."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.homes import TINY, pairs, with_tiny_models
from tests.support.patience import eventually
from tests.support.servers import Installed, free_port, installed, outcrop

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")

WIDER_THAN_THE_WINDOW = "() => document.documentElement.scrollWidth > innerWidth"
HAS_FOCUS = "(selector) => document.activeElement.matches(selector)"
_PAGES = (
    "/", "/models", "/data", "/customize", "/jobs", "/deployments", "/playground",
    "/models/bring", "/data/recipes", "/data/recipes/verse", "/tasks", "/jobs/overlay",
)  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = with_tiny_models(tmp_path_factory.mktemp("console") / "home")
    with installed(home, OUTCROP_CONSOLE="1", OUTCROP_CONSOLE_PORT=str(free_port())) as running:
        yield running


@pytest.fixture(scope="module")
def page(house: Installed) -> Iterator[Any]:
    """A tab into which the one-time link was typed. What the browser complained of is kept."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    link = outcrop("console", "--home", str(house.settings.home)).stdout.strip()
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium will not have root in its own
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        tab = browser.new_page(locale="en-US", viewport={"width": 1280, "height": 900})
        tab.set_default_timeout(90_000)
        tab.told, tab.asked = [], []
        tab.on("console", lambda message: tab.told.append(message.text))
        tab.on("pageerror", lambda error: tab.told.append(str(error)))
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.home = link.partition("/enter")[0]
        tab.goto(link)
        tab.click("button.main")
        tab.wait_for_url(f"{tab.home}/")
        yield tab
        browser.close()


def tab_to(page: Any, selector: str) -> None:
    """Presses Tab until the element has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(HAS_FOCUS, selector):
            return
    raise AssertionError(f"{selector} is not reached by the keyboard")


def upload(page: Any, content: bytes) -> None:
    page.goto(f"{page.home}/data?bucket=walk")
    with page.expect_navigation():  # the page shows the file by itself
        page.set_input_files("#file", {"name": "train.jsonl", "mimeType": "application/json", "buffer": content})
    page.wait_for_selector("td:has-text('train.jsonl')")


def test_a_newcomer_gets_from_a_file_to_a_model_that_is_compared(page: Any, house: Installed) -> None:
    # Given a bucket, and a file with a bad line
    page.click("text=Go on")
    page.fill("input[name=bucket]", "walk")
    page.click("text=Make bucket")
    page.wait_for_selector(".drop")
    lines = pairs(24).split(b"\n")
    upload(page, b"\n".join([*lines[:2], b'{"prompt": "x", "completion": null}', *lines[2:]]))
    # When it is checked, the line is named, with what to do
    page.goto(f"{page.home}/data/report?uri=s3://walk/train.jsonl&base={TINY}")
    problem = page.wait_for_selector("#line-3")
    assert "expected a string, found null. Give the record a completion" in problem.inner_text()
    assert '{"prompt": "x", "completion": null}' in problem.inner_text()
    # And it says so to whoever looks again, with the line itself, which no kept report holds
    page.reload()
    assert '{"prompt": "x", "completion": null}' in page.wait_for_selector("#line-3").inner_text()
    assert page.locator("h2:has-text('Records as the model reads them')").count() == 1
    # When it is mended, the wizard is walked by the keyboard alone, and says what the run takes
    upload(page, b"\n".join(lines))
    page.goto(f"{page.home}/customize?train=s3://walk/train.jsonl&model={TINY}&step=data")
    tab_to(page, "button[value=hyper]")
    page.keyboard.press("Enter")
    page.wait_for_selector("input[name=epochCount]")
    tab_to(page, "input[name=epochCount]")
    page.keyboard.type("2")
    tab_to(page, "input[name='outcrop.evalPercentage']")
    page.keyboard.type("25")
    page.wait_for_selector(".estimate .good")
    assert "Steps" in page.inner_text(".estimate")
    tab_to(page, "button[value=review]")
    page.keyboard.press("Enter")
    page.wait_for_selector("input[name=name]")
    assert '"epochCount": "2"' in page.inner_text("pre >> nth=0")
    page.fill("input[name=name]", "walked")
    tab_to(page, "main form button.main")
    page.keyboard.press("Enter")
    # Then the job is there, its curve appears without a reload, and it can be deployed when it has ended
    page.wait_for_selector("h1:has-text('walked')")
    page.evaluate("window.same = true")
    page.wait_for_selector(".plot circle.line-2")  # where the curve of validation ends, be it one point
    page.wait_for_selector("#deploy")
    assert page.evaluate("window.same")
    (job,) = house.client("bedrock").list_model_customization_jobs()["modelCustomizationJobSummaries"]
    assert (job["jobName"], job["status"]) == ("walked", "Completed")
    page.click("#deploy")
    page.click("a:has-text('Try')")
    # And it answers beside its base, each with its figures
    page.wait_for_selector("#send")
    page.select_option(".answer >> nth=1 >> select", TINY)
    page.click("summary")
    page.fill("input[name=max_tokens]", "8")
    page.fill("textarea", "Question 3: what is 3?")
    page.click("#send")
    for number in range(2):
        page.wait_for_selector(f".answer >> nth={number} >> .figures-line:has-text('tokens/s')")
    assert page.url.count("model=") == 2


def test_a_job_is_found_in_the_list_read_on_its_page_and_laid_over_another(page: Any, house: Installed) -> None:
    # Given the job of the walk, found by its kind and a part of its name
    page.goto(f"{page.home}/jobs?kind=batch")
    page.wait_for_selector("text=No job is like this.")
    page.goto(f"{page.home}/jobs?kind=customization&name=alke")
    tab_to(page, "tbody input[type=checkbox]")
    page.keyboard.press("Space")
    page.evaluate("window.before = document.querySelector('tbody')")
    eventually(lambda: page.evaluate("document.querySelector('tbody') !== window.before"))  # the list was sent anew
    assert page.is_checked("tbody input[type=checkbox]")
    # When it is laid on the chart, its curve has a point for each step, under an address of its own
    page.click("#overlay")
    page.wait_for_selector(".plot polyline.line-1")
    (job,) = house.client("bedrock").list_model_customization_jobs()["modelCustomizationJobSummaries"]
    assert f"job={job['jobArn'].split(':')[0]}" in page.url
    # And its own page tells answers, events, and checkpoints that become models
    page.click("tbody a >> nth=0")
    page.wait_for_selector("h1:has-text('walked')")
    steps = int(page.inner_text(".figures dd >> nth=0"))
    assert len(page.get_attribute(".plot polyline.line-1 >> nth=0", "points").split()) == steps
    assert "Question" in page.inner_text(".asked-prompt >> nth=0")
    page.click("#earlier > summary")
    page.click("#log")
    page.wait_for_selector("#lines li")
    page.go_back()
    page.click("button[id^=checkpoint-] >> nth=0")
    page.wait_for_selector("#deploy")
    assert "/models/custom" in page.url
    page.fill("input[name=key]", "for")
    page.fill("input[name=value]", "verses")
    page.click("main form[action$='/models/tag'] button >> nth=-1")
    page.wait_for_selector("text=for = verses")
    page.goto(f"{page.home}/models")
    page.click("tbody a:text-is('walked')")
    page.wait_for_selector(".dataset:has-text('s3://walk/train.jsonl')")
    assert page.told == []


def test_every_page_speaks_japanese_fits_a_phone_and_asks_nobody_else(page: Any) -> None:
    page.goto(f"{page.home}/models")
    page.click("tbody a")
    page.wait_for_selector(".tree strong:has-text('walked')")
    page.click("button[lang=ja]")
    page.wait_for_selector("html[lang=ja]")
    page.set_viewport_size({"width": 400, "height": 800})
    headings = []
    for path in _PAGES:
        page.goto(f"{page.home}{path}")
        headings.append(page.inner_text("h1"))
        assert not page.evaluate(WIDER_THAN_THE_WINDOW), path
    assert headings[1:7] == ["モデル", "データ", "モデルをカスタマイズ", "ジョブ", "デプロイ", "プレイグラウンド"]
    assert headings[7:] == ["モデルを追加", "レシピ", "和歌", "タスク", "ジョブの重ね合わせ"]
    page.click(".theme-dark")
    page.wait_for_selector("html[data-theme=dark]")
    page.click("text=サインアウト")
    page.wait_for_selector("text=サインアウトしました。")
    assert page.told == []
    assert {url for url in page.asked if not url.startswith((page.home, "blob:", "data:"))} == set()


def test_the_link_of_a_home_where_nothing_runs_is_refused_with_a_sentence(tmp_path: Path) -> None:
    told = outcrop("console", "--home", str(tmp_path))
    assert (told.returncode, told.stderr) == (
        1,
        f"outcrop: {tmp_path}: nothing runs on this home. `outcrop up` starts it.\n",
    )
