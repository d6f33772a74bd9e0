"""CloudTrail: the public keys by which digest files are verified."""

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.trails.trails import place_of
from outcrop.house import House
from outcrop.trails.refusals import refusal

_PAGE = 100


def list_public_keys(house: House, call: Call) -> Answered:
    since, until, place = call.params.get("StartTime"), call.params.get("EndTime"), place_of(call)
    if since is not None and until is not None and since > until:
        raise refusal("InvalidTimeRangeException", "StartTime is behind EndTime. Exchange them.")
    found = sorted(
        (
            key
            for key in house.trail_keys.all()
            if (since is None or key.until >= since)
            and (until is None or key.since <= until)
            and (place is None or key.fingerprint > place)
        ),
        key=lambda key: key.fingerprint,
    )
    rows = [
        {
            "Value": key.der,
            "ValidityStartTime": key.since,
            "ValidityEndTime": key.until,
            "Fingerprint": key.fingerprint,
        }
        for key in found[:_PAGE]
    ]
    token = page_tokens.write(call, found[_PAGE - 1].fingerprint) if len(found) > _PAGE else None
    return {"PublicKeyList": rows, "NextToken": token}


OPERATIONS: dict[str, Handler] = {"ListPublicKeys": list_public_keys}
