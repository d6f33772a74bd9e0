"""Documents in an index of S3 Vectors by langchain-aws' AmazonS3Vectors, found again, filtered, fetched and deleted."""

import json
import sys

import boto3
from langchain_aws import BedrockEmbeddings
from langchain_aws.vectorstores.s3_vectors import AmazonS3Vectors
from langchain_core.documents import Document

QUESTION = "What is the capital of Japan?"
DOCUMENTS = [
    Document("Boil the pasta for nine minutes.", id="food", metadata={"about": "cooking"}),
    Document("Tokyo is where the government of Japan sits.", id="japan", metadata={"about": "politics"}),
    Document("Saturn has many moons.", id="moons", metadata={"about": "space"}),
]

client = boto3.client("s3vectors")
client.create_vector_bucket(vectorBucketName="langchain")
store = AmazonS3Vectors(
    vector_bucket_name="langchain",
    index_name="documents",
    embedding=BedrockEmbeddings(model_id=sys.argv[1]),
    non_filterable_metadata_keys=["_page_content"],
)
store.add_documents(DOCUMENTS)
found = {
    "found": [each.page_content for each in store.similarity_search(QUESTION, k=1)],
    "filtered": [each.page_content for each in store.similarity_search(QUESTION, k=3, filter={"about": "space"})],
    "scored": [[each.page_content, score] for each, score in store.similarity_search_with_score(QUESTION, k=3)],
    "retrieved": [each.page_content for each in store.as_retriever(search_kwargs={"k": 1}).invoke(QUESTION)],
    "by_id": [[each.id, each.metadata] for each in store.get_by_ids(["moons"])],
}
store.delete(["moons"])
place = {"vectorBucketName": "langchain", "indexName": "documents"}
found["left"] = sorted(each["key"] for each in client.list_vectors(**place)["vectors"])
store.delete()
client.delete_vector_bucket(vectorBucketName="langchain")
print(json.dumps(found))
