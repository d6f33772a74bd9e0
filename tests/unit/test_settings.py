"""Amounts of memory, as people write them."""

from pathlib import Path

import pytest

from outcrop import settings


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GiB", 8 * 2**30), ("8 GB", 8 * 2**30), ("8g", 8 * 2**30), ("1.5G", 3 * 2**29), ("512 MiB", 2**29),
        ("1048576", 2**20), ("", 0), (" ", 0),
    ],
)  # fmt: skip
def test_an_amount_of_memory_is_read_as_people_write_it(text: str, size: int, tmp_path: Path) -> None:
    assert settings.read({"OUTCROP_MEMORY_LIMIT": text}, home=tmp_path).memory_limit == size
