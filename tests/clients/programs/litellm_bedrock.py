"""litellm by both of its ways to Bedrock, Converse and InvokeModel, at once and streamed."""

import json
import sys

import litellm

litellm.suppress_debug_info = True  # else it prints advertisements between the answers
said = {}
for way in sys.argv[1:]:
    asked = {"model": way, "messages": [{"role": "user", "content": "What is 2?"}], "max_tokens": 16, "temperature": 0}
    whole = litellm.completion(**asked)
    pieces = [chunk.choices[0].delta.content or "" for chunk in litellm.completion(**asked, stream=True)]
    said[way] = {
        "whole": whole.choices[0].message.content,
        "streamed": "".join(pieces),
        "pieces": len([piece for piece in pieces if piece]),
        "tokens": whole.usage.completion_tokens,
    }
print(json.dumps(said))
