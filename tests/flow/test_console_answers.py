"""Pages of the console about answers: knowledge bases with citations, evaluations, blind comparisons and their votes."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from outcrop.console import vote_files
from outcrop.console.user_client import UserClient
from outcrop.console.views.vote_lines import line_of, read_vote
from outcrop.console.vote_files import place_of
from tests.support.answering_console import BUCKET, RIVAL, AnsweringConsole, answering_console
from tests.support.consoles import token_of
from tests.support.evaluation_house import BASE
from tests.support.patience import eventually

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ENGRAVED = "() => [...document.images].map((image) => image.naturalWidth > 0)"
ASKED = {"models": [{"id": BASE, "turns": []}], "prompt": "The capital of Japan?", "max_tokens": 20, "temperature": 0}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnsweringConsole]:
    with answering_console(tmp_path_factory.mktemp("answers") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def admin(house: AnsweringConsole) -> httpx.Client:
    return house.admin()


@pytest.fixture(scope="module")
def base(house: AnsweringConsole) -> dict[str, str]:
    return house.knowledge_base("rules")


def post(admin: httpx.Client, path: str, **form: str) -> httpx.Response:
    return admin.post(path, data={"token": token_of(admin.get("/jobs")), **form})


def once_told(admin: httpx.Client, path: str, words: str) -> str:
    """The page, once it says these words."""
    page: str = eventually(lambda: next((text for text in [admin.get(path).text] if words in text), None))
    return page


def lines(admin: httpx.Client, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of the answers to what is asked."""
    token = token_of(admin.get("/jobs"))
    answer = admin.post("/playground/answers", json=asked, headers={"x-console-token": token})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def own(house: AnsweringConsole, key_id: str = "", secret: str = "") -> UserClient:
    key = house.server.installation
    return UserClient(
        house.server.endpoint,
        region="us-east-1",
        key_id=key_id or key.access_key_id,
        secret=secret or key.secret_access_key,
    )


def test_a_knowledge_base_is_made_by_its_form_and_tells_what_could_not_be_read(
    house: AnsweringConsole, admin: httpx.Client
) -> None:
    role = house.server.installation.service_role_arn
    form = {"name": "made-here", "bucket": BUCKET, "prefix": "rules/", "strategy": "FIXED_SIZE", "tokens": "60"}
    encoder = re.findall(r'<option value="([^"]*titan-embed[^"]*)"', admin.get("/knowledge").text)[0]
    made = post(admin, "/knowledge", **form, role=role, encoder=encoder)
    assert (made.status_code, "<h1>made-here</h1>" in made.text) == (200, True), made.text
    page = once_told(admin, made.url.path, "status COMPLETE")
    assert "s3://shelf/rules/broken.pdf" in page
    assert "<dt>Not read</dt><dd>1</dd>" in page
    documents = admin.get(made.url.path, params={"view": "documents"}).text
    assert "trams.md" in documents
    again = post(admin, "/knowledge", **form, role=role, encoder=encoder)
    assert (again.status_code, "KnowledgeBase with name made-here already exists." in again.text) == (400, True)
    assert 'value="rules/"' in again.text  # what was written stays


