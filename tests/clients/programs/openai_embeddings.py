"""OpenAI's own client asks for vectors, which it fetches in base64 and gives out as numbers."""

import json
import sys

from openai import OpenAI

client = OpenAI()
texts = ["What is the capital of Japan?", "Tokyo is where the government of Japan sits.", "Boil the pasta."]
told = client.embeddings.create(model=sys.argv[1], input=texts)
plain = client.embeddings.create(model=sys.argv[1], input=texts[0], encoding_format="float")
short = client.embeddings.create(model=sys.argv[1], input=texts[0], dimensions=64)
print(
    json.dumps(
        {
            "vectors": [each.embedding for each in told.data],
            "plain": plain.data[0].embedding,
            "short": short.data[0].embedding,
            "tokens": told.usage.prompt_tokens,
        }
    )
)
