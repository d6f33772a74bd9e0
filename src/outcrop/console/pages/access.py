"""Access: users and roles with their keys and policies, and whether one of them may do something."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, ParamValidationError
from starlette.responses import Response

from outcrop.console.user_client import DENIED
from outcrop.console.views.access_views import (
    EXAMPLE_POLICY,
    asked_actions,
    document_text,
    identity_row,
    key_row,
    verdicts,
)
from outcrop.console.visit import ConsoleVisit

_MOST = 1000
_PAGE = 100
_KINDS = {"users": "user", "roles": "role"}
_LISTS = {"users": "/access", "roles": "/access/roles"}


class ShownKey(NamedTuple):
    """A new access key with its secret, which is told this once."""

    id: str
    secret: str


class TriedDocument(NamedTuple):
    """A policy's text that was refused, and the sentence that refused it."""

    name: str
    text: str
    problem: str


def show(visit: ConsoleVisit) -> Response:
    return _list(visit, "users")


def show_roles(visit: ConsoleVisit) -> Response:
    return _list(visit, "roles")


def create(visit: ConsoleVisit) -> Response:
    """A new user, without any right yet."""
    name = visit.form.get("name", "").strip()
    try:
        visit.api.client("iam").create_user(UserName=name)
    except (ClientError, ParamValidationError) as refusal:
        return _list(visit, "users", problem=_sentence(refusal), tried=name)
    return visit.to(f"/access/users/{name}")


def show_one(visit: ConsoleVisit) -> Response:
    return _identity(visit, str(visit.request.path_params["kind"]), str(visit.request.path_params["name"]))


def change(visit: ConsoleVisit) -> Response:
    """A change of a user or a role, as the button of the form says."""
    form = visit.form
    kind, name, action = form.get("kind", ""), form.get("name", ""), form.get("action", "")
    one = _KINDS.get(kind)
    if one is None or action not in _CHANGES:
        return visit.page("error.html", status=400, title="error.refused", sentence=f"{kind} {action}: no such change.")
    try:
        shown = _CHANGES[action](visit.api.client("iam"), one, name, form)
    except (ClientError, ParamValidationError) as refusal:
        if action in ("put_inline", "trust"):
            tried = TriedDocument(form.get("policy", ""), form.get("document", ""), _sentence(refusal))
            return _identity(visit, kind, name, tried=tried, is_trust=action == "trust")
        return _identity(visit, kind, name, problem=_sentence(refusal))
    if shown is not None:
        # Shown on the answer itself, which no cache keeps: whoever loads the page again finds no secret.
        return _identity(visit, kind, name, shown=shown)
    gone = action == "delete"
    return visit.to(_LISTS[kind] if gone else f"/access/{kind}/{name}")


def simulate(visit: ConsoleVisit) -> Response:
    """Whether a user or a role may do something, by its policies."""
    iam = visit.api
    users = iam.listed("iam", "list_users", "Users", MaxItems=_MOST)
    roles = iam.listed("iam", "list_roles", "Roles", MaxItems=_MOST)
    who, what, on = visit.asked("who"), visit.asked("what"), visit.asked("on").strip()
    results, problem = [], ""
    if who and asked_actions(what):
        try:
            told = iam.client("iam").simulate_principal_policy(
                PolicySourceArn=who, ActionNames=asked_actions(what), ResourceArns=[on or "*"]
            )
            results = verdicts(told["EvaluationResults"])
        except (ClientError, ParamValidationError) as refusal:
            problem = _sentence(refusal)
    return visit.page(
        "access_simulate.html",
        part="simulate",
        identities=[(each["Arn"], each["UserName"]) for each in users.items]
        + [(each["Arn"], each["RoleName"]) for each in roles.items],
        refused=users.refused or roles.refused,
        who=who,
        what=what,
        on=on,
        results=results,
        problem=problem,
    )


def _list(visit: ConsoleVisit, kind: str, *, problem: str = "", tried: str = "") -> Response:
    one = _KINDS[kind].title()
    token = {"Marker": visit.asked("after")} if visit.asked("after") else {}
    found = visit.api.listed("iam", f"list_{kind}", f"{one}s", MaxItems=_PAGE, **token)
    return visit.page(
        "access_list.html",
        status=400 if problem else 200,
        part=kind,
        kind=kind,
        found=found,
        rows=[identity_row(each, one, visit.now, visit.language) for each in found.items],
        problem=problem,
        tried=tried,
    )


