"""A remote model behind an OpenAI-compatible URL: what is sent, what comes back, and every way in which it fails."""

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from outcrop.catalog.remote_model import RemoteApi, RemoteModel
from outcrop.errors import Invalid, ModelFailed, NotReady, Refusal, ServiceRefusal, Throttled
from outcrop.invocation.exchange import (
    AnswerPiece,
    ChatPrompt,
    Finish,
    Finished,
    Grammar,
    InvocationRequest,
    JsonSchema,
    RawPrompt,
    SamplingOptions,
    Tool,
    ToolCall,
)
from outcrop.invocation.remote.credentials import BearerKey
from outcrop.invocation.remote.failures import TRIES
from outcrop.invocation.remote.https import RemoteHttp
from outcrop.invocation.remote.openai import OpenAiEngine
from outcrop.invocation.remote.openai_server import OpenAiServer
from outcrop.invocation.text_logprobs import SpelledToken, TextLogprob
from tests.support.openai_double import Answer, OpenAiDouble, openai_double
from tests.support.patience import PATIENCE_S

KEY = "sk-one-two-three"
NEUTRAL = SamplingOptions(max_tokens=None, temperature=1.0, top_p=1.0)


def chat(text: str = "hi", *, sampling: dict[str, Any] | None = None, **more: Any) -> InvocationRequest:
    prompt = ChatPrompt(messages=[{"role": "user", "content": text}], **more)
    options = {"max_tokens": None, "temperature": 1.0, "top_p": 1.0, **(sampling or {})}
    return InvocationRequest(prompt=prompt, sampling=SamplingOptions(**options))


