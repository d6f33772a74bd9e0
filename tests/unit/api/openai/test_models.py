"""Models at OpenAI's door: listed, found by every name that they have, answered by each of them, deleted."""

import asyncio
from datetime import timedelta
from pathlib import Path

from outcrop.api.openai.model_names import fine_tuned_name, parse_fine_tuned
from tests.support.openai_house import HI, STARTER, openai_house, run

CALL, INVOKE = "bedrock:CallWithBearerToken", "bedrock:InvokeModel"
ID = "abc123def456"


def test_names_of_fine_tuned_models_come_back_as_they_went() -> None:
    for base in (STARTER, "amazon.nova-micro-v1:0"):
        for model in (f"renga-{ID}", f"ft-{ID}", "my-model", f"a-b-{ID}", "x"):
            parsed = parse_fine_tuned(fine_tuned_name(base, model))
            assert parsed == (base, model)
    assert fine_tuned_name(STARTER, f"renga-{ID}") == f"ft:{STARTER}:outcrop:renga:{ID}"
    assert fine_tuned_name(STARTER, f"ft-{ID}") == f"ft:{STARTER}:outcrop::{ID}"
    assert parse_fine_tuned("gpt-5") is None


def test_all_models_are_listed_and_each_is_found_by_all_of_its_names(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            arn = place.custom_model(f"renga-{ID}")
            made = place.house.deployments.create(
                "custom-model-deployment",
                name="live",
                region="us-east-1",
                account=place.house.account,
                model_arn=arn,
                details={},
            )
            listed = await place.get("/models")
            assert listed["object"] == "list"
            by_id = {each["id"]: each for each in listed["data"]}
            assert by_id.keys() >= {STARTER, f"ft:{STARTER}:outcrop:renga:{ID}", "live"}
            assert all(each["object"] == "model" and each["owned_by"] and each["created"] for each in listed["data"])
            assert by_id["live"]["arn"] == made.arn
            for name in (STARTER, f"ft:{STARTER}:outcrop:renga:{ID}", f"renga-{ID}", arn, "live", made.arn):
                assert (await place.get(f"/models/{name}"))["id"] == name
            for name in ("gpt-5", f"ft:other:outcrop:renga:{ID}", f"{arn}x", "ft:"):
                assert (await place.refused("GET", f"/models/{name}", 404))["code"] == "model_not_found"

    run(scenario())


def test_the_list_holds_what_its_reader_may_list(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            place.custom_model("mine")
            ada = place.user("ada", CALL, "bedrock:ListFoundationModels")
            ids = [each["id"] for each in (await place.ask("GET", "/models", key=ada)).json()["data"]]
            assert STARTER in ids
            assert not any(each.startswith("ft:") for each in ids)
            bob = place.user("bob", CALL)
            assert "bedrock:ListFoundationModels" in (await place.refused("GET", "/models", 403, key=bob))["message"]

    run(scenario())


def test_a_deployment_answers_by_its_name_and_its_arn(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path, lambda body: body["model"].rpartition("/")[2]) as place:
            arn = place.custom_model("mine")
            made = place.house.deployments.create(
                "custom-model-deployment",
                name="live",
                region="us-east-1",
                account=place.house.account,
                model_arn=arn,
                details={},
            )
            place.house.deployments.serve(made)
            for name in ("live", made.arn, "mine", arn, f"ft:{STARTER}:outcrop:mine"):
                answer = await place.post("/chat/completions", model=name, messages=HI)
                assert answer["model"] == name
                assert answer["choices"][0]["message"]["content"] == arn.rpartition("/")[2]
            assert place.house.deployments.of_model(arn)[0].arn == made.arn
            assert len(place.house.deployments.of_model(arn)) == 1

    run(scenario())


def test_a_custom_model_is_deployed_at_its_first_use_and_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            arn = place.custom_model(f"renga-{ID}")
            name = f"ft:{STARTER}:outcrop:renga:{ID}"
            body = {"model": name, "messages": HI}

            async def served() -> None:
                while not place.serve_all():
                    await asyncio.sleep(0.01)

            serving = asyncio.ensure_future(served())
            answers = await asyncio.gather(*(place.post("/chat/completions", **body) for _ in range(3)))
            await serving
            assert {answer["model"] for answer in answers} == {name}
            (made,) = place.house.deployments.of_model(arn)
            assert (made.name, made.status) == (f"renga-{ID}", "Active")
            place.house.audit.flush()
            (recorded,) = place.house.audit.entries(operation="CreateCustomModelDeployment")
            assert recorded.entry.resources == (arn, made.arn)

    run(scenario())


def test_who_may_not_deploy_a_model_is_told_so_and_asks_none_that_is_deployed_for_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            arn = place.custom_model("mine")
            body = {"model": "mine", "messages": HI}
            ada = place.user("ada", CALL, INVOKE)
            error = await place.refused("POST", "/chat/completions", 403, json=body, key=ada)
            assert "bedrock:CreateCustomModelDeployment" in error["message"]
            assert place.house.deployments.of_model(arn) == []
            made = place.house.deployments.create(
                "custom-model-deployment",
                name="live",
                region="us-east-1",
                account=place.house.account,
                model_arn=arn,
                details={},
            )
            place.house.deployments.serve(made)
            assert (await place.ask("POST", "/chat/completions", json=body, key=ada)).status_code == 200
            bob = place.user("bob", CALL, INVOKE, resource="arn:aws:bedrock:*::foundation-model/*")
            statement = await place.refused("POST", "/chat/completions", 403, json=body, key=bob)
            assert "bedrock:CallWithBearerToken" in statement["message"]

    run(scenario())


def test_a_deployment_that_failed_tells_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            arn = place.custom_model("mine")
            made = place.house.deployments.create(
                "custom-model-deployment",
                name="live",
                region="us-east-1",
                account=place.house.account,
                model_arn=arn,
                details={},
            )
            place.house.deployments.fail(made, "its numbers are not the trainer's")
            error = await place.refused("POST", "/chat/completions", 404, json={"model": "live", "messages": HI})
            assert error["message"] == "live failed and serves nothing: its numbers are not the trainer's"

    run(scenario())


def test_a_deployment_that_is_not_there_in_time_is_asked_for_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path, patience=timedelta(seconds=0)) as place:
            place.custom_model("mine")
            answer = await place.ask("POST", "/chat/completions", json={"model": "mine", "messages": HI})
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "model_not_ready"
            assert place.serve_all() == ["mine"]
            assert (
                await place.ask("POST", "/chat/completions", json={"model": "mine", "messages": HI})
            ).status_code == 200

    run(scenario())


def test_a_model_is_deleted_with_its_deployments_unless_a_job_needs_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            arn = place.custom_model(f"renga-{ID}")
            name = f"ft:{STARTER}:outcrop:renga:{ID}"
            place.house.deployments.create(
                "custom-model-deployment",
                name="live",
                region="us-east-1",
                account=place.house.account,
                model_arn=arn,
                details={},
            )
            answer = await place.ask("DELETE", f"/models/{name}")
            assert answer.json() == {"id": name, "object": "model", "deleted": True}
            assert place.house.models.look("us-east-1", arn) is None
            assert place.house.deployments.of_model(arn) == []
            assert not place.house.models.folder(arn).exists()
            assert (await place.refused("DELETE", f"/models/{name}", 404))["code"] == "model_not_found"
            assert (await place.refused("DELETE", f"/models/{STARTER}", 404))["code"] == "model_not_found"

    run(scenario())
