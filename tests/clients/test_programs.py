"""Programs that other people wrote, told nothing but the environment, against a whole installation.

langchain-aws, litellm and the JavaScript SDK stand in environments of their own, which `make clients` makes.
"""

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outcrop.catalog.catalog import Catalog
from outcrop.network import facts
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import ProbeVerdict, RunMode
from tests.support.chat_templates import QWEN3
from tests.support.minilm import minilm
from tests.support.patience import PATIENCE_S
from tests.support.servers import Installed, installed
from tests.support.tiny import tiny_chat_model

PROGRAMS = Path(__file__).parent / "programs"
CLIENTS = Path(__file__).parent.parent.parent / "build" / "clients"
PYTHON = CLIENTS / "python" / "bin" / "python"
NODE = CLIENTS / "node"
AWS = Path(sys.executable).parent / "aws"
STARTER = "outcrop.starter-v1"  # real words, so that real pieces of them stream
EMBEDDING = ("amazon.titan-embed-text-v2:0", "cohere.embed-english-v3")
HAIKU = "anthropic.claude-3-haiku-20240307-v1:0"
SONNET = "anthropic.claude-3-5-sonnet-20240620-v1:0"
"Served by a network of random weights, which calls a tool where it must."

with_python = pytest.mark.skipif(not PYTHON.exists(), reason=f"{PYTHON} is not there: `make clients` makes it")
with_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules").exists(),
    reason=f"Node, or {NODE / 'node_modules'}, is not there: install Node and run `make clients`",
)
with_aws = pytest.mark.skipif(not AWS.exists(), reason=f"{AWS} is not there: install the extra `test`")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = tmp_path_factory.mktemp("home")
    Catalog(home).alias(HAIKU, STARTER)
    folder = minilm(home / "minilm")
    Catalog(home).register(
        folder,
        model_id="local.minilm",
        name="MiniLM",
        context_length=256,
        licence="Apache-2.0",
        verdict=ProbeVerdict(way=RunMode.PADDED, config=facts.digest(folder)),
        task=ModelTask.EMBEDDING,
    )
    for model_id in EMBEDDING:
        Catalog(home).alias(model_id, "local.minilm")
    network = tiny_chat_model(tmp_path_factory.mktemp("network"), QWEN3)
    verdict = ProbeVerdict(way=RunMode.PACKED, config=facts.digest(network))
    Catalog(home).register(
        network, model_id="local.chatty-v1", name="Chatty", context_length=4096, licence="none", verdict=verdict
    )
    Catalog(home).alias(SONNET, "local.chatty-v1")
    with installed(home) as installation:
        yield installation


