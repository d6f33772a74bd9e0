"""Every page of the console in a real browser: SageMaker by forms, no grave fault by axe-core, all by the keyboard."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from outcrop.console.app import Console
from tests.support.browsers import (
    WIDER_THAN_THE_WINDOW,
    choose,
    faults_of,
    needs_chromium,
    signed_in_tab,
    unreached,
)
from tests.support.consoles import pages_of
from tests.support.homes import TINY, with_tiny_models
from tests.support.sandboxes import needs_sandbox
from tests.support.servers import Installed, free_port, installed

pytestmark = needs_chromium
BUCKET, MODEL = "walk", "local-textgeneration-tiny-v1"
RECORDS = [{"question": f"what is {number}?", "answer": f"it is {number}"} for number in range(24)]
_LIGHT, _DARK = {"language": "en", "theme": "light"}, {"language": "ja", "theme": "dark"}
_FRAGMENTS = ("/customize/estimate", "/data/report/body", "/playground/tune.users")
"Parts of pages, which are looked at where they are shown, and what is no page."


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = with_tiny_models(tmp_path_factory.mktemp("console-pages") / "home")
    (home / "prices.toml").write_text('currency = "USD"\n["*"]\nper_hour = 1.2\n')
    with installed(home, OUTCROP_CONSOLE="1", OUTCROP_CONSOLE_PORT=str(free_port())) as running:
        s3 = running.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="data/train.jsonl", Body="".join(f"{json.dumps(each)}\n" for each in RECORDS))
        template = {"prompt": "Question: {question}", "completion": " {answer}"}
        s3.put_object(Bucket=BUCKET, Key="data/template.json", Body=json.dumps(template))
        iam = running.client("iam")
        iam.create_user(UserName="reader")
        iam.create_access_key(UserName="reader")
        iam.attach_user_policy(UserName="reader", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
        yield running


@pytest.fixture(scope="module")
def tab(house: Installed) -> Iterator[Any]:
    with signed_in_tab(house) as opened:
        yield opened


def shown_pages(house: Installed) -> list[str]:
    """Every page for who is signed in, with what is there in the place of what a route leaves open."""
    policy = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    filled = {
        "/data/report": f"/data/report?uri=s3://{BUCKET}/data/train.jsonl&base={TINY}",
        "/access/users/nobody": "/access/users/reader",
        "/access/policy": f"/access/policy?arn={policy}",
        "/access/simulate": "/access/simulate?who=arn:aws:iam::aws:policy/x&what=s3:GetObject",
        "/sagemaker/hub/none": f"/sagemaker/hub/{MODEL}",
        "/sagemaker/training/none": "/sagemaker/training/by-form",
        "/sagemaker/endpoints/none": "/sagemaker/endpoints/by-form",
    }
    pages = [filled.get(page, page) for page in pages_of(Console(house.settings)) if page not in _FRAGMENTS]
    wizard = f"/customize?model={TINY}&train=s3://{BUCKET}/data/train.jsonl&step="
    return [*pages, *(wizard + step for step in ("data", "hyper", "review")), "/access/roles/OutcropServiceRole"]


@needs_sandbox
def test_a_model_of_the_hub_is_fine_tuned_by_a_form_and_seen_while_it_learns(tab: Any) -> None:
    tab.goto(f"{tab.home}/sagemaker/hub/{MODEL}")
    form = tab.locator("#train-form")
    form.locator("[name=name]").fill("no name!")
    form.locator("[name=data]").fill(f"s3://{BUCKET}/data/")
    form.locator("[name=output]").fill(f"s3://{BUCKET}/out/")
    form.locator("[name='hyper:epoch']").fill("2")
    form.locator("button.main").click()
    # What is refused is told where it was asked, and what was filled in is still there
    told = tab.inner_text("[role=alert]")
    assert "trainingJobName" in told
    assert tab.input_value("#train-form [name='hyper:epoch']") == "2"
    form = tab.locator("#train-form")
    form.locator("[name=name]").fill("by-form")
    form.locator("details > summary").click()
    form.locator("[name='hyper:instruction_tuned']").select_option("True")
    form.locator("button.main").click()
    tab.wait_for_selector("h1:has-text('by-form')")
    tab.evaluate("window.same = true")
    tab.wait_for_selector(".log:has-text('train_loss=')")
    tab.wait_for_selector(".status.Completed")
    assert tab.evaluate("window.same")
    assert [each.inner_text() for each in tab.query_selector_all(".transitions strong")] == [
        "Starting", "Downloading", "Training", "Uploading", "Completed",
    ]  # fmt: skip
    # Metrics have a point a second: of a job that learns within one there is a value, and no line.
    assert "train-loss" in tab.inner_html(".charts")


def test_a_model_of_the_hub_is_deployed_and_asked_by_forms(tab: Any, house: Installed) -> None:
    tab.goto(f"{tab.home}/sagemaker/hub/{MODEL}")
    tab.fill("#deploy-form [name=name]", "by-form")
    tab.click("#deploy-form button.main")
    tab.wait_for_selector(".status.InService, .status.Failed, [role=alert]")
    assert tab.query_selector("[role=alert]") is None, tab.inner_text("main")
    tab.fill("[name=body]", '{"inputs": "Question", "parameters": {"max_new_tokens": 4}}')
    tab.click("#invoke")
    assert "generated_text" in tab.inner_text("#answer")
    tab.fill("[name=body]", "{")
    tab.click("#invoke")
    assert tab.inner_text("[role=alert]") != ""
    assert tab.input_value("[name=body]") == "{"
    endpoints = house.client("sagemaker").list_endpoints()["Endpoints"]
    assert [(each["EndpointName"], each["EndpointStatus"]) for each in endpoints] == [("by-form", "InService")]


@pytest.mark.parametrize("chosen", [_LIGHT, _DARK], ids=lambda chosen: "-".join(chosen.values()))
def test_no_page_has_a_grave_fault_or_is_wider_than_a_phone(tab: Any, house: Installed, chosen: dict[str, str]) -> None:
    # A fault of colour has nothing to do with the language, nor one of a label with the theme: two of the four do.
    choose(tab, **chosen)
    found = {}
    for page in shown_pages(house):
        tab.set_viewport_size({"width": 1280, "height": 900})
        tab.goto(f"{tab.home}{page}")
        if faults := faults_of(tab):
            found[page] = faults
        tab.set_viewport_size({"width": 400, "height": 800})
        if tab.evaluate(WIDER_THAN_THE_WINDOW):
            found[f"{page} at 400 px"] = ["wider than the window"]
    assert found == {}
    tab.set_viewport_size({"width": 1280, "height": 900})


def test_all_of_the_wizard_and_of_the_forms_is_reached_by_the_keyboard(tab: Any, house: Installed) -> None:
    choose(tab, **_LIGHT)
    pages = shown_pages(house)
    asked = [
        page for page in pages if page.startswith(("/customize", "/access/users", "/sagemaker/hub/", "/deployments"))
    ]
    assert len(asked) > 6
    tab.route("**/live?*", lambda route: route.abort())  # what is shown anew has no numbers
    for page in asked:
        tab.goto(f"{tab.home}{page}")
        assert unreached(tab) == set(), page
    tab.unroute("**/live?*")


def test_what_stays_in_memory_and_is_not_asked_is_told_with_its_price(tab: Any, house: Installed) -> None:
    tab.goto(f"{tab.home}/deployments")
    assert "Held" in tab.inner_text("#living")
    assert tab.query_selector("#living meter") is not None
    assert [text for text in tab.told if "status of 4" not in text and "ERR_FAILED" not in text] == []


def test_a_button_without_a_name_would_be_found(tab: Any) -> None:
    tab.goto("about:blank")
    tab.evaluate("document.body.append(document.createElement('button'))")
    assert "button-name" in {fault.partition(":")[0] for fault in faults_of(tab)}
