"""Every operation that is built, with each spelling of the resources it names: what the law of one verdict is held to.

An operation that is built later stands in no table here, and `test_one_verdict.py` fails until it is told what it names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from outcrop import arn as arns
from outcrop.keys.ciphertext import BlobHead, encrypt
from outcrop.keys.grants import new_token
from outcrop.protocol import routing, service_model
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.parse import parse
from outcrop.protocol.virtual_hosts import addressed

REGION = "us-east-1"
BASE, STAND_IN, WEIGHTS = "outcrop.starter-v1", "amazon.titan-text-lite-v1", "outcrop.starter-v1"
BUCKET, KEY = "one-verdict", "some dir/./k+é/..//x"
PATH = "/teams/"
COPIED = "SelectedSource"
GROUP, ALARM = "/a/group", "an-alarm"


@dataclass(frozen=True)
class Case:
    """One operation on some resources, spelled in every way."""

    service: str
    operation: str
    resources: tuple[str, ...]
    "All of them have to be allowed."
    spellings: tuple[Mapping[str, Any], ...]
    "Equal requests, as their parameters."


def members(service: str, operation: str) -> set[str]:
    shape = service_model.load(service).operation_model(operation).input_shape
    return set() if shape is None else set(shape.members)


@dataclass(frozen=True)
class Things:
    """The ARNs and other spellings of resources in the installation under test."""

    account: str

    def bedrock(self, kind: str, tail: str) -> str:
        return arns.bedrock(REGION, self.account, f"{kind}/{tail}")

    def iam(self, kind: str, name: str) -> str:
        return arns.iam(self.account, f"{kind}{PATH}{name}")

    @property
    def model(self) -> str:
        return self.bedrock("custom-model", f"{BASE}:0:2k/modelmodel12")

    @property
    def deployment(self) -> str:
        return self.bedrock("custom-model-deployment", "deploydeploy")

    @property
    def throughput(self) -> str:
        return self.bedrock("provisioned-model", "throughput12")

    @property
    def job(self) -> str:
        return self.bedrock("model-customization-job", f"{BASE}:0:2k/jobjobjobjob")

    @property
    def batch_job(self) -> str:
        return self.bedrock("model-invocation-job", "batchbatch12")

    @property
    def guardrail(self) -> str:
        return self.bedrock("guardrail", "guardguard12")

    @property
    def imported(self) -> str:
        return self.bedrock("imported-model", "importedimpo")

    @property
    def import_job(self) -> str:
        return self.bedrock("model-import-job", "importimport")

    @property
    def evaluation(self) -> str:
        return self.bedrock("evaluation-job", "evaluation12")

    def on_record(self) -> tuple[str, ...]:
        return (
            self.model,
            self.deployment,
            self.throughput,
            self.job,
            self.imported,
            self.guardrail,
            self.import_job,
            self.batch_job,
            self.evaluation,
        )

    def models(self) -> tuple[str, ...]:
        return (self.model, "poems", f"{BASE}:0:2k/modelmodel12")

    def deployments(self) -> tuple[str, ...]:
        return (self.deployment, "served", "deploydeploy")

    def throughputs(self) -> tuple[str, ...]:
        return (self.throughput, "bought", "throughput12")

    def foundations(self, model_id: str = BASE, context: str = "2k") -> tuple[str, ...]:
        own = f"foundation-model/{model_id}"
        ids = (model_id, f"{model_id}:0", f"{model_id}:0:{context}")
        return (
            *ids,
            *(arns.foundation_model(REGION, each) for each in ids),
            f"arn:aws:bedrock:::{own}",
            f"arn:aws:bedrock:{REGION}:{self.account}:{own}",
        )

    def profiles(self) -> tuple[str, ...]:
        tail = f"inference-profile/us.{BASE}"
        return (f"us.{BASE}", f"us.{BASE}:0", self.bedrock(*tail.split("/")), f"arn:aws:bedrock:{REGION}::{tail}")


BEDROCK_MEMBERS = {
    "GetFoundationModel": ("modelIdentifier", "foundation"),
    "GetModelCustomizationJob": ("jobIdentifier", "job"),
    "StopModelCustomizationJob": ("jobIdentifier", "job"),
    "GetCustomModel": ("modelIdentifier", "model"),
    "DeleteCustomModel": ("modelIdentifier", "model"),
    **dict.fromkeys(
        ("GetGuardrail", "UpdateGuardrail", "DeleteGuardrail", "CreateGuardrailVersion", "ApplyGuardrail"),
        ("guardrailIdentifier", "guardrail"),
    ),
    "GetImportedModel": ("modelIdentifier", "imported"),
    "DeleteImportedModel": ("modelIdentifier", "imported"),
    "GetModelImportJob": ("jobIdentifier", "import job"),
    "CreateCustomModelDeployment": ("modelArn", "model"),
    "GetCustomModelDeployment": ("customModelDeploymentIdentifier", "deployment"),
    "DeleteCustomModelDeployment": ("customModelDeploymentIdentifier", "deployment"),
    "GetProvisionedModelThroughput": ("provisionedModelId", "throughput"),
    "DeleteProvisionedModelThroughput": ("provisionedModelId", "throughput"),
    "TagResource": ("resourceARN", "any"),
    "UntagResource": ("resourceARN", "any"),
    "ListTagsForResource": ("resourceARN", "any"),
    "CreateProvisionedModelThroughput": ("modelId", "base"),
    "CreateModelCustomizationJob": ("baseModelIdentifier", "base"),
    "CreateModelInvocationJob": ("modelId", "asked in batch"),
    "GetModelInvocationJob": ("jobIdentifier", "batch job"),
    "StopModelInvocationJob": ("jobIdentifier", "batch job"),
    "GetEvaluationJob": ("jobIdentifier", "evaluation job"),
    "StopEvaluationJob": ("jobIdentifier", "evaluation job"),
    "InvokeModel": ("modelId", "invoked"),
    "InvokeModelWithResponseStream": ("modelId", "invoked"),
    "Converse": ("modelId", "invoked"),
    "ConverseStream": ("modelId", "invoked"),
    "CountTokens": ("modelId", "invoked"),
}
"""The member that names the resource, and what it may be."""
TWO_RESOURCES = {
    "UpdateCustomModelDeployment": ("customModelDeploymentIdentifier", "deployment", "modelArn", "model"),
    "UpdateProvisionedModelThroughput": ("provisionedModelId", "throughput", "desiredModelId", "base"),
}
WITHOUT_RESOURCE = {
    "application-autoscaling": {
        "DescribeScalableTargets", "DescribeScalingActivities", "DescribeScalingPolicies", "DescribeScheduledActions",
    },
    "bedrock": {
        "DeleteModelInvocationLoggingConfiguration", "GetModelInvocationLoggingConfiguration",
        "PutModelInvocationLoggingConfiguration", "ListModelInvocationJobs",
        "CreateCustomModel", "ListFoundationModels", "ListModelCustomizationJobs", "ListCustomModels",
        "ListCustomModelDeployments", "ListProvisionedModelThroughputs", "CreateModelImportJob",
        "ListModelImportJobs", "ListImportedModels", "CreateEvaluationJob", "ListEvaluationJobs", "CreateGuardrail",
        "ListGuardrails",
    },
    "bedrock-agent": {"CreateKnowledgeBase", "ListKnowledgeBases"},
    "bedrock-agent-runtime": {
        "CreateSession", "ListSessions", "Rerank", "RetrieveAndGenerate", "RetrieveAndGenerateStream",
    },
    "bedrock-runtime": set(),
    "sagemaker": {
        "GetSearchSuggestions", "ListEndpointConfigs", "ListEndpoints", "ListHyperParameterTuningJobs",
        "ListInferenceComponents", "ListModels", "ListTrainingJobs", "ListTransformJobs", "Search",
    },
    "sagemaker-runtime": set(),
    "cloudwatch": {
        "DescribeAlarmsForMetric", "GetMetricData", "GetMetricStatistics", "ListMetrics", "PutMetricData",
    },
    "iam": {
        "CreateAccountAlias", "DeleteAccountAlias", "GetAccountAuthorizationDetails", "GetAccountSummary",
        "ListAccountAliases", "CreateGroup", "ListGroups", "CreatePolicy", "ListPolicies", "SimulateCustomPolicy",
        "CreateRole", "CreateServiceLinkedRole", "CreateUser", "GetServiceLinkedRoleDeletionStatus", "ListRoles",
        "ListUsers",
        # Things that cannot be here: instance profiles, devices, providers, certificates, reports.
        "AddClientIDToOpenIDConnectProvider", "DeactivateMFADevice", "DeleteAccountPasswordPolicy",
        "DeleteInstanceProfile", "DeleteOpenIDConnectProvider", "DeleteSAMLProvider", "DeleteServerCertificate",
        "DeleteVirtualMFADevice", "GetAccountPasswordPolicy", "GetCredentialReport", "GetInstanceProfile",
        "GetMFADevice", "GetOpenIDConnectProvider", "GetOrganizationsAccessReport", "GetSAMLProvider",
        "GetServerCertificate", "GetServiceLastAccessedDetails", "GetServiceLastAccessedDetailsWithEntities",
        "ListInstanceProfileTags", "ListInstanceProfiles", "ListMFADeviceTags", "ListOpenIDConnectProviderTags",
        "ListOpenIDConnectProviders", "ListSAMLProviderTags", "ListSAMLProviders", "ListServerCertificateTags",
        "ListServerCertificates", "ListVirtualMFADevices", "RemoveClientIDFromOpenIDConnectProvider",
        "TagInstanceProfile", "TagMFADevice", "TagOpenIDConnectProvider", "TagSAMLProvider", "TagServerCertificate",
        "UntagInstanceProfile", "UntagMFADevice", "UntagOpenIDConnectProvider", "UntagSAMLProvider",
        "UntagServerCertificate", "UpdateOpenIDConnectProviderThumbprint", "UpdateSAMLProvider",
        "UpdateServerCertificate",
    },
    "cloudtrail": {"DescribeTrails", "ListPublicKeys", "ListTrails", "LookupEvents"},
    "kms": {"CreateKey", "GenerateRandom", "ListAliases", "ListKeys", "ListRetirableGrants"},
    "logs": {"DescribeLogGroups"},
    "s3": {"ListBuckets"},
    "s3vectors": {"ListVectorBuckets"},
    "sts": {"GetCallerIdentity", "GetSessionToken", "GetAccessKeyInfo", "DecodeAuthorizationMessage"},
}  # fmt: skip
"""What names nothing that is there already, or nothing at all."""
ELSEWHERE = {("sts", "AssumeRole"), ("s3", "DeleteObjects")}
"""Decided by themselves, and tested by themselves."""


def kinds(things: Things) -> dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]]:
    """Resources by the kind of identifier: their ARNs and all spellings of one of them."""
    model, foundation = ((things.model,), things.models()), ((things.foundations()[0 + 3],), things.foundations())
    alias = (
        (arns.foundation_model(REGION, STAND_IN),),
        things.foundations(STAND_IN, "4k"),
    )
    deployment = ((things.deployment,), things.deployments())
    throughput = ((things.throughput,), things.throughputs())
    profile = (
        (things.bedrock("inference-profile", f"us.{BASE}"), arns.foundation_model(REGION, BASE)),
        (f"us.{BASE}", things.bedrock("inference-profile", f"us.{BASE}"), things.profiles()[3]),
    )
    imported = ((things.imported,), (things.imported, "fetched"))
    return {
        "asked in batch": [foundation, alias, deployment, throughput, profile, model, imported],
        "batch job": [((things.batch_job,), (things.batch_job, "batchbatch12"))],
        "evaluation job": [((things.evaluation,), (things.evaluation,))],
        "imported": [imported],
        "guardrail": [((things.guardrail,), (things.guardrail, "guardguard12"))],
        "import job": [((things.import_job,), (things.import_job, "bringing"))],
        "model": [model],
        "deployment": [deployment],
        "throughput": [throughput],
        "job": [((things.job,), (things.job, "taught"))],
        "foundation": [foundation, alias],
        "base": [model, foundation, alias],
        "invoked": [foundation, alias, deployment, throughput, profile, model, imported],
        "any": [((each,), (each,)) for each in things.on_record()],
    }


def cases_of_bedrock(things: Things) -> Iterator[Case]:
    yield Case("bedrock", "BatchDeleteEvaluationJob", (things.evaluation,), ({"jobIdentifiers": [things.evaluation]},))
    for operation, (member, kind) in BEDROCK_MEMBERS.items():
        service = "bedrock-runtime" if kind == "invoked" or operation == "ApplyGuardrail" else "bedrock"
        for resources, spellings in kinds(things)[kind]:
            yield Case(service, operation, resources, tuple({member: each} for each in spellings))
    for operation, (first, kind, second, other) in TWO_RESOURCES.items():
        for resources, spellings in kinds(things)[kind]:
            for more, others in kinds(things)[other]:
                both = tuple({first: one, second: two} for one in spellings for two in others)
                yield Case("bedrock", operation, resources + more, both)


def cases_of_agent_runtime(things: Things, operations: Iterator[str]) -> Iterator[Case]:
    """Knowledge bases by their id, sessions by id and by ARN."""
    session = "0" * 8 + "-0000" * 3 + "-" + "0" * 12
    arn = things.bedrock("session", session)
    for operation in operations:
        has = members("bedrock-agent-runtime", operation)
        if operation in WITHOUT_RESOURCE["bedrock-agent-runtime"]:
            continue
        if operation == "Retrieve":
            base = things.bedrock("knowledge-base", "KB00000001")
            yield Case("bedrock-agent-runtime", operation, (base,), ({"knowledgeBaseId": "KB00000001"},))
            continue
        named = ({"sessionIdentifier": session}, {"sessionIdentifier": arn}, {"resourceArn": arn})
        spelled = tuple(each for each in named if has.issuperset(each))
        yield Case("bedrock-agent-runtime", operation, (arn,), spelled)


def cases_of_iam(things: Things, operations: Iterator[str], key_id: str) -> Iterator[Case]:
    """IAM names things in one way each, but for the caller; the ARN holds a path that the name does not tell."""
    for operation in operations:
        has = members("iam", operation)
        if operation in WITHOUT_RESOURCE["iam"]:
            continue
        params: dict[str, Any] = {
            "PolicyArn": things.iam("policy", "rules"),
            "AccessKeyId": key_id,
            "PolicySourceArn": things.iam("user", "jane"),
        }
        kind = next((each for each in ("group", "role", "user") if f"{each.capitalize()}Name" in has), None)
        params |= {f"{each.capitalize()}Name": f"a-{each}" for each in ("group", "role")} | {"UserName": "jane"}
        given = {name: value for name, value in params.items() if name in has}
        named = {"group": things.iam("group", "a-group"), "role": things.iam("role", "a-role")}
        named["user"] = things.iam("user", "jane")
        resource = named[kind] if kind else params["PolicyArn"] if "PolicyArn" in has else named["user"]
        spellings = [given]
        required = service_model.load("iam").operation_model(operation).input_shape
        if kind == "user" and required is not None and "UserName" not in required.required_members:
            spellings.append({name: value for name, value in given.items() if name != "UserName"})
        yield Case("iam", operation, (resource,), tuple(spellings))


def cases_of_monitoring(things: Things, service: str, operations: Iterator[str]) -> Iterator[Case]:
    """Log groups by name and by ARN, their streams behind them; alarms by name and by ARN."""
    group = f"arn:aws:logs:{REGION}:{things.account}:log-group:{GROUP}"
    alarm = f"arn:aws:cloudwatch:{REGION}:{things.account}:alarm:{ALARM}"
    for operation in operations:
        has = members(service, operation)
        if operation in WITHOUT_RESOURCE[service]:
            continue
        if service == "cloudwatch":
            named = ({"ResourceARN": alarm}, {"AlarmNames": [ALARM]}, {"AlarmName": ALARM})
            yield Case(service, operation, (alarm,), tuple(each for each in named if has.issuperset(each)))
        elif "resourceArn" in has:
            yield Case(service, operation, (group,), ({"resourceArn": group},))
        else:
            stream = {"logStreamName": "s"} if "logStreamName" in has else {}
            named_groups = ({"logGroupName": GROUP}, {"logGroupIdentifier": GROUP}, {"logGroupIdentifier": group})
            spelled = tuple(each | stream for each in named_groups if has.issuperset(each))
            yield Case(service, operation, (f"{group}:log-stream:s" if stream else f"{group}:*",), spelled)


def cases_of_knowledge(things: Things, operations: Iterator[str]) -> Iterator[Case]:
    """Knowledge bases by id alone, and by ARN where tags are asked about. Who may use one may use all that is in it."""
    arn = things.bedrock("knowledge-base", "KNOWLEDGE1")
    for operation in operations:
        if operation in WITHOUT_RESOURCE["bedrock-agent"]:
            continue
        named = ({"resourceArn": arn}, {"knowledgeBaseId": "KNOWLEDGE1"})
        has = members("bedrock-agent", operation)
        yield Case("bedrock-agent", operation, (arn,), tuple(each for each in named if has.issuperset(each)))


SAGEMAKER_KINDS = {
    "Endpoint": "endpoint",
    "EndpointConfig": "endpoint-config",
    "HyperParameterTuningJob": "hyper-parameter-tuning-job",
    "InferenceComponent": "inference-component",
    "Model": "model",
    "TrainingJob": "training-job",
    "TransformJob": "transform-job",
}
"The kinds in ARNs of things that SageMaker's operations name."


def cases_of_sagemaker(things: Things, operations: Iterator[str]) -> Iterator[Case]:
    """Jobs, models and endpoints by name, and by ARN where tags are asked about."""
    for operation in operations:
        has = members("sagemaker", operation)
        if operation in WITHOUT_RESOURCE["sagemaker"]:
            continue
        # Longer nouns first: an endpoint's configuration is no endpoint.
        noun = next(
            (each for each in sorted(SAGEMAKER_KINDS, key=len, reverse=True) if each in operation), "TrainingJob"
        )
        arn = f"arn:aws:sagemaker:{REGION}:{things.account}:{SAGEMAKER_KINDS[noun]}/taught"
        named = ({"ResourceArn": arn}, {f"{noun}Name": "taught"})
        yield Case("sagemaker", operation, (arn,), tuple(each for each in named if has.issuperset(each)))


def cases_of_sagemaker_runtime(things: Things, operations: Iterator[str]) -> Iterator[Case]:
    """Endpoints by name."""
    endpoint = f"arn:aws:sagemaker:{REGION}:{things.account}:endpoint/taught"
    for operation in operations:
        yield Case("sagemaker-runtime", operation, (endpoint,), ({"EndpointName": "taught"},))


def cases_of_autoscaling(things: Things, operations: Iterator[str]) -> Iterator[Case]:
    """Scalable targets by their ARN where tags are asked about; else any of them, whose ids no request knows."""
    service = "application-autoscaling"
    targets = f"arn:aws:{service}:{REGION}:{things.account}:scalable-target"
    for operation in operations:
        if operation in WITHOUT_RESOURCE[service]:
            continue
        if "ResourceARN" in members(service, operation):
            yield Case(service, operation, (f"{targets}/one",), ({"ResourceARN": f"{targets}/one"},))
        else:
            named = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/e/variant/v"}
            yield Case(service, operation, (f"{targets}/*",), (named,))


def cases_of_vectors(things: Things, operations: Iterator[str]) -> Iterator[Case]:
    """Vector buckets and indexes by their names and by their ARNs."""
    bucket = f"arn:aws:s3vectors:{REGION}:{things.account}:bucket/a-bucket"
    index = f"{bucket}/index/an-index"
    for operation in operations:
        has = members("s3vectors", operation)
        if operation in WITHOUT_RESOURCE["s3vectors"]:
            continue
        if "resourceArn" in has:
            for each in (bucket, index):
                yield Case("s3vectors", operation, (each,), ({"resourceArn": each},))
            continue
        of_index = {"indexName": "an-index"} if "indexName" in has else {}
        named = (
            {"vectorBucketName": "a-bucket", **of_index}, {"vectorBucketArn": bucket, **of_index}, {"indexArn": index}
        )  # fmt: skip
        spelled = tuple(each for each in named if has.issuperset(each))
        yield Case("s3vectors", operation, (index if of_index else bucket,), spelled)


def cases_of_trails(things: Things, operations: Iterator[str]) -> Iterator[Case]:
    """Trails by name and ARN; for tags by ARN alone."""
    arn = f"arn:aws:cloudtrail:{REGION}:{things.account}:trail/one"
    for operation in operations:
        if operation in WITHOUT_RESOURCE["cloudtrail"]:
            continue
        match operation:
            case "AddTags" | "RemoveTags":
                asked: list[dict[str, Any]] = [{"ResourceId": arn}]
            case "ListTags":
                asked = [{"ResourceIdList": [arn]}]
            case "GetEventSelectors" | "PutEventSelectors":
                asked = [{"TrailName": each} for each in ("one", arn)]
            case _:
                asked = [{"Name": each} for each in ("one", arn)]
        yield Case("cloudtrail", operation, (arn,), tuple(asked))


KMS_KEY, KMS_ALIAS = "12345678-1234-4234-8234-123456789012", "alias/one"
_BY_ALIAS = (
    "DescribeKey", "Encrypt", "Decrypt", "ReEncrypt", "Sign", "Verify", "GenerateMac", "VerifyMac", "GetPublicKey",
    "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext",
)  # fmt: skip


def cases_of_kms(things: Things, operations: Iterator[str]) -> Iterator[Case]:
    """Keys by id, ARN, alias and the alias's ARN; decryption by the ciphertext alone; grants by their tokens."""
    key, alias = (f"arn:aws:kms:{REGION}:{things.account}:{each}" for each in (f"key/{KMS_KEY}", KMS_ALIAS))
    blob = encrypt(b"", head=BlobHead(KMS_KEY, "ab" * 32), material=bytes(32), context={})
    for operation in operations:
        if operation in WITHOUT_RESOURCE["kms"]:
            continue
        named = (KMS_KEY, key, KMS_ALIAS, alias) if operation in _BY_ALIAS else (KMS_KEY, key)
        match operation:
            case "CreateAlias" | "UpdateAlias":
                asked: list[dict[str, Any]] = [{"AliasName": KMS_ALIAS, "TargetKeyId": each} for each in named]
                yield Case("kms", operation, (alias, key), tuple(asked))
                continue
            case "DeleteAlias":
                yield Case("kms", operation, (alias, key), ({"AliasName": KMS_ALIAS},))
                continue
            case "ReEncrypt":
                asked = [{"CiphertextBlob": blob, "DestinationKeyId": each} for each in named]
                asked += [{"SourceKeyId": each, "DestinationKeyId": KMS_KEY} for each in named]
            case "Decrypt":
                asked = [{"KeyId": each} for each in named] + [{"CiphertextBlob": blob}]
            case "RetireGrant":
                token = new_token(KMS_KEY, "0" * 64)
                asked = [{"KeyId": each, "GrantId": "0" * 64} for each in named] + [{"GrantToken": token}]
            case _:
                asked = [{"KeyId": each} for each in named]
        yield Case("kms", operation, (key,), tuple(asked))


