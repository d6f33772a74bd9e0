"""The dialect of one provider: five plain functions between its JSON and the exchange."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.invocation.exchange import AnswerPiece, Finished, InvocationRequest, SamplingOptions, Started
from outcrop.invocation.schema import Body

Chunk = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    name: str
    read: Callable[[Body], InvocationRequest]
    "Checks a body and takes from it what is asked. Raises Invalid in the provider's own words."
    answer: Callable[[Started, Finished], Chunk]
    "The whole response."
    piece: Callable[[Started, AnswerPiece], Chunk]
    "One chunk of a stream."
    before: Callable[[Started, AnswerPiece], Sequence[Chunk]] = lambda _started, _piece: ()
    "The chunks before a piece that opens a content block, where the provider tells of blocks."
    closing: Callable[[Started, Finished], list[Chunk]]
    "The chunks after the last piece; the metrics of the invocation go into the last of them."
    opening: Callable[[Started], list[Chunk]] = lambda _started: []
    "The chunks before the first piece."
    ending: Callable[[Started, Finished], list[Chunk]] = lambda _started, _finished: []
    "The chunks after the closing ones of all answers, of which the last tells the tokens."
    joined: Callable[[Sequence[Chunk]], Chunk] = lambda answers: answers[0]
    "One response of several, for a dialect that can ask for several."
    defaults: SamplingOptions
    "What holds for a request that says nothing, in Converse too."
