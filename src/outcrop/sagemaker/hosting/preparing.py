"""The road of a model's artifact to something that can serve: fetched, unpacked, looked at, its environment made."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from outcrop.arn import sagemaker as sagemaker_arn
from outcrop.catalog import model_files
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.custom_models import kept
from outcrop.customization import adopted
from outcrop.data.data import RoleData
from outcrop.errors import Invalid
from outcrop.isolation import archives, leftovers
from outcrop.isolation.found import found
from outcrop.isolation.limits import SandboxLimits
from outcrop.jobs.running import RunningJob
from outcrop.json_files import FileProblem, parse
from outcrop.model_import import network_check
from outcrop.network.adapters.method import CONFIG_FILE, has_adapter
from outcrop.network.model_task import ModelTask
from outcrop.probe import launch
from outcrop.sagemaker import environments, images, requirements
from outcrop.sagemaker.hosting import hosted
from outcrop.sagemaker.hosting.hosted import HostedModel, ServedAs
from outcrop.sagemaker.hosting.plans import FleetPlan
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.sagemaker.images import ImageFamily, ModelServing
from outcrop.sagemaker.job_folder import JobFolder
from outcrop.sagemaker.training_request import SERVICE

_MOST_BYTES = 1 << 40
_MOST_CONFIG_BYTES = 16 << 20
_DISK_BYTES = 50 << 30
_READABLE_FOLDER, _READABLE_FILE = 0o755, 0o644
_CODE = "code"
_PROGRAM = "inference.py"
_PROPERTIES = "serving.properties"
_WRITES_TEXT = "ForCausalLM"
_DJL_OWN = "djl_python."


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """A model on its way to being ready, within a job."""

    house: HostingRooms
    job: RunningJob
    fleet: FleetPlan
    region: str

    def run(self) -> HostedModel:
        """The model, ready to serve; one that was made ready before is as it was. Raises Refusal, MachineTrouble."""
        folder = hosted.folder_of(self.house.settings, self.fleet.model_key)
        ready = HostedModel.read(folder)
        if ready is not None:
            return ready
        if folder.exists():
            leftovers.remove(folder)  # what was broken off
        folder.mkdir(parents=True)
        family = images.family_of(self.house.settings, self.fleet.container.image, member="Image")
        made = self._made(folder, family)
        made.write(folder)
        return made

    def _made(self, folder: Path, family: ImageFamily) -> HostedModel:
        files = hosted.files_of(folder)
        data = self.house.data.under(self.fleet.role, source_arn=self.fleet.model_arn, service=SERVICE)
        self._fetch(data, files)
        if family.serving is ModelServing.ENGINE:
            return self._by_engine(data, files, family)
        if family.serving is ModelServing.HUGGINGFACE and (text := self._text_model(files, family)) is not None:
            return text
        return self._by_program(data, folder, family)

    def _fetch(self, data: RoleData, files: Path) -> None:
        """Bring the artifact into `files`. Raises Invalid."""
        source = self.fleet.container.source or self._named_in_s3
        if not source:
            files.mkdir()
            return
        self._told(f"fetching {source}")
        if source.endswith("/"):
            data.fetch_all(source, files)
        else:
            files.mkdir()
            self._unpack(data, source, files)
        _make_readable(files)

    def _unpack(self, data: RoleData, source: str, place: Path) -> None:
        archive = place.with_name("archive")
        data.fetch(source, archive)
        try:
            with archive.open("rb") as opened:
                archives.unpack(opened, place, most_bytes=min(_MOST_BYTES, shutil.disk_usage(place).free))
        except Invalid as refused:
            raise Invalid(f"{source}: {refused.message}") from refused
        finally:
            archive.unlink()

    def _text_model(self, files: Path, family: ImageFamily) -> HostedModel | None:
        """The model as an engine serves it, where it writes text and brings no code of its own."""
        container = self.fleet.container
        if container.program or (files / _CODE / _PROGRAM).exists() or container.submitted:
            return None
        if container.environment.get("HF_TASK", "text-generation") != "text-generation":
            return None
        root = hosted.root_of(files)
        base = adopted.base_named(container.hub_model, self.house.catalog) if container.hub_model is not None else None
        if base is not None and base.task is not ModelTask.TEXT:
            return None
        if base is None and not (root / CONFIG_FILE).exists() and not _writes_text(root):
            return None
        try:
            return self._by_engine(None, files, family)
        except Invalid as refused:
            if base is not None:
                raise
            self._told(f"served by the image's own default code, and not by an engine: {refused.message}")
            return None

    def _by_engine(self, data: RoleData | None, files: Path, family: ImageFamily) -> HostedModel:
        """Raises Invalid for a model that no engine here serves."""
        in_full = family.serving is ModelServing.HUGGINGFACE
        properties = _properties(files / _PROPERTIES)
        root = hosted.root_of(files)
        _check_no_handler(files, self.fleet.container.environment, properties)
        if has_adapter(root):
            return self._with_adapter(root, family, in_full)
        if (root / "config.json").exists():
            return self._own_network(root, family, in_full)
        named = self.fleet.container.hub_model or properties.get("option.model_id", "")
        if named.startswith("s3://") and data is not None:
            data.fetch_all(named if named.endswith("/") else f"{named}/", files / "model_id")
            _make_readable(files)
            return self._by_engine(None, files, family)
        base = adopted.base_named(named, self.house.catalog) if named else None
        if base is None:
            raise Invalid(
                f"HF_MODEL_ID: {named!r} is not in the catalogue. `outcrop pull {named}` or `outcrop register FOLDER` "
                "brings it; or give the model an artifact in S3."
                if named
                else "The model has no artifact with a network in it, and HF_MODEL_ID names none. Give it either."
            )
        if base.task is not ModelTask.TEXT:
            raise Invalid(f"HF_MODEL_ID: {named!r} is no model that writes text, and this image serves such models.")
        usable = self._tried(self.house.catalog.usable(base.id))
        return HostedModel(by=ServedAs.CATALOGUE, image_family=family.name, base=usable.id, answers_in_full=in_full)

    def _with_adapter(self, root: Path, family: ImageFamily, in_full: bool) -> HostedModel:
        look = adopted.look_at(root, self.house.catalog, base=self._base_beside_adapter)
        look = adopted.with_tried_base(look, self.house.catalog)
        key = self.fleet.model_key
        model_arn = sagemaker_arn(self.region, self.house.account, f"hosted-model/{hosted.PREFIX}{key}-adapter")
        with adopted.memory_for(self.house.sharing, look, self.job):
            adopted.put_in_place(look, self.house.models.folder(model_arn), told=self._told)
        return HostedModel(
            by=ServedAs.ADAPTER,
            image_family=family.name,
            base=look.base.id,
            model_arn=model_arn,
            form=kept(look.prompt_format),
            answers_in_full=in_full,
        )

    @property
    def _base_beside_adapter(self) -> str | None:
        """The base that the container names, which wins over the one in the adapter's configuration."""
        named = self.fleet.container.hub_model
        base = adopted.base_named(named, self.house.catalog) if named is not None else None
        return None if base is None else base.id

    @property
    def _named_in_s3(self) -> str:
        """A prefix in the place of a hub's model, as LMI takes it."""
        named = self.fleet.container.hub_model or self.fleet.container.environment.get("OPTION_MODEL_ID", "")
        if not named.startswith("s3://"):
            return ""
        return named if named.endswith("/") else f"{named}/"

    def _own_network(self, root: Path, family: ImageFamily, in_full: bool) -> HostedModel:
        self._told("looking at the network")
        sizes = {path.relative_to(root).as_posix(): path.stat().st_size for path in root.rglob("*") if path.is_file()}
        model_files.wanted_files(sizes, place=self.fleet.container.source or root.name)
        network = network_check.tried(
            root,
            network_check.checked(root),
            self.house.sharing,
            owner=self.job.arn,
            title=f"the model {self.fleet.model_name}",
            interrupted=self.job.interrupted,
            check=self.job.check,
            told=self._told,
        )
        return HostedModel(
            by=ServedAs.NETWORK,
            image_family=family.name,
            answers_in_full=in_full,
            network={
                "contextLength": network.context_length,
                "way": network.way.value,
                "config": network.config,
            },
        )

    def _tried(self, base: BaseModel) -> BaseModel:
        if base.way is not None:
            return base
        assert base.folder is not None, "usable bases have weights"
        self.house.catalog.record(base, launch.demand(base.folder).verdict)
        return self.house.catalog.usable(base.id)

    def _by_program(self, data: RoleData, folder: Path, family: ImageFamily) -> HostedModel:
        files = hosted.files_of(folder)
        code = files / _CODE
        if (submitted := self.fleet.container.submitted) is not None:
            self._told(f"fetching {submitted}")
            code.mkdir(exist_ok=True)
            self._unpack(data, submitted, code)
            _make_readable(code)
        base = self._hub_folder(files)
        python = environments.interpreter(self.house.settings, family, told=self._told)
        place = JobFolder(root=hosted.installed_of(folder))
        place.make()
        self._told("making the environment")
        environments.make_over(python, place.environment)
        if (code / requirements.FILE).is_file():
            self._told(f"installing {requirements.FILE}")
            shutil.copytree(code, place.code, dirs_exist_ok=True)
            limits = SandboxLimits(memory_bytes=self.house.sharing.budget_bytes // 2, disk_bytes=_DISK_BYTES)
            requirements.install(place, python, way=found(), limits=limits, log=place.log)
        num_bytes = sum(path.stat().st_size for path in files.rglob("*") if path.is_file())
        return HostedModel(
            by=ServedAs.PROGRAM,
            image_family=family.name,
            python=str(python),
            num_bytes=num_bytes,
            base=base,
        )

    def _hub_folder(self, files: Path) -> str | None:
        """Id of the catalogue's entry that stands for a hub's model, where the artifact brings none. Raises Invalid."""
        named = self.fleet.container.hub_model
        if named is None or (files / "config.json").exists():
            return None
        base = adopted.base_named(named, self.house.catalog)
        if base is None:
            raise Invalid(
                f"HF_MODEL_ID: {named!r} is not in the catalogue, and nothing is fetched. `outcrop pull {named}`."
            )
        return self.house.catalog.usable(base.id).id

    def _told(self, words: str) -> None:
        self.job.check()
        self.job.report(f"{self.fleet.model_name}: {words}")


def _check_no_handler(files: Path, environment: Mapping[str, str], properties: Mapping[str, str]) -> None:
    """Raises Invalid for code of one's own that an engine would not run."""
    entry = environment.get("OPTION_ENTRYPOINT") or properties.get("option.entryPoint", _DJL_OWN)
    if (files / "model.py").exists() or not entry.startswith(_DJL_OWN):
        raise Invalid(
            "The model brings a handler of its own for DJL (model.py, option.entryPoint), and an engine serves it "
            "here. Leave it out, or serve the model with an image for PyTorch or Hugging Face and an inference.py."
        )


def _properties(path: Path) -> dict[str, str]:
    """The settings of a serving.properties; none where there is no such file."""
    if not path.is_file():
        return {}
    lines = path.read_text("utf-8", "replace").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith(("#", "!")))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _writes_text(root: Path) -> bool:
    """Whether the configuration in a folder names a network that writes text."""
    try:
        told = parse((root / "config.json").read_bytes()[:_MOST_CONFIG_BYTES], name="config.json", strict=False)
    except (OSError, FileProblem):
        return False
    architectures = told.get("architectures") if isinstance(told, dict) else None
    return isinstance(architectures, list) and any(str(each).endswith(_WRITES_TEXT) for each in architectures)


def _make_readable(folder: Path) -> None:
    """Let the program's own user read what it is shown; links stay as they are."""
    folder.chmod(_READABLE_FOLDER)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(_READABLE_FOLDER if path.is_dir() else _READABLE_FILE)
