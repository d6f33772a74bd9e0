"""Whatever is asked of deployments while engines sleep, wake and die: an answer comes from the right model, or waits."""

import asyncio
import math
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from outcrop.deployments.model_units import MeasuredRate
from outcrop.deployments.networks import provisioned_engines
from outcrop.deployments.states import FAILED, ON_DEMAND, SERVING, THROUGHPUT, WAITING
from outcrop.errors import Conflict, NotFound, NotReady, Throttled
from outcrop.machine import memory
from tests.support.serving_house import BASE, ServingHouse, outcome

IDLE_S, LOOK_S, PATIENCE_S, GRACE_S = 300, 10, 45, 20
UNIT = 120.0
MARKS = ["a1", "a2", "bad", "n1", "n2"]
"Adapters, one that fails its parity, and two with networks of their own."
marks, chosen, kinds = st.sampled_from(MARKS), st.integers(0), st.sampled_from([ON_DEMAND, THROUGHPUT])


class Asked(NamedTuple):
    """A request under way, the mark of the model that was served when it was planned, and when that was."""

    task: "asyncio.Task[str]"
    mark: str
    at: float
    is_provisioned: bool


class Serving(RuleBasedStateMachine):
    """People who deploy, update, delete and ask, engines that are killed, and a reconciler that starts anew."""

    @initialize()
    def open(self) -> None:
        self.patches = [patch.object(memory, "resident", lambda _pid: 0)]
        for each in self.patches:
            each.start()
        self.home = Path(tempfile.mkdtemp(prefix="serving"))
        self.place = ServingHouse(self.home / "home", room_for=3)
        self.place.house.units.write(
            MeasuredRate(
                network=BASE, tokens_per_minute=4 * UNIT, measured=self.place.clock.now(), num_streams=8, seconds=1.0
            )
        )
        self.models = {mark: self.place.custom_model(mark, own_network=mark.startswith("n")) for mark in MARKS}
        self.mark_of = {arn: mark for mark, arn in self.models.items()}
        self.deployed: list[str] = []
        self.asked: list[Asked] = []
        self.made = 0
        self.bought_at: dict[str, datetime] = {}
        "When an engine was last one of provisioned throughput."

    def teardown(self) -> None:
        if not hasattr(self, "place"):
            return
        try:
            self.everything_ends_well()
        finally:
            self.place.close()
            shutil.rmtree(self.home)
            for each in self.patches:
                each.stop()

    @rule(kind=kinds, mark=marks)
    def deploy(self, kind: str, mark: str) -> None:
        self.made += 1
        self.deployed.append(self.place.deploy(self.models[mark], name=f"d{self.made}", kind=kind).arn)

    @precondition(lambda self: self.deployed)
    @rule(at=chosen, mark=marks)
    def update(self, at: int, mark: str) -> None:
        row = self.place.row(self.one(at))
        try:
            self.place.house.deployments.point_to(row, self.models[mark])
        except Conflict:
            assert row.status in WAITING

    @precondition(lambda self: self.deployed)
    @rule(at=chosen)
    def delete(self, at: int) -> None:
        arn = self.one(at)
        self.deployed.remove(arn)
        self.place.house.deployments.remove(self.place.row(arn))

    @precondition(lambda self: self.deployed)
    @rule(at=chosen, slow=st.booleans())
    def ask(self, at: int, slow: bool) -> None:
        arn = self.one(at)
        row = self.place.row(arn)
        self.place.fleet.slow = slow
        try:
            task = self.place.ask(arn)
        except NotReady:
            assert row.status == "Creating"
        except NotFound:
            assert row.status == FAILED
        else:
            mark = self.mark_of[row.document["modelArn"]]
            self.asked.append(Asked(task, mark, self.place.loop.time(), row.kind == THROUGHPUT))
        finally:
            self.place.fleet.slow = False

    @precondition(lambda self: self.deployed)
    @rule(at=chosen)
    def ask_again_and_again(self, at: int) -> None:
        for _ in range(8):
            self.ask(at, slow=False)
            self.an_answer_is_the_right_model_s_and_a_refusal_has_its_reason()

    @rule()
    def answers_go_on(self) -> None:
        self.place.fleet.let_go_on()
        self.place.loop.settle()

    @rule(seconds=st.sampled_from([1, 3, 12]))
    def time_passes(self, seconds: int) -> None:
        self.place.pass_time(seconds, step=min(seconds, 3))

    @rule()
    def nobody_comes_for_a_while(self) -> None:
        self.place.pass_time(IDLE_S + LOOK_S, step=5)

    @precondition(lambda self: self.place.launcher.processes)
    @rule(at=chosen)
    def an_engine_is_killed(self, at: int) -> None:
        names = sorted(self.place.launcher.processes)
        self.place.fleet.kill(names[at % len(names)])
        self.place.loop.settle()

    @rule()
    def the_reconciler_starts_anew(self) -> None:
        self.place.loop.run_until_complete(self.place.reconciler.aclose())
        del self.place.house.__dict__["reconciler"]
        self.place.reconciler = self.place.house.reconciler

    @invariant()
    def an_answer_is_the_right_model_s_and_a_refusal_has_its_reason(self) -> None:
        for asked in list(getattr(self, "asked", ())):
            found = outcome(asked.task)
            if found is None:
                continue
            self.asked.remove(asked)
            if isinstance(found, str):
                assert found == asked.mark
            elif isinstance(found, Throttled):
                assert asked.is_provisioned
            else:
                assert isinstance(found, NotReady), found
                assert self.place.loop.time() - asked.at >= PATIENCE_S - 1

    @invariant()
    def no_engine_runs_without_an_order_but_to_end(self) -> None:
        if not hasattr(self, "place"):
            return
        self.place.pool.round()
        orders = {order.name for order in self.place.house.engines.orders()}
        for name, process in self.place.launcher.processes.items():
            assert name in orders or process.retired

    @invariant()
    def nothing_stays_in_memory_beyond_its_time(self) -> None:
        if not hasattr(self, "place"):
            return
        now, house = self.place.clock.now(), self.place.house
        bought = provisioned_engines(house.store.resources, house.catalog, house.models)
        self.bought_at |= dict.fromkeys(bought, now)
        for name, process in self.place.launcher.processes.items():
            assert process.idle_since is not None
            idle_s = (now - process.idle_since).total_seconds()
            bought_s = (now - self.bought_at[name]).total_seconds() if name in self.bought_at else math.inf
            # One that was bought until just now goes with the pool's next look.
            assert process.running or min(idle_s - IDLE_S, bought_s) <= 2 * LOOK_S, name
            for adapter, seconds in self.place.fleet.of(process).uses.told().items():
                assert seconds <= IDLE_S + 2 * LOOK_S, adapter

    def everything_ends_well(self) -> None:
        """In the end each deployment serves or has failed, and those that serve answer."""
        place = self.place
        place.fleet.let_go_on()
        place.pass_time(PATIENCE_S + 5, step=5)
        self.an_answer_is_the_right_model_s_and_a_refusal_has_its_reason()
        assert self.asked == []
        for arn in self.deployed:
            row = place.row(arn)
            if row.kind == THROUGHPUT and row.status in WAITING:
                continue  # bought engines may hold all the memory there is
            assert row.status in (SERVING[row.kind], FAILED, *WAITING)
            if row.status != SERVING[row.kind]:
                continue
            task = place.ask(arn)
            place.pass_time(PATIENCE_S + 5, step=5)
            found = outcome(task)
            assert found == self.mark_of[row.document["modelArn"]] or isinstance(found, NotReady | Throttled)
        place.pass_time(IDLE_S + GRACE_S + LOOK_S, step=5)
        self.nothing_stays_in_memory_beyond_its_time()

    def one(self, at: int) -> str:
        return self.deployed[at % len(self.deployed)]


TestServing = Serving.TestCase
TestServing.settings = settings(max_examples=5, stateful_step_count=15, derandomize=True, deadline=None)