def cases_of_s3(operations: Iterator[str]) -> Iterator[Case]:
    """By path and by host, with each way to write a key in a URL; and the version that is the object itself."""
    for operation in operations:
        if operation in WITHOUT_RESOURCE["s3"] or ("s3", operation) in ELSEWHERE:
            continue
        has, shape = members("s3", operation), service_model.load("s3").operation_model(operation)
        assert shape.input_shape is not None
        bucket = f"arn:aws:s3:::{BUCKET}"
        required = shape.input_shape.required_members
        own = f"{bucket}/{KEY}" if "Key" in has else bucket
        source = f"{bucket}/{COPIED}/k"
        resources = (source, own) if "CopySource" in required else (own,)
        yield Case("s3", operation, resources, tuple(_spelled(operation, "Key" in has, "CopySource" in required)))


def _spelled(operation: str, has_key: bool, has_source: bool) -> Iterator[Mapping[str, Any]]:
    model = service_model.load("s3").operation_model(operation)
    path, _, query = model.http["requestUri"].partition("?")
    extra = {"PartNumber": "partNumber=1", "UploadId": "uploadId=u", "Id": "id=i"}
    assert model.input_shape is not None
    wanted = [text for name, text in extra.items() if name in model.input_shape.required_members]
    plain = "&".join(part for part in (query, *wanted) if part)
    queries = [plain, f"{plain}&versionId=null"] if "VersionId" in model.input_shape.members else [plain]
    keys = [
        "some%20dir/./k%2B%C3%A9/..//x",
        "some%20dir/%2E/k%2b%c3%a9/%2E%2E%2F/x",
        "%73ome%20dir/./k%2B%C3%A9/%2e./%2fx",
    ]
    sources = [
        f"{BUCKET}/{COPIED}/k",
        f"/{BUCKET}/{COPIED}/k",
        f"{BUCKET}%2F{COPIED}%2Fk",
        f"{BUCKET}/{COPIED}/k?versionId=null",
    ]
    for key in keys if has_key else [""]:
        for raw_query in queries:
            for header in sources if has_source else [""]:
                headers = {"host": "localhost", **({"x-amz-copy-source": header} if header else {})}
                by_path = HttpRequest(
                    method=model.http["method"],
                    raw_path=path.replace("{Bucket}", BUCKET).replace("{Key+}", key),
                    raw_query=raw_query,
                    headers=headers,
                )
                for host in (f"{BUCKET}.localhost", f"{BUCKET}.s3.{REGION}.localhost"):
                    by_host = replace(
                        by_path,
                        raw_path=by_path.raw_path.removeprefix(f"/{BUCKET}") or "/",
                        headers=headers | {"host": host},
                    )
                    yield _params(operation, addressed(by_host))
                yield _params(operation, by_path)


def _params(operation: str, request: HttpRequest) -> Mapping[str, Any]:
    routed = routing.route(request, "s3")
    assert routed.operation.name == operation, f"{request} is {routed.operation.name}"
    request.body = b""
    return parse(routed, request)
