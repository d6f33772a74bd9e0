"""The law of one verdict: for every operation, every spelling of the same resource is decided alike.

Whoever is denied the resource is denied under each of its names, whoever is allowed it alone is allowed under each.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outcrop.access.caller import Caller
from outcrop.access.names import Kind
from outcrop.access.policies.key_policy import default_key_policy
from outcrop.api.door.call import Call
from outcrop.api.operations import OPERATIONS
from outcrop.clock import MovableClock
from outcrop.errors import Denied
from outcrop.house import House
from outcrop.keys.specs import SPECS, KeyUsage
from outcrop.settings import Settings
from outcrop.store.resources import Resource
from tests.support import spellings
from tests.support.policies import trusting
from tests.support.spellings import BASE, KMS_ALIAS, KMS_KEY, PATH, REGION, STAND_IN, WEIGHTS, Case, Things

MADE = ("custom-model", "model-customization-job", "model-invocation-job")
"Kinds of what a job is, or leaves: an id that nobody knows yet."


class Furnished:
    """A home with one of everything, and a user whose policy is the test's."""

    def __init__(self, home: Path) -> None:
        self.platform = House.open(Settings(home=home), MovableClock())
        self.access = self.platform.access
        self.said: dict[str, str] = {}
        self.things = Things(self.platform.account)
        self.platform.catalog.alias(STAND_IN, WEIGHTS)
        for arn, name in (
            (self.things.model, "poems"),
            (self.things.deployment, "served"),
            (self.things.throughput, "bought"),
            (self.things.job, "taught"),
            (self.things.batch_job, "asked"),
            (self.things.evaluation, "measured"),
            (self.things.imported, "fetched"),
            (self.things.import_job, "bringing"),
            (self.things.guardrail, "guardguard12"),
            (self.things.bedrock("knowledge-base", "KNOWLEDGE1"), "known"),
            (self.things.bedrock("knowledge-base", "KNOWLEDGE2"), "KNOWLEDGE1"),  # whose name is another's id
        ):
            self.add(arn, name)
        self.add_key()
        self.access.identities.create_group("a-group", path=PATH)
        self.access.identities.create_role("a-role", path=PATH, trust=trusting({"Service": "bedrock.amazonaws.com"}))
        self.access.identities.create_user("jane", path=PATH)
        self.access.attachments.create("rules", path=PATH, document=document("Allow", ["s3:*"], "*"))
        self.key_id = self.access.credentials.create_key("jane").key_id

    def add(self, arn: str, name: str) -> None:
        now = self.platform.clock.now()
        kind = arn.split(":", 5)[5].partition("/")[0]
        about = {"baseId": BASE} if kind == "custom-model" else {}
        self.platform.store.resources.add(
            Resource(arn=arn, kind=kind, region=REGION, name=name, created=now, updated=now, document=about)
        )

    def add_key(self) -> None:
        """A key of KMS with its alias, whose policy leaves all to IAM."""
        made = self.platform.keys.create(
            region=REGION,
            spec=SPECS["SYMMETRIC_DEFAULT"],
            usage=KeyUsage.ENCRYPT_DECRYPT,
            description="",
            policy=default_key_policy(self.platform.account),
            tags={},
        )
        row = self.platform.store.resources.get(made.arn)
        assert row is not None
        arn = made.arn.replace(made.id, KMS_KEY)
        self.platform.store.resources.add(replace(row, arn=arn, name=KMS_KEY))
        self.platform.key_aliases.create(KMS_ALIAS, self.platform.keys.find(arn))

    def jane(self) -> Caller:
        credential = self.access.secret_for(self.key_id)
        assert credential is not None
        return credential.caller

    def say(self, **policies: str) -> None:
        """These policies, and no others, are jane's."""
        if policies == self.said:
            return
        self.said = policies
        for name in self.access.attachments.inline(Kind.USER, "jane"):
            self.access.attachments.delete_inline(Kind.USER, "jane", name)
        for name, text in policies.items():
            self.access.attachments.put_inline(Kind.USER, "jane", name, text)

    def may(self, case: Case, params: Any) -> bool:
        call = Call(
            service=case.service,
            operation=case.operation,
            params=dict(params),
            caller=self.jane(),
            region=REGION,
            request_id="r",
            headers={},
        )
        try:
            self.access.authorize(call)
        except Denied:
            return False
        return True


