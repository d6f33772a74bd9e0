"""The dialect in which a body is read. It is the target's own, or, for an open model, the one the body's keys tell."""

from outcrop.invocation.dialects.claude import CLAUDE
from outcrop.invocation.dialects.cohere import COHERE
from outcrop.invocation.dialects.deepseek import DEEPSEEK
from outcrop.invocation.dialects.dialect import Dialect
from outcrop.invocation.dialects.llama import LLAMA
from outcrop.invocation.dialects.mistral import MISTRAL
from outcrop.invocation.dialects.nova import NOVA
from outcrop.invocation.dialects.openai import OPENAI_CHAT
from outcrop.invocation.dialects.openai_text import OPENAI_TEXT
from outcrop.invocation.dialects.titan import TITAN
from outcrop.invocation.exchange import SamplingOptions
from outcrop.invocation.schema import Body, malformed
from outcrop.invocation.target import ANY_DIALECT, RemoteTarget, TextTarget

DIALECTS = {dialect.name: dialect for dialect in (TITAN, LLAMA, CLAUDE, NOVA, MISTRAL, COHERE, DEEPSEEK, OPENAI_CHAT)}

_UNSAID = SamplingOptions(max_tokens=None, temperature=1.0, top_p=1.0)


def native(name: str) -> Dialect:
    """The dialect in which a Converse request on such a target is answered; an open model's is Nova's, the plainest."""
    return NOVA if name == ANY_DIALECT else DIALECTS[name]


def defaults_of(target: TextTarget) -> SamplingOptions:
    """The sampling of a Converse request that says nothing; of a remote model its own, for nothing is sent then."""
    return _UNSAID if isinstance(target, RemoteTarget) else native(target.dialect).defaults


def choose(name: str, body: Body) -> Dialect:
    """The dialect of this body, sent to a target that speaks `name`. Raises Invalid when no dialect is recognised."""
    if name == ANY_DIALECT:
        return _recognise(body)
    if name == OPENAI_CHAT.name and "prompt" in body:
        return OPENAI_TEXT
    return DIALECTS[name]


def _recognise(body: Body) -> Dialect:
    keys = body.keys()
    if keys & {"inputText", "textGenerationConfig"}:
        return TITAN
    if "anthropic_version" in keys:
        return CLAUDE
    if "messages" in keys:
        return NOVA if keys & {"inferenceConfig", "schemaVersion"} or _has_nova_blocks(body) else OPENAI_CHAT
    if "prompt" in keys:
        return _recognise_prompt(body)
    raise malformed(["#: none of the keys [inputText], [prompt] and [messages] found"])


def _recognise_prompt(body: Body) -> Dialect:
    keys = body.keys()
    if "max_gen_len" in keys:
        return LLAMA
    if keys & {"p", "k", "return_likelihoods", "num_generations"}:
        return COHERE
    return OPENAI_TEXT if "max_tokens" in keys else LLAMA


def _has_nova_blocks(body: Body) -> bool:
    """Nova's content blocks are {"text": …}; OpenAI's say {"type": "text", "text": …}."""
    messages = body["messages"]
    if not isinstance(messages, list):
        return False
    contents = [message.get("content") for message in messages if isinstance(message, dict)]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    return any(isinstance(block, dict) and "type" not in block for block in blocks)
