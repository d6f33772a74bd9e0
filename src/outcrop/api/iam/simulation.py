"""IAM: what policies would say, asked without doing anything."""

from collections.abc import Mapping
from typing import Any

from outcrop import arn as arns
from outcrop.access import refusals
from outcrop.access.names import Kind
from outcrop.access.policies.simulation import Simulated, simulate
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.iam.answers import page
from outcrop.house import House

# Each of them would change the outcome: what is taken in must count.
_UNBUILT = ("ResourcePolicy", "ResourceHandlingOption", "CallerArn", "ResourceOwner")


def simulate_principal_policy(house: House, call: Call) -> Answered:
    """The policies of a user, group or role, with those given beside them."""
    arn = call.params["PolicySourceArn"]
    identity = house.access.identities.records.identities.with_arn(arn)
    if identity is None:
        parsed = arns.parse(arn)
        if parsed is None or parsed.kind not in [kind.value for kind in Kind]:
            raise refusals.invalid_input(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
        raise refusals.no_such(parsed.kind, parsed.resource.rpartition("/")[2])
    attachments = house.access.attachments
    limit = identity.document.get("boundary")
    boundary = [attachments.get(limit).document] if limit else []
    documents = {**attachments.documents_of(identity), **_given(call)}
    known = house.access.decisions.known(identity) if identity.kind != Kind.GROUP.value else {}
    return _results(call, documents, boundary=boundary, known=known)


def simulate_custom_policy(_house: House, call: Call) -> Answered:
    return _results(call, _given(call), boundary=[], known={})


def _given(call: Call) -> dict[str, str]:
    given = call.params.get("PolicyInputList") or []
    return {f"PolicyInputList.{place}": text for place, text in enumerate(given, start=1)}


def _results(call: Call, documents: Mapping[str, str], *, boundary: list[str], known: Mapping[str, Any]) -> Answered:
    params = call.params
    for member in _UNBUILT:
        if params.get(member):
            raise refusals.invalid_input(f"{member} is not built in Outcrop yet. Simulate without it.")
    limits = params.get("PermissionsBoundaryPolicyInputList") or boundary
    context = {**known, **{_key(each): _values(each) for each in params.get("ContextEntries") or []}}
    results = [
        simulate(documents, boundary=limits, action=action, resource=resource, context=context)
        for action in params["ActionNames"]
        for resource in params.get("ResourceArns") or ["*"]
    ]
    numbered = [(f"{place:06d}", each) for place, each in enumerate(results)]
    return page(call, "EvaluationResults", numbered, key=lambda each: each[0], shape=lambda each: _shape(each[1]))


def _key(entry: Mapping[str, Any]) -> str:
    if "ContextKeyName" not in entry:
        raise refusals.invalid_input("ContextEntries: an entry has no ContextKeyName. Name the key of its values.")
    return str(entry["ContextKeyName"])


def _values(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(entry.get("ContextKeyValues") or ())


def _shape(result: Simulated) -> dict[str, Any]:
    matched = [{"SourcePolicyId": source, "SourcePolicyType": "IAM Policy"} for source in result.matched]
    limit = result.boundary_allows
    return {
        "EvalActionName": result.action,
        "EvalResourceName": result.resource,
        "EvalDecision": result.decision.value,
        "MatchedStatements": matched,
        "MissingContextValues": list(result.missing),
        "PermissionsBoundaryDecisionDetail": None if limit is None else {"AllowedByPermissionsBoundary": limit},
    }


OPERATIONS: dict[str, Handler] = {
    "SimulateCustomPolicy": simulate_custom_policy,
    "SimulatePrincipalPolicy": simulate_principal_policy,
}
