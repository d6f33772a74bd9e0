"""Event selectors: which events a trail takes, by basic and by advanced selectors.

Invocations of models are management events, as at AWS; an advanced selector for data of the type AWS::Bedrock::Model
chooses them alone, by the model's ARN.
https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_AdvancedFieldSelector.html
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.audit.entry import Entry
from outcrop.audit.event_form import event_source
from outcrop.trails.refusals import invalid_selectors

MOST_SELECTORS = 5
MOST_ADVANCED = 50
_S3 = "AWS::S3::Object"
_EXCLUDABLE = ("kms.amazonaws.com", "rdsdata.amazonaws.com")
_SERVICES_OF_TYPE: Mapping[str, tuple[str, ...]] = {
    _S3: ("s3",),
    "AWS::Bedrock::Model": ("bedrock-runtime",),
    "AWS::Bedrock::KnowledgeBase": ("bedrock-agent-runtime",),
    "AWS::CloudWatch::Metric": ("cloudwatch",),
    "AWS::S3Vectors::Index": ("s3vectors",),
    "AWS::SageMaker::Endpoint": ("sagemaker-runtime",),
}
"The data that there is here, and the services whose calls are about it."
_FIELDS = (
    "readOnly",
    "eventSource",
    "eventName",
    "eventCategory",
    "resources.type",
    "resources.ARN",
    "userIdentity.arn",
)
_OPERATORS: Mapping[str, tuple[Callable[[str, str], bool], bool]] = {
    "Equals": (str.__eq__, True),
    "StartsWith": (str.startswith, True),
    "EndsWith": (str.endswith, True),
    "NotEquals": (str.__eq__, False),
    "NotStartsWith": (str.startswith, False),
    "NotEndsWith": (str.endswith, False),
}
"How a value is compared, and whether one that fits is wanted."
_OPERATOR_OF_CATEGORY = {"eventCategory", "resources.type", "readOnly"}
"Fields that are compared by Equals alone."

DEFAULT: Sequence[Mapping[str, Any]] = (
    {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [],
        "ExcludeManagementEventSources": [],
    },
)
"The selectors of a trail for which nobody chose any."


@dataclass(frozen=True, kw_only=True)
class EventSelection:
    """The selectors of one trail, in the members of the API: basic ones, or advanced ones."""

    basic: Sequence[Mapping[str, Any]] = DEFAULT
    advanced: Sequence[Mapping[str, Any]] = ()

    def takes(self, entry: Entry) -> bool:
        """Whether the trail has this event."""
        if self.advanced:
            return any(_fits_advanced(selector, entry) for selector in self.advanced)
        return any(_fits_basic(selector, entry) for selector in self.basic)

    @property
    def wants_data(self) -> bool:
        """Whether any data event may be among them."""
        if not self.advanced:
            return any(selector.get("DataResources") for selector in self.basic)
        return any(
            value == "Data"
            for selector in self.advanced
            for field in selector["FieldSelectors"]
            if field["Field"] == "eventCategory"
            for value in field.get("Equals") or ()
        )


def read_selection(params: Mapping[str, Any]) -> EventSelection:
    """The selection that PutEventSelectors asks for. Raises InvalidEventSelectorsException."""
    basic, advanced = params.get("EventSelectors"), params.get("AdvancedEventSelectors")
    if bool(basic) == bool(advanced):
        raise invalid_selectors("Give either EventSelectors or AdvancedEventSelectors, with one selector at the least.")
    if advanced:
        return EventSelection(advanced=_checked_advanced(advanced))
    return EventSelection(basic=_checked_basic(basic or ()))


def _checked_basic(selectors: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if len(selectors) > MOST_SELECTORS:
        raise invalid_selectors(f"EventSelectors: {len(selectors)} are more than {MOST_SELECTORS}. Put some together.")
    for number, selector in enumerate(selectors):
        for excluded in selector.get("ExcludeManagementEventSources") or ():
            if excluded not in _EXCLUDABLE:
                raise invalid_selectors(
                    f"EventSelectors[{number}].ExcludeManagementEventSources: {excluded[:80]} cannot be left out; "
                    f"{' and '.join(_EXCLUDABLE)} can. Use an advanced selector on eventSource."
                )
        for resource in selector.get("DataResources") or ():
            _check_data(resource, f"EventSelectors[{number}].DataResources")
    return [
        {
            "ReadWriteType": selector.get("ReadWriteType", "All"),
            "IncludeManagementEvents": selector.get("IncludeManagementEvents", True),
            "DataResources": [dict(each) for each in selector.get("DataResources") or ()],
            "ExcludeManagementEventSources": list(selector.get("ExcludeManagementEventSources") or ()),
        }
        for selector in selectors
    ]


def _check_data(resource: Mapping[str, Any], place: str) -> None:
    kind, values = resource.get("Type"), resource.get("Values") or ()
    if kind != _S3:
        raise invalid_selectors(
            f"{place}: Outcrop has no data of the type {kind}. Name {_S3}; for invocations of models, use an advanced "
            "selector with resources.type AWS::Bedrock::Model."
        )
    if not values:
        raise invalid_selectors(f"{place}: Values is empty. Name the ARNs of objects, as arn:aws:s3:::bucket/prefix.")
    for value in values:
        if value not in ("arn:aws:s3", "arn:aws:s3:::") and not value.startswith("arn:aws:s3:::"):
            raise invalid_selectors(f"{place}: {value[:200]} is no ARN of objects, as arn:aws:s3:::bucket/prefix.")
        if value.startswith("arn:aws:s3:::") and value != "arn:aws:s3:::" and "/" not in value:
            raise invalid_selectors(f"{place}: {value[:200]} names a bucket. End it in / to mean all of its objects.")


def _checked_advanced(selectors: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if len(selectors) > MOST_ADVANCED:
        raise invalid_selectors(f"AdvancedEventSelectors: {len(selectors)} are more than {MOST_ADVANCED}.")
    for number, selector in enumerate(selectors):
        _check_advanced(selector, f"AdvancedEventSelectors[{number}]")
    return [
        {**selector, "FieldSelectors": [dict(each) for each in selector["FieldSelectors"]]} for selector in selectors
    ]


def _check_advanced(selector: Mapping[str, Any], place: str) -> None:
    fields = [field["Field"] for field in selector["FieldSelectors"]]
    for field in selector["FieldSelectors"]:
        name, operators = field["Field"], [each for each in _OPERATORS if field.get(each)]
        if name not in _FIELDS:
            raise invalid_selectors(
                f"{place}: the field {name[:80]} is not built in Outcrop. Use {', '.join(_FIELDS)}."
            )
        if not operators or (name in _OPERATOR_OF_CATEGORY and operators != ["Equals"]):
            raise invalid_selectors(f"{place}: {name} needs Equals with values{'' if operators else ', or another'}.")
    if len(fields) != len(set(fields)):
        raise invalid_selectors(f"{place}: a field stands there twice. Give each field once, with all its operators.")
    values = {field["Field"]: field.get("Equals") or [] for field in selector["FieldSelectors"]}
    if values.get("eventCategory") not in (["Management"], ["Data"]):
        raise invalid_selectors(
            f"{place}: eventCategory must equal Management or Data, one of them. Others are not built in Outcrop."
        )
    kinds = values.get("resources.type")
    if values["eventCategory"] == ["Data"] and (kinds is None or len(kinds) != 1 or kinds[0] not in _SERVICES_OF_TYPE):
        raise invalid_selectors(
            f"{place}: a selector for data has resources.type with one of {', '.join(_SERVICES_OF_TYPE)}."
        )


def _fits_basic(selector: Mapping[str, Any], entry: Entry) -> bool:
    wanted = selector["ReadWriteType"]
    if wanted != "All" and (wanted == "ReadOnly") != entry.read_only:
        return False
    if not entry.data:
        excluded = event_source(entry.service) in selector["ExcludeManagementEventSources"]
        return bool(selector["IncludeManagementEvents"]) and not excluded
    if entry.service != "s3":
        return False
    values = [value for resource in selector["DataResources"] for value in resource["Values"]]
    return any(_is_under(resource, value) for value in values for resource in entry.resources or ("arn:aws:s3:::",))


def _is_under(resource: str, value: str) -> bool:
    # What a bucket's listing names is the bucket: it is about the objects that a selector for all of them means.
    return resource.startswith(value) or f"{resource}/" == value


def _fits_advanced(selector: Mapping[str, Any], entry: Entry) -> bool:
    return all(_fits_field(field, entry) for field in selector["FieldSelectors"])


def _fits_field(field: Mapping[str, Any], entry: Entry) -> bool:
    name = field["Field"]
    if name == "eventCategory":
        # Invocations are management events that a selector for data may choose by their type.
        return field["Equals"] == ["Data"] or not entry.data
    if name == "resources.type":
        kind = field["Equals"][0]
        about_data = entry.data or entry.service not in ("s3", "s3vectors", "cloudwatch")
        return about_data and entry.service in _SERVICES_OF_TYPE.get(kind, ())
    found = _values_of(name, entry)
    for operator, (compare, wanted) in _OPERATORS.items():
        given = field.get(operator)
        if given and any(compare(value, each) for value in found for each in given) is not wanted:
            return False
    return True


def _values_of(field: str, entry: Entry) -> Sequence[str]:
    match field:
        case "readOnly":
            return ("true" if entry.read_only else "false",)
        case "eventSource":
            return (event_source(entry.service),)
        case "eventName":
            return (entry.operation,)
        case "userIdentity.arn":
            return (entry.caller,)
    return entry.resources
