"""The same procedure as a walk through the console, with a picture of every step in English and Japanese.

    make screenshots                                                         # from the root of a clone
    python -m examples.bedrock_steps.walk --pictures FOLDER --home HOME      # on a home of its own, which it starts

A real Chromium, driven by Playwright, clicks where a person would. Each step is pictured in both languages; whatever
the pictures show was really trained and really answered. `made_of.txt` beside them tells of which templates they are.
"""

import argparse
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

import boto3

from .records import BAD_LINE, PRIVATE, as_file, training_lines, validation_lines, without_private

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
MADE_OF = "made_of.txt"
LANGUAGES = ("en", "ja")
_CONSOLE = HERE.parent.parent / "src/outcrop/console"
_SHOWN = (
    "_parts", "_wizard", "base", "customize_data", "customize_hyper", "customize_model", "customize_review", "data",
    "deployments", "deployments_living", "estimate", "home", "home_living", "job", "job_living", "models", "playground",
    "report", "report_body",
)  # fmt: skip
"Templates of the pages that are pictured."
_WIDTH, _HEIGHT, _COLOURS = 1120, 760, 96
_WAITS_MS = 300_000
_BUCKET = "verses"


def main(arguments: list[str] | None = None) -> None:
    options = parse_options(arguments)
    shutil.rmtree(options.pictures, ignore_errors=True)  # of steps that are none any more, too
    options.pictures.mkdir(parents=True)
    with installation(options.home) as link, browser_tab(link) as tab:
        Walk(tab, options).whole()
    (options.pictures / MADE_OF).write_text(made_of())
    print(f"{sum(1 for _ in options.pictures.rglob('*.png'))} pictures in {options.pictures}")


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Walk through the console, and picture every step.")
    parser.add_argument("--home", type=Path, help="a home for the walk; else a temporary one")
    parser.add_argument("--pictures", type=Path, default=PICTURES)
    parser.add_argument("--base", default="outcrop.starter-v1")
    parser.add_argument("--records", type=int, default=48)
    return parser.parse_args(arguments)


def made_of() -> str:
    """A line for each template and style that the pictures show, with its digest."""
    files = [*(_CONSOLE / "templates" / f"{name}.html" for name in _SHOWN), _CONSOLE / "static/console.css"]
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}  {path.name}\n" for path in files)


