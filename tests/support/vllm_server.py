"""vLLM's server as documented, without a network: its arguments, its paths, its answers. Standard library only.

It is run in the place of `vllm.entrypoints.openai.api_server`, in an environment that has nothing else, or within a
test's own loop. The likeliest token after N is N + 1, with a log probability of -N / 1000.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EOS = 2
NUM_TOKENS = 1000


def parser() -> argparse.ArgumentParser:
    """The arguments that our launcher may use: any other is refused, as vLLM refuses those it does not know."""
    made = argparse.ArgumentParser()
    for name in ("--model", "--served-model-name", "--uds"):
        made.add_argument(name, required=True)
    made.add_argument("--dtype", choices=("auto", "bfloat16", "float16", "float32", "half", "float"), default="auto")
    made.add_argument("--generation-config", default="auto")
    made.add_argument("--scheduling-policy", choices=("fcfs", "priority"), default="fcfs")
    made.add_argument("--enable-lora", action="store_true")
    for name in ("--max-loras", "--max-lora-rank", "--max-model-len"):
        made.add_argument(name, type=int, default=1)
    made.add_argument("--gpu-memory-utilization", type=float, default=0.9)
    return made


@dataclass
class VllmServer:
    """One server and what it holds."""

    name: str
    updates_adapters: bool = True
    has_priorities: bool = True
    script: Sequence[int] = ()
    "Ids that every answer has, in the place of the likeliest."
    adapters: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    running: int = 0
    answered: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *headers = head.decode().split("\r\n")
                method, path, _ = line.split(" ")
                length = next((int(h.split(":")[1]) for h in headers if h.lower().startswith("content-length:")), 0)
                body = json.loads(await reader.readexactly(length)) if length else {}
                await self._answer(method, path, body, writer)
                if any(h.lower() == "connection: close" for h in headers):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, method: str, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if (method, path) == ("GET", "/health"):
            _send(writer, 200, b"")
        elif (method, path) == ("GET", "/metrics"):
            _send_chunked(writer, self._metrics().encode())
        elif (method, path) == ("GET", "/v1/models"):
            names = [self.name, *self.adapters]
            _json(writer, 200, {"object": "list", "data": [{"id": name, "object": "model"} for name in names]})
        elif (method, path) == ("POST", "/v1/completions"):
            await self._complete(body, writer)
        elif path in ("/v1/load_lora_adapter", "/v1/unload_lora_adapter") and self.updates_adapters:
            self._adapter(path, body, writer)
        else:
            _json(writer, 404, {"detail": "Not Found"})

    def _adapter(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        name, known = body["lora_name"], body["lora_name"] in self.adapters
        if path == "/v1/unload_lora_adapter":
            if not known:
                _error(writer, 404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
                return
            del self.adapters[name]
            _send(writer, 200, f"Success: LoRA adapter '{name}' removed successfully.".encode())
        elif known:
            words = f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, set"
            _error(writer, 400, "InvalidUserInput", f"{words} 'load_inplace' to True.")
        elif not (Path(body["lora_path"]) / "adapter_config.json").is_file():
            _error(writer, 500, "InternalServerError", f"Loading lora {name} failed: No adapter found for it.")
        else:
            self.adapters[name] = body["lora_path"]
            _send(writer, 200, f"Success: LoRA adapter '{name}' added successfully.".encode())

    async def _complete(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.requests.append(body)
        if body["model"] not in (self.name, *self.adapters):
            _error(writer, 404, "NotFoundError", f"The model `{body['model']}` does not exist.")
            return
        if body.get("priority", 0) and not self.has_priorities:
            _error(writer, 400, "BadRequestError", "Got priority 1 but Priority scheduling is not enabled.")
            return
        self.running += 1
        try:
            if body.get("stream"):
                await self._stream(body, writer)
            else:
                several = body["prompt"] if isinstance(body["prompt"][0], list) else [body["prompt"]]
                choices = [self._choice(body, prompt, number) for number, prompt in enumerate(several)]
                _json(writer, 200, {"id": "cmpl-1", "object": "text_completion", "choices": choices})
        finally:
            self.running -= 1
            self.answered += 1

    async def _stream(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        ids, reason = _made(body, body["prompt"], self.script)
        for number, token in enumerate(ids):
            last = number == len(ids) - 1
            choice: dict[str, Any] = {"index": 0, "text": f"t{token}", "logprobs": _logprobs(body, [token])}
            choice |= {"finish_reason": reason if last else None, "stop_reason": None}
            if body.get("return_token_ids"):
                choice["token_ids"] = [token]
                choice["prompt_token_ids"] = body["prompt"] if number == 0 else None
            _chunk(writer, b"data: " + json.dumps({"choices": [choice], "usage": None}).encode() + b"\n\n")
            await writer.drain()
        if body.get("stream_options", {}).get("include_usage"):  # behind the end, in an event without choices
            usage: dict[str, Any] = {"prompt_tokens": len(body["prompt"]), "completion_tokens": len(ids)}
            usage |= {"total_tokens": len(body["prompt"]) + len(ids), "prompt_tokens_details": {"cached_tokens": 16}}
            _chunk(writer, b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")
        _chunk(writer, b"data: [DONE]\n\n")
        _chunk(writer, b"")
        await writer.drain()

    def _choice(self, body: dict[str, Any], prompt: list[int], index: int) -> dict[str, Any]:
        ids, reason = _made(body, prompt, self.script)
        choice: dict[str, Any] = {"index": index, "text": "".join(f"t{i}" for i in ids), "finish_reason": reason}
        choice |= {"logprobs": _logprobs(body, ids), "prompt_logprobs": None}
        if body.get("return_token_ids"):
            choice |= {"token_ids": ids, "prompt_token_ids": prompt}
        if body.get("prompt_logprobs") is not None:
            told = ({str(i): {"logprob": -i / NUM_TOKENS, "rank": 1, "decoded_token": f"t{i}"}} for i in prompt[1:])
            choice["prompt_logprobs"] = [None, *told]
        return choice

    def _metrics(self) -> str:
        labels = f'{{engine="0",model_name="{self.name}"}}'
        return "\n".join(
            [
                "# HELP vllm:num_requests_running Number of requests in model execution batches.",
                "# TYPE vllm:num_requests_running gauge",
                f"vllm:num_requests_running{labels} {float(self.running)}",
                f"vllm:num_requests_waiting{labels} 0.0",
                "# TYPE vllm:request_success_total counter",
                f'vllm:request_success_total{{engine="0",finished_reason="stop"}} {float(self.answered // 2)}',
                f'vllm:request_success_total{{engine="0",finished_reason="length"}} {self.answered - self.answered // 2}.0',
                'vllm:request_success_created{engine="0",finished_reason="stop"} 1.7e+09',
                "",
            ]
        )


def _made(body: dict[str, Any], prompt: Sequence[int], script: Sequence[int]) -> tuple[list[int], str]:
    ids: list[int] = []
    while len(ids) < body.get("max_tokens", 16):
        likeliest = ((ids or list(prompt))[-1] + 1) % NUM_TOKENS
        ids.append(script[len(ids)] if script else likeliest)
        ends = {*body.get("stop_token_ids", ()), *(() if body.get("ignore_eos") or script else (EOS,))}
        if ids[-1] in ends:
            return ids, "stop"
    return ids, "length"


def _logprobs(body: dict[str, Any], ids: Sequence[int]) -> dict[str, Any] | None:
    most = body.get("logprobs")
    if most is None:
        return None

    def spelled(token: int) -> str:
        return f"token_id:{token}" if body.get("return_tokens_as_token_ids") else f"t{token}"

    tops = [dict(_tops(token, most, spelled)) for token in ids]
    return {
        "tokens": [spelled(i) for i in ids],
        "token_logprobs": [-i / NUM_TOKENS for i in ids],
        "top_logprobs": tops,
        "text_offset": [0] * len(ids),
    }


def _tops(token: int, most: int, spelled: Any) -> Iterator[tuple[str, float]]:
    """The token that was taken, and as many others as are asked for, less likely ones first."""
    yield spelled(token), -token / NUM_TOKENS
    for place in range(most, 0, -1):
        yield spelled((token + place) % NUM_TOKENS), -token / NUM_TOKENS - place


def _send(writer: asyncio.StreamWriter, status: int, data: bytes) -> None:
    writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)


def _json(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    _send(writer, status, json.dumps(body).encode())


def _error(writer: asyncio.StreamWriter, status: int, kind: str, message: str) -> None:
    _json(writer, status, {"error": {"message": message, "type": kind, "param": None, "code": status}})


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _send_chunked(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for at in range(0, len(data), 100):
        _chunk(writer, data[at : at + 100])
    _chunk(writer, b"")


async def main() -> None:
    options = parser().parse_args()
    # vLLM's engine is a process of its own, which holds most of the memory.
    engine = "import time; held = bytearray(40 << 20); print(len(held), flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", engine], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        server = VllmServer(
            name=options.served_model_name,
            updates_adapters=os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") == "True" and options.enable_lora,
            has_priorities=options.scheduling_policy == "priority",
        )
        print(json.dumps({"arguments": sys.argv[1:], "environment": dict(os.environ)}), flush=True)
        try:
            async with await asyncio.start_unix_server(server.serve, options.uds) as listening:
                asyncio.get_running_loop().add_signal_handler(15, listening.close)
                await listening.wait_closed()
        finally:
            child.kill()


if __name__ == "__main__":
    asyncio.run(main())
