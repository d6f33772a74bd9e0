"""The member storageConfiguration of a knowledge base: which store it names, and what stands behind that here.

This is the one place that knows which stores are real, which the embedded one stands in for, and which are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from outcrop.errors import Invalid

_MEMBERS: Mapping[str, str] = {
    "RDS": "rdsConfiguration",
    "REDIS_ENTERPRISE_CLOUD": "redisEnterpriseCloudConfiguration",
    "S3_VECTORS": "s3VectorsConfiguration",
    "OPENSEARCH_SERVERLESS": "opensearchServerlessConfiguration",
    "OPENSEARCH_MANAGED_CLUSTER": "opensearchManagedClusterConfiguration",
}
"The member that configures each store that is taken."
_STOOD_IN_FOR = ("OPENSEARCH_SERVERLESS", "OPENSEARCH_MANAGED_CLUSTER")
_REFUSED: Mapping[str, str] = {
    "PINECONE": "Pinecone is a service that nothing here can stand for",
    "MONGO_DB_ATLAS": "MongoDB Atlas is a service that nothing here can stand for",
    "NEPTUNE_ANALYTICS": "graphs of Neptune Analytics are not built in Outcrop",
}
OUR_SCHEMAS, OUR_KEYS = "outcrop_", "outcrop:"
"Beginnings of the names that Outcrop takes for itself in a database, and in Redis."


@dataclass(frozen=True, kw_only=True)
class PostgresPlace:
    """A table of a PostgreSQL cluster, and the columns of it that a knowledge base fills."""

    cluster_arn: str
    secret_arn: str
    database: str
    table: str
    key_column: str
    vector_column: str
    text_column: str
    metadata_column: str
    custom_metadata_column: str | None
    "Of a document's own attributes; None: they stand in the other column of metadata."


@dataclass(frozen=True, kw_only=True)
class RedisPlace:
    """A prefix of keys in a Redis server, and the fields of its hashes that a knowledge base fills."""

    endpoint: str
    secret_arn: str
    index_name: str
    vector_field: str
    text_field: str
    metadata_field: str


@dataclass(frozen=True, kw_only=True)
class VectorIndexPlace:
    """An index of S3 Vectors that a knowledge base fills."""

    arn: str


StorePlace: TypeAlias = PostgresPlace | RedisPlace | VectorIndexPlace


def read_storage(configuration: Mapping[str, Any] | None) -> StorePlace | None:
    """The place that a knowledge base's passages lie in besides the home; None: in the home alone.

    Raises Invalid for a store that is not real here.
    """
    if configuration is None:
        return None
    kind = str(configuration["type"])
    if kind in _REFUSED:
        raise Invalid(
            f"storageConfiguration.type: {kind}: {_REFUSED[kind]}. Leave storageConfiguration out: passages and "
            "vectors are then kept in the home of this installation."
        )
    if _MEMBERS[kind] not in configuration:
        raise Invalid(f"storageConfiguration: {_MEMBERS[kind]} is missing, where type is {kind}.")
    given: Mapping[str, Any] = configuration[_MEMBERS[kind]]
    if kind == "RDS":
        return _postgres(given)
    if kind == "REDIS_ENTERPRISE_CLOUD":
        return _redis(given)
    return _vector_index(given) if kind == "S3_VECTORS" else None


def told_store(configuration: Mapping[str, Any] | None, *, has_vectors: bool) -> str:
    """The store behind a knowledge base, in words for its owner."""
    kind = None if configuration is None else str(configuration["type"])
    if kind == "RDS":
        return "PostgreSQL"
    if kind == "REDIS_ENTERPRISE_CLOUD":
        return "Redis"
    if kind == "S3_VECTORS":
        return "embedded; copied to S3 Vectors" if has_vectors else "embedded; no vectors to copy to S3 Vectors"
    return "embedded" if kind is None else f"embedded; stands in for {kind}"


def _postgres(given: Mapping[str, Any]) -> PostgresPlace:
    fields: Mapping[str, str] = given["fieldMapping"]
    columns = [fields[name] for name in sorted(fields)]
    if len(set(columns)) < len(columns):
        raise Invalid("rdsConfiguration.fieldMapping: two fields name the same column. Give each its own.")
    table = str(given["tableName"])
    if not all(table.split(".")) or table.count(".") > 1 or table.startswith(OUR_SCHEMAS):
        raise Invalid(
            f"rdsConfiguration.tableName: {table}: expected TABLE or SCHEMA.TABLE, and no schema of Outcrop's own "
            f"({OUR_SCHEMAS}…)."
        )
    return PostgresPlace(
        cluster_arn=given["resourceArn"],
        secret_arn=given["credentialsSecretArn"],
        database=given["databaseName"],
        table=table,
        key_column=fields["primaryKeyField"],
        vector_column=fields["vectorField"],
        text_column=fields["textField"],
        metadata_column=fields["metadataField"],
        custom_metadata_column=fields.get("customMetadataField"),
    )


def _redis(given: Mapping[str, Any]) -> RedisPlace:
    fields: Mapping[str, str] = given["fieldMapping"]
    name = str(given["vectorIndexName"])
    if not name or name.startswith(OUR_KEYS):
        raise Invalid(
            f"redisEnterpriseCloudConfiguration.vectorIndexName: {name!r}: empty, or a name of Outcrop's own "
            f"({OUR_KEYS}…). Choose another."
        )
    if len(set(fields.values())) < len(fields) or not all(fields.values()):
        raise Invalid(
            "redisEnterpriseCloudConfiguration.fieldMapping: a field is empty, or named twice. Give each its own name."
        )
    return RedisPlace(
        endpoint=given["endpoint"],
        secret_arn=given["credentialsSecretArn"],
        index_name=name,
        vector_field=fields["vectorField"],
        text_field=fields["textField"],
        metadata_field=fields["metadataField"],
    )


def _vector_index(given: Mapping[str, Any]) -> VectorIndexPlace:
    arn, bucket, name = given.get("indexArn"), given.get("vectorBucketArn"), given.get("indexName")
    if arn is None:
        if bucket is None or name is None:
            raise Invalid("s3VectorsConfiguration: name the index by indexArn, or by vectorBucketArn and indexName.")
        arn = f"{bucket}/index/{name}"
    elif bucket is not None and not str(arn).startswith(f"{bucket}/index/"):
        raise Invalid(f"s3VectorsConfiguration: the index {arn} is not in the vector bucket {bucket}. Leave one out.")
    return VectorIndexPlace(arn=str(arn))