def test_a_search_shows_scores_and_opens_at_the_passage(admin: httpx.Client, base: dict[str, str]) -> None:
    found = admin.get(f"/knowledge/{base['knowledgeBaseId']}", params={"view": "search", "q": "fee of an application"}).text  # fmt: skip
    scores = [float(each) for each in re.findall(r'<meter min="0" max="1" value="([\d.]+)"', found)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0
    there = re.findall(r'href="([^"]+/passages[^"]+)"', found)[0].replace("&amp;", "&")
    passages = admin.get(there).text
    assert re.search(r'id="cited".*?<mark>[^<]*2,500 dollars', passages, re.DOTALL)
    assert "characters 0 to" in passages


def test_passages_are_for_who_may_see_them(house: AnsweringConsole, base: dict[str, str]) -> None:
    account = house.server.platform.account
    arn = f"arn:aws:bedrock:us-east-1:{account}:knowledge-base/{base['knowledgeBaseId']}"
    query: dict[str, str | list[str]] = {"knowledgeBase": arn, "dataSource": base["dataSourceId"], "document": "s3://shelf/rules/trams.md"}  # fmt: skip
    told = own(house).own("/outcrop/passages", query)
    text = "".join(each["text"] for each in told["passages"])
    assert told["numPassages"] == len(told["passages"])
    assert all(each["end"] - each["start"] == len(each["text"]) for each in told["passages"])
    assert "two lamps" in text
    chunk = told["passages"][0]["chunkId"]
    assert own(house).own("/outcrop/passages", {**query, "chunk": chunk, "most": "1"})["first"] == 0
    for wrong, said in (
        ({**query, "document": "s3://shelf/none"}, "document: s3://shelf/none is not in this data source."),
        ({**query, "chunk": "none"}, "chunk: none is none of this document's. It was cut anew since, perhaps."),
        ({**query, "first": "-1"}, "first: -1 is below 0."),
        ({"knowledgeBase": arn}, "dataSource, document: missing."),
    ):
        with pytest.raises(ClientError, match=re.escape(said)):
            own(house).own("/outcrop/passages", wrong)
    iam = house.server.client("iam")
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    with pytest.raises(ClientError, match=f"is not authorized to perform: outcrop:GetPassages on resource: {arn}"):
        own(house, key["AccessKeyId"], key["SecretAccessKey"]).own("/outcrop/passages", query)


def test_an_answer_from_a_knowledge_base_has_citations_that_open(admin: httpx.Client, base: dict[str, str]) -> None:
    asked = ASKED | {"prompt": "What is the fee of an application?", "knowledge_base": base["knowledgeBaseId"]}
    told = lines(admin, asked)
    assert "2,500 dollars" in "".join(line.get("text", "") for line in told)
    (reference,) = [each for line in told for each in line.get("citation", ())][:1]
    end = told[-1]["end"]
    assert (reference["name"], end["tokens"], end["answering"]) == ("trams.md", None, "extractive")
    assert "<mark>" in admin.get(reference["address"]).text


def test_tokens_come_with_probabilities_and_a_verse_with_its_morae(admin: httpx.Client) -> None:
    told = lines(admin, ASKED | {"prompt": "a verse", "max_tokens": 200})
    assert told[-1]["end"]["morae"] == "5-7-5"
    spelled = lines(admin, ASKED | {"probabilities": True})
    tokens = [token for line in spelled for token in line.get("tokens", ())]
    assert "".join(token["text"] for token in tokens).strip() == "Tokyo is the capital."
    assert all(0 <= token["p"] <= 1 for token in tokens)
    assert spelled[-1]["end"]["tokens"] > 1


def test_a_tune_is_engraved_and_sounds(admin: httpx.Client) -> None:
    tune = lines(admin, ASKED | {"prompt": "a tune", "max_tokens": 200})[-1]["end"]["tune"]
    picture, sound = admin.get(tune["svg"]), admin.get(tune["wav"])
    assert (picture.headers["content-type"], picture.text.lstrip().startswith("<svg")) == ("image/svg+xml", True)
    assert (sound.headers["content-type"], sound.content[:4], len(sound.content) > 100_000) == ("audio/wav", b"RIFF", True)  # fmt: skip
    wrong = admin.get("/playground/tune.svg", params={"abc": "X:1\nK:C\n"})
    assert (wrong.status_code, wrong.text) == (400, "The answer holds no tune that can be read.\n")


def test_the_request_is_shown_as_code_that_compiles(admin: httpx.Client, base: dict[str, str]) -> None:
    several = ASKED | {"models": [{"id": BASE, "turns": []}, {"id": RIVAL, "turns": []}]}
    for asked in (ASKED, several, ASKED | {"knowledge_base": base["knowledgeBaseId"]}):
        told = post(admin, "/playground/code", asked=json.dumps(asked)).text
        boto3, cli = (html.replace("&#34;", '"').replace("&#39;", "'") for html in re.findall(r"<pre[^>]*>(.*?)</pre>", told, re.DOTALL))  # fmt: skip
        compile(boto3, "code", "exec")
        assert cli.startswith("aws bedrock-")


def vote(admin: httpx.Client, best: int | None, **more: Any) -> httpx.Response:
    told = {
        "prompt": "The capital of Japan?",
        "answers": [{"id": BASE, "text": "Tokyo"}, {"id": RIVAL, "text": "Paris"}],
        "best": best,
        "place": f"s3://{BUCKET}/votes",
        **more,
    }
    return admin.post("/playground/vote", json=told, headers={"x-console-token": token_of(admin.get("/jobs"))})


def test_votes_become_ratings_and_training_data(house: AnsweringConsole, admin: httpx.Client) -> None:
    for best in (0, 0, 0, None):
        ratings = vote(admin, best).json()["ratings"]
    page = admin.get(ratings).text
    assert "Votes: 4" in page
    assert page.index(BASE) < page.index(RIVAL)
    found = house.s3.list_objects_v2(Bucket=BUCKET, Prefix="votes/")["Contents"]
    (kept,) = [each["Key"] for each in found]
    first = json.loads(house.s3.get_object(Bucket=BUCKET, Key=kept)["Body"].readline())
    (answer,) = first["humanEvaluationResult"]["humanAnswers"]
    assert answer["answerContent"]["evaluationResults"]["comparisonRank"][0]["result"][0] == {"modelResponseId": "0", "rank": 1}  # fmt: skip
    assert first["inputRecord"] == {"prompt": "The capital of Japan?"}
    report = post(admin, "/playground/ratings", place=f"s3://{BUCKET}/votes/", form="chosen")
    assert report.url.path == "/data/report"
    made = house.s3.get_object(Bucket=BUCKET, Key="votes/feedback-chosen.jsonl")["Body"].read().splitlines()
    assert [json.loads(line) for line in made] == [{"prompt": "The capital of Japan?", "completion": "Tokyo"}] * 3


def test_votes_of_several_at_once_all_count(house: AnsweringConsole) -> None:
    place, apis = place_of(f"s3://{BUCKET}/crowd"), [own(house) for _ in range(4)]
    cast = read_vote({"prompt": "p", "answers": [{"id": BASE, "text": "a"}, {"id": RIVAL, "text": "b"}], "best": 0})
    with ThreadPoolExecutor(len(apis)) as pool:
        list(
            pool.map(lambda api: vote_files.add(api, place, line_of(cast, worker="w", at=datetime.now(UTC))), apis * 2)
        )
    assert vote_files.read(apis[0], place) == [cast] * 8


def test_a_file_of_votes_that_is_full_is_followed_by_another(
    house: AnsweringConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vote_files, "_LARGEST_BYTES", 10)
    api, place = own(house), place_of(f"s3://{BUCKET}/full/")
    for number in range(3):
        vote_files.add(api, place, b"%d" % number * 12 + b"\n")
    keys = [each["Key"] for each in house.s3.list_objects_v2(Bucket=BUCKET, Prefix="full/")["Contents"]]
    assert sorted(keys) == sorted(place.key(number) for number in range(3))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"best": 2}, "best: the number of an answer, or null."),
        ({"answers": []}, "answers: vote on 2 to 4 of different models."),
        ({"answers": [{"id": "a", "text": ""}] * 2}, "answers: vote on 2 to 4 of different models."),
        ({"place": ""}, "place: write s3://BUCKET/PREFIX."),
        ({"prompt": " "}, "prompt, answers: 1 to 100,000 characters in all."),
        ({"answers": 3}, "prompt, answers, best: one is missing or of another form."),
        ({"place": "s3://no-such-bucket/x"}, "The specified bucket does not exist"),
    ],
)
def test_what_is_no_vote_is_refused(admin: httpx.Client, more: dict[str, Any], said: str) -> None:
    refused = vote(admin, **({"best": 0} | more))
    assert (refused.status_code, refused.text.strip()) == (400, said)