def document(effect: str, actions: list[str], *resources: str) -> str:
    statement = {"Effect": effect, "Action": actions, "Resource": list(resources)}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


EVERYTHING = document("Allow", ["*"], "*")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    house = Furnished(tmp_path_factory.mktemp("one") / "home")
    yield house
    house.platform.store.close()


def cases(house: Furnished, service: str) -> list[Case]:
    """Those of one resource one after the other: a policy is written once for them."""
    match service:
        case "iam":
            found = list(spellings.cases_of_iam(house.things, iter(OPERATIONS["iam"]), house.key_id))
        case "s3":
            found = list(spellings.cases_of_s3(iter(OPERATIONS["s3"])))
        case "logs" | "cloudwatch":
            found = list(spellings.cases_of_monitoring(house.things, service, iter(OPERATIONS[service])))
        case "application-autoscaling":
            found = list(spellings.cases_of_autoscaling(house.things, iter(OPERATIONS[service])))
        case "s3vectors":
            found = list(spellings.cases_of_vectors(house.things, iter(OPERATIONS[service])))
        case "cloudtrail":
            found = list(spellings.cases_of_trails(house.things, iter(OPERATIONS[service])))
        case "kms":
            found = list(spellings.cases_of_kms(house.things, iter(OPERATIONS[service])))
        case "bedrock-agent":
            found = list(spellings.cases_of_knowledge(house.things, iter(OPERATIONS[service])))
        case "sagemaker":
            found = list(spellings.cases_of_sagemaker(house.things, iter(OPERATIONS[service])))
        case "bedrock-agent-runtime":
            found = list(spellings.cases_of_agent_runtime(house.things, iter(OPERATIONS[service])))
        case "sagemaker-runtime":
            found = list(spellings.cases_of_sagemaker_runtime(house.things, iter(OPERATIONS[service])))
        case _:
            found = [each for each in spellings.cases_of_bedrock(house.things) if each.service == service]
    return sorted(found, key=lambda case: case.resources)


@pytest.mark.parametrize("service", OPERATIONS)
def test_every_operation_that_is_built_says_what_it_names(house: Furnished, service: str) -> None:
    told = {case.operation for case in cases(house, service)} | spellings.WITHOUT_RESOURCE[service]
    told |= {operation for each, operation in spellings.ELSEWHERE if each == service}
    assert set(OPERATIONS[service]) - told == set()


@pytest.mark.parametrize("service", OPERATIONS)
def test_who_is_denied_a_resource_is_denied_it_under_every_name(house: Furnished, service: str) -> None:
    for case in cases(house, service):
        for resource in case.resources:
            house.say(all=EVERYTHING, but=document("Deny", ["*"], resource))
            passed = [params for params in case.spellings if house.may(case, params)]
            assert passed == [], f"{case.operation}: Deny on {resource} did not hold"


@pytest.mark.parametrize("service", OPERATIONS)
def test_who_is_allowed_a_resource_alone_is_allowed_it_under_every_name(house: Furnished, service: str) -> None:
    for case in cases(house, service):
        made = [house.things.bedrock(kind, "*") for kind in MADE]
        more = made if case.operation in ("CreateModelCustomizationJob", "CreateModelInvocationJob") else []
        house.say(only=document("Allow", ["*"], *case.resources, *more))
        refused = [params for params in case.spellings if not house.may(case, params)]
        assert refused == [], f"{case.operation}: Allow on {case.resources} did not hold"


@pytest.mark.parametrize("service", OPERATIONS)
def test_who_is_allowed_everything_but_a_resource_by_its_absence_is_denied_under_every_name(
    house: Furnished, service: str
) -> None:
    """Deny with NotResource: all spellings of what is left out pass, alike."""
    for case in cases(house, service):
        made = [house.things.bedrock(kind, "*") for kind in MADE]
        statement = {"Effect": "Deny", "Action": "*", "NotResource": [*case.resources, *made]}
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        house.say(all=EVERYTHING, but=text)
        refused = [params for params in case.spellings if not house.may(case, params)]
        assert refused == [], f"{case.operation}: NotResource {case.resources}"


def invoked(house: Furnished, model_id: str) -> bool:
    return house.may(Case("bedrock-runtime", "InvokeModel", (), ()), {"modelId": model_id})


