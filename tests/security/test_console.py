"""The console against pages of other origins, foreign names, stolen cookies, ended keys, and users without rights."""

import re
from collections.abc import Iterator

import httpx
import pytest
from botocore.credentials import Credentials

from outcrop.access.console_links import LASTS_S, LinkedKey, make_link, take_link
from outcrop.console.sessions import COOKIE, IDLE_S
from outcrop.console.sessions import LASTS_S as SESSION_LASTS_S
from tests.support.consoles import RunningConsole, changes_of, pages_of, running_console, token_of
from tests.support.patience import eventually
from tests.support.servers import Running
from tests.support.vault import BUCKET

ALLOWED = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"outcrop:Preflight","Resource":"*"}]}'


@pytest.fixture(scope="module")
def console(house: Running) -> Iterator[RunningConsole]:
    with running_console(house) as running:
        yield running


@pytest.fixture(scope="module")
def admin(console: RunningConsole, keys: Credentials) -> httpx.Client:
    return console.signed_in(keys.access_key, keys.secret_key)


def new_key(house: Running, name: str) -> tuple[str, str]:
    iam = house.client("iam")
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def test_a_stranger_is_sent_to_sign_in_from_every_page(console: RunningConsole) -> None:
    stranger = console.visitor()
    for page in pages_of(console.console):
        answer = stranger.get(page, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in"), page
    assert stranger.get("/live?page=home").status_code == 401
    for method, path in changes_of(console.console):
        assert stranger.request(method, path, content=b"x").status_code == 401, path
    wrong = stranger.post("/sign-in", data={"key_id": "AKIAIOSFODNN7EXAMPLE", "secret": "x" * 40})
    assert (wrong.status_code, token_of(wrong)) == (403, "")


def test_a_page_of_another_origin_can_do_nothing(console: RunningConsole, admin: httpx.Client) -> None:
    form = {"token": token_of(admin.get("/")), "bucket": "from-elsewhere"}
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": console.url.replace("127.0.0.1", "localhost")},
        {"origin": console.url, "sec-fetch-site": "cross-site"},
    ):
        for method, path in changes_of(console.console):
            answer = admin.request(method, path, data=form, headers=headers)
            assert (answer.status_code, answer.text.partition(":")[0]) == (403, "Origin"), (path, headers)
    bare = httpx.post(f"{console.url}/data/make", data=form, cookies=dict(admin.cookies))
    assert bare.status_code == 403
    assert (
        "samesite=strict"
        in console.visitor()
        .post("/choose", data={"language": "ja"}, follow_redirects=False)
        .headers["set-cookie"]
        .lower()
    )


def test_a_name_that_was_made_to_point_here_is_no_host(console: RunningConsole, admin: httpx.Client) -> None:
    for host in ("rebound.example", f"rebound.example:{console.settings.console_port}", "127.0.0.1.evil.example", ""):
        answer = admin.get("/", headers={"host": host})
        assert answer.status_code in (400, 403), host
    assert admin.get("/", headers={"host": f"localhost:{console.settings.console_port}"}).status_code == 200


@pytest.mark.parametrize("token", ["", "of another session"])
def test_nothing_is_changed_without_the_sessions_token(
    console: RunningConsole, admin: httpx.Client, token: str
) -> None:
    form = {"token": token, "bucket": "without-token", "arn": "x", "name": "x"}
    for method, path in changes_of(console.console):
        answer = admin.request(method, path, data=form, headers={"x-console-token": token})
        assert (answer.status_code, answer.text.partition(":")[0]) == (403, "token"), path


def test_no_page_can_be_framed_or_run_what_is_not_ours(console: RunningConsole, admin: httpx.Client) -> None:
    for page in pages_of(console.console):
        answer = admin.get(page)
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert " style=" not in answer.text, page
        assert "<script>" not in answer.text, page