class Asking:
    """One engine over a double, whose pauses are counted and not slept."""

    def __init__(self, double: OpenAiDouble, *, completes: bool = False, read_s: float = 60.0) -> None:
        self.double = double
        remote = RemoteModel(api=RemoteApi.OPENAI, url=double.url, model="big", completes=completes)
        self.slept: list[float] = []
        self.host = remote.host
        http = RemoteHttp(remote.host, read_s=read_s)
        self.engine = OpenAiEngine(OpenAiServer(remote, BearerKey(KEY), http), sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def whole(self, asked: InvocationRequest) -> Finished:
        finished: Finished = self._run(lambda: self.engine.complete(asked))
        return finished

    def pieces(self, asked: InvocationRequest) -> list[AnswerPiece | Finished]:
        async def read() -> list[AnswerPiece | Finished]:
            async with aclosing(self.engine.stream(asked)) as items:
                return [item async for item in items]

        items: list[AnswerPiece | Finished] = self._run(read)
        return items

    def _run(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        async def asked() -> Any:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await ask()
            finally:
                await self.engine.aclose()

        return asyncio.run(asked())


def refused(asking: Asking, asked: InvocationRequest | None = None) -> Refusal:
    with pytest.raises(Refusal) as found:
        asking.whole(asked or chat())
    assert KEY not in str(found.value)
    return found.value


def test_a_conversation_goes_out_with_the_key_and_comes_back_with_its_tokens() -> None:
    with openai_double(said="four") as double:
        asked = chat("2 + 2?", system="Be short.", sampling={"max_tokens": 9, "temperature": 0.0, "seed": 3})
        assert Asking(double).whole(asked) == Finished(
            text="four", num_output_tokens=5, num_input_tokens=7, finish=Finish.END
        )
        (request,) = double.requests
        assert (request.path, request.headers["authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")
        assert request.body == {
            "model": "big",
            "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "2 + 2?"}],
            "temperature": 0.0,
            "max_tokens": 9,
            "seed": 3,
        }


def test_what_nobody_asked_for_is_not_sent() -> None:
    with openai_double() as double:
        Asking(double).whole(chat())
        assert double.bodies[0].keys() == {"model", "messages"}


def test_a_raw_prompt_is_what_a_user_says_unless_the_server_completes() -> None:
    raw = InvocationRequest(prompt=RawPrompt(text="Once"), sampling=NEUTRAL)
    with openai_double() as double:
        Asking(double).whole(raw)
        assert Asking(double, completes=True).whole(raw).text == "yes"
        assert [item.text for item in Asking(double, completes=True).pieces(raw)] == ["ye", "s", "yes"]
        assert double.bodies[0]["messages"] == [{"role": "user", "content": "Once"}]
        assert (double.requests[1].path, double.bodies[1]["prompt"]) == ("/v1/completions", "Once")


def test_a_stream_gives_pieces_and_then_the_whole() -> None:
    with openai_double(said="over and out", piece=4) as double:
        *pieces, last = Asking(double).pieces(chat())
        assert [(piece.text, piece.first, piece.opens) for piece in pieces if isinstance(piece, AnswerPiece)] == [
            ("over", True, True),
            (" and", False, False),
            (" out", False, False),
        ]
        assert last == Finished(text="over and out", num_output_tokens=5, num_input_tokens=7, finish=Finish.END)
        assert double.bodies[0]["stream_options"] == {"include_usage": True}


def test_a_server_that_tells_no_usage_counts_as_many_tokens_as_pieces() -> None:
    with openai_double(said="abcd", usage=None) as double:
        last = Asking(double).pieces(chat())[-1]
        assert (last.num_output_tokens, last.num_input_tokens) == (2, 0)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("reason", "finish"), [("stop", Finish.END), ("length", Finish.MAX_TOKENS), ("eos", Finish.END)]
)
def test_the_reason_of_the_end_is_passed_on(reason: str, finish: Finish) -> None:
    with openai_double(finish_reason=reason) as double:
        assert Asking(double).whole(chat()).finish is finish
        last = Asking(double).pieces(chat())[-1]
        assert isinstance(last, Finished)
        assert last.finish is finish


def test_a_stop_sequence_never_leaks_from_a_server_that_does_not_stop() -> None:
    with openai_double(said="one STOP two", piece=3, stand_still_after=4) as double:
        *pieces, last = Asking(double).pieces(chat(sampling={"stop_sequences": ("STOP",)}))
        assert "".join(piece.text for piece in pieces if isinstance(piece, AnswerPiece)) == "one "
        assert isinstance(last, Finished)
        assert (last.finish, last.stop_sequence) == (Finish.STOP_SEQUENCE, "STOP")
        assert double.bodies[0]["stop"] == ["STOP"]
        assert double.hung_up.wait(PATIENCE_S)  # it goes on no longer


def test_a_server_that_says_which_stop_sequence_it_met_is_believed() -> None:
    with openai_double(said="one ", choice={"stop_reason": "STOP"}) as double:
        finished = Asking(double).whole(chat(sampling={"stop_sequences": ("STOP",)}))
        assert (finished.text, finished.finish, finished.stop_sequence) == ("one ", Finish.STOP_SEQUENCE, "STOP")


def test_tools_go_out_and_calls_come_back_whole_and_in_pieces() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    tools = (Tool(name="add", schema={"type": "object"}, description="Adds."),)
    asked = chat(tools=tools, tool_choice="tool:add", parallel_tool_calls=False)
    with openai_double(said="", message={"tool_calls": [call]}, finish_reason="tool_calls") as double:
        finished = Asking(double).whole(asked)
        assert finished.tool_calls == (ToolCall(id="c1", name="add", arguments={"a": 1}),)
        assert finished.finish is Finish.TOOL_USE
        function = {"name": "add", "parameters": {"type": "object"}, "description": "Adds."}
        sent = {name: double.bodies[0][name] for name in ("tools", "tool_choice", "parallel_tool_calls")}
        assert sent == {
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": "add"}},
            "parallel_tool_calls": False,
        }
        double.deltas = [
            {"content": "Well"},
            {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "add", "arguments": ""}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
        ]
        *pieces, last = Asking(double).pieces(asked)
        told = [(p.part, p.block, p.opens, p.call_name, p.text) for p in pieces if isinstance(p, AnswerPiece)]
        assert told == [
            ("text", 0, True, "", "Well"),
            ("tool", 1, True, "add", ""),
            ("tool", 1, False, "add", '{"a"'),
            ("tool", 1, False, "add", ": 1}"),
        ]
        assert isinstance(last, Finished)
        assert (last.text, last.tool_calls) == ("Well", finished.tool_calls)


def test_earlier_calls_and_their_results_go_out_in_openais_form() -> None:
    function = {"name": "add", "arguments": {"a": 1}}
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "1?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
            "reasoning_content": "hm",
        },
        {"role": "tool", "tool_call_id": "c1", "name": "add", "content": "2"},
    ]
    with openai_double() as double:
        Asking(double).whole(InvocationRequest(prompt=ChatPrompt(messages=turns), sampling=NEUTRAL))
        call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
        assert double.bodies[0]["messages"] == [
            {"role": "user", "content": "1?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "2", "tool_call_id": "c1"},
        ]


def test_thoughts_come_apart_from_the_answer() -> None:
    with openai_double(said="4", message={"reasoning_content": "2 + 2"}) as double:
        finished = Asking(double).whole(chat())
        assert (finished.reasoning, finished.text) == ("2 + 2", "4")
        double.deltas = [{"reasoning": "2 +"}, {"reasoning": " 2"}, {"content": "4"}]
        *pieces, _ = Asking(double).pieces(chat())
        assert [(p.part, p.block, p.text) for p in pieces if isinstance(p, AnswerPiece)] == [
            ("reasoning", 0, "2 +"),
            ("reasoning", 0, " 2"),
            ("text", 1, "4"),
        ]


def test_log_probabilities_come_where_the_server_has_them_and_are_refused_by_name_where_not() -> None:
    asked = chat(sampling={"logprobs": 1})
    told = {
        "content": [
            {"token": "é", "bytes": [195, 169], "logprob": -0.5, "top_logprobs": [{"token": "e", "logprob": -2}]}
        ]
    }
    with openai_double(said="é", choice={"logprobs": told}) as double:
        finished = Asking(double).whole(asked)
        assert finished.logprobs == (TextLogprob(SpelledToken("é".encode(), -0.5), (SpelledToken(b"e", -2.0),), 0),)
        double.choice = {}
        assert str(refused(Asking(double), asked)) == (
            "This model is remote, and its server tells no log probabilities. Ask without them."
        )


def test_a_json_schema_goes_out_and_a_grammar_is_refused_by_name_before_anything_is_sent() -> None:
    with openai_double() as double:
        schema = JsonSchema(schema={"type": "object"}, name="reply")
        Asking(double).whole(InvocationRequest(prompt=RawPrompt(text="x"), sampling=NEUTRAL, form=schema))
        assert double.bodies[0]["response_format"]["json_schema"] == {
            "name": "reply",
            "schema": {"type": "object"},
            "strict": True,
        }
        grammar = InvocationRequest(prompt=RawPrompt(text="x"), sampling=NEUTRAL, form=Grammar(text="a+", kind="regex"))
        with pytest.raises(Invalid, match=r"^This model is remote, and cannot be held to a regex grammar\."):
            Asking(double).engine.check(grammar)
        assert len(double.requests) == 1


def test_a_model_that_refuses_the_older_name_of_the_limit_is_asked_by_the_newer_from_then_on() -> None:
    words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    with openai_double(answers=[error(400, words)]) as double:
        asking = Asking(double)

        async def twice() -> None:
            for _ in range(2):
                await asking.engine.complete(chat(sampling={"max_tokens": 4}))

        asking._run(twice)
        names = [sorted(body.keys() & {"max_tokens", "max_completion_tokens"}) for body in double.bodies]
        assert names == [["max_tokens"], ["max_completion_tokens"], ["max_completion_tokens"]]


def error(status: int, message: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps({"error": {"message": message}}).encode(), named)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(400, "bad seed"), Invalid, "The remote model refused the request. {host} answered 400: bad seed"),
        (error(413, "too long"), Invalid, "The remote model refused the request. {host} answered 413: too long"),
        (
            error(401, f"Incorrect API key provided: {KEY}"),
            ModelFailed,
            "{host} does not accept the credentials of this model (401). Register it again with valid ones: "
            "`outcrop register`.",
        ),
        (error(403, "no"), ModelFailed, "{host} does not accept the credentials of this model (403)."),
        (error(404, "no such model"), ModelFailed, "{host} answered 404: no such model"),
        (error(500, f"it broke over {KEY}"), ModelFailed, "{host} answered 500: it broke over [hidden]"),
        (Answer(500, b"<html>oops"), ModelFailed, "{host} answered 500: <html>oops"),
        (error(504, "slow"), ServiceRefusal, "{host} took too long to answer."),
        (Answer(200, b"<html>"), ModelFailed, "{host} answered in another form than OpenAI's."),
        (Answer(200, b'{"choices": [1]}'), ModelFailed, "{host} answered in another form than OpenAI's."),
        (error(200, "half way"), ModelFailed, "{host} broke off: half way"),
    ],
)
def test_each_refusal_has_its_class_and_the_servers_words_without_the_key(
    answer: Answer, kind: type[Refusal], words: str
) -> None:
    with openai_double(answers=[answer]) as double:
        asking = Asking(double)
        problem = refused(asking)
        assert type(problem) is kind
        assert str(problem).startswith(words.format(host=asking.host))
        assert len(double.requests) == 1  # asked once: it would be the same again


