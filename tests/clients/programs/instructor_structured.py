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
found = {}
for name, mode, model in (("tools", instructor.Mode.TOOLS, WITH_TOOLS), ("schema", instructor.Mode.JSON_SCHEMA, MODEL)):
    client = instructor.from_openai(OpenAI(), mode=mode)
    place = client.chat.completions.create(
        model=model, messages=asked, response_model=Place, max_tokens=400, max_retries=1
    )
    found[name] = place.model_dump()
print(json.dumps(found))
