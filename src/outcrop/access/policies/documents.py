"""Policy documents, parsed once: JSON text becomes frozen statements.

What cannot becomes MalformedPolicyDocument in IAM's own sentence, followed by the place in the document and what to
write there.

Four forms exist. An identity policy says what its owner may do to which resources; a trust policy says who may take on
a role, and names principals instead of resources; the policy of a bucket or a key names both.
"""

import json
import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from outcrop.access.policies.conditions import OPERATORS, Condition, Quantifier
from outcrop.access.policies.patterns import variables_in
from outcrop.errors import ServiceRefusal
from outcrop.protocol.values import json_text

VERSIONS = ("2012-10-17", "2008-10-17")
_TOP = {"Version", "Id", "Statement"}
_ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Condition"}
_TARGETS = {"Resource", "NotResource"}
_PRINCIPALS = {"Principal", "NotPrincipal"}
_PRINCIPAL_KINDS = ("AWS", "Service", "Federated", "CanonicalUser")
_VENDOR = re.compile(r"^[a-zA-Z0-9-]+$")
_SID = re.compile(r"^[a-zA-Z0-9]*$")
_SID_OF_KEY = re.compile(r"^[a-zA-Z0-9 ]*$")
"The default policy of a key has spaces in its own."
_SYNTAX = "Syntax errors in policy."


class PolicyForm(Enum):
    IDENTITY = "identity"
    TRUST = "trust"
    BUCKET = "bucket"
    KEY = "key"
    "Names both, and may have spaces in a Sid."


class Effect(Enum):
    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """A list of patterns, or everything but a list (NotAction, NotResource)."""

    patterns: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, kw_only=True)
class Principals:
    """The principals of a trust statement, by kind; `negated` for NotPrincipal, `anyone` for a bare star."""

    named: dict[str, tuple[str, ...]]
    anyone: bool = False
    negated: bool = False


@dataclass(frozen=True, kw_only=True)
class Statement:
    effect: Effect
    actions: Matcher
    resources: Matcher | None = None
    "None in a trust policy."
    principals: Principals | None = None
    "None in an identity policy."
    conditions: tuple[Condition, ...] = ()
    sid: str = ""


@dataclass(frozen=True, kw_only=True)
class Policy:
    statements: tuple[Statement, ...]
    version: str = "2008-10-17"
    keys: frozenset[str] = frozenset()
    "The condition keys that its conditions and variables read, in lower case: nothing else about a request matters."

    @property
    def variables(self) -> bool:
        """Whether `${…}` means a variable: only since the newer version of the language."""
        return self.version == VERSIONS[0]


@lru_cache(maxsize=1024)
def parse(text: str, form: PolicyForm = PolicyForm.IDENTITY) -> Policy:
    """The policy in a JSON text. Raises MalformedPolicyDocument at the first thing that is none."""
    try:
        document = json_text.loads(text, pairs=_without_repetition)
    except json_text.NotJson as error:
        raise _malformed("This policy contains invalid Json", str(error)) from error
    if not isinstance(document, dict):
        raise _malformed(_SYNTAX, "A policy is a JSON object with Version and Statement.")
    _check_names(document, _TOP, "the document")
    version = document.get("Version", VERSIONS[1])
    if version not in VERSIONS:
        raise _malformed("Policy document must be version 2012-10-17 or greater.", f"Version: found {_shown(version)}.")
    statements = _as_list(document.get("Statement"))
    if not statements:
        raise _malformed(_SYNTAX, "Statement: missing. Give the policy at least one statement.")
    parsed = tuple(_statement(each, form, f"Statement[{place}]") for place, each in enumerate(statements))
    sids = [statement.sid for statement in parsed if statement.sid]
    if len(set(sids)) < len(sids):
        raise _malformed("Statement IDs (SID) in a single policy must be unique.", "")
    return Policy(
        version=version,
        statements=parsed,
        keys=frozenset().union(*map(_keys_of, parsed)),
    )


def _keys_of(statement: Statement) -> frozenset[str]:
    conditions = statement.conditions
    texts = [value for condition in conditions for value in condition.values]
    texts += statement.resources.patterns if statement.resources is not None else ()
    return frozenset(condition.key for condition in conditions).union(*map(variables_in, texts))


def _statement(raw: Any, form: PolicyForm, where: str) -> Statement:
    if not isinstance(raw, dict):
        raise _malformed(_SYNTAX, f"{where}: expected an object, found {_shown(raw)}.")
    _check_form(raw, form, where)
    effect = raw.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise _malformed(_SYNTAX, f'{where}.Effect: expected "Allow" or "Deny", found {_shown(effect)}.')
    sid = raw.get("Sid", "")
    if not isinstance(sid, str) or not (_SID_OF_KEY if form is PolicyForm.KEY else _SID).match(sid):
        raise _malformed(_SYNTAX, f"{where}.Sid: {_shown(sid)} may hold letters and digits only.")
    return Statement(
        sid=sid,
        effect=Effect(effect),
        actions=_actions(raw, form, where),
        resources=_resources(raw, where) if form is not PolicyForm.TRUST else None,
        principals=_principals(raw, form, where) if form is not PolicyForm.IDENTITY else None,
        conditions=_conditions(raw.get("Condition", {}), f"{where}.Condition"),
    )


def _check_form(raw: dict[str, Any], form: PolicyForm, where: str) -> None:
    if form is PolicyForm.IDENTITY and _PRINCIPALS & raw.keys():
        raise _malformed("Policy document should not specify a principal.", f"{where}: remove Principal.")
    if form is PolicyForm.TRUST and _TARGETS & raw.keys():
        raise _malformed("Has prohibited field Resource", f"{where}: a trust policy names no resource; remove it.")
    targets = _TARGETS if form is not PolicyForm.TRUST else set()
    _check_names(raw, _ELEMENTS | targets | (_PRINCIPALS if form is not PolicyForm.IDENTITY else set()), where)