@pytest.mark.parametrize("stream", [False, True])
def test_what_may_be_over_in_a_moment_is_asked_again_a_few_times(stream: bool) -> None:
    busy = [error(503, "loading"), error(429, "slow down", retry_after="2")]
    with openai_double(answers=list(busy)) as double:
        asking = Asking(double)
        assert (asking.pieces(chat())[-1] if stream else asking.whole(chat())).text == "yes"
        assert asking.slept == [0.5, 2.0]
        double.answers = [*busy, error(503, "still loading")]
        asking = Asking(double)
        with pytest.raises(NotReady, match="answered 503: still loading"):
            asking.pieces(chat()) if stream else asking.whole(chat())
        assert len(double.requests) == 2 * TRIES


def test_a_server_that_throttles_for_long_is_not_waited_for() -> None:
    with openai_double(answers=[error(429, "quota", retry_after="60")]) as double:
        asking = Asking(double)
        problem = refused(asking)
        assert isinstance(problem, Throttled)
        assert (problem.retry_after_s, asking.slept, len(double.requests)) == (60.0, [], 1)


def test_a_server_that_is_not_there_is_not_ready() -> None:
    with openai_double() as double:
        url = double.url
    asking = Asking(OpenAiDouble(url=url))
    problem = refused(asking)
    assert isinstance(problem, NotReady)
    assert "cannot be reached (ConnectError)" in str(problem)
    assert len(asking.slept) == TRIES - 1


