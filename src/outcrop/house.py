"""The components (rooms) of one installation, each opened once, when it is first asked for. The server, a worker or a
command asks.

    house = House.open(settings, SystemClock())     # the database and the account; everything else waits
    house.buckets.path_of("data", "train.jsonl")    # reads the room's code, opens it, and keeps it

A room gets what it needs as arguments and does not know the house; a function that needs many rooms names them in a
`Protocol` of its own, which the house fulfils.
"""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, TypeVarTuple, overload

from anyio import to_thread

from outcrop.access.access import Access
from outcrop.batch.kind import KIND as BATCH
from outcrop.catalog.catalog import Catalog
from outcrop.clock import Clock
from outcrop.evaluation.jobs.kind import KIND as EVALUATION
from outcrop.jobs.kinds import JobKind
from outcrop.kinds import KINDS
from outcrop.settings import Settings
from outcrop.store.leadership import Leadership
from outcrop.store.resources import Resource
from outcrop.store.store import Store

if TYPE_CHECKING:
    from outcrop.access.policies.bucket_policy import BucketRules
    from outcrop.access.policies.key_policy import KeyRules
    from outcrop.alarms.alarms import Alarms
    from outcrop.alarms.notices import AlarmNotices
    from outcrop.audit.audit import Audit
    from outcrop.batch.shares import Shares
    from outcrop.buckets.buckets import Buckets
    from outcrop.buckets.provided import ProvidedContent
    from outcrop.catalog.custom_models import CustomModels
    from outcrop.catalog.imported_models import ImportedModels
    from outcrop.data.data import Data
    from outcrop.deployments.locked_models import LockedModels
    from outcrop.deployments.model_units import ModelUnits
    from outcrop.deployments.reconciler import Reconciler
    from outcrop.deployments.records import Deployments
    from outcrop.engines.clients import Clients
    from outcrop.engines.environments import EngineEnvironments
    from outcrop.engines.orders import Engines
    from outcrop.engines.sharing import MemorySharing
    from outcrop.guardrails.opening import Guards
    from outcrop.guardrails.records import Guardrails
    from outcrop.invocation.admission import Admission
    from outcrop.invocation.quotas import Quotas
    from outcrop.invocation.remote.credentials import RemoteCredentials
    from outcrop.invocation.remote.remotes import Remotes
    from outcrop.invocation.resolve import Targets
    from outcrop.invocation_logs.logs import InvocationLogs
    from outcrop.jobs.asking_loop import AskingLoop
    from outcrop.jobs.jobs import Jobs
    from outcrop.keys.aliases import KeyAliases
    from outcrop.keys.envelopes import Envelopes
    from outcrop.keys.key_grants import KeyGrants
    from outcrop.keys.keys import Keys
    from outcrop.knowledge.agent_sessions.sessions import AgentSessions
    from outcrop.knowledge.answering.role_questions import RoleKnowledge
    from outcrop.knowledge.answering.talks import Talks
    from outcrop.knowledge.indexes import Indexes
    from outcrop.knowledge.knowledge_bases import KnowledgeBases
    from outcrop.log_groups.log_groups import LogGroups
    from outcrop.metrics.points import Points
    from outcrop.metrics.traffic import Traffic
    from outcrop.sagemaker.hosting.capture import DataCapture
    from outcrop.sagemaker.hosting.endpoints import Endpoints
    from outcrop.sagemaker.hosting.keeper import EndpointKeeper
    from outcrop.sagemaker.hosting.routing import Router
    from outcrop.sagemaker.hub.hubs import Hubs
    from outcrop.sagemaker.jumpstart.content import JumpStartContent
    from outcrop.scaling.resources import ScalableResources
    from outcrop.scaling.scaler import Scaler
    from outcrop.scaling.scaling import Scaling
    from outcrop.trails.delivery import TrailDelivery
    from outcrop.trails.signing_keys import SigningKeys
    from outcrop.trails.trails import Trails
    from outcrop.vectors.buckets import VectorBuckets
    from outcrop.vectors.indexes import VectorIndexes

_Room = TypeVar("_Room")
_Asked = TypeVarTuple("_Asked")
_Answer = TypeVar("_Answer")


