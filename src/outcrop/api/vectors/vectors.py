"""S3 Vectors: vectors put, read, listed, queried and deleted."""

from typing import Any

import orjson

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.vectors.named import index_of
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.vectors.checking import values_of
from outcrop.vectors.records import Neighbour, StoredVector

_DEFAULT_RESULTS = 500


def put_vectors(house: House, call: Call) -> Answered:
    house.vector_indexes.put(index_of(house, call), call.params["vectors"])
    return {}


def get_vectors(house: House, call: Call) -> Answered:
    data, metadata = _told(call)
    found = house.vector_indexes.get(index_of(house, call), call.params["keys"], data=data, metadata=metadata)
    return {"vectors": [_vector(each) for each in found]}


def list_vectors(house: House, call: Call) -> Answered:
    data, metadata = _told(call)
    found, has_more = house.vector_indexes.vectors(
        index_of(house, call),
        after=_place(call),
        most=call.params.get("maxResults", _DEFAULT_RESULTS),
        segment=_segment(call),
        data=data,
        metadata=metadata,
    )
    return {
        "vectors": [_vector(each) for each in found],
        "nextToken": page_tokens.write(call, str(found[-1].id)) if has_more else None,
    }


def delete_vectors(house: House, call: Call) -> Answered:
    house.vector_indexes.remove(index_of(house, call), call.params["keys"])
    return {}


def query_vectors(house: House, call: Call) -> Answered:
    params, index = call.params, index_of(house, call)
    found = house.vector_indexes.nearest(
        index, params["queryVector"], most=params["topK"], metadata_filter=params.get("filter")
    )
    distance, metadata = params.get("returnDistance", False), params.get("returnMetadata", False)
    return {
        "vectors": [_neighbour(each, distance=distance, metadata=metadata) for each in found],
        "distanceMetric": index.metric,
    }


def _place(call: Call) -> int:
    place = page_tokens.read(call) or "0"
    if not place.isdecimal() or len(place) > 18:  # ids have at most 64 bits
        raise Invalid("nextToken: not a token of this query. Begin again without nextToken.")
    return int(place)


def _told(call: Call) -> tuple[bool, bool]:
    return call.params.get("returnData", False), call.params.get("returnMetadata", False)


def _segment(call: Call) -> tuple[int, int]:
    count, index = call.params.get("segmentCount"), call.params.get("segmentIndex")
    if (count is None) != (index is None):
        raise Invalid("Give both segmentCount and segmentIndex, or neither.")
    if count is None or index is None:
        return 1, 0
    if index >= count:
        raise Invalid(f"segmentIndex: {index} is not less than segmentCount, {count}. Segments are numbered from 0.")
    return count, index


def _vector(vector: StoredVector) -> dict[str, Any]:
    return {
        "key": vector.key,
        "data": None if vector.data is None else {"float32": values_of(vector.data)},
        "metadata": None if vector.metadata is None else _metadata(vector.metadata),
    }


def _neighbour(found: Neighbour, *, distance: bool, metadata: bool) -> dict[str, Any]:
    return {
        "key": found.key,
        "distance": found.distance if distance else None,
        "metadata": _metadata(found.metadata) if metadata else None,
    }


def _metadata(text: str) -> dict[str, Any]:
    return dict(orjson.loads(text)) if text else {}


OPERATIONS: dict[str, Handler] = {
    "PutVectors": put_vectors,
    "GetVectors": get_vectors,
    "ListVectors": list_vectors,
    "DeleteVectors": delete_vectors,
    "QueryVectors": query_vectors,
}