def _actions(raw: dict[str, Any], form: PolicyForm, where: str) -> Matcher:
    matcher = _matcher(raw, "Action", where)
    if matcher is None:
        raise _malformed("Policy statement must contain actions.", f"{where}: give it Action or NotAction.")
    for action in matcher.patterns:
        _check_action(action, where)
        if form is PolicyForm.TRUST and not action.lower().startswith("sts:"):
            raise _malformed(
                "AssumeRole policy may only specify STS AssumeRole actions.", f"{where}.Action: found {action!r}."
            )
    return matcher


def _check_action(action: str, where: str) -> None:
    if action == "*":
        return
    vendor, colon, name = action.partition(":")
    if not colon:
        raise _malformed(
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            f"{where}.Action: found {action!r}.",
        )
    if ":" in name:
        raise _malformed("Actions/Condition can contain only one colon.", f"{where}.Action: found {action!r}.")
    if not _VENDOR.match(vendor):
        raise _malformed(f"Vendor {vendor} is not valid", f"{where}.Action: found {action!r}.")


def _resources(raw: dict[str, Any], where: str) -> Matcher:
    matcher = _matcher(raw, "Resource", where)
    if matcher is None:
        raise _malformed("Policy statement must contain resources.", f"{where}: give it Resource or NotResource.")
    for resource in matcher.patterns:
        if resource != "*" and not resource.startswith("arn:"):
            raise _malformed(f'Resource {resource} must be in ARN format or "*".', f"{where}.Resource")
    return matcher


def _matcher(raw: dict[str, Any], name: str, where: str) -> Matcher | None:
    """The patterns under `name` or `Not<name>`; None when there is neither."""
    present = [each for each in (name, f"Not{name}") if each in raw]
    if len(present) > 1:
        raise _malformed(_SYNTAX, f"{where}: {name} and Not{name} exclude each other. Keep one.")
    if not present:
        return None
    patterns = _texts(raw[present[0]], f"{where}.{present[0]}")
    if not patterns:
        return None
    return Matcher(patterns=patterns, negated=present[0] != name)


def _principals(raw: dict[str, Any], form: PolicyForm, where: str) -> Principals:
    present = [each for each in ("Principal", "NotPrincipal") if each in raw]
    if len(present) != 1:
        what = "who may take on the role" if form is PolicyForm.TRUST else "whom it is about"
        raise _malformed("Missing required field Principal", f"{where}: say {what}.")
    name = present[0]
    value, negated = raw[name], name == "NotPrincipal"
    if value == "*":
        return Principals(named={}, anyone=True, negated=negated)
    if not isinstance(value, dict) or not value:
        raise _malformed(_SYNTAX, f'{where}.{name}: expected {{"Service": …}} or {{"AWS": …}}, found {_shown(value)}.')
    for kind in value:
        if kind not in _PRINCIPAL_KINDS:
            raise _malformed(_SYNTAX, f"{where}.{name}: {kind!r} is none of {', '.join(_PRINCIPAL_KINDS)}.")
    named = {kind: _texts(names, f"{where}.{name}.{kind}") for kind, names in value.items()}
    return Principals(named=named, anyone="*" in named.get("AWS", ()), negated=negated)


def _conditions(raw: Any, where: str) -> tuple[Condition, ...]:
    if not isinstance(raw, dict) or not all(isinstance(keys, dict) for keys in raw.values()):
        raise _malformed(_SYNTAX, f"{where}: expected {{operator: {{key: value}}}}, found {_shown(raw)}.")
    found: list[Condition] = []
    for name, keys in raw.items():
        prefix, colon, rest = name.rpartition(":")
        core = rest.removesuffix("IfExists")
        quantified = {each.value for each in Quantifier if each is not Quantifier.PLAIN}
        if (colon and prefix not in quantified) or (core not in OPERATORS and rest != "Null"):
            raise _malformed(f"Invalid Condition type : {name}", f"{where}: known are {', '.join(OPERATORS)}, Null.")
        for key, values in keys.items():
            if ":" not in key:
                raise _malformed(
                    "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
                    f"{where}.{name}: found {key!r}.",
                )
            found.append(
                Condition(
                    operator=core,
                    quantifier=Quantifier(prefix),
                    if_exists=rest != core,
                    key=key.lower(),
                    values=_texts(values, f"{where}.{name}.{key}", scalars=True),
                )
            )
    return tuple(found)


def _texts(value: Any, where: str, *, scalars: bool = False) -> tuple[str, ...]:
    """A text or a list of texts; numbers and booleans too where `scalars` allows them, as their JSON text."""
    texts: list[str] = []
    for each in _as_list(value):
        if isinstance(each, str):
            texts.append(each)
        elif scalars and isinstance(each, int | float):
            texts.append(json.dumps(each))
        else:
            raise _malformed(_SYNTAX, f"{where}: expected a string, found {_shown(each)}.")
    return tuple(texts)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _check_names(raw: dict[str, Any], known: set[str], where: str) -> None:
    for name in raw:
        if name not in known:
            raise _malformed(_SYNTAX, f"{where}: {name!r} is no element here. Known are {', '.join(sorted(known))}.")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name stands twice: of two Conditions, JSON readers would silently drop one."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} stands twice in one object")
    return dict(pairs)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:80]


def _malformed(sentence: str, detail: str) -> ServiceRefusal:
    return ServiceRefusal("MalformedPolicyDocument", f"{sentence} {detail}".strip(), http_status=400)
