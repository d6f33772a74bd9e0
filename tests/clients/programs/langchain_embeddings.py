"""Vectors by langchain-aws' BedrockEmbeddings, of one text and of many, for each of the models named."""

import json
import sys

from langchain_aws import BedrockEmbeddings

QUERY = "What is the capital of Japan?"
PASSAGES = [
    "Boil the pasta for nine minutes.",
    "Tokyo is where the government of Japan sits.",
    "Saturn has many moons.",
]

found = {}
for model in sys.argv[1:]:
    embeddings = BedrockEmbeddings(model_id=model)
    found[model] = {"query": embeddings.embed_query(QUERY), "passages": embeddings.embed_documents(PASSAGES)}
print(json.dumps(found))
