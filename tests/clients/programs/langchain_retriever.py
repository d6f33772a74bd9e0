"""Passages of a knowledge base by langchain-aws' AmazonKnowledgeBasesRetriever, with a filter and without."""

import json
import sys

from langchain_aws.retrievers import AmazonKnowledgeBasesRetriever

found = {}
for name, limits in {"plain": {}, "filtered": {"filter": {"equals": {"key": "topic", "value": "tea"}}}}.items():
    retriever = AmazonKnowledgeBasesRetriever(
        knowledge_base_id=sys.argv[1],
        retrieval_config={"vectorSearchConfiguration": {"numberOfResults": 2, **limits}},
    )
    documents = retriever.invoke(" When was the lighthouse built? ")
    found[name] = [
        {"text": one.page_content, "score": one.metadata["score"], "attributes": one.metadata["source_metadata"]}
        for one in documents
    ]
print(json.dumps(found))
