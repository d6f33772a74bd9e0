"""The modes in which a network is run, and the probe's verdict on one. Plain values, without tensors."""

from dataclasses import dataclass
from enum import StrEnum


class RunMode(StrEnum):
    """The mode in which a network runs: records side by side in a row, padded, or one by one."""

    PACKED = "packed"
    "Side by side in one row, through our attention function; an engine decodes many requests together."
    ONE_RECORD_A_ROW = "one record a row"
    "Each by itself, through the attention of `transformers`; an engine answers one request after the other."
    PADDED = "padded"
    "Of encoders: rows of a batch filled up to one length, through the attention of `transformers`."


@dataclass(frozen=True, kw_only=True)
class ProbeVerdict:
    """The mode in which a network computes what `transformers` computes, as the probe found; or none."""

    way: RunMode | None
    "None: it is refused."
    why: str = ""
    "What failed: of packing, where the way is the other one, or of both."
    config: str = ""
    "SHA-256 of the config.json that was judged; a network whose file differs has no verdict."

    def to_table(self) -> dict[str, str]:
        """The verdict as the catalogue keeps it."""
        return {"way": self.way.value if self.way else "", "why": self.why, "config": self.config}
