"""OpenAI's door over a real house whose engine says what it is told to say: no network, no process, no port.

async with openai_house(tmp_path, "yes") as place:
    answer = await place.post("/chat/completions", model=STARTER, messages=HI)
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from outcrop.access.names import Kind
from outcrop.api.door.app import Door
from outcrop.api.operations import OPERATIONS
from outcrop.catalog import custom_models
from outcrop.catalog.base_model import BaseModel
from outcrop.clock import MovableClock
from outcrop.deployments.states import ON_DEMAND
from outcrop.house import House
from outcrop.inference.client import EngineClient
from outcrop.settings import Settings
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.chat_templates import SPECIAL_TOKENS, TEXT_TOKENS
from tests.support.engine_double import EngineDouble, Script, engine_double
from tests.support.patience import PATIENCE_S
from tests.support.small_tokenizers import BUNDLED, byte_level

STARTER, TEMPLATED = "outcrop.starter-v1", "local.templated-v1"
REGION = "us-east-1"
HI = [{"role": "user", "content": "hi"}]
Json = dict[str, Any]


@dataclass
class OneEngine:
    """The connections of a house with one engine, whichever model is asked."""

    client: EngineClient

    def of(self, _base: BaseModel) -> EngineClient:
        return self.client


@dataclass
class OpenAiHouse:
    """A house and its door, asked over ASGI."""

    house: House
    engine: EngineDouble
    clock: MovableClock
    door: Door
    key: str
    tokenizer: Tokenizer
    "Of the model that the engine speaks as."
    headers: dict[str, str] = field(default_factory=dict)
    "Sent with every request beside the key."

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer to a request; `key` is sent in place of the administrator's, None sends none."""
        key = more.pop("key", self.key)
        headers = {
            **self.headers,
            **({} if key is None else {"authorization": f"Bearer {key}"}),
            **more.pop("headers", {}),
        }
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self.door), base_url="http://door") as client:
            return await client.request(method, f"{more.pop('prefix', '/v1')}{path}", headers=headers, **more)

    async def post(self, path: str, **body: Any) -> Json:
        """The answer to a body that is taken."""
        answer = await self.ask("POST", path, json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def get(self, path: str) -> Json:
        answer = await self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def refused(self, method: str, path: str, status: int, **more: Any) -> Json:
        """The error of a request that is refused."""
        answer = await self.ask(method, path, **more)
        assert answer.status_code == status, answer.text
        error = dict(answer.json()["error"])
        assert error.keys() == {"message", "type", "param", "code"}
        return error

    async def stream(self, path: str, **body: Any) -> list[Json]:
        """The chunks of a stream, which ends as OpenAI's do."""
        answer = await self.ask("POST", path, json={**body, "stream": True})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        *lines, done, nothing = answer.text.split("\n\n")
        assert (done, nothing) == ("data: [DONE]", "")
        assert all(line.startswith("data: ") for line in lines)
        return [json.loads(line.removeprefix("data: ")) for line in lines]

    async def events(self, path: str, **body: Any) -> list[Json]:
        """The named events of a stream."""
        answer = await self.ask("POST", path, json={**body, "stream": True})
        assert answer.status_code == 200, answer.text
        events = []
        for block in answer.text.removesuffix("\n\n").split("\n\n"):
            name, data = block.split("\n")
            events.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {events[-1]['type']}"
        return events

    def prompt(self) -> str:
        """The last prompt that the engine was given, special tokens included."""
        ids, tokenizer = self.engine.requests[-1]["prompt"], self.tokenizer
        return "".join(
            tokenizer.token(one) or "" if one in tokenizer.special_ids else tokenizer.decode([one]) for one in ids
        )

    def user(self, name: str, *actions: str, resource: str = "*") -> str:
        """The access key of a new user who may do these, as a bearer key."""
        access = self.house.access
        access.identities.create_user(name)
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        access.attachments.put_inline(Kind.USER, name, "may", document)
        issued = access.credentials.create_key(name)
        return f"{issued.key_id}:{issued.secret}"

    def custom_model(self, name: str, **document: Any) -> str:
        """The ARN of a custom model on record, with files that nobody will load."""
        base = self.house.catalog.usable(STARTER)
        arn = custom_models.new_arn(REGION, self.house.account, base)
        folder = self.house.models.folder(arn)
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text("{}")
        self.house.models.add(
            model_arn=arn,
            name=name,
            region=REGION,
            created=self.clock.now(),
            document={
                "baseId": STARTER,
                "promptFormat": "text",
                "promptDay": None,
                "customizationType": "FINE_TUNING",
                **document,
            },
        )
        self.engine.adapters.add(arn)
        return arn

    def serve_all(self) -> list[str]:
        """Bring all deployments that wait to serving, as the reconciler does; their names."""
        waiting = self.house.deployments.pending(most=10)
        for row in waiting:
            self.house.deployments.serve(row)
        return [str(row.name) for row in waiting if row.kind == ON_DEMAND]


@asynccontextmanager
async def openai_house(
    folder: Path, said: str | Callable[[Json], str] = "yes", *, template: str | None = None, **settings: Any
) -> AsyncIterator[OpenAiHouse]:
    """A house whose engine says `said`, or what `said` makes of the request, and then the end token.

    With a chat `template` it has the model TEMPLATED, and says it in that model's tokens.
    """
    clock = MovableClock()
    tokenizer = _starter() if template is None else Tokenizer.open(_model_of(folder / "model", template))
    house = House.open(Settings(home=folder / "home", **settings), clock)
    if template is not None:
        house.catalog.register(
            folder / "model", model_id=TEMPLATED, name="Templated", context_length=8192, licence="none"
        )
    async with engine_double(_script(tokenizer, said)) as engine, EngineClient(engine.socket) as client:
        engine.adapters |= {STARTER, TEMPLATED}
        house.__dict__["clients"] = OneEngine(client)
        installed = house.access.installation
        key = f"{installed.access_key_id}:{installed.secret_access_key}"
        yield OpenAiHouse(
            house=house, engine=engine, clock=clock, door=Door(house, OPERATIONS), key=key, tokenizer=tokenizer
        )
    house.store.close()


@contextmanager
def silent_house(folder: Path) -> Iterator[OpenAiHouse]:
    """A house whose engine is not there, for what is refused before anybody asks it, and for `speaking`."""
    clock, nowhere = MovableClock(), folder / "nowhere"
    with House.open(Settings(home=folder / "home"), clock) as house:
        house.__dict__["clients"] = OneEngine(EngineClient(nowhere))
        installed = house.access.installation
        yield OpenAiHouse(
            house=house,
            engine=EngineDouble(socket=nowhere, say=lambda _: []),
            clock=clock,
            door=Door(house, OPERATIONS),
            key=f"{installed.access_key_id}:{installed.secret_access_key}",
            tokenizer=_starter(),
        )


@asynccontextmanager
async def speaking(place: OpenAiHouse, said: str | Callable[[Json], str] = "yes") -> AsyncIterator[OpenAiHouse]:
    """A house that was opened before, lent an engine: for tests that leave nothing behind which others would meet."""
    connections = place.house.__dict__["clients"]
    assert isinstance(connections, OneEngine), "it was opened without an engine"
    async with engine_double(_script(place.tokenizer, said)) as engine, EngineClient(engine.socket) as client:
        engine.adapters.add(STARTER)
        before, connections.client = connections.client, client
        yield replace(place, engine=engine)
        connections.client = before


@cache
def _starter() -> Tokenizer:
    return Tokenizer.open(BUNDLED)


def _script(tokenizer: Tokenizer, said: str | Callable[[Json], str]) -> Script:
    """Ids of what is said, and then the end token."""

    def say(body: Json) -> list[int]:
        text = said if isinstance(said, str) else said(body)
        return [*tokenizer.encode(text, begin=False), tokenizer.eos_id]

    return say


def _model_of(folder: Path, template: str) -> Path:
    """A model's directory without weights, whose tokenizer has this chat template."""
    byte_level(folder, chat_template=template, special=SPECIAL_TOKENS, added=TEXT_TOKENS)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    return folder


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, timeout=PATIENCE_S))
