"""EleutherAI's lm-evaluation-harness against OpenAI's door: one task by likelihood, one by generation, on local data.

`make clients-lm-eval` makes its environment.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outcrop.catalog.catalog import BUNDLED
from outcrop.inference.engine import Engine
from outcrop.tokens.tokenizer import Tokenizer
from tests.clients.test_programs import CLIENTS, STARTER
from tests.support.patience import PATIENCE_S
from tests.support.servers import Installed, installed

PROGRAM = CLIENTS / "lm-eval" / "bin" / "lm_eval"
TASKS = Path(__file__).parent / "lm_eval_tasks"
MODEL = BUNDLED / "starter-v1"
pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason=f"{PROGRAM} is not there: `make clients-lm-eval` makes it")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with installed(tmp_path_factory.mktemp("home")) as installation:
        yield installation


def evaluated(running: Installed, task: str, folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The results of a task, and its samples, by the harness itself."""
    values = running.environment
    arguments = {
        "model": STARTER,
        "base_url": f"{values['AWS_ENDPOINT_URL']}/v1/completions",
        "tokenizer": str(MODEL),
        "num_concurrent": "4",
    }
    told = ",".join(f"{name}={value}" for name, value in arguments.items())
    environment = {
        **os.environ,
        "OPENAI_API_KEY": f"{values['AWS_ACCESS_KEY_ID']}:{values['AWS_SECRET_ACCESS_KEY']}",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(folder / "cache"),
        "PYTHONPATH": "",
    }
    command = [str(PROGRAM), "run", "--model", "local-completions", "--model_args", told, "--tasks", task]
    command += ["--include_path", str(TASKS), "--output_path", str(folder / "out"), "--log_samples"]
    done = subprocess.run(
        command, cwd=TASKS, env=environment, capture_output=True, text=True, timeout=10 * PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (results,) = (folder / "out").rglob("results_*.json")
    (samples,) = (folder / "out").rglob("samples_*.jsonl")
    lines = [json.loads(line) for line in samples.read_text("utf-8").splitlines()]
    return json.loads(results.read_text("utf-8"))["results"][task], lines


def test_choices_are_told_apart_by_the_likelihoods_of_the_network_itself(running: Installed, tmp_path: Path) -> None:
    results, samples = evaluated(running, "outcrop_colours", tmp_path)
    tokenizer, engine = Tokenizer.open(MODEL), Engine(MODEL, cache_bytes=2**24)
    right = 0
    for sample in samples:
        document = sample["doc"]
        context = f"Question: {document['question']}\nAnswer:"
        own = []
        for choice, told in zip(document["choices"], sample["filtered_resps"], strict=True):
            before = tokenizer.encode(context, begin=False)
            whole = tokenizer.encode(f"{context} {choice}", begin=False)
            own.append(sum(engine.score(whole)[len(before) - 1 :]))
            # each choice has the log probability that the network gives it
            assert float(told[0]) == pytest.approx(own[-1], abs=2e-3)
        right += max(range(len(own)), key=own.__getitem__) == document["answer"]
    assert results["acc,none"] == right / len(samples)


def test_a_generation_ends_where_the_task_says(running: Installed, tmp_path: Path) -> None:
    results, samples = evaluated(running, "outcrop_sums", tmp_path)
    said = [sample["filtered_resps"][0] for sample in samples]
    assert len(said) == 4
    assert all("\n" not in each for each in said)
    assert 0 <= results["exact_match,none"] <= 1
