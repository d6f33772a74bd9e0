"""litellm by OpenAI's form: at once, streamed, and an error by its class."""

import json
import os
import sys

import litellm

litellm.suppress_debug_info = True
asked = {
    "model": f"openai/{sys.argv[1]}",
    "messages": [{"role": "user", "content": "What is 2?"}],
    "api_base": os.environ["OPENAI_BASE_URL"],
    "api_key": os.environ["OPENAI_API_KEY"],
    "max_tokens": 16,
    "temperature": 0,
}
whole = litellm.completion(**asked)
pieces = [chunk.choices[0].delta.content or "" for chunk in litellm.completion(**asked, stream=True)]
try:
    litellm.completion(**{**asked, "model": "openai/nobody"}, num_retries=0)
    missing = None
except litellm.NotFoundError as error:
    missing = type(error).__name__
long = [{"role": "user", "content": "hello " * 9000}]
try:
    litellm.completion(**{**asked, "messages": long}, num_retries=0)
    too_long = None
except litellm.ContextWindowExceededError as error:
    too_long = type(error).__name__
print(
    json.dumps(
        {
            "whole": whole.choices[0].message.content,
            "streamed": "".join(pieces),
            "pieces": len([piece for piece in pieces if piece]),
            "missing": missing,
            "too_long": too_long,
        }
    )
)
