"""ChatBedrockConverse as its documentation shows it: one answer at once, one as it is made."""

import json
import sys

from langchain_aws import ChatBedrockConverse
from langchain_core.messages import HumanMessage, SystemMessage

model = ChatBedrockConverse(model=sys.argv[1], max_tokens=16, temperature=0)
asked = [SystemMessage("Be brief."), HumanMessage("What is 2?")]
whole = model.invoke(asked)
pieces = list(model.stream(asked))
together = pieces[0]
for piece in pieces[1:]:
    together = together + piece
print(
    json.dumps(
        {
            "whole": whole.text,
            "streamed": together.text,
            "pieces": len([piece for piece in pieces if piece.text]),
            "usage": whole.usage_metadata,
            "stop": whole.response_metadata["stopReason"],
        }
    )
)
