"""The engine that answers a modelId: base models, deployments, provisioned throughput; by ARN or name."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from outcrop.access.caller import Caller
from outcrop.access.needs.named import Named
from outcrop.catalog import imported_models
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels, format_of
from outcrop.catalog.imported_models import ImportedModels
from outcrop.deployments.model_units import ModelUnits, units_of
from outcrop.deployments.precision import precision_of
from outcrop.deployments.records import Deployments, model_arns
from outcrop.deployments.states import CREATING, FAILED, ON_DEMAND, THROUGHPUT, status_of
from outcrop.engines.clients import Clients
from outcrop.errors import Invalid, ModelDamaged, ModelFailed, NotFound, NotReady
from outcrop.invocation.admission import Admission, Allowance, ReservedCapacity
from outcrop.invocation.encoder_targets import EncoderTargets
from outcrop.invocation.remote.remotes import Remotes
from outcrop.invocation.target import EncoderTarget, Target, TextTarget
from outcrop.keys.envelopes import WrappedKey
from outcrop.keys.sealed_records import key_told, sealed_by
from outcrop.loops import contained
from outcrop.network.model_task import ModelTask
from outcrop.store.damage import understood
from outcrop.store.resources import Resource
from outcrop.tokens.prompt_format import PromptFormat, format_of_base
from outcrop.tokens.tokenizer import Tokenizer

_DEPLOYED = {ON_DEMAND: "custom model deployment", THROUGHPUT: "provisioned model throughput"}
_MOST_TOKENIZERS = 32
"Open at once: each holds some megabytes, and custom models with networks of their own may be many."

NO_TEXT = "This action doesn't support the model that you provided. Try again with a supported text or chat model."

_log = logging.getLogger("outcrop.invocation")


class Targets:
    """Finds targets; tokenizers stay open between requests."""

    def __init__(
        self,
        catalog: Catalog,
        models: CustomModels,
        deployments: Deployments,
        clients: Clients,
        remotes: Remotes,
        imported: ImportedModels,
        *,
        units: ModelUnits,
        admission: Admission,
        check_key: Callable[[WrappedKey], None],
        patience_s: float,
    ) -> None:
        """`check_key` refuses a data key whose KMS key may not be used now. `patience_s`: so long an invocation waits
        for an engine that is not there."""
        self._catalog = catalog
        self._models = models
        self._deployments = deployments
        self._clients = clients
        self._remotes = remotes
        self._imported = imported
        self._units = units
        self._admission = admission
        self._check_key = check_key
        self._patience_s = patience_s
        self._tokenizers: OrderedDict[Path, Tokenizer] = OrderedDict()
        "The least recently used first."
        self._lock = threading.Lock()
        self._encoders = EncoderTargets(clients, self._tokenizer, patience_s=patience_s)

    def resolve(self, model_id: str, thing: Named, row: Resource | None, *, caller: Caller | None = None) -> TextTarget:
        """The target of what `model_id` was found to name, for this caller; None: the installation asks for itself.

        Raises Invalid, NotFound or NotReady, in Bedrock's words; Invalid for a model that does not write text.
        """
        found = self.find(model_id, thing, row, caller=caller)
        if isinstance(found, EncoderTarget):
            raise Invalid(NO_TEXT)
        return found

    def find(
        self, model_id: str, thing: Named, row: Resource | None, *, caller: Caller | None = None
    ) -> TextTarget | EncoderTarget:
        """The target, whatever it answers with. Raises as `resolve`."""
        if thing.kind == imported_models.KIND:
            if row is None:
                raise NotFound(f"The imported model {model_id} was not found.")
            self._check_seal(row)
            allowance = self._allowance(caller, quotas_of=(row.arn, *([row.name] if row.name else ())))
            target = self._target(model_id, self._imported.network(row), None, allowance)
            return replace(target, sealed_by=sealed_by(row.document))
        if thing.kind not in _DEPLOYED:
            return self._foundation(model_id, thing, row, caller)
        if row is None:
            raise NotFound(f"The {_DEPLOYED[thing.kind]} {model_id} was not found.")
        _check_serving(row)
        model_arn, _ = model_arns(row)
        custom = self._models.look(row.region, model_arn)
        if custom is not None:
            return self._custom_target(model_id, custom, row, caller)
        base = self._catalog.usable(model_arn).in_precision(precision_of(row))
        return self._target(model_id, base, None, self._allowance_of(row, base, caller))

    def hosted(
        self,
        model_id: str,
        base: BaseModel,
        *,
        adapter: str | None,
        prompt_format: PromptFormat | None,
        caller: Caller | None,
    ) -> TextTarget | EncoderTarget:
        """The target of a network that others keep on record, with the adapter and the form that they name.

        A text without turns is gone on from, as it is. Raises ModelDamaged, and ModelFailed where its engine was given
        up.
        """
        allowance = self._allowance(caller)
        if base.task is not ModelTask.TEXT:
            return self._encoders.of(model_id, base, allowance)
        target = self._target(model_id, base, None, allowance)
        return replace(target, adapter=adapter, prompt_format=prompt_format or target.prompt_format)

    def _foundation(
        self, model_id: str, thing: Named, row: Resource | None, caller: Caller | None
    ) -> TextTarget | EncoderTarget:
        base = thing.foundation
        if row is None and isinstance(base, BaseModel) and base.remote is not None:
            return self._remotes.target(model_id, base, self._allowance(caller, quotas_of=(base.id,)))
        base = self._base(model_id, thing, row)
        allowance = self._allowance(caller, quotas_of=(base.id,))
        if base.task is not ModelTask.TEXT:
            return self._encoders.of(model_id, base, allowance)
        return self._target(model_id, base, None, allowance)

    def _custom_target(self, model_id: str, custom: Resource, row: Resource, caller: Caller | None) -> Target:
        """A deployment whose model's files are of no use fails, at the latest when it is asked."""
        try:
            with understood(custom.arn):
                self._check_seal(custom)
                base = self._catalog.usable(custom.document["baseId"]).in_precision(precision_of(row))
                allowance = self._allowance_of(row, base, caller)
                return self._target(model_id, self._models.network_below(base, custom.arn), custom, allowance)
        except ModelFailed as failure:
            self._deployments.fail_model(custom.arn, failure.message)
            raise

    def _check_seal(self, model: Resource) -> None:
        """Raises Invalid for a sealed model whose KMS key may not be used now."""
        wrapped = sealed_by(model.document)
        if wrapped is not None:
            with key_told():
                self._check_key(wrapped)

    def _allowance_of(self, row: Resource, base: BaseModel, caller: Caller | None) -> Allowance:
        if row.kind == ON_DEMAND:
            return self._allowance(caller, quotas_of=(base.id, row.arn, *([row.name] if row.name else ())))
        num_units = units_of(row)
        rate = self._units.tokens_per_minute(base, num_units)
        if not rate:
            return self._allowance(caller)  # made by a program that measured nothing; its next update does
        name = row.name or row.arn
        units = ReservedCapacity(arn=row.arn, name=name, num_units=num_units, tokens_per_minute=rate)
        return self._allowance(caller, capacity=units)

    def _allowance(self, caller: Caller | None, **counted: Any) -> Allowance:
        return Allowance(admission=self._admission, caller=caller, **counted)

    def _base(self, model_id: str, thing: Named, row: Resource | None) -> BaseModel:
        if row is not None:
            raise Invalid(
                f"Invocation of model ID {model_id} with on-demand throughput isn’t supported. Retry your request with "
                "the ID or ARN of an inference profile that contains this model."
            )
        return self._catalog.with_weights(thing.foundation, model_id)

    def _target(self, model_id: str, base: BaseModel, custom: Resource | None, allowance: Allowance) -> Target:
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
            allowance=allowance,
            patience_s=self._patience_s,
            weights=base.precision,
            sealed_by=None if custom is None else sealed_by(custom.document),
        )

    def _tokenizer(self, folder: Path) -> Tokenizer:
        """Raises ModelDamaged: whoever asks for an answer has not made these files."""
        with self._lock:
            tokenizer = self._tokenizers.get(folder)
            if tokenizer is not None:
                self._tokenizers.move_to_end(folder)
        return self._opened(folder) if tokenizer is None else tokenizer

    def _opened(self, folder: Path) -> Tokenizer:
        tokenizer = None
        with contained(_log, f"opening the tokenizer in {folder}") as outcome:
            tokenizer = Tokenizer.open(folder)
        if tokenizer is None:
            raise ModelDamaged(
                "The tokenizer of the model cannot be read: its files are missing or damaged. Put them back; the "
                "server's log has the details."
            ) from outcome.error
        with self._lock:
            self._tokenizers[folder] = tokenizer
            while len(self._tokenizers) > _MOST_TOKENIZERS:
                self._tokenizers.popitem(last=False)
        return tokenizer


def _check_serving(row: Resource) -> None:
    status = status_of(row)
    if status == CREATING:
        raise NotReady(f"Model is not ready for inference: {row.name} is being created. Try again in a moment.")
    if status == FAILED:
        raise NotFound(f"{row.name} failed and serves nothing: {row.document.get('failureMessage')}")
