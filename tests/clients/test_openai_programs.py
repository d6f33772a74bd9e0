"""Programs that speak OpenAI's API, or structure answers, told nothing but a base URL and a key.

`make clients` makes the environments in which they stand.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outcrop.catalog.catalog import Catalog
from outcrop.network import facts
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import ProbeVerdict, RunMode
from tests.clients.test_programs import CLIENTS, PROGRAMS, PYTHON, STARTER, said, with_python
from tests.support.chat_templates import QWEN3
from tests.support.minilm import minilm
from tests.support.servers import Installed, installed
from tests.support.tiny import tiny_chat_model

AGENTS = CLIENTS / "agents" / "bin" / "python"
TOOLS, EMBEDDING = "local.tools-v1", "local.minilm"
NOVA = "amazon.nova-micro-v1:0"
WEATHER = {"Oslo", "Rome"}
with_agents = pytest.mark.skipif(not AGENTS.exists(), reason=f"{AGENTS} is not there: `make clients` makes it")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = tmp_path_factory.mktemp("home")
    # Of random weights: what it says makes no sense, and the calls that it must make are calls.
    network = tiny_chat_model(tmp_path_factory.mktemp("network"), QWEN3)
    _register(home, network, TOOLS, 4096, ModelTask.TEXT, RunMode.PACKED)
    Catalog(home).alias(NOVA, TOOLS)
    with installed(home) as installation:
        yield installation


def _register(home: Path, folder: Path, model_id: str, context_length: int, task: ModelTask, way: RunMode) -> None:
    Catalog(home).register(
        folder,
        model_id=model_id,
        name=model_id.partition(".")[2],
        context_length=context_length,
        licence="Apache-2.0",
        verdict=ProbeVerdict(way=way, config=facts.digest(folder)),
        task=task,
    )


def asked(running: Installed, python: Path, program: str, *arguments: str, **more: str) -> Any:
    """What a program of OpenAI's API printed; its key is the administrator's access key."""
    values = running.environment
    told = {
        "OPENAI_BASE_URL": f"{values['AWS_ENDPOINT_URL']}/v1",
        "OPENAI_API_KEY": f"{values['AWS_ACCESS_KEY_ID']}:{values['AWS_SECRET_ACCESS_KEY']}",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else litellm fetches a list of prices
    }
    return said(running, python, PROGRAMS / program, *arguments, **told, **more)


@with_python
def test_openais_client_chats_streams_calls_tools_and_reads_objects(running: Installed) -> None:
    answer = asked(running, PYTHON, "openai_chat.py", STARTER, TOOLS)
    assert answer["whole"] == answer["streamed"]
    assert answer["pieces"] > 3
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert answer["streamed_usage"] == usage
    assert answer["several"] == answer["again"]
    assert len(set(answer["several"])) > 1
    assert all(numbers[1] == max(numbers[1:]) and len(numbers) == 4 for numbers in answer["logprobs"])
    for call in (answer["call"], answer["streamed_call"]):
        assert call["name"] == "weather"
        assert call["arguments"]["city"] in WEATHER
    assert (answer["call_reason"], answer["after_result"]) == ("tool_calls", "assistant")
    assert answer["parsed"]["city"] in WEATHER
    assert answer["completion"].startswith("Once")
    assert answer["response"] == answer["response_streamed"]
    assert answer["last_event"] in ("response.completed", "response.incomplete")
    assert answer["goes_on_from"].startswith("resp_")
    assert {STARTER, TOOLS, NOVA} <= set(answer["models"])
    assert answer["missing"] == {
        "code": "model_not_found",
        "param": "model",
        "request_id": answer["missing"]["request_id"],
    }
    assert len(answer["missing"]["request_id"]) == 36


@with_python
def test_openais_client_fine_tunes_from_a_file_to_an_answer(running: Installed) -> None:
    answer = asked(running, PYTHON, "openai_fine_tuning.py", STARTER)
    assert answer["status"] == "succeeded"
    assert answer["model"].startswith(f"ft:{STARTER}:outcrop:numbers:")
    assert answer["tokens"] > 0
    numbers = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 1.0}
    assert answer["hyperparameters"] == numbers
    assert isinstance(answer["answer"], str)
    assert isinstance(answer["at_checkpoint"], str)
    assert answer["events"][0] == "The job has successfully completed"
    assert answer["events"][-1] == f"Created fine-tuning job: {answer['job']}"
    assert any(message.startswith("Step 1: training loss=") for message in answer["events"])
    assert answer["metrics"] == "step_number,epoch_number,training_loss,perplexity"
    assert answer["checkpoints"] == sorted(answer["checkpoints"], reverse=True)
    assert answer["failed"]["status"] == "failed"
    assert answer["failed"]["error"]["code"] == "invalid_training_file"
    assert answer["failed"]["error"]["param"] == "training_file"
    assert answer["failed"]["error"]["message"].startswith("bad.jsonl:1: messages")
    assert answer["deleted"] is True
    assert answer["job"] in answer["listed"]
    # What jobs have written is not among the files that were uploaded.
    assert answer["files_left"] == []


@with_python
def test_openais_client_fetches_vectors(tmp_path: Path) -> None:
    _register(tmp_path, minilm(tmp_path / "minilm"), EMBEDDING, 256, ModelTask.EMBEDDING, RunMode.PADDED)
    with installed(tmp_path) as alone:
        answer = asked(alone, PYTHON, "openai_embeddings.py", EMBEDDING)
    query, near, far = answer["vectors"]
    assert len(query) == 384
    assert math.isclose(math.hypot(*query), 1, rel_tol=1e-5)
    assert math.dist(query, near) < math.dist(query, far)
    assert math.dist(query, answer["plain"]) < 1e-5
    assert len(answer["short"]) == 64
    assert math.isclose(math.hypot(*answer["short"]), 1, rel_tol=1e-5)


@with_python
def test_litellm_speaks_openais_form_and_knows_its_errors(running: Installed) -> None:
    answer = asked(running, PYTHON, "litellm_openai.py", STARTER)
    assert answer["whole"] == answer["streamed"]
    assert answer["pieces"] > 1
    assert (answer["missing"], answer["too_long"]) == ("NotFoundError", "ContextWindowExceededError")


@with_agents
def test_llama_index_converses_at_once_and_streamed(running: Installed) -> None:
    answer = said(running, AGENTS, PROGRAMS / "llama_index_converse.py", NOVA)
    assert answer["whole"] == answer["streamed"]
    assert answer["pieces"] > 1


@with_agents
def test_instructor_makes_objects_by_tools_and_by_schema(running: Installed) -> None:
    answer = asked(running, AGENTS, "instructor_structured.py", STARTER, TOOLS)
    for way in ("tools", "schema"):
        assert answer[way]["city"] in WEATHER, way
        assert isinstance(answer[way]["is_cold"], bool), way
