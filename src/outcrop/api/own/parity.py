"""GET /outcrop/parity?deployment=ARN: how far a deployment's engine is from the trainer, as its gate measured it.

    curl --aws-sigv4 aws:amz:us-east-1:outcrop --user KEY_ID:SECRET -G --data-urlencode deployment=ARN …/outcrop/parity

It is shown to whoever may do `outcrop:GetParity` on the deployment. `outcrop deployments NAME` prints the same.
"""

from typing import Any

from outcrop.api.own.operation import OwnCall
from outcrop.errors import Invalid, NotFound


def get_parity(call: OwnCall) -> Any:
    """Raises a refusal for who may not know, NotFound where there is no report, Invalid for no ARN."""
    from outcrop.deployments import parity_reports

    asked = call.all("deployment")
    wanted = asked[0] if len(asked) == 1 else ""
    call.allowed("outcrop:GetParity", wanted or "*")
    if not wanted:
        raise Invalid("deployment: give the ARN of one deployment: /outcrop/parity?deployment=ARN.")
    row = call.house.deployments.find(wanted)
    if row is None:
        raise NotFound(f"deployment: there is none with the ARN {wanted}.")
    told = parity_reports.report_of(row)
    if told is None:
        raise NotFound(f"deployment: {parity_reports.why_none(row)}")
    return told
