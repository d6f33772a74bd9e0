"""LlamaIndex's BedrockConverse: chat at once and streamed."""

import json
import os
import sys

from llama_index.core.llms import ChatMessage
from llama_index.llms.bedrock_converse import BedrockConverse

model = BedrockConverse(
    model=sys.argv[1],
    region_name=os.environ["AWS_DEFAULT_REGION"],
    endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    max_tokens=16,
    temperature=0,
)
asked = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="What is 2?")]
whole = model.chat(asked)
pieces = [piece.delta for piece in model.stream_chat(asked)]
print(
    json.dumps(
        {"whole": whole.message.content, "streamed": "".join(piece or "" for piece in pieces), "pieces": len(pieces)}
    )
)
