"""Pre-training of the starter base model on a CPU: tokenized corpus -> checkpoint, within a budget of minutes.

The schedule follows the clock, not the step count: warm-up, a plateau, then a linear descent to zero, and for the last
part rows of the full context length so that late positions are trained too. A checkpoint is written every few minutes;
started again with the same --work, a killed run continues from it.

    python -m starter.pretrain --work build/starter --minutes 110 --threads 2
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from starter import bits_per_byte, corpus
from starter.mixture import Mixture, TokenizedDocument, tokenize
from starter.muon import Muon
from starter.tokenizer import CONTEXT_LENGTH, VOCABULARY_SIZE

ROW_LENGTH = 512
LONG_ROWS_FROM = 0.86  # share of the budget after which rows have CONTEXT_LENGTH
WARMUP, DECAY_FROM = 0.02, 0.55
GRADIENT_NORM = 1.0
MICRO_BATCH_TOKENS = 1024
HELD_OUT_EVERY = 12  # held-out documents looked at during the run; the full measure is bits_per_byte.py


@dataclass(frozen=True, kw_only=True)
class Run:
    work: Path
    tokenizer: Path
    minutes: float
    threads: int
    seed: int
    tokens_per_step: int
    muon_learning_rate: float
    adam_learning_rate: float
    save_every_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/starter"))
    parser.add_argument("--tokenizer", type=Path, default=Path("src/outcrop/catalog/bundled/starter-v1/tokenizer.json"))
    parser.add_argument("--minutes", type=float, default=110)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokens-per-step", type=int, default=8192)
    parser.add_argument("--muon-learning-rate", type=float, default=0.01)
    parser.add_argument("--adam-learning-rate", type=float, default=0.003)
    parser.add_argument("--save-every-s", type=float, default=300)
    pretrain(Run(**vars(parser.parse_args())))


def new_network() -> LlamaForCausalLM:
    """7.5 million parameters; in bfloat16 they stay under 16 MB."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY_SIZE,
            hidden_size=256,
            num_hidden_layers=8,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=704,
            tie_word_embeddings=True,
            max_position_embeddings=CONTEXT_LENGTH,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            rms_norm_eps=1e-5,
            initializer_range=0.02,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
    )


def pretrain(run: Run) -> None:
    torch.set_num_threads(run.threads)
    torch.manual_seed(run.seed)
    network = new_network()
    optimizers = new_optimizers(network, run)
    tokenizer = Tokenizer.from_file(str(run.tokenizer))
    documents = tokenize(corpus.read(run.work / "train.jsonl"), tokenizer)
    held_out = corpus.read(run.work / "heldout.jsonl")[::HELD_OUT_EVERY]
    progress = Progress()
    if (run.work / "checkpoint.pt").exists():
        progress = load(run, network, optimizers)
    train(run, network, optimizers, documents, progress)
    save(run, network, optimizers, progress)
    log(run, {"step": progress.step, "tokens": progress.num_tokens} | held_out_bits(network, tokenizer, held_out))


@dataclass(kw_only=True)
class Progress:
    """How far the run has come, over all its restarts."""

    step: int = 0
    num_tokens: int = 0
    num_drawn: int = 0
    elapsed_s: float = 0.0


