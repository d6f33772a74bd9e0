"""Managed policies of IAM: the list, a new one, and one with its text, who has it, and its versions."""

from botocore.exceptions import ClientError, ParamValidationError
from starlette.responses import Response

from outcrop.console.views.access_views import EXAMPLE_POLICY, document_text
from outcrop.console.visit import ConsoleVisit

_PAGE = 100
SCOPES = ("Local", "AWS")


def show(visit: ConsoleVisit) -> Response:
    return _list(visit)


def create(visit: ConsoleVisit) -> Response:
    """The policy, or the page again with the sentence that refused it."""
    name, document = visit.form.get("name", "").strip(), visit.form.get("document", "")
    try:
        made = visit.api.client("iam").create_policy(PolicyName=name, PolicyDocument=document)
    except (ClientError, ParamValidationError) as refusal:
        return _list(visit, name=name, document=document, problem=_sentence(refusal))
    return visit.to("/access/policy", arn=made["Policy"]["Arn"])


def show_one(visit: ConsoleVisit) -> Response:
    return _one(visit, visit.asked("arn"))


def change(visit: ConsoleVisit) -> Response:
    """A new version that holds from now on, or the deletion of the policy."""
    iam, arn = visit.api.client("iam"), visit.form.get("arn", "")
    document = visit.form.get("document", "")
    try:
        if visit.form.get("action") == "delete":
            for each in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
                if not each["IsDefaultVersion"]:
                    iam.delete_policy_version(PolicyArn=arn, VersionId=each["VersionId"])
            iam.delete_policy(PolicyArn=arn)
            return visit.to("/access/policies")
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    except (ClientError, ParamValidationError) as refusal:
        return _one(visit, arn, document=document, problem=_sentence(refusal))
    return visit.to("/access/policy", arn=arn)


def _list(visit: ConsoleVisit, *, name: str = "", document: str = "", problem: str = "") -> Response:
    scope = visit.asked("scope") if visit.asked("scope") in SCOPES else SCOPES[0]
    token = {"Marker": visit.asked("after")} if visit.asked("after") else {}
    found = visit.api.listed("iam", "list_policies", "Policies", Scope=scope, MaxItems=_PAGE, **token)
    return visit.page(
        "access_policies.html",
        status=400 if problem else 200,
        part="policies",
        scope=scope,
        scopes=SCOPES,
        found=found,
        name=name,
        document=document or document_text(EXAMPLE_POLICY),
        problem=problem,
    )


def _one(visit: ConsoleVisit, arn: str, *, document: str = "", problem: str = "") -> Response:
    iam = visit.api.client("iam")
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    holders = iam.list_entities_for_policy(PolicyArn=arn)
    return visit.page(
        "access_policy.html",
        status=400 if problem else 200,
        policy=policy,
        is_ours=not arn.startswith("arn:aws:iam::aws:"),
        document=document or document_text(version["Document"]),
        users=[each["UserName"] for each in holders["PolicyUsers"]],
        roles=[each["RoleName"] for each in holders["PolicyRoles"]],
        groups=[each["GroupName"] for each in holders["PolicyGroups"]],
        problem=problem,
    )


def _sentence(refusal: ClientError | ParamValidationError) -> str:
    return str(refusal.response["Error"]["Message"]) if isinstance(refusal, ClientError) else str(refusal)