def test_a_deny_on_a_model_holds_for_the_aliases_that_its_weights_stand_in_for(house: Furnished) -> None:
    weights = f"arn:aws:bedrock:{REGION}::foundation-model/{WEIGHTS}"
    house.say(all=EVERYTHING, but=document("Deny", ["bedrock:InvokeModel"], weights))
    assert [each for each in house.things.foundations(STAND_IN, "4k") if invoked(house, each)] == []
    # An Allow speaks of the alias by its own ARN: what stands in for it is the installation's affair.
    house.say(only=document("Allow", ["bedrock:InvokeModel"], weights))
    assert not invoked(house, STAND_IN)
    house.say(only=document("Allow", ["bedrock:InvokeModel"], f"arn:aws:bedrock:{REGION}::foundation-model/{STAND_IN}"))
    assert invoked(house, STAND_IN)


@pytest.mark.parametrize("form", ["{id}", "{id}:0", "{id}:0:2k"])
def test_a_policy_may_write_any_of_a_foundation_models_ids(house: Furnished, form: str) -> None:
    written = f"arn:aws:bedrock:{REGION}::foundation-model/{form.format(id=BASE)}"
    house.say(only=document("Allow", ["bedrock:*"], written))
    assert [each for each in house.things.foundations() if not invoked(house, each)] == []
    house.say(all=EVERYTHING, but=document("Deny", ["bedrock:*"], written))
    assert [each for each in house.things.foundations() if invoked(house, each)] == []


@pytest.mark.parametrize("other", [("eu-west-1", None), (REGION, "999999999999")])
def test_another_region_or_account_is_somebody_elses(house: Furnished, other: tuple[str, str | None]) -> None:
    region, account = other
    own = house.things.deployment
    foreign = own.replace(REGION, region).replace(house.things.account, account or house.things.account)
    house.say(only=document("Allow", ["bedrock:*"], own))
    assert invoked(house, own)
    assert not invoked(house, foreign)


@pytest.mark.parametrize("identifier", ["poems", "nothing", "served", "zzzzzzzzzzzz"])
def test_a_refusal_does_not_tell_whether_a_name_stands_for_something(house: Furnished, identifier: str) -> None:
    house.say(only=document("Allow", ["s3:*"], "*"))
    call = Call(
        service="bedrock",
        operation="GetCustomModel",
        params={"modelIdentifier": identifier},
        caller=house.jane(),
        region=REGION,
        request_id="r",
        headers={},
    )
    with pytest.raises(Denied) as denied:
        house.access.authorize(call)
    assert f"bedrock:GetCustomModel on resource: {identifier} because" in denied.value.message


def test_what_was_decided_on_is_used_though_the_name_means_another_meanwhile(house: Furnished) -> None:
    first, second = (house.things.bedrock("custom-model", f"{BASE}:0:2k/{each * 12}") for each in "ab")
    house.add(first, "passing")
    house.say(only=document("Allow", ["bedrock:*"], first))
    call = Call(
        service="bedrock",
        operation="DeleteCustomModel",
        params={"modelIdentifier": "passing"},
        caller=house.jane(),
        region=REGION,
        request_id="r",
        headers={},
    )
    house.access.authorize(call)
    house.platform.store.resources.remove(first)
    house.add(second, "passing")
    row = house.access.row(call, "modelIdentifier")
    assert row is not None
    assert row.arn == first


def test_a_job_is_asked_about_the_base_of_its_parent_and_not_about_the_parents_name(house: Furnished) -> None:
    made = [house.things.bedrock(kind, f"{BASE}:0:2k/*") for kind in MADE]
    house.say(only=document("Allow", ["bedrock:CreateModelCustomizationJob"], house.things.model, *made))
    case = Case("bedrock", "CreateModelCustomizationJob", (), ())
    assert [each for each in house.things.models() if not house.may(case, {"baseModelIdentifier": each})] == []


def test_the_account_of_a_resource_is_that_of_its_arn(house: Furnished) -> None:
    foreign = house.things.deployment.replace(house.things.account, "999999999999")
    statement = {"Effect": "Allow", "Action": "bedrock:*", "Resource": "*"}
    own = {**statement, "Condition": {"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}}
    house.say(only=json.dumps({"Version": "2012-10-17", "Statement": [own]}))
    assert [each for each in (*house.things.deployments(), BASE) if not invoked(house, each)] == []
    assert not invoked(house, foreign)