def test_an_evaluation_is_made_by_its_form_and_its_report_read_where_it_was_written(
    house: AnsweringConsole, admin: httpx.Client
) -> None:
    questions = [
        {
            "prompt": f"{number}: the capital of {'Japan' if number % 2 else 'France'}?",
            "referenceResponse": "Tokyo is the capital.",
            "category": "odd" if number % 2 else "even",
        }
        for number in range(24)
    ]
    uri = house.put("capitals.jsonl", *questions)
    form = {
        "kind": "models", "name": "capitals", "dataset": uri, "task": "QuestionAndAnswer", "model": BASE, "second": RIVAL,
        "metric.Builtin.Accuracy": "on", "output": f"s3://{BUCKET}/measured/", "role": house.server.installation.service_role_arn,
    }  # fmt: skip
    made = post(admin, "/evaluations/new", **form)
    assert (made.status_code, "<h1>capitals</h1>" in made.text) == (200, True), made.text
    page = once_told(admin, str(made.url), "status Completed")
    assert "no difference" in page
    assert re.search(r'<td class="amount">0\.5\d\d</td>', page)
    assert "Worst first" in page
    assert "the capital of France?" in page  # those that were answered worst stand on the first page
    assert "the capital of Japan?" not in page
    assert "<td>odd</td>" in page
    refused = post(admin, "/evaluations/new", **(form | {"dataset": ""}))
    assert refused.status_code == 400


