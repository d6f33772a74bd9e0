"""Whatever is asked of deployments, in whatever order and however late it is settled: they move as their table says."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from outcrop.clock import MovableClock
from outcrop.deployments.records import Deployments, generation, model_arns
from outcrop.deployments.states import FAILED, LIFECYCLES, ON_DEMAND, SERVING, THROUGHPUT, UPDATING, WAITING, status_of
from outcrop.errors import Conflict, Invalid
from outcrop.settings import Settings
from outcrop.store.resources import Resource, Stale
from outcrop.store.store import Store

REGION, ACCOUNT = "us-east-1", "123456789012"
MODELS = [f"arn:aws:bedrock:us-east-1:123456789012:custom-model/x/{n}" for n in range(3)]
chosen, which, kinds, failures = st.integers(0), st.sampled_from(MODELS), st.sampled_from([ON_DEMAND, THROUGHPUT]), st.text(min_size=1)  # fmt: skip


class DeploymentLifecycle(RuleBasedStateMachine):
    """People who make, change and delete deployments, and a reconciler that settles what it saw a while ago."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="deployments"))
        self.store = Store.open(Settings(home=self.home))
        self.deployments = Deployments(self.store, MovableClock())
        self.before: dict[str, Resource] = {}
        "Each row as the last step left it."
        self.looks: list[Resource] = []
        "Rows as they were at any moment: who settles one may have read it long ago."

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.home)

    @rule(kind=kinds, model=which)
    def create(self, kind: str, model: str) -> None:
        name = f"d{len(self.looks)}"
        asked: dict[str, Any] = {"region": REGION, "account": ACCOUNT, "model_arn": model, "details": {}}
        self.before[name] = self.deployments.create(kind, name=name, **asked)
        self.looks.append(self.before[name])
        with pytest.raises(Invalid, match="is currently in use"):
            self.deployments.create(kind, name=name, **asked)

    @precondition(lambda self: self.looks)
    @rule(at=chosen, model=which)
    def point_to(self, at: int, model: str) -> None:
        row = self.look(at)
        now = self.store.resources.get(row.arn)
        try:
            asked = self.deployments.point_to(row, model)
        except Stale:
            assert now is None or now.version != row.version
        except Conflict:
            assert row.status in WAITING
        else:
            assert (generation(asked), model_arns(asked)[1]) == (generation(row) + 1, model)
            self.looks.append(asked)

    @precondition(lambda self: self.looks)
    @rule(at=chosen, how=st.sampled_from(["serve", "fail", "spoil"]), failure=failures)
    def settle(self, at: int, how: str, failure: str) -> None:
        """Only what still waits for the same thing is settled."""
        row, now = self.look(at), self.store.resources.get(self.look(at).arn)
        getattr(self.deployments, how)(row, *([] if how == "serve" else [failure]))
        after = self.store.resources.get(row.arn)
        if now is None or now.status not in WAITING or generation(now) != generation(row):
            assert after == now
            return
        assert after is not None
        if how == "serve":
            assert after.status == SERVING[row.kind]
            assert model_arns(after) == (model_arns(now)[1],) * 2
        else:
            assert after.document["failureMessage"] == failure
            keeps_the_old = now.status == UPDATING and how == "fail"
            assert after.status == (SERVING[row.kind] if keeps_the_old else FAILED)
            assert model_arns(after) == model_arns(now)

    @rule(model=which, failure=failures)
    def fail_model(self, model: str, failure: str) -> None:
        self.deployments.fail_model(model, failure)
        serving = [row for row in self.rows() if row.status == SERVING[row.kind]]
        assert model not in [model_arns(row)[0] for row in serving]

    @precondition(lambda self: self.looks)
    @rule(at=chosen)
    def remove(self, at: int) -> None:
        self.deployments.remove(self.look(at))
        assert self.store.resources.get(self.look(at).arn) is None

    @invariant()
    def every_step_is_in_the_table(self) -> None:
        for row in self.rows():
            before = self.before.get(row.name or "")
            assert before is None or before.status == row.status or row.status in LIFECYCLES[row.kind].following(status_of(before))  # fmt: skip
            assert before is None or generation(row) >= generation(before)
        self.before = {row.name or "": row for row in self.rows()}
        self.looks += [row for row in self.rows() if row not in self.looks]

    @invariant()
    def what_is_found_by_an_index_is_what_is_there(self) -> None:
        rows = self.rows()
        assert self.deployments.pending(most=100) == [row for row in rows if row.status in WAITING]
        served = {(REGION, arn) for row in rows if row.status != FAILED for arn in model_arns(row)}
        assert self.deployments.served() == served
        for model in MODELS:
            assert self.deployments.of_model(model) == [row for row in rows if model in model_arns(row)]

    def look(self, at: int) -> Resource:
        return self.looks[at % len(self.looks)]

    def rows(self) -> list[Resource]:
        return [*self.store.resources.all(ON_DEMAND), *self.store.resources.all(THROUGHPUT)]


TestDeploymentLifecycle = DeploymentLifecycle.TestCase
TestDeploymentLifecycle.settings = settings(max_examples=20, stateful_step_count=20, derandomize=True, deadline=None)
