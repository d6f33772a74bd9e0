"""The tables of operations and the handlers that answer them, of all files of handlers, by service.

The list below is the whole product as clients see it; an operation that is in none of the tables is answered by its
name, as not built. A service's handlers are imported when they are first asked for, as its model is: the server
answers before it has read them all.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache

from outcrop.api.door.call import Handler

Table = Mapping[str, Handler]
"Operation -> what answers it."
Operations = Mapping[str, Table]


class _Imported(Operations):
    """Tables by service, each made when it is first looked up."""

    def __init__(self, makers: Mapping[str, Callable[[], Table]]) -> None:
        self._makers = {service: cache(maker) for service, maker in makers.items()}

    def __getitem__(self, service: str) -> Table:
        return self._makers[service]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def _application_autoscaling() -> Table:
    from outcrop.api.scaling import activities, policies, scheduled_actions, tags, targets

    return {
        **targets.OPERATIONS,
        **policies.OPERATIONS,
        **scheduled_actions.OPERATIONS,
        **activities.OPERATIONS,
        **tags.OPERATIONS,
    }


def _bedrock() -> Table:
    from outcrop.api.bedrock import (
        custom_models,
        customization_jobs,
        deployments,
        evaluation_jobs,
        foundation_models,
        guardrails,
        imported_models,
        invocation_jobs,
        invocation_logging,
        tags,
        throughput,
    )

    return {
        **foundation_models.OPERATIONS,
        **customization_jobs.OPERATIONS,
        **custom_models.OPERATIONS,
        **deployments.OPERATIONS,
        **imported_models.OPERATIONS,
        **throughput.OPERATIONS,
        **invocation_jobs.OPERATIONS,
        **evaluation_jobs.OPERATIONS,
        **invocation_logging.OPERATIONS,
        **guardrails.OPERATIONS,
        **tags.OPERATIONS,
    }


def _bedrock_runtime() -> Table:
    from outcrop.api.bedrock import runtime

    return runtime.OPERATIONS


def _bedrock_agent() -> Table:
    from outcrop.api.knowledge import data_sources, documents, ingestion_jobs, knowledge_bases, tags

    return {
        **knowledge_bases.OPERATIONS,
        **data_sources.OPERATIONS,
        **ingestion_jobs.OPERATIONS,
        **documents.OPERATIONS,
        **tags.OPERATIONS,
    }


def _bedrock_agent_runtime() -> Table:
    from outcrop.api.bedrock import reranking
    from outcrop.api.knowledge import answers, retrieval, session_steps, sessions

    return {
        **reranking.OPERATIONS,
        **retrieval.OPERATIONS,
        **answers.OPERATIONS,
        **sessions.OPERATIONS,
        **session_steps.OPERATIONS,
    }


def _cloudtrail() -> Table:
    from outcrop.api.trails import event_selectors, lookup, public_keys, tags, trails

    return {
        **lookup.OPERATIONS,
        **trails.OPERATIONS,
        **event_selectors.OPERATIONS,
        **public_keys.OPERATIONS,
        **tags.OPERATIONS,
    }


def _cloudwatch() -> Table:
    from outcrop.api.monitoring import alarms, metric_data, metrics

    return {**metrics.OPERATIONS, **metric_data.OPERATIONS, **alarms.OPERATIONS}


def _iam() -> Table:
    from outcrop.api.iam import absent as iam_absent
    from outcrop.api.iam import service_credentials, users_and_roles
    from outcrop.api.iam.unchanged import unchanged

    tables = {**users_and_roles.OPERATIONS, **iam_absent.OPERATIONS, **service_credentials.OPERATIONS}
    return {name: unchanged(name, handler) for name, handler in tables.items()}


def _kms() -> Table:
    from outcrop.api.kms import aliases, data_keys, encryption, grants, keys, policies, rotation, signing, tags

    return {
        **keys.OPERATIONS,
        **aliases.OPERATIONS,
        **policies.OPERATIONS,
        **grants.OPERATIONS,
        **rotation.OPERATIONS,
        **tags.OPERATIONS,
        **encryption.OPERATIONS,
        **data_keys.OPERATIONS,
        **signing.OPERATIONS,
    }


def _logs() -> Table:
    from outcrop.api.monitoring import log_events, log_groups, log_streams

    return {**log_groups.OPERATIONS, **log_streams.OPERATIONS, **log_events.OPERATIONS}


def _s3() -> Table:
    from outcrop.api.s3 import bucket_encryption
    from outcrop.api.s3 import (
        buckets as s3_buckets,
    )
    from outcrop.api.s3 import (
        configuration as s3_configuration,
    )
    from outcrop.api.s3 import (
        lifecycle as s3_lifecycle,
    )
    from outcrop.api.s3 import (
        multipart as s3_multipart,
    )
    from outcrop.api.s3 import (
        objects as s3_objects,
    )
    from outcrop.api.s3 import (
        policies as s3_policies,
    )
    from outcrop.api.s3 import (
        states as s3_states,
    )
    from outcrop.api.s3 import (
        versions as s3_versions,
    )

    return {
        **bucket_encryption.OPERATIONS,
        **s3_buckets.OPERATIONS,
        **s3_configuration.OPERATIONS,
        **s3_states.OPERATIONS,
        **s3_policies.OPERATIONS,
        **s3_lifecycle.OPERATIONS,
        **s3_versions.OPERATIONS,
        **s3_objects.OPERATIONS,
        **s3_multipart.OPERATIONS,
    }


def _s3vectors() -> Table:
    from outcrop.api.vectors import buckets, indexes, tags, vectors

    return {**buckets.OPERATIONS, **indexes.OPERATIONS, **vectors.OPERATIONS, **tags.OPERATIONS}


def _sagemaker() -> Table:
    from outcrop.api.sagemaker import (
        endpoint_configs,
        endpoints,
        hub_contents,
        hubs,
        inference_components,
        models,
        pipeline_executions,
        pipelines,
        search,
        tags,
        training_jobs,
        training_updates,
        transform_jobs,
        tuning_jobs,
    )

    return {
        **training_jobs.OPERATIONS,
        **training_updates.OPERATIONS,
        **tuning_jobs.OPERATIONS,
        **pipelines.OPERATIONS,
        **pipeline_executions.OPERATIONS,
        **models.OPERATIONS,
        **endpoint_configs.OPERATIONS,
        **endpoints.OPERATIONS,
        **inference_components.OPERATIONS,
        **search.OPERATIONS,
        **transform_jobs.OPERATIONS,
        **hubs.OPERATIONS,
        **hub_contents.OPERATIONS,
        **tags.OPERATIONS,
    }


def _sagemaker_runtime() -> Table:
    from outcrop.api.sagemaker import runtime

    return runtime.OPERATIONS


def _sts() -> Table:
    from outcrop.api.iam import sts

    return sts.OPERATIONS


OPERATIONS: Operations = _Imported(
    {
        "application-autoscaling": _application_autoscaling,
        "bedrock": _bedrock,
        "bedrock-runtime": _bedrock_runtime,
        "bedrock-agent": _bedrock_agent,
        "bedrock-agent-runtime": _bedrock_agent_runtime,
        "cloudtrail": _cloudtrail,
        "cloudwatch": _cloudwatch,
        "iam": _iam,
        "kms": _kms,
        "logs": _logs,
        "s3": _s3,
        "s3vectors": _s3vectors,
        "sagemaker": _sagemaker,
        "sagemaker-runtime": _sagemaker_runtime,
        "sts": _sts,
    }
)