def test_answers_of_a_knowledge_base_are_evaluated_with_what_they_stand_on(
    house: AnsweringConsole, admin: httpx.Client, base: dict[str, str]
) -> None:
    turn = {
        "prompt": {"content": [{"text": "What is the fee of an application?"}]},
        "referenceResponses": [{"content": [{"text": "2,500 dollars"}]}],
    }
    form = {
        "kind": "answers", "name": "grounded", "dataset": house.put("fees.jsonl", {"conversationTurns": [turn]}), "model": BASE,
        "knowledge_base": base["knowledgeBaseId"], "judge": BASE, "metric.Builtin.Helpfulness": "on",
        "output": f"s3://{BUCKET}/measured/", "role": house.server.installation.service_role_arn,
    }  # fmt: skip
    made = post(admin, "/evaluations/new", **form)
    assert made.status_code == 200, made.text
    page = once_told(admin, str(made.url), "status Completed")
    assert "The fee of an application is 2,500 dollars." in page
    assert "Passages found: 1" in page
    assert "Should be: 2,500 dollars" in page
    assert re.search(r'<td class="amount less">1</td></tr>', page)  # the judge gave no grade, and that is counted


def test_odd_addresses_are_answered_with_a_sentence(admin: httpx.Client, base: dict[str, str]) -> None:
    there = f"/knowledge/{base['knowledgeBaseId']}"
    for path in (
        "/knowledge/NOSUCHBASE", f"{there}?view=none", f"{there}?view=search&q=%00&n=7&type=x", f"{there}/passages",
        f"{there}?view=documents&source=NOSUCHSRC1", f"{there}?view=documents&after=nothing", "/evaluations/none",
        "/evaluations/new?kind=x&max_tokens=many", "/evaluations/bakeoffs?uri=x", "/evaluations/bakeoffs?uri=s3://no-such-bucket/x",
        "/playground/ratings?place=x", "/playground/ratings?place=s3://no-such-bucket/", "/playground/tune.exe?abc=x",
        f"/playground/tune.svg?abc={'x' * 9000}", "/playground?knowledge_base=x&model=none", "/evaluations?after=x",
    ):  # fmt: skip
        told = admin.get(path)
        assert told.status_code < 500, (path, told.text)


