"""From a modelId to the engine that answers it: base models, deployments, provisioned throughput; by ARN or name."""

import logging
import re
from pathlib import Path
from typing import Protocol

from anyio import to_thread

from outcrop import arn
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.deployments.clients import Clients
from outcrop.deployments.records import CREATING, FAILED, ON_DEMAND, THROUGHPUT, Deployments, model_arns
from outcrop.errors import Invalid, ModelDamaged, ModelFailed, NotFound, NotReady
from outcrop.invocation.target import Target
from outcrop.loops import contained
from outcrop.store.damage import understood
from outcrop.store.resources import Resource
from outcrop.tokens.prompt_format import PromptFormat, format_of_base
from outcrop.tokens.tokenizer import Tokenizer

# Inference profiles of the service put the place before the id; here there is one place.
_PROFILE = re.compile(r"^(us|eu|apac|jp|au|global|us-gov)\.")

_log = logging.getLogger("outcrop.invocation")


class Regional(Protocol):
    """What is asked of a call: which region it names."""

    @property
    def region(self) -> str: ...


class Targets:
    """Finds targets; tokenizers stay open between requests."""

    def __init__(self, catalog: Catalog, models: CustomModels, deployments: Deployments, clients: Clients) -> None:
        self._catalog = catalog
        self._models = models
        self._deployments = deployments
        self._clients = clients
        self._tokenizers: dict[Path, Tokenizer] = {}

    async def resolve(self, call: Regional, model_id: str) -> Target:
        """Raises Invalid, NotFound or NotReady, in Bedrock's words."""
        return await to_thread.run_sync(self._resolve, call.region, model_id)

    def _resolve(self, region: str, model_id: str) -> Target:
        deployment = self._deployment(region, model_id)
        if deployment is None:
            return self._target(model_id, self._base(region, model_id), None)
        _check_serving(deployment)
        model_arn, _ = model_arns(deployment)
        custom = self._models.look(region, model_arn)
        if custom is None:
            return self._target(model_id, self._catalog.usable(model_arn), None)
        return self._custom_target(model_id, custom)

    def _custom_target(self, model_id: str, custom: Resource) -> Target:
        """A deployment whose model's files are of no use fails, at the latest when it is asked."""
        try:
            with understood(custom.arn):
                base = self._catalog.usable(custom.document["baseId"])
                return self._target(model_id, self._models.network_below(base, custom.arn), custom)
        except ModelFailed as failure:
            self._deployments.fail_model(custom.arn, failure.message)
            raise

    def _deployment(self, region: str, model_id: str) -> Resource | None:
        if (parsed := arn.parse(model_id)) is not None:
            if parsed.kind not in (ON_DEMAND, THROUGHPUT):
                return None
            return self._deployments.find(parsed.kind, region, model_id)
        if self._catalog.find(model_id) is not None:
            return None
        return self._deployments.look(THROUGHPUT, region, model_id) or self._deployments.look(
            ON_DEMAND, region, model_id
        )

    def _base(self, region: str, model_id: str) -> BaseModel:
        if self._models.look(region, model_id) is not None:
            raise Invalid(
                f"Invocation of model ID {model_id} with on-demand throughput isn’t supported. Retry your request with "
                "the ID or ARN of an inference profile that contains this model."
            )
        parsed = arn.parse(model_id)
        if parsed is not None and parsed.kind == "inference-profile":
            model_id = parsed.tail
        return self._catalog.usable(
            _PROFILE.sub("", model_id) if parsed is None or parsed.kind == "inference-profile" else model_id
        )

    def _target(self, model_id: str, base: BaseModel, custom: Resource | None) -> Target:
        assert base.folder is not None
        tokenizer = self._tokenizer(base.folder)
        return Target(
            model_id=model_id,
            base_id=base.engine,
            client=self._clients.of(base),
            adapter=custom.arn if custom is not None and self._models.adapter(custom.arn) is not None else None,
            tokenizer=tokenizer,
            prompt_format=format_of_base(tokenizer)
            if custom is None
            else PromptFormat(custom.document["promptFormat"]),
            dialect=base.dialect,
            context_length=base.context_length,
            max_output_tokens=base.context_length,
        )

    def _tokenizer(self, folder: Path) -> Tokenizer:
        """Raises ModelDamaged: whoever asks for an answer has not made these files."""
        if folder not in self._tokenizers:
            with contained(_log, f"opening the tokenizer in {folder}") as outcome:
                self._tokenizers[folder] = Tokenizer.open(folder)
            if outcome.error is not None:
                raise ModelDamaged(
                    "The tokenizer of the model cannot be read: its files are missing or damaged. Put them back; the "
                    "server's log has the details."
                ) from outcome.error
        return self._tokenizers[folder]


def _check_serving(row: Resource) -> None:
    if row.status == CREATING:
        raise NotReady(f"Model is not ready for inference: {row.name} is being created. Try again in a moment.")
    if row.status == FAILED:
        raise NotFound(f"{row.name} failed and serves nothing: {row.document.get('failureMessage')}")