def test_a_session_ends_by_age_by_rest_and_by_signing_out(house: Running, keys: Credentials) -> None:
    moment = [0.0]
    with running_console(house, now=lambda: moment[0]) as console:
        browser = console.signed_in(keys.access_key, keys.secret_key)
        moment[0] = IDLE_S - 1
        assert token_of(browser.get("/jobs"))
        moment[0] = 2 * IDLE_S
        assert browser.get("/jobs").url.path == "/sign-in"
        again = console.signed_in(keys.access_key, keys.secret_key)
        while moment[0] < 2 * IDLE_S + SESSION_LASTS_S:
            assert token_of(again.get("/jobs"))
            moment[0] += IDLE_S - 1
        assert again.get("/jobs").url.path == "/sign-in"
        third = console.signed_in(keys.access_key, keys.secret_key)
        cookie = third.cookies[COOKIE]
        third.post("/sign-out", data={"token": token_of(third.get("/"))})
        assert console.visitor(cookie=f"{COOKIE}={cookie}").get("/jobs").url.path == "/sign-in"


def test_a_cookie_is_worth_nothing_in_another_browser(console: RunningConsole, admin: httpx.Client) -> None:
    thief = console.visitor(**{"user-agent": "another browser"})
    thief.cookies.set(COOKIE, admin.cookies[COOKIE])
    assert thief.get("/jobs").url.path == "/sign-in"


def test_a_session_and_its_streams_end_with_the_key(console: RunningConsole, house: Running) -> None:
    key_id, secret = new_key(house, "leaver")
    browser = console.signed_in(key_id, secret)
    with browser.stream("GET", "/live?page=jobs") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("data: ")
        house.client("iam").delete_access_key(UserName="leaver", AccessKeyId=key_id)
        assert "event: ended" in list(lines)
    assert browser.get("/jobs").url.path == "/sign-in"


def test_a_closed_tab_leaves_no_stream(console: RunningConsole, admin: httpx.Client) -> None:
    session = console.console.sessions.find(admin.cookies[COOKIE], "a browser")
    assert session is not None
    for _ in range(3):
        with admin.stream("GET", "/live?page=home") as stream:
            lines = stream.iter_lines()
            next(lines)
            assert session.streams >= 1
    eventually(lambda: session.streams == 0)


def test_a_user_without_rights_sees_nothing_and_hears_why(console: RunningConsole, house: Running) -> None:
    house.client("iam").create_policy(PolicyName="of-others", PolicyDocument=ALLOWED)
    guest = console.signed_in(*new_key(house, "guest"))
    for page in pages_of(console.console):
        told = guest.get(page)
        assert told.status_code in (200, 400, 403, 404), page
        for secret in (BUCKET, "outcrop.starter-v1", "OutcropServiceRole", "of-others"):
            assert secret not in told.text, page
    for page in (
        "/jobs",
        "/sagemaker",
        "/sagemaker/endpoints",
        "/sagemaker/hub",
        "/access",
        "/access/roles",
        "/access/policies",
    ):
        assert "is not authorized to perform" in guest.get(page).text, page
    assert "is not authorized to perform: outcrop:GetMemory" in guest.get("/deployments").text
    token = token_of(guest.get("/"))
    made = guest.post("/data/make", data={"token": token, "bucket": "of-the-guest"})
    assert (made.status_code, "is not authorized to perform: s3:CreateBucket" in made.text) == (403, True)
    looked = guest.get(f"/data?bucket={BUCKET}")
    assert (looked.status_code, "is not authorized to perform: s3:ListBucket" in looked.text) == (403, True)
    report = guest.get(f"/data/report/body?uri=s3://{BUCKET}/x&base=outcrop.starter-v1&kind=FINE_TUNING")
    assert "is not authorized to perform: outcrop:Preflight" in report.text


def test_a_report_is_of_data_that_its_reader_may_read(console: RunningConsole, house: Running) -> None:
    key = new_key(house, "checker")
    house.client("iam").put_user_policy(UserName="checker", PolicyName="reports", PolicyDocument=ALLOWED)
    checker = console.signed_in(*key)
    told = checker.get(f"/data/report/body?uri=s3://{BUCKET}/x&base=outcrop.starter-v1&kind=FINE_TUNING")
    assert "is not authorized to perform: s3:GetObject" in told.text


def test_a_link_opens_once_and_looking_at_it_uses_nothing_up(console: RunningConsole, house: Running) -> None:
    key = LinkedKey(house.installation.access_key_id, house.installation.secret_access_key)
    link = make_link(house.settings.keys, key)
    browser = console.visitor()
    assert "Continue" in browser.get(f"/enter?link={link}").text
    assert token_of(browser.post("/enter", data={"link": link}))
    second = console.visitor().post("/enter", data={"link": link})
    assert (second.status_code, token_of(second)) == (403, "")


