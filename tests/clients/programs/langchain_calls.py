"""ChatBedrockConverse with a tool that must be called, its result, a stream of the call, and an answer in a schema."""

import json
import sys
from typing import Annotated, Literal

from langchain_aws import ChatBedrockConverse
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel, ConfigDict, Field


class Weather(BaseModel):
    """The weather of one day."""

    model_config = ConfigDict(extra="forbid")
    sky: Literal["clear", "grey"]
    degrees: Annotated[int, Field(ge=-40, le=50)]


def forecast(city: Literal["Oslo", "Rome"], days: Annotated[int, Field(ge=1, le=9)]) -> str:
    """Tell the weather of a city."""
    return f"{city}: grey for {days} days"


weather = tool("weather")(forecast)
model = ChatBedrockConverse(
    model=sys.argv[1], max_tokens=400, temperature=0, additional_model_request_fields={"enable_thinking": False}
)
asked = HumanMessage("How will it be?")
must = model.bind_tools([weather], tool_choice="weather")
first = must.invoke([asked])
(call,) = first.tool_calls
result = weather.invoke(call)
second = model.bind_tools([weather]).invoke([asked, first, result])
pieces = list(must.stream([asked]))
together = pieces[0]
for piece in pieces[1:]:
    together = together + piece
formed = model.with_structured_output(Weather).invoke([asked])
print(
    json.dumps(
        {
            "call": call["args"],
            "result": result.content,
            "streamed": [each["args"] for each in together.tool_calls],
            "stop": first.response_metadata["stopReason"],
            "tokens": [first.usage_metadata["input_tokens"], second.usage_metadata["input_tokens"]],
            "formed": formed.model_dump(),
        }
    )
)