@pytest.fixture(scope="module")
def tab(house: AnsweringConsole) -> Iterator[Any]:
    """A tab of a browser that is signed in. What it complained of, and where it went, is kept."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium will not have root in its own
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        page = browser.new_page(locale="en-US", viewport={"width": 1280, "height": 900})
        page.set_default_timeout(90_000)
        page.told, page.asked, page.home = [], [], house.console.url
        page.on("console", lambda message: page.told.append(message.text))
        page.on("pageerror", lambda error: page.told.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(f"{page.home}/sign-in")
        page.fill("input[name=key_id]", house.server.installation.access_key_id)
        page.fill("input[name=secret]", house.server.installation.secret_access_key)
        page.click("button.main")
        page.wait_for_selector("nav")
        yield page
        browser.close()


def test_a_citation_opens_at_its_passage(tab: Any, base: dict[str, str]) -> None:
    tab.goto(f"{tab.home}/knowledge/{base['knowledgeBaseId']}?view=ask")
    tab.fill("textarea", "What is the fee of an application?")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".cite")
    with tab.expect_popup() as opened:
        tab.click(".cite")
    passage = opened.value.wait_for_selector("#cited")
    assert "characters 0 to" in passage.inner_text()
    assert "2,500 dollars" in opened.value.inner_text("#cited mark")
    opened.value.close()


def test_tokens_are_walked_with_the_arrow_keys(tab: Any) -> None:
    tab.goto(f"{tab.home}/playground?model={BASE}")
    tab.click("#settings > summary")
    tab.check("input[name=probabilities]")
    tab.fill("textarea", "The capital of Japan?")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#stop", state="hidden")
    tab.wait_for_selector(".figures-line:has-text('tokens/s')")
    tab.focus(".token[tabindex='0']")
    told = []
    for _ in range(2):
        told.append(tab.inner_text(".figures-line >> nth=0"))
        tab.keyboard.press("ArrowRight")
    assert all(" % · Likeliest here: " in each for each in told)
    assert told[0] != told[1]


def test_a_blind_comparison_is_voted_on_by_the_keyboard(tab: Any, house: AnsweringConsole) -> None:
    tab.goto(f"{tab.home}/playground?model={BASE}&model={RIVAL}&blind=on&place=s3://{BUCKET}/blind/")
    tab.fill("textarea", "a tune")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#ballot:not([hidden])")
    assert not tab.is_visible(".answer >> nth=0 >> select")
    assert tab.inner_text(".answer >> nth=0 >> .letter") == "Answer A"
    assert tab.evaluate("document.activeElement.textContent") == "A is best"
    eventually(lambda: tab.evaluate(ENGRAVED) == [True, True])
    chosen = tab.eval_on_selector(".answer >> nth=0 >> select", "(select) => select.value")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".voted a")
    assert tab.is_visible(".answer >> nth=0 >> select")
    tab.click(".voted a")
    assert "Votes: 1" in tab.inner_text("main")
    assert tab.inner_text("tbody tr >> nth=0").startswith(chosen)


def test_the_pages_about_answers_fit_a_phone_in_japanese_and_ask_nobody_else(tab: Any, base: dict[str, str]) -> None:
    there = f"/knowledge/{base['knowledgeBaseId']}"
    tab.set_viewport_size({"width": 400, "height": 800})
    tab.click("button[lang=ja]")
    tab.wait_for_selector("html[lang=ja]")
    for path in (
        "/knowledge", there, f"{there}?view=documents", f"{there}?view=search&q=fee", f"{there}?view=ask",
        "/evaluations", "/evaluations/new", "/evaluations/new?kind=answers", "/evaluations/bakeoffs", "/playground/ratings",
    ):  # fmt: skip
        tab.goto(f"{tab.home}{path}")
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth"), path
        assert re.search("[ぁ-ん]|[一-龥]", tab.inner_text("main")), path
    assert tab.told == []
    assert {url for url in tab.asked if not url.startswith((tab.home, "data:"))} == set()


def test_json_that_is_no_bakeoff_is_refused_with_a_sentence(house: AnsweringConsole, admin: httpx.Client) -> None:
    uri = house.put("other.json", {"a": 1})
    told = admin.get("/evaluations/bakeoffs", params={"uri": uri})
    assert (told.status_code, "`outcrop bakeoff PLAN --json` prints one." in told.text) == (400, True)
    assert "outcrop bakeoff plan.toml --json" in admin.get("/evaluations/bakeoffs").text
