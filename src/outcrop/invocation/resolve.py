"""The engine that answers a modelId: base models, deployments, provisioned throughput; by ARN or name."""

import logging
from pathlib import Path

from outcrop.access.needs.named import Named
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels, format_of
from outcrop.deployments.records import Deployments, model_arns
from outcrop.deployments.states import CREATING, FAILED, ON_DEMAND, THROUGHPUT, status_of
from outcrop.engines.clients import Clients
from outcrop.errors import Invalid, ModelDamaged, ModelFailed, NotFound, NotReady
from outcrop.invocation.target import Target
from outcrop.loops import contained
from outcrop.store.damage import understood
from outcrop.store.resources import Resource
from outcrop.tokens.prompt_format import format_of_base
from outcrop.tokens.tokenizer import Tokenizer

_DEPLOYED = {ON_DEMAND: "custom model deployment", THROUGHPUT: "provisioned model throughput"}

_log = logging.getLogger("outcrop.invocation")


class Targets:
    """Finds targets; tokenizers stay open between requests."""

    def __init__(self, catalog: Catalog, models: CustomModels, deployments: Deployments, clients: Clients) -> None:
        self._catalog = catalog
        self._models = models
        self._deployments = deployments
        self._clients = clients
        self._tokenizers: dict[Path, Tokenizer] = {}

    def resolve(self, model_id: str, thing: Named, row: Resource | None) -> Target:
        """The target of what `model_id` was found to name. Raises Invalid, NotFound or NotReady, in Bedrock's words."""
        if thing.kind not in _DEPLOYED:
            return self._target(model_id, self._base(model_id, thing, row), None)
        if row is None:
            raise NotFound(f"The {_DEPLOYED[thing.kind]} {model_id} was not found.")
        _check_serving(row)
        model_arn, _ = model_arns(row)
        custom = self._models.look(row.region, model_arn)
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

    def _base(self, model_id: str, thing: Named, row: Resource | None) -> BaseModel:
        if row is not None:
            raise Invalid(
                f"Invocation of model ID {model_id} with on-demand throughput isn’t supported. Retry your request with "
                "the ID or ARN of an inference profile that contains this model."
            )
        return self._catalog.with_weights(thing.foundation, model_id)

    def _target(self, model_id: str, base: BaseModel, custom: Resource | None) -> Target:
        assert base.folder is not None
        tokenizer = self._tokenizer(base.folder)
        return Target(
            model_id=model_id,
            base_id=base.engine,
            client=self._clients.of(base),
            adapter=custom.arn if custom is not None and self._models.adapter(custom.arn) is not None else None,
            tokenizer=tokenizer,
            prompt_format=format_of_base(tokenizer) if custom is None else format_of(custom),
            frames_prompts=custom is not None,
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
    status = status_of(row)
    if status == CREATING:
        raise NotReady(f"Model is not ready for inference: {row.name} is being created. Try again in a moment.")
    if status == FAILED:
        raise NotFound(f"{row.name} failed and serves nothing: {row.document.get('failureMessage')}")