def _identity(
    visit: ConsoleVisit,
    kind: str,
    name: str,
    *,
    problem: str = "",
    shown: ShownKey | None = None,
    tried: TriedDocument | None = None,
    is_trust: bool = False,
) -> Response:
    one = _KINDS.get(kind)
    if one is None:
        return visit.page("error.html", status=404, title="error.not_found", sentence=f"/access/{kind}")
    iam, key = visit.api.client("iam"), {f"{one.title()}Name": name}
    told = getattr(iam, f"get_{one}")(**key)[one.title()]
    attached = visit.api.listed("iam", f"list_attached_{one}_policies", "AttachedPolicies", MaxItems=_MOST, **key)
    inline = visit.api.listed("iam", f"list_{one}_policies", "PolicyNames", MaxItems=_MOST, **key)
    documents = [
        (policy, document_text(getattr(iam, f"get_{one}_policy")(PolicyName=policy, **key)["PolicyDocument"]))
        for policy in inline.items
    ]
    policies = visit.api.listed("iam", "list_policies", "Policies", MaxItems=_MOST)
    held = {each["PolicyArn"] for each in attached.items}
    return visit.page(
        "access_identity.html",
        status=400 if problem or tried else 200,
        kind=kind,
        name=name,
        row=identity_row(told, one.title(), visit.now, visit.language),
        trust=document_text(told["AssumeRolePolicyDocument"]) if one == "role" else "",
        keys=_keys(visit, name) if one == "user" else [],
        groups=visit.api.listed("iam", "list_groups_for_user", "Groups", UserName=name).items if one == "user" else [],
        attached=attached,
        documents=documents,
        offered=[(each["Arn"], each["PolicyName"]) for each in policies.items if each["Arn"] not in held],
        example=document_text(EXAMPLE_POLICY),
        problem=problem,
        shown=shown,
        tried=tried,
        is_trust=is_trust,
    )


def _keys(visit: ConsoleVisit, name: str) -> list[Any]:
    found = visit.api.listed("iam", "list_access_keys", "AccessKeyMetadata", UserName=name)
    return [key_row(each, _last_used(visit, each["AccessKeyId"]), visit.now, visit.language) for each in found.items]


def _last_used(visit: ConsoleVisit, key_id: str) -> Mapping[str, Any] | None:
    try:
        told: Mapping[str, Any] = visit.api.client("iam").get_access_key_last_used(AccessKeyId=key_id)
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] not in DENIED:
            raise
        return None
    found: Mapping[str, Any] = told["AccessKeyLastUsed"]
    return found


def _sentence(refusal: ClientError | ParamValidationError) -> str:
    return str(refusal.response["Error"]["Message"]) if isinstance(refusal, ClientError) else str(refusal)


def _named(one: str, name: str) -> dict[str, str]:
    return {f"{one.title()}Name": name}


def _new_key(iam: Any, _: str, name: str, __: Mapping[str, str]) -> ShownKey:
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return ShownKey(made["AccessKeyId"], made["SecretAccessKey"])


def _set_key(iam: Any, _: str, name: str, form: Mapping[str, str]) -> None:
    iam.update_access_key(UserName=name, AccessKeyId=form.get("key", ""), Status=form.get("status", ""))


def _delete_key(iam: Any, _: str, name: str, form: Mapping[str, str]) -> None:
    iam.delete_access_key(UserName=name, AccessKeyId=form.get("key", ""))


def _attach(iam: Any, one: str, name: str, form: Mapping[str, str]) -> None:
    getattr(iam, f"attach_{one}_policy")(**_named(one, name), PolicyArn=form.get("policy", ""))


def _detach(iam: Any, one: str, name: str, form: Mapping[str, str]) -> None:
    getattr(iam, f"detach_{one}_policy")(**_named(one, name), PolicyArn=form.get("policy", ""))


def _put_inline(iam: Any, one: str, name: str, form: Mapping[str, str]) -> None:
    getattr(iam, f"put_{one}_policy")(
        **_named(one, name), PolicyName=form.get("policy", "").strip(), PolicyDocument=form.get("document", "")
    )


def _delete_inline(iam: Any, one: str, name: str, form: Mapping[str, str]) -> None:
    getattr(iam, f"delete_{one}_policy")(**_named(one, name), PolicyName=form.get("policy", ""))


def _trust(iam: Any, _: str, name: str, form: Mapping[str, str]) -> None:
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=form.get("document", ""))


def _delete(iam: Any, one: str, name: str, _: Mapping[str, str]) -> None:
    getattr(iam, f"delete_{one}")(**_named(one, name))


_CHANGES = {
    "new_key": _new_key,
    "set_key": _set_key,
    "delete_key": _delete_key,
    "attach": _attach,
    "detach": _detach,
    "put_inline": _put_inline,
    "delete_inline": _delete_inline,
    "trust": _trust,
    "delete": _delete,
}
