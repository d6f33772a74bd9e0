"""The processes behind an endpoint: started for a fleet, asked whether they serve, and ended with it.

A copy of a program has a folder in the home's `runs`, with its `/opt/ml`, what it prints, and its credentials. An
engine is one for all fleets of a model; what it holds in memory it shares with every other use of its network.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from outcrop.access.credentials import Issued
from outcrop.catalog.base_model import BaseModel
from outcrop.engines import program_launcher, programs
from outcrop.engines.orders import Order
from outcrop.engines.programs import ServingProgram
from outcrop.engines.states import EngineKind
from outcrop.errors import ModelDamaged
from outcrop.sagemaker import environments
from outcrop.sagemaker.environments import ENVIRONMENT_INSIDE
from outcrop.sagemaker.hosting import hosted
from outcrop.sagemaker.hosting.hosted import HostedModel, ServedAs
from outcrop.sagemaker.hosting.plans import FleetPlan
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.sagemaker.images import ModelServing, family_of
from outcrop.sagemaker.job_folder import JobFolder
from outcrop.sagemaker.script import INSTALLED
from outcrop.sagemaker.training_request import SERVICE
from outcrop.settings import Settings

_SERVER = Path(__file__).parent.parent / "inside" / "model_server"
_SERVER_INSIDE = "/run/outcrop/model_server"
_MODEL_INSIDE = "/opt/ml/model"
_SESSION_FILE = "session.json"
_SESSION = "SageMaker"
_SESSION_LASTS = timedelta(days=3650)
"It ends with the copy that has it."
_PROCESS_BYTES = 500 << 20
"Interpreter and libraries of a model server with a small model."
_TIMES = 2
"A model in memory, and what it computes with, by the size of its files."
_LEAST_BYTES = 1 << 30
_DISK_BYTES = 50 << 30


class Fleets:
    """The fleets of an installation's endpoints."""

    def __init__(self, house: HostingRooms) -> None:
        self._house = house

    def hosted(self, fleet: FleetPlan) -> HostedModel:
        """The way in which a fleet's model is served. Raises ModelDamaged where its files are gone."""
        found = HostedModel.read(hosted.folder_of(self._house.settings, fleet.model_key))
        if found is None:
            raise ModelDamaged(
                f"The files of the model {fleet.model_name} are not there any more. Update the endpoint."
            )
        return found

    def network(self, fleet: FleetPlan, model: HostedModel) -> BaseModel:
        """The network of a fleet that an engine serves. Raises Refusal."""
        house = self._house
        return hosted.network_of(
            model,
            fleet.model_key,
            fleet.model_name,
            settings=house.settings,
            catalog=house.catalog,
            models=house.models,
        )

    def order(self, fleet: FleetPlan, *, region: str) -> list[Order]:
        """Ask for every process of a fleet; asking again changes nothing while they are there. Raises Refusal."""
        model = self.hosted(fleet)
        if model.by is not ServedAs.PROGRAM:
            return [self._house.engines.order(self.network(fleet, model))] if fleet.num_copies else []
        return [self._order_program(fleet, model, name, region) for name in fleet.copies]

    def order_again(self, fleet: FleetPlan, name: str, *, region: str) -> Order:
        """The process of a fleet that has this name, asked for anew."""
        return next(order for order in self.order(fleet, region=region) if order.name == name)

    def engine_of(self, fleet: FleetPlan) -> str | None:
        """The name of the engine that serves a fleet; None for programs, or while nothing was made ready."""
        model = HostedModel.read(hosted.folder_of(self._house.settings, fleet.model_key))
        if model is None or model.by is ServedAs.PROGRAM or not fleet.num_copies:
            return None
        return self.network(fleet, model).engine

    def clear(self, name: str) -> None:
        """End a copy that no fleet has any more; its folder goes once the process is gone."""
        self._house.engines.forget(name)

    def folders(self) -> Iterator[Path]:
        """The folders of all copies that were ever started and not cleared up."""
        return self._house.settings.runs.glob("endpoint-*")

    def remove(self, folder: Path) -> None:
        """Remove the folder of a copy that has ended, with its credentials."""
        self._end_session(folder)
        program_launcher.clear(folder)

    def _end_session(self, folder: Path) -> None:
        """Let the credentials of a copy be unknown, where it has some."""
        session = folder / _SESSION_FILE
        if session.exists():
            self._house.access.credentials.end_session(json.loads(session.read_text("utf-8"))["keyId"])

    def _order_program(self, fleet: FleetPlan, model: HostedModel, name: str, region: str) -> Order:
        folder = copy_folder(self._house.settings, name)
        if not ServingProgram.is_written(folder):
            self._end_session(folder)  # of an attempt that was broken off
            self._program(fleet, model, folder, region).write(folder)
        return self._house.engines.order_program(name, folder)

    def _program(self, fleet: FleetPlan, model: HostedModel, folder: Path, region: str) -> ServingProgram:
        house, container = self._house, fleet.container
        family = family_of(house.settings, container.image, member="Image")
        place = hosted.folder_of(house.settings, fleet.model_key)
        files = hosted.files_of(place)
        if model.base is not None:
            base = house.catalog.usable(model.base)
            assert base.folder is not None, "usable bases have weights"
            files = base.folder
        session = house.access.session_of_service(
            fleet.role, SERVICE, name=_SESSION, lasting=_SESSION_LASTS, source_arn=fleet.model_arn
        )
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / _SESSION_FILE).write_text(json.dumps({"keyId": session.key_id}), "utf-8")
        command = [f"{ENVIRONMENT_INSIDE}/bin/python", f"{_SERVER_INSIDE}/model_server.py", programs.SOCKET_INSIDE]
        if family.serving is ModelServing.OWN:
            command += ["--serve", *family.serve]
        assert model.python is not None, "programs have an environment"
        most = fleet.memory_bytes or house.sharing.budget_bytes // 2
        return ServingProgram(
            command=tuple(command),
            environment=self._variables(fleet, family.serving, region, session),
            read_only=tuple(str(path) for path in environments.roots(Path(model.python))),
            shown={
                _SERVER_INSIDE: str(_SERVER),
                _MODEL_INSIDE: str(files),
                ENVIRONMENT_INSIDE: str(JobFolder(root=hosted.installed_of(place)).environment),
            },
            reaches_endpoint=not fleet.isolated,
            memory_bytes=most,
            estimated_bytes=min(most, max(_LEAST_BYTES, _PROCESS_BYTES + _TIMES * model.num_bytes)),
            disk_bytes=_DISK_BYTES,
        )

    def _variables(
        self, fleet: FleetPlan, serving: ModelServing | None, region: str, session: Issued
    ) -> dict[str, str]:
        """The variables of a model's container; the address of this installation comes with each start."""
        return {
            "PATH": f"{ENVIRONMENT_INSIDE}/bin:/usr/local/bin:/usr/bin:/bin",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OUTCROP_SERVING": serving.value if serving is not None else "",
            "SAGEMAKER_BIND_TO_PORT": "8080",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": session.key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret,
            "AWS_SESSION_TOKEN": session.session_token,
            "HF_HUB_OFFLINE": "1",
            INSTALLED: "1",
            **fleet.container.environment,
        }


def copy_folder(settings: Settings, name: str) -> Path:
    """The folder of one copy of a program."""
    return settings.runs / name


def is_program(order: Order) -> bool:
    return order.kind is EngineKind.PROGRAM
