"""Single values that look like one thing and are none: refused by their path, never an error of ours."""

from typing import Any

import pytest

from outcrop.errors import Unreadable
from outcrop.protocol.shapes import ServiceModel, Shape
from outcrop.protocol.values import json_values, scalars


def of(kind: str) -> Shape:
    model = {"metadata": {"apiVersion": "1"}, "operations": {}, "shapes": {"Value": {"type": kind}}}
    return ServiceModel(model).shape_for("Value")


@pytest.mark.parametrize("text", ["1_000", " 1", "١", "1.0", "", "0x1", "9" * 5000, "2147483648"])
def test_what_no_service_takes_for_an_integer_is_none(text: str) -> None:
    with pytest.raises(Unreadable, match=r"^count: "):
        scalars.read(of("integer"), text, "count")


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("blob", "aé==", "a Blob must be base64"),
        ("blob", "a", "a Blob must be base64"),
        ("float", 10**400, "too large for a Float"),
        ("integer", 2**31, "out of the range of integer"),
        ("long", 2**63, "out of the range of long"),
        ("timestamp", 10**400, "can not be converted to a Timestamp"),
        ("timestamp", "99999-01-01", "can not be converted to a Timestamp"),
    ],
)
def test_a_json_value_out_of_its_type_is_refused_by_its_path(kind: str, value: Any, why: str) -> None:
    with pytest.raises(Unreadable, match=f"^here: .*{why}"):
        json_values.read(of(kind), value, "here")


@pytest.mark.parametrize(("kind", "value"), [("integer", -(2**31)), ("long", 2**63 - 1), ("integer", 3.0)])
def test_what_fits_is_taken(kind: str, value: float) -> None:
    assert json_values.read(of(kind), value) == value
