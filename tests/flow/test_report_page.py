"""The preflight report's page in a real browser: both themes, narrow and wide, with records that mean harm."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from outcrop.datasets.preflight import examine
from outcrop.datasets.report.value import PastError, Price, Report, RunForecast, TokenPiece
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.small_tokenizers import byte_level

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")

HARM = '</code></style><img src=x onerror="window.harmed=1"><script>window.harmed=1</script>'
SECRET = "kenji.tanaka@mail.co.jp"
RECORDS = [
    {"prompt": HARM, "completion": HARM},
    {
        "prompt": "The stone at the river is older than the house on the hill, and the tree is older still.",
        "completion": "y",
    },
    {
        "prompt": "The stone at the river is older than the house on the hill, and the tree is older still!",
        "completion": "y",
    },
    {"prompt": "古池や 蛙飛び込む", "completion": "水の音 鬱蒼"},
    {"prompt": "u" * 400, "completion": "n\u202eo\u0007\n\tx"},
    {"prompt": f"Write to {SECRET}, or call 03-1234-5678", "completion": "Η πέτρα"},
    {"prompt": HARM},
    {"prompt": "e", "completion": None},
    {"prompt": "e", "completion": "a"},
    {"prompt": "e", "completion": "a"},
    *({"prompt": f"{n} " * (n % 40 + 1), "completion": "x"} for n in range(60)),
]
FORECAST = RunForecast(
    why_not="", method="lora of rank 16 and alpha 32", epochs=2, steps=40, rows=30, row_tokens=12_345, trained_tokens=24_690,
    seconds=512.0, memory_bytes=2**30, free_bytes=2**34, no_price="",
    past=PastError(num_runs=3, time=1.12, worst_time=1.4, memory=0.93),
    price=Price(amount=1.5, currency="USD", told="24,690 tokens (of the file x epochs) at 0.06 a thousand"),
)  # fmt: skip

LEAST_CONTRAST = """() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let least = [99, ""], num = 0;
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || element.closest("svg")) continue;
    const [one, other] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    num += 1;
    if (contrast < least[0]) least = [contrast, element.outerHTML.slice(0, 200)];
  }
  return {least: least[0], where: least[1], num};
}"""
WIDER_THAN_THE_WINDOW = """() => [...document.querySelectorAll("body *")]
  .filter((element) => !element.closest("svg") && element.getBoundingClientRect().right > innerWidth + 0.5)
  .map((element) => element.outerHTML.slice(0, 120))"""

REACH_OUT = """async (address) => {
  const blocked = [];
  document.addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
  const image = document.createElement("img");
  image.src = address + "image";
  const script = document.createElement("script");
  script.textContent = "window.harmed = 1";
  const style = document.createElement("style");
  style.textContent = `body { background: url(${address}style) }`;
  document.body.append(image, script, style);
  await fetch(address).catch(() => null);
  await new Promise((done) => setTimeout(done, 50));
  return blocked.sort();
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("data")
    names = ("train <b>&.jsonl", "validation.jsonl")
    for name, records in zip(names, (RECORDS, [RECORDS[3], RECORDS[2]]), strict=True):
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    found = examine(
        [folder / name for name in names],
        tokenizer=Tokenizer.open(byte_level(tmp_path_factory.mktemp("base"))),
        context_length=4096,
        customization="FINE_TUNING",
    )
    return replace(found, base="outcrop.starter-v1", forecast=FORECAST)


@pytest.fixture(scope="module")
def page_uri(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("page") / "report.html"
    place.write_text(report.to_html(), encoding="utf-8")
    return place.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium will not have root in its own
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield opened
        opened.close()


@pytest.fixture
def opened(browser: Any, page_uri: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page, in the theme and width that a test asks for; what it asked of the network and complained of is kept."""
    scheme, width = getattr(request, "param", ("light", 1400))
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.told = []
    page.on("request", lambda asked: page.told.append(asked.url))
    page.on("console", lambda message: page.told.append(message.text))
    page.on("pageerror", lambda error: page.told.append(str(error)))
    page.goto(page_uri)
    yield page
    context.close()


SIGHTS = [(scheme, width) for scheme in ("light", "dark") for width in (400, 1400)]


@pytest.mark.parametrize("opened", SIGHTS, indirect=True, ids=str)
def test_the_page_is_legible_and_asks_for_nothing(opened: Any, page_uri: str) -> None:
    assert opened.told == [page_uri]
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opened.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.evaluate(WIDER_THAN_THE_WINDOW) == []
    found = opened.evaluate(LEAST_CONTRAST)
    assert found["num"] > 500
    assert found["least"] >= 4.5, found["where"]


@pytest.mark.parametrize("opened", [("light", 1400), ("dark", 400)], indirect=True, ids=str)
def test_the_switch_goes_before_the_system_s_theme(opened: Any) -> None:
    def paper() -> str:
        return str(opened.evaluate("getComputedStyle(document.body).backgroundColor"))

    seen = {}
    for theme in ("Light", "Dark"):
        opened.get_by_text(theme, exact=True).click()
        seen[theme] = paper()
        assert opened.evaluate(LEAST_CONTRAST)["least"] >= 4.5
    assert seen == {"Light": "rgb(252, 252, 250)", "Dark": "rgb(20, 24, 26)"}
    opened.get_by_text("Auto", exact=True).click()
    assert paper() in seen.values()


def test_a_problem_leads_to_its_line(opened: Any) -> None:
    opened.locator("#problems a", has_text="8").first.click()
    assert opened.evaluate("location.hash") == "#file-0-8"
    line = opened.locator("li:target")
    assert line.inner_text() == '8{"prompt": "e", "completion": null}'
    opened.wait_for_function("""() => {
      const place = document.querySelector("li:target").getBoundingClientRect();
      return place.top >= 0 && place.bottom <= innerHeight;
    }""")


def test_every_link_leads_to_a_place_on_the_page(opened: Any) -> None:
    lost = opened.evaluate(
        "[...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))"
        ".filter((to) => !to.startsWith('#') || !document.getElementById(to.slice(1)))"
    )
    assert lost == []


def test_records_and_names_that_mean_harm_are_only_text(opened: Any, report: Report) -> None:
    assert opened.evaluate(
        "[window.harmed, document.scripts.length, document.images.length, document.forms.length]"
    ) == ([None, 0, 0, 0])
    assert opened.locator("h2").nth(2).inner_text() == "train <b>&.jsonl"
    whole = opened.inner_text("body")
    assert "\u202e" not in whole
    assert "\\u202e" in whole
    assert SECRET not in opened.content()


def test_the_page_s_policy_lets_nothing_out(opened: Any) -> None:
    # Given a listener that text of a record tries to reach, as if it had become part of the page
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        blocked = opened.evaluate(REACH_OUT, address)
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert blocked == ["connect-src", "img-src", "script-src-elem", "style-src-elem"]
    assert opened.evaluate("window.harmed") is None


def test_tokens_are_marked_as_they_are_learned(opened: Any, report: Report) -> None:
    sample = report.files[0].samples[0]
    mask = opened.locator("#file-0 details .mask").first
    tokens = [piece for piece in sample.pieces if isinstance(piece, TokenPiece)]
    assert mask.locator("span").count() == len(sample.pieces)
    assert mask.locator(".l").count() == sum(piece.learned for piece in tokens)
    assert mask.locator(".s").first.inner_text() == "<s>"
    told = opened.evaluate("getComputedStyle(document.querySelector('.mask .l')).backgroundColor")
    plain = opened.evaluate("getComputedStyle(document.querySelector('.mask span:not([class])')).backgroundColor")
    assert told != plain
