"""A guardrail at work on one request: on its texts before the model, on answers before their reader.

An answer that streams is held back as long as a place in it is undecided (`matching.py`), and as a whole where a model
tells more of it than a pattern does. Asynchronous streams show everything at once and are ended when something is
found: so Bedrock has it, and so nothing is masked there.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from anyio import to_thread

from outcrop.errors import ModelFailed
from outcrop.guardrails.assessment import Assessment, GuardOutcome
from outcrop.guardrails.guard import Assessed, Content, Guard
from outcrop.guardrails.matching import Action, FoundPlace, Side, TextScanner
from outcrop.guardrails.slots import StringSlots
from outcrop.invocation.exchange import AnswerPiece, Finish, Finished, ToolCall

ENABLED, FULL = "enabled", "enabled_full"
Item = AnswerPiece | Finished


class GuardedRequest:
    """The guardrail of one request, and what it has found so far."""

    def __init__(self, guard: Guard, *, trace: str = "disabled", asynchronous: bool = False) -> None:
        """`asynchronous`: whether a stream is shown before it is looked at."""
        self.guard = guard
        self.asynchronous = asynchronous
        self._trace = trace.lower()
        self._sources: tuple[str, ...] = ()
        self._query = ""
        self._input: Assessment | None = None
        self._outputs: list[Assessment] = []
        self._made: list[str] = []
        self.instead: Finished | None = None
        self.asked = ""
        "The question, of an answer from passages."

    async def take_input(self, content: Content) -> tuple[str, ...]:
        """The texts of the request as the model may see them. `instead` is set where it may see none."""
        self._sources, self._query = content.sources, content.query
        assessed = await self.guard.assess(content, Side.INPUT)
        self._input = assessed.assessment
        if assessed.outcome is GuardOutcome.BLOCKED:
            (message,) = assessed.outputs
            self.instead = Finished(text=message, num_output_tokens=0, finish=Finish.GUARDRAIL, num_input_tokens=0)
            return content.texts
        return assessed.outputs

    async def take_output(self, text: str, sources: Sequence[str]) -> Assessed:
        """An answer from passages, held against them and against the question."""
        assessed = await self.guard.assess(
            Content(texts=(text,), sources=tuple(sources), query=self.asked), Side.OUTPUT
        )
        self.note(assessed.assessment, text)
        return assessed

    @property
    def intervened(self) -> bool:
        told = [self._input] if self._input is not None else []
        return any(each.outcome is not GuardOutcome.NONE for each in (*told, *self._outputs))

    def streamed(self) -> "GuardedAnswer":
        return GuardedAnswer(self)

    async def whole(self, finished: Finished) -> Finished:
        slots = StringSlots([dict(call.arguments) for call in finished.tool_calls])
        content = Content(
            texts=(finished.text, finished.reasoning, *slots.texts),
            sources=self._sources,
            query=self._query,
            answer=finished.text,
        )
        assessed = await self.guard.assess(content, Side.OUTPUT)
        self.note(assessed.assessment, finished.text)
        if assessed.outcome is GuardOutcome.BLOCKED:
            return blocked(finished, assessed.outputs[0])
        if assessed.outcome is GuardOutcome.NONE:
            return finished
        text, reasoning, *arguments = assessed.outputs
        calls = zip(finished.tool_calls, slots.filled(arguments), strict=True)
        return replace(
            finished,
            text=text,
            reasoning=reasoning,
            tool_calls=tuple(replace(call, arguments=given) for call, given in calls),
        )

    def note(self, assessment: Assessment, made: str) -> None:
        """Remember what was found in an answer, and what the model had made."""
        self._outputs.append(assessment)
        self._made.append(made)

    def trace(self) -> dict[str, Any] | None:
        if self._trace not in (ENABLED, FULL):
            return None
        told, own = self._told(), self.guard.applied.id
        return {
            **({"modelOutput": self._made} if self._shows_made() else {}),
            **({"inputAssessment": {own: told[0]}} if told[0] is not None else {}),
            **({"outputAssessments": {own: told[1]}} if told[1] else {}),
            "actionReason": self._outcome().reason,
        }

    def body_members(self) -> dict[str, Any]:
        members: dict[str, Any] = {"amazon-bedrock-guardrailAction": "INTERVENED" if self.intervened else "NONE"}
        if self._trace in (ENABLED, FULL):
            told, own = self._told(), self.guard.applied.id
            members["amazon-bedrock-trace"] = {
                "guardrail": {
                    **({"modelOutput": self._made} if self._shows_made() else {}),
                    **({"input": {own: told[0]}} if told[0] is not None else {}),
                    **({"outputs": [{own: each} for each in told[1]]} if told[1] else {}),
                    "actionReason": self._outcome().reason,
                }
            }
        return members

    def _told(self) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        full = self._trace == FULL
        told = None if self._input is None else self._input.members(full=full)
        return told, [each.members(full=full) for each in self._outputs]

    def _shows_made(self) -> bool:
        """Whether the trace tells what the model had made: only where that was changed, and everything is asked for."""
        return self._trace == FULL and any(each.outcome is not GuardOutcome.NONE for each in self._outputs)

    def _outcome(self) -> GuardOutcome:
        found = {each.outcome for each in (*([self._input] if self._input else []), *self._outputs)}
        return next((each for each in (GuardOutcome.BLOCKED, GuardOutcome.MASKED) if each in found), GuardOutcome.NONE)


def blocked(finished: Finished, message: str) -> Finished:
    """The answer with a message in place of all that the model made."""
    return Finished(
        text=message,
        num_output_tokens=finished.num_output_tokens,
        finish=Finish.GUARDRAIL,
        num_cached=finished.num_cached,
        num_input_tokens=finished.num_input_tokens,
    )


class GuardedAnswer:
    """The guard of one streamed answer."""

    def __init__(self, request: GuardedRequest) -> None:
        self._request = request
        self._guard = request.guard
        self.over = False
        self._held: list[AnswerPiece] = []
        "Pieces of an answer that is looked at as a whole, or of a call that is not complete."
        self._scanner: TextScanner | None = None
        self._block: AnswerPiece | None = None
        "The last piece of the block at hand."
        self._opened = -1
        "The last block that was shown."
        self._shown: dict[str, list[str]] = {"text": [], "reasoning": []}
        self._made: list[str] = []
        self._calls: list[ToolCall] = []
        self._places: list[FoundPlace] = []
        self._num_letters = 0

    async def take(self, item: Item) -> Sequence[Item]:
        if self._request.asynchronous:
            return await self._take_at_once(item)
        if self._guard.waits(Side.OUTPUT):
            return await self._take_whole(item)
        return await (self._end(item) if isinstance(item, Finished) else self._scan(item))

    async def _take_whole(self, item: Item) -> Sequence[Item]:
        """Nothing until the answer has ended; then all of it, or what stands in its place."""
        if not isinstance(item, Finished):
            self._held.append(item)
            return ()
        shown = await self._request.whole(item)
        self.over = True
        return (*self._held, item) if shown is item else pieces_of(shown)

    async def _take_at_once(self, item: Item) -> Sequence[Item]:
        """Everything as it comes. What is found ends the answer, though some of it has been read by then."""
        if isinstance(item, Finished):
            shown = await self._request.whole(item)
            if shown.finish is not Finish.GUARDRAIL:
                return (item,)
            return self._message(replace(item, text="".join(self._shown["text"])), shown.text)
        if self._scanner is None or self._block is None or self._block.block != item.block:
            self._scanner = TextScanner(self._guard.rules, Side.OUTPUT)
        self._block, self._opened = item, item.block
        if item.part == "tool":
            return (item,)
        self._shown[item.part].append(item.text)
        scanner = self._scanner
        await self._aside(lambda: scanner.push(item.text))
        if not scanner.blocked:
            return (item,)
        text = "".join(self._shown["text"])
        self._request.note(self._guard.told(scanner.places, Side.OUTPUT, len(text)), text)
        return (item, *self._message(_unfinished(item, text), self._guard.messages[Side.OUTPUT]))

    async def _scan(self, piece: AnswerPiece) -> Sequence[Item]:
        shown = list[Item]()
        if self._block is not None and piece.block != self._block.block:
            shown += await self._close()
            if self.over:
                return shown
        self._block = piece
        if piece.part == "tool":
            self._held.append(piece)
            return shown
        if self._scanner is None:
            self._scanner = TextScanner(self._guard.rules, Side.OUTPUT)
        self._made += [piece.text] if piece.part == "text" else []
        self._num_letters += len(piece.text)
        return [*shown, *await self._told(piece, self._scanner, lambda scanner: scanner.push(piece.text))]

    async def _close(self) -> Sequence[Item]:
        """The rest of the block at hand."""
        block, scanner, self._scanner = self._block, self._scanner, None
        if self._held:
            return await self._called()
        if block is None or scanner is None:
            return ()
        return await self._told(block, scanner, TextScanner.finish)

    async def _told(
        self, piece: AnswerPiece, scanner: TextScanner, step: Callable[[TextScanner], str]
    ) -> Sequence[Item]:
        num_before = len(scanner.places)
        text = await self._aside(lambda: step(scanner))
        self._places += scanner.places[num_before:]
        shown = list[Item]()
        if text:
            self._shown[piece.part].append(text)
            opens = self._opened != piece.block
            shown.append(replace(piece, text=text, first=self._opened < 0, opens=opens, logprobs=()))
            self._opened = piece.block
        return [*shown, *self._block_out(piece)] if scanner.blocked else shown

    async def _called(self) -> Sequence[Item]:
        """A call of a tool, complete: its texts are looked at one by one."""
        held, self._held = self._held, []
        first, last = held[0], held[-1]
        written = "".join(piece.text for piece in held)
        slots = StringSlots([_arguments(written, first.call_name)])
        masked = list[str]()
        for text in slots.texts:
            scanner = TextScanner(self._guard.rules, Side.OUTPUT)
            masked.append(await self._aside(lambda: scanner.push(text) + scanner.finish()))  # noqa: B023 (called at once)
            self._places += scanner.places
            self._num_letters += len(text)
            if scanner.blocked:
                return self._block_out(last)
        (given,) = slots.filled(masked)
        self._calls.append(ToolCall(id=first.call_id, name=first.call_name, arguments=given))
        text = written if masked == slots.texts else json.dumps(given, ensure_ascii=False)
        shown = replace(
            last, text=text, first=self._opened < 0, opens=True, call_id=first.call_id, call_name=first.call_name
        )
        self._opened = last.block
        return (shown,)

    async def _end(self, finished: Finished) -> Sequence[Item]:
        shown = await self._close()
        if self.over:
            return shown
        self.over = True
        self._note()
        if any(place.action is Action.ANONYMIZE for place in self._places):
            finished = replace(
                finished,
                text="".join(self._shown["text"]),
                reasoning="".join(self._shown["reasoning"]),
                tool_calls=tuple(self._calls),
                logprobs=(),
            )
        return (*shown, finished)

    def _block_out(self, piece: AnswerPiece) -> Sequence[Item]:
        self._note()
        told = _unfinished(piece, "".join(self._shown["text"]), "".join(self._shown["reasoning"]), tuple(self._calls))
        return self._message(told, self._guard.messages[Side.OUTPUT])

    def _message(self, so_far: Finished, message: str) -> Sequence[Item]:
        """The message that ends an answer, behind what was shown of it."""
        self.over = True
        piece = self._block
        goes_on = piece is not None and piece.part == "text" and self._opened == piece.block
        number = self._opened if goes_on else self._opened + 1
        told = AnswerPiece(
            text=message,
            num_output_tokens=so_far.num_output_tokens,
            first=self._opened < 0,
            block=number,
            opens=not goes_on,
        )
        ended = replace(so_far, text=so_far.text + message, finish=Finish.GUARDRAIL, num_blocks=number + 1, logprobs=())
        return told, ended

    def _note(self) -> None:
        self._request.note(self._guard.told(self._places, Side.OUTPUT, self._num_letters), "".join(self._made))

    async def _aside(self, work: Callable[[], str]) -> str:
        """Expressions of somebody else's may take their time, which others shall not wait for."""
        return await to_thread.run_sync(work) if self._guard.has_expressions else work()