class room(Generic[_Room]):  # noqa: N801 (a decorator, like `property`)
    """An attribute that is opened at its first use, once for all threads."""

    def __init__(self, opening: Callable[[Any], _Room]) -> None:
        self._opening = opening
        self.__doc__ = opening.__doc__

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, house: None, owner: type) -> Self: ...

    @overload
    def __get__(self, house: "House", owner: type) -> _Room: ...

    def __get__(self, house: "House | None", owner: type) -> Self | _Room:
        if house is None:
            return self
        # Whoever comes later finds the room in the instance's own dictionary, without the lock.
        with house.lock:
            if self._name not in house.__dict__:
                house.__dict__[self._name] = self._opening(house)
            opened: _Room = house.__dict__[self._name]
        return opened


class House:
    """The components (rooms) of one installation in this process. A room once opened stays until `close`, which leaving
    a `with` does."""

    def __init__(self, settings: Settings, clock: Clock, *, kinds: Sequence[JobKind[Any]] = KINDS) -> None:
        """`kinds`: the kinds of job that are known here."""
        self.settings = settings
        self.kinds = kinds
        self.clock = clock
        self.lock = threading.RLock()

    @classmethod
    def open(cls, settings: Settings, clock: Clock, *, kinds: Sequence[JobKind[Any]] = KINDS) -> Self:
        """The house with what guards it open. Raises MachineTrouble when the home cannot be used."""
        house = cls(settings, clock, kinds=kinds)
        assert house.access
        return house

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the database back; nothing may be asked of the house any more."""
        if "asking_loop" in self.__dict__:
            self.asking_loop.run(self.clients.aclose())
            if "remotes" in self.__dict__:
                self.asking_loop.run(self.remotes.aclose())
            self.asking_loop.close()
        if "vector_indexes" in self.__dict__:
            self.vector_indexes.close()
        if "knowledge_indexes" in self.__dict__:
            self.knowledge_indexes.close()
        if "store" in self.__dict__:
            self.store.close()

    async def ask(self, question: Callable[[*_Asked], _Answer], *asked: *_Asked) -> _Answer:
        """Answer a question about access or rows by key: at once from a local file, else in a thread."""
        if self.store.is_local:
            return question(*asked)
        return await to_thread.run_sync(question, *asked)

    @room
    def store(self) -> Store:
        """Records and files."""
        return Store.open(self.settings)

    @room
    def leadership(self) -> Leadership:
        """Whether this process does what one server of an installation does."""
        return Leadership(self.store.engine)

    @room
    def points(self) -> "Points":
        """Metrics over time."""
        from outcrop.metrics.points import Points

        return Points(self.store, self.clock, self.settings.points_kept)

    @room
    def alarms(self) -> "Alarms":
        """Alarms on metrics."""
        return self.scaling.alarms  # opened together, for tables are not made within the transaction of an alarm

    @room
    def scalable_resources(self) -> "ScalableResources":
        """The counts of what can be scaled: endpoints and inference components."""
        from outcrop.sagemaker.hosting.scalable import ScalableFleets

        return ScalableFleets(self)

    @room
    def scaling(self) -> "Scaling":
        """Scalable targets, their policies and scheduled actions."""
        from outcrop.alarms.alarms import Alarms
        from outcrop.scaling.scaling import Scaling

        def takes_action(action: str, alarm: Resource) -> bool:
            return scaling.policies.take(action, alarm)

        alarms = Alarms(
            self.store,
            self.points,
            self.clock,
            self.account,
            takes_action=takes_action,
            sends_action=self.alarm_notices.take,
        )
        scaling = Scaling(self.store, alarms, self.scalable_resources, self.clock, self.account)
        return scaling

    @room
    def alarm_notices(self) -> "AlarmNotices":
        """Notices of alarms, on their way to where the administrator said."""
        from outcrop.alarms.destinations import destinations_of
        from outcrop.alarms.notices import AlarmNotices

        return AlarmNotices(self.store, self.clock, self.account, destinations_of(self.settings))

    @room
    def scaler(self) -> "Scaler":
        """The loop that scales."""
        from outcrop.scaling.scaler import Scaler

        return Scaler(self.scaling)

    @room
    def traffic(self) -> "Traffic":
        """Requests of this process, counted."""
        from outcrop.metrics.traffic import Traffic

        return Traffic(self.clock)

    @room
    def audit(self) -> "Audit":
        """The record of calls."""
        from outcrop.audit.audit import Audit
        from outcrop.audit.noted_end import NotedEnd

        noted = NotedEnd(self.settings.home)
        sealer = self.access.credentials.sealer
        return Audit(self.store, self.clock, self.settings.audit_kept, noted=noted, sealer=sealer)

    @room
    def trails(self) -> "Trails":
        """Trails: what is recorded, delivered into buckets."""
        from outcrop.trails.trails import Trails

        return Trails(self.store, self.access, lambda: self.buckets, self.clock, self.account, last=self.audit.last)

    @room
    def trail_keys(self) -> "SigningKeys":
        """The keys that digests of trails are signed with."""
        from outcrop.trails.signing_keys import SigningKeys

        return SigningKeys(self.store, self.clock, self.access.credentials.sealer)

    @room
    def trail_delivery(self) -> "TrailDelivery":
        """The deliveries of trails."""
        from outcrop.trails.delivery import TrailDelivery

        return TrailDelivery(self.trails, self.audit, self.trail_keys, self.clock, self.account)

    @room
    def catalog(self) -> Catalog:
        """Base models."""
        return Catalog(self.settings.home)

    @room
    def access(self) -> Access:
        """Users, roles, policies, and decisions over them."""
        return Access.open(
            self.store,
            self.settings,
            self.clock,
            # opened when a policy first asks for tags
            object_tags=lambda arn, version: self.buckets.tags_by_arn(arn, version),
            foundation=self.catalog.find,
            resource_policy=lambda arn: self.vector_buckets.policy_in_force(arn),
            key_rules=self._key_rules,
            bucket_rules=self._bucket_rules,
        )

    def _bucket_rules(self, bucket: str) -> "BucketRules | None":
        from outcrop.access.policies.bucket_policy import bucket_rules
        from outcrop.buckets.settings_records import POLICY, PUBLIC_ACCESS

        found = self.buckets.documents(bucket, (POLICY, PUBLIC_ACCESS))
        return None if found is None else bucket_rules(found[POLICY], found[PUBLIC_ACCESS])

    def _key_rules(self, arn: str) -> "KeyRules | None":
        from outcrop.access.policies.key_policy import KeyRules, parse_key_policy

        key = self.keys.get(arn)
        if key is None:
            return None
        aliases = tuple(alias.name for alias in self.key_aliases.of_key(key.id))
        known: dict[str, str | tuple[str, ...]] = {
            "kms:KeySpec": key.spec.name, "kms:KeyUsage": str(key.usage), "kms:KeyOrigin": "AWS_KMS",
            "kms:MultiRegion": "false", **({"kms:ResourceAliases": aliases} if aliases else {}),
        }  # fmt: skip
        return KeyRules(policy=parse_key_policy(key.policy), grants=tuple(self.keys.records.grants(arn)), known=known)

    @room
    def keys(self) -> "Keys":
        """Keys of KMS."""
        from outcrop.keys.keys import Keys

        return Keys(self.store, self.clock, self.account, self.access.credentials.sealer)

    @room
    def envelopes(self) -> "Envelopes":
        """Data keys of what is sealed."""
        from outcrop.keys.envelopes import Envelopes

        return Envelopes(self.keys)

    @room
    def key_aliases(self) -> "KeyAliases":
        """Aliases of KMS keys."""
        from outcrop.keys.aliases import KeyAliases

        return KeyAliases(self.keys)

    @room
    def key_grants(self) -> "KeyGrants":
        """Grants on KMS keys."""
        from outcrop.keys.key_grants import KeyGrants

        return KeyGrants(self.keys)

    @property
    def account(self) -> str:
        """The 12 digits of the one account."""
        return self.access.account

    @room
    def buckets(self) -> "Buckets":
        """The built-in S3."""
        from outcrop.buckets.buckets import Buckets
        from outcrop.sagemaker.jumpstart import bucket_names

        def provided(bucket: str) -> "ProvidedContent | None":
            return None if bucket_names.parse(bucket) is None else self.jumpstart.content(bucket)

        return Buckets(
            self.store,
            self.clock,
            provided,
            rules_changed=self.access.note_change,
            envelopes=lambda: self.envelopes,
            seals_all=self.settings.seal,
        )

    @room
    def jumpstart(self) -> "JumpStartContent":
        """JumpStart's buckets, made of the catalogue."""
        from outcrop.sagemaker.jumpstart.content import JumpStartContent

        return JumpStartContent(self.catalog, self.account)

    @room
    def hubs(self) -> "Hubs":
        """Hubs of models, the public one and those of the account."""
        from outcrop.sagemaker.hub.contents import HubContents
        from outcrop.sagemaker.hub.hubs import Hubs

        contents = HubContents(self.store, self.clock, self.catalog, self.account)
        return Hubs(self.store, self.clock, contents, self.account)

    @room
    def vector_buckets(self) -> "VectorBuckets":
        """Vector buckets of S3 Vectors."""
        from outcrop.vectors.buckets import VectorBuckets

        return VectorBuckets(self.store, self.clock, self.account)

    @room
    def vector_indexes(self) -> "VectorIndexes":
        """Vector indexes with their vectors."""
        from outcrop.vectors.indexes import VectorIndexes

        return VectorIndexes(self.store, self.clock, self.account, self.settings.vectors)

    @room
    def data(self) -> "Data":
        """Objects under the role of a request or a job."""
        from outcrop.data.data import Data

        return Data(access=self.access, buckets=self.buckets)

    @room
    def log_groups(self) -> "LogGroups":
        """Log groups with their streams and events."""
        from outcrop.log_groups.log_groups import LogGroups

        return LogGroups(self.store, self.clock, self.settings.log_events, lambda: self.envelopes)

    @room
    def invocation_logs(self) -> "InvocationLogs":
        """The log of invocations, and where it goes."""
        from outcrop.invocation_logs.logs import InvocationLogs

        return InvocationLogs(self, self.store, self.clock, self.points)

    @room
    def guardrails(self) -> "Guardrails":
        """Guardrails on record."""
        from outcrop.guardrails.records import Guardrails

        return Guardrails(self.store, self.clock, self.account)

    @room
    def guards(self) -> "Guards":
        """Guardrails as they are applied."""
        from outcrop.guardrails.opening import Guards

        return Guards(self)

    @room
    def asking_loop(self) -> "AskingLoop":
        """The event loop on which jobs of this process ask models."""
        from outcrop.jobs.asking_loop import AskingLoop

        return AskingLoop()

    @room
    def batch_shares(self) -> "Shares":
        """The shares of this process's batch jobs in the requests to engines."""
        from outcrop.batch.shares import Shares

        return Shares()

    @room
    def knowledge_bases(self) -> "KnowledgeBases":
        """Knowledge bases and their data sources on record."""
        from outcrop.knowledge.knowledge_bases import KnowledgeBases

        return KnowledgeBases(self.store, self.clock, self.account)

    @room
    def knowledge_indexes(self) -> "Indexes":
        """The indexes of knowledge bases."""
        from outcrop.knowledge.indexes import Indexes
        from outcrop.knowledge.stores.opening import Stores

        return Indexes(self.settings.home, Stores(home=self.settings.home, vector_indexes=lambda: self.vector_indexes))

    def knowledge_under(self, role_arn: str, region: str) -> "RoleKnowledge":
        """The knowledge bases of a region as this role may ask them."""
        from outcrop.knowledge.answering.role_questions import RoleKnowledge

        return RoleKnowledge(house=self, role_arn=role_arn, region=region)

    def _used_by_jobs(self) -> set[tuple[str, str]]:
        asked = {(job.region, str(job.document.get("modelArn"))) for job in self.jobs.running(BATCH)}
        evaluated = [(job.region, job.document.get("models")) for job in self.jobs.running(EVALUATION)]
        return asked | {
            (region, str(arn)) for region, models in evaluated if isinstance(models, dict) for arn in models.values()
        }

    @room
    def models(self) -> "CustomModels":
        """Custom models on record, with their files."""
        from outcrop.catalog.custom_models import CustomModels

        return CustomModels(
            self.store, self.clock, self.settings.models, open_key=lambda wrapped: self.envelopes.open(wrapped)
        )

    @room
    def imported_models(self) -> "ImportedModels":
        """Imported models on record, with their files."""
        from outcrop.catalog.imported_models import ImportedModels

        return ImportedModels(self.store, self.clock, self.settings.models)

    @room
    def jobs(self) -> "Jobs":
        """Long work on record."""
        from outcrop.jobs.jobs import Jobs

        return Jobs(self.store, self.clock, self.kinds)

    @room
    def deployments(self) -> "Deployments":
        """On-demand deployments and provisioned throughput on record."""
        from outcrop.deployments.records import Deployments

        return Deployments(self.store, self.clock)

    @room
    def engines(self) -> "Engines":
        """The record of which engines should run."""
        from outcrop.engines.orders import Engines

        return Engines(self.store, self.clock, self.settings)

    @room
    def sharing(self) -> "MemorySharing":
        """The memory that engines and trainings have together."""
        from outcrop.engines.sharing import MemorySharing

        return MemorySharing.open(self.store, self.clock, self.settings)

    @room
    def clients(self) -> "Clients":
        """Connections to engines."""
        from outcrop.engines.clients import Clients

        return Clients(
            self.engines,
            self.environments,
            self.models,
            self.clock,
            damaged=self.deployments.fail_model,
            open_key=lambda wrapped: self.envelopes.open(wrapped),
        )

    @room
    def environments(self) -> "EngineEnvironments":
        """Environments of engines of other kinds."""
        from outcrop.engines.environments import EngineEnvironments

        return EngineEnvironments(self.store, self.clock)

    @room
    def remote_credentials(self) -> "RemoteCredentials":
        """Credentials of remote models."""
        from outcrop.invocation.remote.credentials import RemoteCredentials

        return RemoteCredentials(self.store, self.access.credentials.sealer, self.clock)

    @room
    def remotes(self) -> "Remotes":
        """Connections to remote models."""
        from outcrop.invocation.remote.remotes import Remotes

        return Remotes(self.remote_credentials, self.engines, allowed=self.settings.remote_models)

    @room
    def reconciler(self) -> "Reconciler":
        """The reconciler that brings deployments to serving."""
        from outcrop.deployments.reconciler import Reconciler

        return Reconciler(
            self.deployments,
            self.engines,
            self.clients,
            self.catalog,
            self.models,
            self.units,
            self.clock,
            also_used=self._used_by_jobs,
            locked=self.locked_models,
        )

    @room
    def locked_models(self) -> "LockedModels":
        """Sealed models whose keys may not be used now."""
        from outcrop.deployments.locked_models import LockedModels

        return LockedModels(self.store, self.envelopes, self.engines, self.clients, self.models)

    @room
    def endpoints(self) -> "Endpoints":
        """Endpoints of SageMaker on record."""
        from outcrop.sagemaker.hosting.endpoints import Endpoints

        return Endpoints(self.store, self.clock)

    @room
    def endpoint_router(self) -> "Router":
        """The way of requests to the copies behind endpoints."""
        from outcrop.sagemaker.hosting.routing import Router

        return Router(self)

    @room
    def data_capture(self) -> "DataCapture":
        """Requests to endpoints and their answers, on their way into S3."""
        from outcrop.sagemaker.hosting.capture import DataCapture

        return DataCapture(self.data, self.clock)

    @room
    def endpoint_keeper(self) -> "EndpointKeeper":
        """The keeper of the processes behind endpoints."""
        from outcrop.sagemaker.hosting.keeper import EndpointKeeper

        return EndpointKeeper(self, self.endpoint_router, self.data_capture)

    @room
    def talks(self) -> "Talks":
        """Questions to knowledge bases with their answers, by session."""
        from outcrop.knowledge.answering.talks import Talks

        return Talks(self.store.engine)

    @room
    def agent_sessions(self) -> "AgentSessions":
        """Sessions that programs keep their own steps in."""
        from outcrop.knowledge.agent_sessions.sessions import AgentSessions

        return AgentSessions(self.store, self.clock, self.account)

    @room
    def units(self) -> "ModelUnits":
        """Model units: what one stands for, and how many there are."""
        from outcrop.deployments.model_units import ModelUnits

        return ModelUnits(self.store, self.clock, self.settings.model_units)

    @room
    def quotas(self) -> "Quotas":
        """Requests and tokens a minute that users and models may take."""
        from outcrop.invocation.quotas import Quotas

        return Quotas(self.store, self.clock)

    @room
    def admission(self) -> "Admission":
        """Invocations held against quotas and model units."""
        from outcrop.invocation.admission import Admission

        return Admission(self.quotas, self.clock, is_local=self.store.is_local)

    @room
    def targets(self) -> "Targets":
        """The resolver from a modelId to the engine that answers it."""
        from outcrop.invocation.resolve import Targets

        return Targets(
            self.catalog,
            self.models,
            self.deployments,
            self.clients,
            self.remotes,
            self.imported_models,
            units=self.units,
            admission=self.admission,
            check_key=lambda wrapped: self.envelopes.check(wrapped),
            patience_s=self.settings.patience.total_seconds(),
        )
