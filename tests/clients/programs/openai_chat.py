"""OpenAI's own client: chat at once and streamed, several answers, tools and their results, forms of answers, models."""

import json
import sys
from typing import Literal

from openai import NotFoundError, OpenAI
from pydantic import BaseModel, ConfigDict

MODEL, WITH_TOOLS = sys.argv[1:]
HI = [{"role": "user", "content": "What is 2?"}]
ANY = {"max_tokens": 16, "temperature": 0}
CALLING = {"max_tokens": 400, "temperature": 0, "reasoning_effort": "none", "parallel_tool_calls": False}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


class Place(BaseModel):
    model_config = ConfigDict(extra="forbid")
    city: Literal["Oslo", "Rome"]
    is_cold: bool


client = OpenAI()  # told by its environment: OPENAI_BASE_URL, OPENAI_API_KEY
whole = client.chat.completions.create(model=MODEL, messages=HI, **ANY)
chunks = list(
    client.chat.completions.create(model=MODEL, messages=HI, stream=True, stream_options={"include_usage": True}, **ANY)
)
several = client.chat.completions.create(model=MODEL, messages=HI, n=3, seed=7, max_tokens=16, temperature=1.0)
again = client.chat.completions.create(model=MODEL, messages=HI, n=3, seed=7, max_tokens=16, temperature=1.0)
told = client.chat.completions.create(model=MODEL, messages=HI, logprobs=True, top_logprobs=3, **ANY)

asked = client.chat.completions.create(
    model=WITH_TOOLS, messages=HI, tools=[WEATHER], tool_choice="required", **CALLING
)
(call,) = asked.choices[0].message.tool_calls
result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
final = client.chat.completions.create(
    model=WITH_TOOLS, messages=[*HI, asked.choices[0].message, result], tools=[WEATHER], **ANY
)
streamed = {"name": "", "arguments": ""}
for chunk in client.chat.completions.create(
    model=WITH_TOOLS, messages=HI, tools=[WEATHER], tool_choice="required", **CALLING, stream=True
):
    for piece in chunk.choices[0].delta.tool_calls or []:
        streamed["name"] += piece.function.name or ""
        streamed["arguments"] += piece.function.arguments or ""
parsed = client.chat.completions.parse(model=MODEL, messages=HI, response_format=Place, max_tokens=64)

completion = client.completions.create(model=MODEL, prompt="Once", echo=True, **ANY)
first = client.responses.create(model=MODEL, input="What is 2?", max_output_tokens=16, temperature=0)
second = client.responses.create(model=MODEL, input="And 3?", previous_response_id=first.id, max_output_tokens=16)
events = list(
    client.responses.create(model=MODEL, input="What is 2?", max_output_tokens=16, temperature=0, stream=True)
)
client.responses.delete(second.id)
try:
    client.chat.completions.create(model="gpt-5", messages=HI)
    missing = None
except NotFoundError as error:
    missing = {"code": error.code, "param": error.param, "request_id": error.request_id}
print(
    json.dumps(
        {
            "whole": whole.choices[0].message.content,
            "usage": whole.usage.model_dump(),
            "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices),
            "streamed_usage": chunks[-1].usage.model_dump(),
            "pieces": len(chunks),
            "several": [choice.message.content for choice in several.choices],
            "again": [choice.message.content for choice in again.choices],
            "logprobs": [
                [one.logprob, *(each.logprob for each in one.top_logprobs)] for one in told.choices[0].logprobs.content
            ],
            "call": {"name": call.function.name, "arguments": json.loads(call.function.arguments)},
            "call_reason": asked.choices[0].finish_reason,
            "after_result": final.choices[0].message.role,
            "streamed_call": {"name": streamed["name"], "arguments": json.loads(streamed["arguments"])},
            "parsed": parsed.choices[0].message.parsed.model_dump(),
            "completion": completion.choices[0].text,
            "response": first.output_text,
            "response_streamed": "".join(event.delta for event in events if event.type == "response.output_text.delta"),
            "last_event": events[-1].type,
            "goes_on_from": second.previous_response_id,
            "models": [model.id for model in client.models.list()],
            "missing": missing,
        }
    )
)
