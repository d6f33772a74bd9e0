"""The counts of a batch job: what the manifest, the job's record and its metrics tell."""

from dataclasses import dataclass
from typing import Any

from outcrop.batch.progress import FileProgress


@dataclass(kw_only=True)
class BatchCounts:
    """The numbers of what is done so far."""

    total: int
    successes: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def processed(self) -> int:
        return self.successes + self.errors

    def add(self, after: FileProgress, before: FileProgress) -> None:
        """Add what one file came further."""
        self.successes += after.successes - before.successes
        self.errors += after.errors - before.errors
        self.input_tokens += after.input_tokens - before.input_tokens
        self.output_tokens += after.output_tokens - before.output_tokens

    def members(self) -> dict[str, int]:
        """The members of GetModelInvocationJob's answer."""
        return {
            "totalRecordCount": self.total,
            "processedRecordCount": self.processed,
            "successRecordCount": self.successes,
            "errorRecordCount": self.errors,
        }

    def manifest(self) -> dict[str, Any]:
        """The content of manifest.json.out."""
        return {**self.members(), "inputTokenCount": self.input_tokens, "outputTokenCount": self.output_tokens}
