"""Passages of a knowledge base by llama-index's AmazonKnowledgeBasesRetriever."""

import json
import sys

from llama_index.retrievers.bedrock import AmazonKnowledgeBasesRetriever

retriever = AmazonKnowledgeBasesRetriever(
    knowledge_base_id=sys.argv[1],
    retrieval_config={"vectorSearchConfiguration": {"numberOfResults": 2, "overrideSearchType": "SEMANTIC"}},
)
nodes = retriever.retrieve("When was the lighthouse built?")
print(json.dumps([{"text": node.get_content(), "score": node.score, **node.metadata} for node in nodes]))
