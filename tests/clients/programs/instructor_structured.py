"""instructor over OpenAI's client: an answer as a checked object, by tools and by a JSON schema."""

import json
import sys
from typing import Literal

import instructor
from openai import OpenAI
from pydantic import BaseModel, ConfigDict

MODEL, WITH_TOOLS = sys.argv[1:]


class Place(BaseModel):
    model_config = ConfigDict(extra="forbid")
    city: Literal["Oslo", "Rome"]
    is_cold: bool


asked = [{"role": "user", "content": "Where is it cold?"}]
calling = {"reasoning_effort": "none", "parallel_tool_calls": False}
ways = {"tools": (instructor.Mode.TOOLS, WITH_TOOLS, calling), "schema": (instructor.Mode.JSON_SCHEMA, MODEL, {})}
found = {}
for name, (mode, model, more) in ways.items():
    client = instructor.from_openai(OpenAI(), mode=mode)
    place = client.chat.completions.create(
        model=model, messages=asked, response_model=Place, max_tokens=400, temperature=0, max_retries=1, **more
    )
    found[name] = place.model_dump()
print(json.dumps(found))
