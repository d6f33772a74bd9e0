"""Policy documents of one statement, as tests write them: what an identity may do, and whom a role trusts."""

import json
from typing import Any


def policy(effect: str, action: Any, resource: Any = "*", **condition: Any) -> str:
    return _document({"Effect": effect, "Action": action, "Resource": resource}, condition)


def trusting(principal: Any, action: Any = "sts:AssumeRole", **condition: Any) -> str:
    return _document({"Effect": "Allow", "Principal": principal, "Action": action}, condition)


def _document(statement: dict[str, Any], condition: dict[str, Any]) -> str:
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
