"""The models that a guardrail may ask about what it looks at."""

import asyncio
from pathlib import Path

import pytest

from outcrop.errors import Invalid
from outcrop.guardrails.models import check_not_sealed
from outcrop.keys.envelopes import INSTALLATION, WrappedKey
from tests.support.spoken_target import speaking


def test_a_judge_is_sealed_by_no_key_of_kms(tmp_path: Path) -> None:
    async def judged(key_arn: str | None) -> None:
        wrapped = None if key_arn is None else WrappedKey(key_arn=key_arn, context={}, blob=b"blob")
        async with speaking(tmp_path, "YES", sealed_by=wrapped) as (target, _):
            check_not_sealed("arn:custom", target)

    asyncio.run(judged(None))
    asyncio.run(judged(INSTALLATION))
    with pytest.raises(Invalid, match="arn:custom is sealed by arn:key"):
        asyncio.run(judged("arn:key"))
