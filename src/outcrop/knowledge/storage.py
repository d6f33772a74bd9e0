"""Vector stores that a knowledge base may name, and what stands behind each here.

This is the one place that knows: the embedded store stands behind those of `STOOD_IN_FOR`, and the others are refused
by name. A store that is built later moves from one table to the other.
"""

from collections.abc import Mapping
from typing import Any

from outcrop.errors import Invalid

EMBEDDED = "embedded"
STOOD_IN_FOR: Mapping[str, str] = {
    "OPENSEARCH_SERVERLESS": "opensearchServerlessConfiguration",
    "OPENSEARCH_MANAGED_CLUSTER": "opensearchManagedClusterConfiguration",
    "S3_VECTORS": "s3VectorsConfiguration",
}
"The member that configures each."
_REFUSED: Mapping[str, str] = {
    "RDS": "a PostgreSQL store behind a knowledge base is not built in Outcrop yet",
    "REDIS_ENTERPRISE_CLOUD": "a Redis store behind a knowledge base is not built in Outcrop yet",
    "PINECONE": "Pinecone is a service that nothing here can stand for",
    "MONGO_DB_ATLAS": "MongoDB Atlas is a service that nothing here can stand for",
    "NEPTUNE_ANALYTICS": "graphs of Neptune Analytics are not built in Outcrop",
}


def check_storage(configuration: Mapping[str, Any] | None) -> None:
    """Raises Invalid for a vector store that is not real here. None: the service chooses, which is the embedded one."""
    if configuration is None:
        return
    kind = str(configuration["type"])
    if kind in _REFUSED:
        raise Invalid(
            f"storageConfiguration.type: {kind}: {_REFUSED[kind]}. Leave storageConfiguration out: passages and "
            "vectors are then kept in the home of this installation."
        )
    if STOOD_IN_FOR[kind] not in configuration:
        raise Invalid(f"storageConfiguration: {STOOD_IN_FOR[kind]} is missing, where type is {kind}.")


def store_of(configuration: Mapping[str, Any] | None) -> str:
    """The store behind a knowledge base, in words for its owner."""
    if configuration is None:
        return EMBEDDED
    return f"{EMBEDDED}; stands in for {configuration['type']}"