def test_a_server_that_says_nothing_is_given_up() -> None:
    with openai_double(stand_still_after=0) as double:
        asking = Asking(double, read_s=0.2)
        with pytest.raises(ServiceRefusal) as found:
            asking.pieces(chat())
        assert found.value.code == "ModelStreamErrorException"


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_stream_that_breaks_is_told(after: int) -> None:
    with openai_double(said="abcdef", hang_up_after=after) as double:
        with pytest.raises(ServiceRefusal) as found:
            Asking(double).pieces(chat())
        assert (found.value.code, found.value.http_status) == ("ModelStreamErrorException", 424)
        assert len(double.requests) == 1


def test_a_stream_that_ends_without_a_reason_has_broken() -> None:
    with (
        openai_double(finish_reason="") as double,
        pytest.raises(ServiceRefusal, match="ended its answer in the middle"),
    ):
        Asking(double).pieces(chat())


def test_an_error_in_the_middle_of_a_stream_ends_it_without_the_key() -> None:
    with openai_double(deltas=[{"content": "a"}], choice={}) as double:
        double.answers = [
            Answer(
                200,
                b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'
                + f'data: {{"error": {{"message": "no more for {KEY}"}}}}\n\n'.encode(),
                {"content-type": "text/event-stream"},
            )
        ]
        with pytest.raises(ServiceRefusal) as found:
            Asking(double).pieces(chat())
        assert "no more for [hidden]" in str(found.value)
        assert found.value.code == "ModelStreamErrorException"


def test_an_answer_that_a_filter_cut_is_no_answer() -> None:
    with openai_double(finish_reason="content_filter") as double:
        assert "cut the answer off by its content filter" in str(refused(Asking(double)))


def test_leaving_in_the_middle_hangs_up_on_the_server() -> None:
    with openai_double(said="abcdef", stand_still_after=1) as double:
        asking = Asking(double)

        async def leave() -> str:
            async with aclosing(asking.engine.stream(chat())) as items:
                return (await anext(items)).text

        assert asking._run(leave) == "ab"
        assert double.hung_up.wait(PATIENCE_S)


def test_a_redirect_is_not_followed_so_the_key_goes_to_nobody_else() -> None:
    with openai_double() as other, openai_double() as double:
        place = f"{other.url}/chat/completions"
        for status in (301, 302, 307, 308):
            double.answers = [Answer(status, b"", {"location": place})]
            problem = refused(Asking(double))
            assert isinstance(problem, ModelFailed)
            assert f"redirects to {place.split('/')[2]}. No redirect is followed" in str(problem)
        assert other.requests == []


def test_a_server_whose_certificate_nobody_trusts_gets_nothing(tmp_path: Path) -> None:
    with openai_double(tls=self_signed(tmp_path)) as double:
        problem = refused(Asking(double))
        assert isinstance(problem, ModelFailed)
        assert "its certificate is not trusted, so nothing was sent" in str(problem)
        assert double.requests == []


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    place = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    place.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place)
    return context
