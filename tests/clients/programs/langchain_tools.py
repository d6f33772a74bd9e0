"""ChatBedrockConverse with a tool bound to it: the call it makes, and an answer from the tool's result."""

import json
import sys
from typing import Literal

from langchain_aws import ChatBedrockConverse
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool


def weather_in(city: Literal["Oslo", "Rome"]) -> str:
    """Tells the weather of a city."""
    return f"rain in {city}"


weather = tool("weather")(weather_in)

model = ChatBedrockConverse(model=sys.argv[1], provider="amazon", max_tokens=64, temperature=0)
asked = HumanMessage("What is the weather in Oslo?")
called = model.bind_tools([weather], tool_choice="any").invoke([asked])
(call,) = called.tool_calls
result = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
answer = model.bind_tools([weather]).invoke([asked, called, result])
print(json.dumps({"name": call["name"], "arguments": call["args"], "result": result.content, "answer": answer.type}))