def _arguments(written: str, name: str) -> Any:
    """The arguments of a call as a model wrote them; a model may write nothing where there are none."""
    try:
        return json.loads(written or "{}")
    except ValueError as error:
        raise ModelFailed(f"The model called the tool {name} with arguments that are no JSON.") from error


def _unfinished(piece: AnswerPiece, text: str, reasoning: str = "", calls: tuple[ToolCall, ...] = ()) -> Finished:
    return Finished(
        text=text,
        num_output_tokens=piece.num_output_tokens,
        finish=Finish.GUARDRAIL,
        reasoning=reasoning,
        tool_calls=calls,
    )


def pieces_of(finished: Finished) -> Sequence[Item]:
    """An answer as a stream of one piece for each of its blocks."""
    said: list[AnswerPiece] = []

    def add(part: Any, text: str, call: tuple[int, ToolCall] | None = None) -> None:
        number, tokens = len(said), finished.num_output_tokens
        piece = AnswerPiece(text=text, num_output_tokens=tokens, first=not said, part=part, block=number, opens=True)
        if call is not None:
            piece = replace(piece, call_index=call[0], call_id=call[1].id, call_name=call[1].name)
        said.append(piece)

    if finished.reasoning:
        add("reasoning", finished.reasoning)
    if finished.text:
        add("text", finished.text)
    for index, call in enumerate(finished.tool_calls):
        add("tool", json.dumps(dict(call.arguments), ensure_ascii=False), (index, call))
    return (*said, replace(finished, num_blocks=max(1, len(said)), logprobs=()))