def said(running: Installed, *command: str | Path, **more: str) -> Any:
    """What a program printed, as JSON; nothing of this machine's own configuration reaches it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    away = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    environment = {**kept, **away, **running.environment, **more}
    environment["AWS_REGION"] = environment["AWS_DEFAULT_REGION"]
    ended = subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return json.loads(ended.stdout) if ended.stdout.strip() else None


@with_python
def test_langchain_converses_at_once_and_streamed(running: Installed) -> None:
    # It streams only from providers it knows, and tells them by the model's id.
    answer = said(running, PYTHON, PROGRAMS / "langchain_converse.py", HAIKU)
    assert answer["whole"] == answer["streamed"]
    assert answer["pieces"] > 1
    assert answer["stop"] in ("max_tokens", "end_turn")
    assert answer["usage"]["total_tokens"] == answer["usage"]["input_tokens"] + answer["usage"]["output_tokens"]


@with_python
def test_langchain_embeds_a_question_and_finds_its_passage(running: Installed) -> None:
    answer = said(running, PYTHON, PROGRAMS / "langchain_embeddings.py", *EMBEDDING)
    for model in EMBEDDING:
        query, passages = answer[model]["query"], answer[model]["passages"]
        assert [len(vector) for vector in (query, *passages)] == [384] * 4
        similarity = [sum(a * b for a, b in zip(query, passage, strict=True)) for passage in passages]
        assert similarity.index(max(similarity)) == 1, model
    titan, cohere = (answer[model]["query"] for model in EMBEDDING)
    assert math.dist(titan, cohere) < 1e-5


@with_python
def test_langchain_keeps_documents_in_s3_vectors_and_finds_them(running: Installed) -> None:
    answer = said(running, PYTHON, PROGRAMS / "langchain_vectors.py", EMBEDDING[0])
    assert answer["found"] == ["Tokyo is where the government of Japan sits."]
    assert answer["filtered"] == ["Saturn has many moons."]
    assert answer["scored"][0][0] == "Tokyo is where the government of Japan sits."
    assert [score for _, score in answer["scored"]] == sorted(score for _, score in answer["scored"])
    assert answer["retrieved"] == answer["found"]
    assert answer["by_id"] == [["moons", {"about": "space"}]]
    assert answer["left"] == ["food", "japan"]


@with_python
def test_langchain_calls_a_tool_gives_its_result_back_and_gets_an_answer_in_a_schema(running: Installed) -> None:
    # It asks for a tool by name only of models it knows by their ids.
    answer = said(running, PYTHON, PROGRAMS / "langchain_calls.py", SONNET)
    assert answer["call"]["city"] in ("Oslo", "Rome")
    assert answer["result"] == f"{answer['call']['city']}: grey for {answer['call']['days']} days"
    assert answer["streamed"] == [answer["call"]]
    assert answer["stop"] == "tool_use"
    assert answer["tokens"][1] > answer["tokens"][0]
    assert answer["formed"]["sky"] in ("clear", "grey")


@with_python
def test_litellm_converses_and_invokes_at_once_and_streamed(running: Installed) -> None:
    ways = (f"bedrock/converse/{HAIKU}", f"bedrock/invoke/{HAIKU}")
    endpoint = running.environment["AWS_ENDPOINT_URL"]
    # litellm fetches a list of prices when it is imported, unless it is told to take its own.
    more = {
        "AWS_BEDROCK_RUNTIME_ENDPOINT": endpoint,
        "AWS_REGION_NAME": "us-east-1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    answers = said(running, PYTHON, PROGRAMS / "litellm_bedrock.py", *ways, **more)
    for way in ways:
        assert answers[way]["whole"] == answers[way]["streamed"], way
        assert answers[way]["pieces"] > 1, way
        assert 1 <= answers[way]["tokens"] <= 16, way
    assert answers[ways[0]]["whole"] == answers[ways[1]]["whole"]


@with_node
def test_the_javascript_sdk_stores_converses_and_streams(running: Installed) -> None:
    answer = said(running, "node", PROGRAMS / "sdk.mjs", NODE, STARTER)
    assert (answer["object"], answer["metadata"]) == ("こんにちは", {"from": "node"})
    assert answer["whole"] == answer["streamed"]
    assert (answer["first"], answer["last"]) == ("messageStart", "metadata")
    assert "ListDashboards is not built in Outcrop yet" in answer["cloudwatch"]["message"]
    assert answer["cloudwatch"]["status"] == 400


@with_aws
def test_the_command_line_of_aws_lists_converses_and_names_its_caller(running: Installed) -> None:
    models = said(running, AWS, "bedrock", "list-foundation-models", "--by-provider", "anthropic")
    assert HAIKU in [each["modelId"] for each in models["modelSummaries"]]
    messages = json.dumps([{"role": "user", "content": [{"text": "What is 2?"}]}])
    converse = ("bedrock-runtime", "converse", "--model-id", STARTER, "--messages", messages)
    answer = said(running, AWS, *converse, "--inference-config", "maxTokens=16,temperature=0")
    assert answer["usage"]["outputTokens"] <= 16
    assert answer["output"]["message"]["role"] == "assistant"
    caller = said(running, AWS, "sts", "get-caller-identity")
    assert caller["Arn"].startswith(f"arn:aws:iam::{caller['Account']}:")


@with_aws
def test_the_command_line_of_aws_makes_a_role_and_takes_it_on(running: Installed) -> None:
    account = said(running, AWS, "sts", "get-caller-identity")["Account"]
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    create = ("iam", "create-role", "--role-name", "from-cli", "--assume-role-policy-document", document)
    role = said(running, AWS, *create)["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"] == [trust]
    taken = said(running, AWS, "sts", "assume-role", "--role-arn", role["Arn"], "--role-session-name", "once")
    assert taken["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/from-cli/once"
    assert said(running, AWS, "iam", "delete-role", "--role-name", "from-cli") is None
    assert "from-cli" not in [each["RoleName"] for each in said(running, AWS, "iam", "list-roles")["Roles"]]