@contextmanager
def installation(home: Path | None) -> Iterator[str]:
    """`outcrop up` on a home, with its values in the environment; gives a one-time link into its console."""
    with tempfile.TemporaryDirectory() as place:
        chosen = ["--home", str(home or Path(place) / "home")]
        up = [sys.executable, "-m", "outcrop.cli.app", "up", *chosen, "--port", str(_free_port())]
        with subprocess.Popen(
            up, stdout=subprocess.PIPE, text=True, env=os.environ | {"OUTCROP_CONSOLE_PORT": str(_free_port())}
        ) as running:
            try:
                assert running.stdout is not None
                while not (line := running.stdout.readline().strip()).startswith("http") or "/enter?link=" not in line:
                    if running.poll() is not None:
                        sys.exit(f"outcrop up ended with {running.returncode}. Its message stands above.")
                values = subprocess.run(
                    [sys.executable, "-m", "outcrop.cli.app", "env", "--json", *chosen],
                    stdout=subprocess.PIPE,
                    check=True,
                )
                os.environ |= json.loads(values.stdout)
                yield line
            finally:
                running.send_signal(signal.SIGTERM)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def browser_tab(link: str) -> Iterator[Any]:
    """A tab that is signed in by the one-time link."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium will not have root in its own
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=sandbox)
        tab = browser.new_page(locale="en-US", viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light")
        tab.set_default_timeout(_WAITS_MS)
        tab.home = link.partition("/enter")[0]
        tab.goto(link)
        tab.click("button.main")
        tab.wait_for_url(f"{tab.home}/")
        yield tab
        browser.close()


class Walk:
    """The steps, in their order; each ends with its picture."""

    def __init__(self, tab: Any, options: argparse.Namespace) -> None:
        self._tab, self._options = tab, options
        self._lines = training_lines(options.records)
        self._number = 0

    def whole(self) -> None:
        self.upload()
        self.check()
        self.customize()
        self.deploy_and_compare()
        self.back_to_the_base()
        self.checkpoint()
        self.forget()

    def upload(self) -> None:
        """A bucket, and a file with a bad line in it."""
        self.picture("home")
        self._go("/data")
        self._tab.fill("input[name=bucket]", _BUCKET)
        self._tab.click("form[action$='/data/make'] button")
        self._tab.wait_for_selector(".drop")
        self._upload("validation", validation_lines(self._options.records // 4))
        self._upload("train", [*self._lines[:2], BAD_LINE, *self._lines[2:]])
        self.picture("data")

    def check(self) -> None:
        """The preflight report names the line; once it is mended, every record is used."""
        self._go(f"/data/report?uri=s3://{_BUCKET}/train.jsonl&base={self._options.base}")
        self.picture("report-problem", until="#line-3")
        self._upload("train", self._lines)
        self._go(f"/data/report?uri=s3://{_BUCKET}/train.jsonl&base={self._options.base}")
        self.picture("report-ready", until="p.good")

    def customize(self) -> None:
        """Four steps of the wizard, then the job until it has ended."""
        self._go("/customize")
        self._tab.check(f"input[value='{self._options.base}']")
        self.picture("model", keep=True)
        self._tab.click("button[value=data]")
        self._tab.fill("input[name=train]", f"s3://{_BUCKET}/train.jsonl")
        self._tab.fill("input[name=validation]", f"s3://{_BUCKET}/validation.jsonl")
        self._tab.click("button[value=hyper]")
        self._tab.fill("input[name=epochCount]", "3")
        self._tab.fill("input[name=batchSize]", "8")
        self._tab.click("button[value=review]")
        hyper = self._tab.url.replace("step=review", "step=hyper")
        review = self._tab.url
        self._tab.goto(hyper)
        self.picture("hyperparameters", until=".estimate .figures")
        self._tab.goto(review)
        self._train("verses", "review")
        self.picture("job", until="#deploy")

    def deploy_and_compare(self) -> None:
        """The model on demand, asked beside its base."""
        self._tab.click("#deploy")
        self._tab.wait_for_selector(".status.Active")
        self.picture("deployments", until=".status.Active")
        self._tab.click("a.button.main[href*='/playground']")
        self._tab.wait_for_selector("#send")
        self._ask("compare", [self._tab.url.partition("model=")[2], self._options.base])

    def back_to_the_base(self) -> None:
        """The deployment goes, the base answers as ever."""
        self._go("/deployments")
        self._tab.click("form[action$='/deployments/delete'] button")
        self._tab.wait_for_selector(".status.Active", state="detached")
        self._ask("base", [self._options.base])

    def checkpoint(self) -> None:
        """An earlier state of the job becomes a model, by the one call that takes a folder, and is deployed."""
        s3, bedrock = boto3.client("s3"), boto3.client("bedrock")
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket=_BUCKET, Prefix="output/")["Contents"]]
        first = min(key.rpartition("/")[0] for key in keys if key.endswith("/checkpoint.json"))
        made = bedrock.create_custom_model(
            modelName="verses-early",
            modelSourceConfig={"s3DataSource": {"s3Uri": f"s3://{_BUCKET}/{first}"}},
            roleArn=os.environ["OUTCROP_ROLE_ARN"],
        )
        self._go(f"/models/custom?arn={made['modelArn']}")
        self._tab.click("form[action$='/models/deploy'] button")
        self._tab.wait_for_selector(".status.Active")
        self.picture("checkpoint", until=".status.Active")

    def forget(self) -> None:
        """Trained anew without the record, from the values of the first job; then the old model is deleted."""
        self._upload("without", without_private(self._lines))
        self._go("/jobs")
        self._tab.click("tbody a")
        self._tab.click("a[href*='step=review']")
        self._tab.wait_for_selector("input[name=name]")
        self._tab.goto(self._tab.url.replace("train.jsonl", "without.jsonl"))
        self._train("verses-without", "")
        self._tab.wait_for_selector("#deploy")
        self._go("/models")
        self._tab.click("tbody a:text-is('verses')")
        self._tab.click("details.danger summary")
        self._tab.click("form[action$='/models/delete'] button")
        self._tab.wait_for_url("**/models")
        self.picture("forgotten", until="tbody")

    def picture(self, name: str, *, until: str = "h1", keep: bool = False) -> None:
        """The page as it stands, in both languages. `keep`: what was filled in is not in the address."""
        self._number += 1
        value = self._tab.evaluate("() => document.querySelector('input:checked')?.value ?? ''") if keep else ""
        for language in LANGUAGES:
            if language != LANGUAGES[0]:  # the first is the one that the walk is in
                self._speak(language)
                self._tab.reload()
            self._tab.wait_for_selector(until)
            if value:
                self._tab.check(f"input[value='{value}']")
            self._save(language, name)
        self._speak(LANGUAGES[0])

    def _go(self, path: str) -> None:
        self._tab.goto(f"{self._tab.home}{path}")

    def _upload(self, name: str, lines: list[str]) -> None:
        self._go(f"/data?bucket={_BUCKET}")
        file = {"name": f"{name}.jsonl", "mimeType": "application/json", "buffer": as_file(lines)}
        with self._tab.expect_navigation():  # the page shows the file by itself
            self._tab.set_input_files("#file", file)
        self._tab.wait_for_selector(f"td:has-text('{name}.jsonl')")

    def _train(self, name: str, pictured: str) -> None:
        if pictured:
            self.picture(pictured, until="pre")
        self._tab.fill("input[name=name]", name)
        self._tab.click("main form button.main")
        self._tab.wait_for_selector(f"h1:has-text('{name}')")

    def _ask(self, name: str, models: list[str]) -> None:
        """One question to the models, pictured in both languages: each asks anew, for the page keeps no answers."""
        self._number += 1
        query = urlencode([("model", unquote(model)) for model in models])
        for language in LANGUAGES:
            self._speak(language)
            self._go(f"/playground?{query}")
            self._tab.click("summary")
            self._tab.fill("input[name=max_tokens]", "24")
            self._tab.fill("textarea", PRIVATE["prompt"].strip())
            self._tab.click("#send")
            for number in range(len(models)):
                self._tab.wait_for_selector(f".answer >> nth={number} >> .figures-line:has-text('/')")
            self._save(language, name)
        self._speak("en")

    def _speak(self, language: str) -> None:
        """The tab in a language, from its next page on."""
        self._tab.context.add_cookies([{"name": "outcrop_language", "value": language, "url": self._tab.home}])

    def _save(self, language: str, name: str) -> None:
        from PIL import Image

        place = self._options.pictures / language / f"{self._number:02}-{name}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(io.BytesIO(self._tab.screenshot(animations="disabled"))) as shot:
            shot.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(place, optimize=True)


if __name__ == "__main__":
    main()
