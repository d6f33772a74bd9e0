"""Guardrails: create, get, list, update, delete, and numbered versions."""

from collections.abc import Mapping
from typing import Any

from outcrop.api.bedrock.listing import summaries
from outcrop.api.bedrock.named import row_of
from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.guardrails import configuration
from outcrop.guardrails.records import GuardrailVersion, draft_of
from outcrop.guardrails.states import DRAFT, ENCODER_TAG, JUDGE_TAG, KIND
from outcrop.house import House
from outcrop.store.damage import understood
from outcrop.store.resources import Page, Resource
from outcrop.store.tags import tags_of

_IDENTIFIER = "guardrailIdentifier"
_PAGE = 100


def create_guardrail(house: House, call: Call) -> Answered:
    params = call.params
    tags = tags_of("tags", params.get("tags"))
    token, asked = (
        params.get("clientRequestToken"),
        {name: params[name] for name in params if name != "clientRequestToken"},
    )
    document = _read(house, call, tags)

    def create() -> dict[str, Any]:
        made = house.guardrails.create(document, region=call.region, tags=tags)
        return {"arn": made.arn}

    made = house.guardrails.get(house.store.idempotency.once(call.token_scope, token, asked, create)["arn"])
    return {"guardrailId": made.id, "guardrailArn": made.arn, "version": DRAFT, "createdAt": made.created}


def update_guardrail(house: House, call: Call) -> Answered:
    """The draft gets a whole new configuration: a policy that is left out is gone. Its models are those of its tags."""
    arn = _arn(house, call)
    changed = house.guardrails.update(arn, _read(house, call, house.store.tags.get(arn)))
    return {"guardrailId": changed.id, "guardrailArn": arn, "version": DRAFT, "updatedAt": changed.updated}


def _read(house: House, call: Call, tags: Mapping[str, str]) -> dict[str, Any]:
    """The document of a request. Raises Invalid for a model that could not be asked, too."""
    judge = tags.get(JUDGE_TAG) or house.settings.guardrail_judge
    encoder = tags.get(ENCODER_TAG) or house.settings.guardrail_encoder
    document = configuration.read(call.params, judge=judge, encoder=encoder)
    if judge is not None:
        house.guards.judge(judge, region=call.region)
    if encoder is not None:
        house.guards.encoder(encoder, region=call.region)
    return document


def create_guardrail_version(house: House, call: Call) -> Answered:
    arn, token, description = _arn(house, call), call.params.get("clientRequestToken"), call.params.get("description")
    asked = {"guardrail": arn, "description": description}
    made = house.store.idempotency.once(
        call.token_scope, token, asked, lambda: {"version": house.guardrails.number(arn, description)}
    )
    return {"guardrailId": arn.rpartition("/")[2], "version": made["version"]}


def get_guardrail(house: House, call: Call) -> Answered:
    found = house.guardrails.get(_arn(house, call), call.params.get("guardrailVersion", DRAFT))
    with understood(found.arn):
        return _told(found)


def _told(found: GuardrailVersion) -> dict[str, Any]:
    document = found.document
    return {
        "name": document["name"],
        "description": document.get("description"),
        "guardrailId": found.id,
        "guardrailArn": found.arn,
        "version": found.version,
        "status": found.status,
        **{name: _with_tier(name, policy) for name, policy in document["policies"].items()},
        "crossRegionDetails": _profile(found),
        "createdAt": found.created,
        "updatedAt": found.updated,
        "statusReasons": [],
        "failureRecommendations": [],
        "blockedInputMessaging": document["blockedInputMessaging"],
        "blockedOutputsMessaging": document["blockedOutputsMessaging"],
    }


def _with_tier(name: str, policy: Mapping[str, Any]) -> dict[str, Any]:
    if name not in ("topicPolicy", "contentPolicy"):
        return dict(policy)
    return {"tier": {"tierName": "CLASSIC"}, **policy}


def _profile(found: GuardrailVersion) -> dict[str, str] | None:
    named = found.document.get("crossRegion")
    if named is None:
        return None
    identifier = named.rpartition("/")[2]
    arn = f"{found.arn.rpartition(':')[0]}:guardrail-profile/{identifier}"
    return {"guardrailProfileId": identifier, "guardrailProfileArn": named if named.startswith("arn:") else arn}


def list_guardrails(house: House, call: Call) -> Answered:
    """The drafts of all guardrails, or every version of one."""
    most = call.params.get("maxResults", _PAGE)
    if _IDENTIFIER in call.params:
        place = int(page_tokens.read(call) or 0)
        versions = house.guardrails.versions(_arn(house, call))
        token = page_tokens.write(call, str(place + most)) if place + most < len(versions) else None
        return {"guardrails": [_summary(each) for each in versions[place : place + most]], "nextToken": token}
    page = house.guardrails.page(region=call.region, most=most, token=page_tokens.read(call))
    return {"guardrails": summaries(page, _draft_summary), "nextToken": _token(call, page)}


def _token(call: Call, page: Page) -> str | None:
    return page.next_token and page_tokens.write(call, page.next_token)


def _draft_summary(row: Resource) -> dict[str, Any]:
    return _summary(draft_of(row))


def _summary(found: GuardrailVersion) -> dict[str, Any]:
    return {
        "id": found.id,
        "arn": found.arn,
        "status": found.status,
        "name": found.document["name"],
        "description": found.document.get("description"),
        "version": found.version,
        "createdAt": found.created,
        "updatedAt": found.updated,
        "crossRegionDetails": _profile(found),
    }


def delete_guardrail(house: House, call: Call) -> Answered:
    version = call.params.get("guardrailVersion")
    house.guardrails.delete(_arn(house, call), version)
    return {}


def _arn(house: House, call: Call) -> str:
    return row_of(house, call, _IDENTIFIER, KIND).arn


OPERATIONS: dict[str, Handler] = {
    "CreateGuardrail": create_guardrail,
    "GetGuardrail": get_guardrail,
    "ListGuardrails": list_guardrails,
    "UpdateGuardrail": update_guardrail,
    "DeleteGuardrail": delete_guardrail,
    "CreateGuardrailVersion": create_guardrail_version,
}
