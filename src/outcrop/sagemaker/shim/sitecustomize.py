"""On PYTHONPATH, by `outcrop env --sagemaker`: lets the SageMaker SDKs reach the STS that AWS_ENDPOINT_URL names.

They make clients of STS with an address of Amazon's, which an environment variable cannot change. Nothing else is
touched, and nothing at all where AWS_ENDPOINT_URL is not set.
"""

import os
import re
from typing import Any

_AMAZONS = re.compile(r"https://sts(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?/?")


def _reach() -> None:
    try:
        from botocore.session import Session
    except ImportError:
        return  # this interpreter has no AWS client
    own = Session.create_client

    def create_client(self: Any, service_name: str, *arguments: Any, **more: Any) -> Any:
        named = more.get("endpoint_url") or ""
        if service_name == "sts" and _AMAZONS.fullmatch(named) and os.environ.get("AWS_ENDPOINT_URL"):
            del more["endpoint_url"]
        return own(self, service_name, *arguments, **more)

    Session.create_client = create_client


if os.environ.get("AWS_ENDPOINT_URL"):
    _reach()