def new_optimizers(network: LlamaForCausalLM, run: Run) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the embeddings and norms."""
    inside = dict(network.model.layers.named_parameters())
    matrices = [parameter for parameter in inside.values() if parameter.ndim == 2]
    norms = [parameter for parameter in network.parameters() if parameter.ndim == 1]
    adamw = torch.optim.AdamW(
        [
            {"params": [network.model.embed_tokens.weight], "weight_decay": 0.01},
            {"params": norms, "weight_decay": 0.0},
        ],
        lr=run.adam_learning_rate,
        betas=(0.9, 0.95),
    )
    optimizers = [Muon(matrices, lr=run.muon_learning_rate), adamw]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def learning_rate_factor(done: float) -> float:
    """The share of the peak rate when `done` of the budget (0 to 1) is used up."""
    if done < WARMUP:
        return max(done / WARMUP, 0.02)
    return 1.0 if done < DECAY_FROM else max((1 - done) / (1 - DECAY_FROM), 0.0)


def train(
    run: Run,
    network: LlamaForCausalLM,
    optimizers: list[torch.optim.Optimizer],
    documents: dict[str, list[TokenizedDocument]],
    progress: Progress,
) -> None:
    """Steps until the budget is used up; `progress` is brought forward with every step."""
    mixture = Mixture(documents, seed=run.seed, num_drawn=progress.num_drawn)
    began = time.monotonic() - progress.elapsed_s
    saved_s = progress.elapsed_s
    # Each thread of the pool works alone on a micro-batch. Two threads sharing every matrix product wait for each other
    # at each of them: on a busy machine that took about 5.5 CPU seconds a step, this about 4.
    pool = ThreadPoolExecutor(run.threads, initializer=torch.set_num_threads, initargs=(1,))
    while (done := progress.elapsed_s / (60 * run.minutes)) < 1:
        row_length = ROW_LENGTH if done < LONG_ROWS_FROM else CONTEXT_LENGTH
        ids_BT, labels_BT = mixture.rows(run.tokens_per_step // row_length, row_length)
        loss = step(pool, network, optimizers, ids_BT, labels_BT, learning_rate_factor(done))
        before_s, progress.elapsed_s = progress.elapsed_s, time.monotonic() - began
        progress.step += 1
        progress.num_tokens += ids_BT.numel()
        progress.num_drawn = mixture.num_drawn
        log(
            run,
            {
                "step": progress.step,
                "loss": round(loss, 4),
                "tokens": progress.num_tokens,
                "tokens_per_second": round(ids_BT.numel() / (progress.elapsed_s - before_s)),
                "elapsed_s": round(progress.elapsed_s, 1),
                "row_length": row_length,
                "drawn_bytes": mixture.drawn_bytes,
            },
        )
        if progress.elapsed_s - saved_s > run.save_every_s:
            save(run, network, optimizers, progress)
            saved_s = progress.elapsed_s


def step(
    pool: ThreadPoolExecutor,
    network: LlamaForCausalLM,
    optimizers: list[torch.optim.Optimizer],
    ids_BT: torch.Tensor,
    labels_BT: torch.Tensor,
    factor: float,
) -> float:
    """One update; returns the mean loss in nats before it."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor
    num_parts = min(len(ids_BT), ids_BT.numel() // MICRO_BATCH_TOKENS)
    parts = list(pool.map(partial(gradients, network), ids_BT.chunk(num_parts), labels_BT.chunk(num_parts)))
    for parameter, *pieces in zip(network.parameters(), *(part for _, part in parts), strict=True):
        parameter.grad = torch.stack(pieces).mean(dim=0)
    torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
    for optimizer in optimizers:
        optimizer.step()
    return sum(loss for loss, _ in parts) / len(parts)


def gradients(
    network: LlamaForCausalLM, ids_BT: torch.Tensor, labels_BT: torch.Tensor
) -> tuple[float, tuple[torch.Tensor, ...]]:
    """Mean loss of a micro-batch and its gradient for every parameter."""
    logits_BTV = network(ids_BT, use_cache=False).logits
    loss = functional.cross_entropy(logits_BTV.flatten(0, 1), labels_BT.flatten())
    return loss.item(), torch.autograd.grad(loss, tuple(network.parameters()))


def held_out_bits(network: LlamaForCausalLM, tokenizer: Tokenizer, held_out: list[corpus.Document]) -> dict[str, float]:
    return {
        f"bits_per_byte_{language}": round(bits_per_byte.network_bits(network, tokenizer, texts), 4)
        for language in bits_per_byte.LANGUAGES
        if (texts := bits_per_byte.plain_texts(held_out, language))
    }


def save(run: Run, network: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], progress: Progress) -> None:
    """The checkpoint, written beside the old one and then put in its place: a kill leaves one or the other whole."""
    checkpoint = {
        "network": network.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "progress": vars(progress),
    }
    torch.save(checkpoint, run.work / "checkpoint.tmp")
    (run.work / "checkpoint.tmp").replace(run.work / "checkpoint.pt")


def load(run: Run, network: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer]) -> Progress:
    checkpoint = torch.load(run.work / "checkpoint.pt", weights_only=True)
    network.load_state_dict(checkpoint["network"])
    for optimizer, state in zip(optimizers, checkpoint["optimizers"], strict=True):
        optimizer.load_state_dict(state)
    return Progress(**checkpoint["progress"])


def log(run: Run, values: dict[str, Any]) -> None:
    with (run.work / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(values) + "\n")


if __name__ == "__main__":
    main()
