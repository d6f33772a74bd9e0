"""A real browser that is signed in to an installation's console, and what tests ask of any page in it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from outcrop.console.language import LANGUAGES
from outcrop.console.visit import LANGUAGE_COOKIE, THEME_COOKIE
from tests.support.patience import PATIENCE_S
from tests.support.servers import Installed, outcrop

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
WIDER_THAN_THE_WINDOW = "() => document.documentElement.scrollWidth > innerWidth"
_GRAVE = ("serious", "critical")
_WAITS_MS = PATIENCE_S * 1000
_FOCUSABLE = """() => [...document.querySelectorAll(
    'a[href], button, input:not([type=hidden]), select, textarea, summary')].filter((each) =>
    !each.disabled && each.checkVisibility({visibilityProperty: true}) &&
    !(each.type === 'radio' && !each.checked)).map((each, number) => (each.dataset.reached = number)).length"""
"Numbers everything that can be used. Of radio buttons the chosen one is reached, and the arrows lead to the others."
_NUMBER = "() => document.activeElement.dataset.reached ?? null"
_FIRST = "() => { document.activeElement.blur(); scrollTo(0, 0) }"


@contextmanager
def signed_in_tab(house: Installed, **context: Any) -> Iterator[Any]:
    """A tab into which the one-time link was typed; `home` is the console's address, `told` what it complained of."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    link = outcrop("console", "--home", str(house.settings.home)).stdout.strip()
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium will not have root in its own
    given = {"locale": "en-US", "viewport": {"width": 1280, "height": 900}} | context
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        tab = browser.new_context(**given).new_page()
        tab.set_default_timeout(_WAITS_MS)
        tab.told = []
        tab.on("console", lambda message: tab.told.append(message.text))
        tab.on("pageerror", lambda error: tab.told.append(str(error)))
        tab.home = link.partition("/enter")[0]
        tab.goto(link)
        tab.click("button.main")
        tab.wait_for_url(f"{tab.home}/")
        yield tab
        browser.close()


def choose(tab: Any, *, language: str, theme: str) -> None:
    """The tab in a language and a theme from its next page on."""
    assert language in LANGUAGES
    tab.context.add_cookies(
        [
            {"name": name, "value": value, "url": tab.home}
            for name, value in ((LANGUAGE_COOKIE, language), (THEME_COOKIE, theme))
        ]
    )


def faults_of(tab: Any) -> list[str]:
    """The serious and critical faults that axe-core finds on the page that is shown."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="no axe: pip install axe-playwright-python"
    )
    found = axe.Axe().run(tab).response["violations"]
    return [
        f"{each['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for each in found
        if each["impact"] in _GRAVE
        for node in each["nodes"]
    ]


def unreached(tab: Any) -> set[int]:
    """The numbers of what can be used on the page, but is not reached by the Tab key."""
    wanted = set(range(tab.evaluate(_FOCUSABLE)))
    tab.evaluate(_FIRST)
    for _ in range(2 * len(wanted) + 10):
        tab.keyboard.press("Tab")
        reached = tab.evaluate(_NUMBER)
        if reached is not None:
            wanted.discard(int(reached))
        if not wanted:
            break
    return wanted
