"""Greedy answers of llama.cpp: a GGUF file and requests as JSON lines in, for each the tokens and their log probabilities."""

import json
import sys

import xllamacpp

file, context = sys.argv[1], int(sys.argv[2])
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel = file, context, 1
params.cpuparams.n_threads = 2
server = xllamacpp.Server(params)
for line in sys.stdin:
    asked = json.loads(line)
    greedy = {"temperature": 0, "cache_prompt": False, "n_probs": 4, "n_predict": asked["tokens"]}
    if "messages" in asked:
        wanted = {"messages": asked["messages"], "max_tokens": asked["tokens"], "logprobs": True, "top_logprobs": 4}
        answer = server.handle_chat_completions({**greedy, **wanted})
    else:
        answer = server.handle_completions({**greedy, "prompt": asked["prompt"]})
    (choice,) = answer["choices"]
    told = [
        {
            "id": each["id"],
            "logprob": each["logprob"],
            "top": {top["id"]: top["logprob"] for top in each["top_logprobs"]},
        }
        for each in (choice["logprobs"] or {"content": []})["content"]  # of part of a character it tells nothing
    ]
    print(json.dumps({"tokens": told, "num_input_tokens": answer["usage"]["prompt_tokens"]}), flush=True)