def test_a_link_ends_and_what_lies_in_its_file_is_worthless(house: Running) -> None:
    keys, key = house.settings.keys, LinkedKey("AKIA", "secret words")
    link = make_link(keys, key, now=1000.0)
    (place,) = [path for path in (keys / "console-links").iterdir() if path.name == link.partition(".")[0]]
    assert b"secret words" not in place.read_bytes()
    assert place.stat().st_mode & 0o077 == 0
    assert take_link(keys, f"{place.name}.{'0' * 64}") is None
    assert take_link(keys, f"../{place.name}.{link.partition('.')[2]}") is None
    assert take_link(keys, link, now=1001.0 + LASTS_S) is None


def test_behind_a_proxy_its_name_is_a_host_and_its_path_stands_before_every_address(
    house: Running, keys: Credentials
) -> None:
    with running_console(house, url="https://lab.example/outcrop") as console:
        headers = {"host": "lab.example", "origin": "https://lab.example"}
        browser = console.visitor(**headers)
        entered = browser.post(
            "/outcrop/sign-in",
            data={"key_id": keys.access_key, "secret": keys.secret_key},
            follow_redirects=False,
        )
        assert (entered.status_code, entered.headers["location"]) == (303, "/outcrop/")
        cookie = entered.headers["set-cookie"]
        assert all(part in cookie for part in ("Path=/outcrop", "HttpOnly", "SameSite=strict", "Secure"))
        value = cookie.partition(";")[0]
        for path in ("/outcrop/jobs", "/jobs"):  # whether the proxy takes the prefix off or not
            page = browser.get(path, headers={"cookie": value})
            assert 'href="/outcrop/models"' in page.text
        assert console.visitor(host="lab.example", origin="http://lab.example").post("/choose").status_code == 403


def test_a_user_is_made_given_a_key_and_rights_and_shut_out_again(
    console: RunningConsole, admin: httpx.Client, house: Running
) -> None:
    token = token_of(admin.get("/"))

    def change(action: str, **more: str) -> httpx.Response:
        form = {"token": token, "kind": "users", "name": "made-here", "action": action, **more}
        return admin.post("/access/change", data=form)

    bad = admin.post("/access/create", data={"token": token, "name": "a b"})
    assert (bad.status_code, "userName" in bad.text) == (400, True)
    assert (
        admin.post("/access/create", data={"token": token, "name": "made-here"}).url.path == "/access/users/made-here"
    )
    # The secret is told with the answer that made it, and never again
    shown = change("new_key")
    key_id, secret = re.findall(r"AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY)=([^\s<]+)", shown.text)
    assert shown.headers["cache-control"] == "no-store"
    assert secret not in admin.get("/access/users/made-here").text
    # A policy that is none is refused in the API's words, and its text stays to be mended
    refused = change("put_inline", policy="own", document='{"Version": ')
    assert (refused.status_code, "This policy contains invalid Json" in refused.text) == (400, True)
    assert "{&#34;Version&#34;: </textarea>" in refused.text
    asked = f"/access/simulate?who={house.client('iam').get_user(UserName='made-here')['User']['Arn']}&what=outcrop:Preflight"
    assert "Not allowed by any policy" in admin.get(asked).text
    change("put_inline", policy="own", document=ALLOWED)
    assert "Allowed" in admin.get(asked).text
    # Whose key is deactivated is out
    browser = console.signed_in(key_id, secret)
    change("set_key", key=key_id, status="Inactive")
    assert browser.get("/jobs").url.path == "/sign-in"
    change("delete_key", key=key_id)
    change("delete_inline", policy="own")
    assert change("delete").url.path == "/access"
    assert "made-here" not in admin.get("/access").text


def test_what_the_trail_does_not_tell_yet_is_said(admin: httpx.Client) -> None:
    told = admin.get("/access/trail?by=EventName&value=CreateUser&since=2026-12-01T00:00")
    assert told.status_code == 200
    assert "LookupEvents is not built" in told.text or "CreateUser" in told.text
