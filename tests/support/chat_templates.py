"""Chat templates in the published forms of the families that have tools or think, shortened to what a test needs."""

_SYSTEM = (
    "{% if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set turns = messages[1:] %}"
    "{% else %}{% set system = none %}{% set turns = messages %}{% endif %}"
)
_HERMES_TOOLS = (
    "{{ '# Tools\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>' }}"
    "{% for tool in tools %}{{ '\n' }}{{ tool | tojson }}{% endfor %}{{ '\n</tools>\n' }}"
)

# Qwen 2.5, and Hermes before it: each call in a tag of its own, results in the user's turn.
HERMES = (
    _SYSTEM + "{% if tools %}{{ '<|im_start|>system\n' }}{% if system %}{{ system + '\n\n' }}{% endif %}"
    + _HERMES_TOOLS + "{{ '<|im_end|>\n' }}"
    "{% elif system %}{{ '<|im_start|>system\n' + system + '<|im_end|>\n' }}{% endif %}"
    "{% for m in turns %}"
    "{% if m.role == 'assistant' and m.tool_calls %}{{ '<|im_start|>assistant' }}"
    "{% if m.content %}{{ '\n' + m.content }}{% endif %}"
    "{% for call in m.tool_calls %}{% set call = call.function %}"
    "{{ '\n<tool_call>\n{\"name\": \"' + call.name + '\", \"arguments\": ' }}{{ call.arguments | tojson }}{{ '}\n</tool_call>' }}"
    "{% endfor %}{{ '<|im_end|>\n' }}"
    "{% elif m.role == 'tool' %}"
    "{% if loop.first or turns[loop.index0 - 1].role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}"
    "{{ '\n<tool_response>\n' + m.content + '\n</tool_response>' }}"
    "{% if loop.last or turns[loop.index0 + 1].role != 'tool' %}{{ '<|im_end|>\n' }}{% endif %}"
    "{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)  # fmt: skip

# Qwen 3: as Qwen 2.5, with a thought that a switch turns off, and the thoughts of earlier answers left out.
QWEN3 = HERMES.replace(
    "{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}",
    "{% else %}{% set content = m.content %}{% set thought = m.reasoning_content or '' %}"
    "{% if m.role == 'assistant' and '</think>' in content %}"
    "{% set thought = content.split('</think>')[0].split('<think>')[-1] %}{% set content = content.split('</think>')[-1] %}"
    "{% endif %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' and loop.last and thought %}"
    "{{ '<think>\n' + thought.strip('\n') + '\n</think>\n\n' }}{% endif %}"
    "{{ content.lstrip('\n') + '<|im_end|>\n' }}{% endif %}{% endfor %}",
).replace(
    "{{ '<|im_start|>assistant\n' }}{% endif %}",
    "{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}",
)

# Llama 3.1 and 3.2: an answer that is a JSON object is a call; one a turn, and the template says so.
LLAMA3 = (
    "{{ bos_token }}" + _SYSTEM + "{{ '<|start_header_id|>system<|end_header_id|>\n\n' }}{% if system %}{{ system }}{% endif %}"
    "{{ '<|eot_id|>' }}{% for m in turns %}"
    "{% if loop.first and tools %}{{ '<|start_header_id|>user<|end_header_id|>\n\nGiven the following functions, respond with a JSON\n\n' }}"
    "{% for tool in tools %}{{ tool | tojson(indent=4) + '\n\n' }}{% endfor %}{{ m.content + '<|eot_id|>' }}"
    "{% elif m.tool_calls %}{% if m.tool_calls | length != 1 %}"
    "{{ raise_exception('This model only supports single tool-calls at once!') }}{% endif %}"
    "{% set call = m.tool_calls[0].function %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
    "{{ '{\"name\": \"' + call.name + '\", \"parameters\": ' }}{{ call.arguments | tojson }}{{ '}<|eot_id|>' }}"
    "{% elif m.role == 'tool' %}{{ '<|start_header_id|>ipython<|end_header_id|>\n\n' }}{{ m.content | tojson }}{{ '<|eot_id|>' }}"
    "{% else %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content + '<|eot_id|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)  # fmt: skip

# Mistral's third tokenizer: one list of calls with ids of nine letters behind a special token.
MISTRAL = (
    "{{ bos_token }}" + _SYSTEM + "{% for m in turns %}"
    "{% if m.role == 'user' %}{% if tools and turns | selectattr('role', 'equalto', 'user') | list | last == m %}"
    "{{ '[AVAILABLE_TOOLS] [' }}{% for tool in tools %}{{ tool | tojson }}{% if not loop.last %}{{ ', ' }}{% endif %}{% endfor %}"
    "{{ '][/AVAILABLE_TOOLS]' }}{% endif %}{{ '[INST] ' }}{% if system and loop.last %}{{ system + '\n\n' }}{% endif %}{{ m.content + '[/INST]' }}"
    "{% if not loop.last and turns[loop.index0 + 1].role == 'user' %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% elif m.tool_calls %}{{ '[TOOL_CALLS] [' }}{% for call in m.tool_calls %}"
    "{% if call.id is not defined or call.id | length != 9 %}{{ raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}{% endif %}"
    "{{ '{\"name\": \"' + call.function.name + '\", \"arguments\": ' }}{{ call.function.arguments | tojson }}{{ ', \"id\": \"' + call.id + '\"}' }}"
    "{% if not loop.last %}{{ ', ' }}{% else %}{{ ']' + eos_token }}{% endif %}{% endfor %}"
    "{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}"
    "{% elif m.role == 'tool' %}{{ '[TOOL_RESULTS] {\"content\": ' }}{{ m.content | tojson }}{{ ', \"call_id\": \"' + m.tool_call_id + '\"}[/TOOL_RESULTS]' }}"
    "{% if not loop.last and turns[loop.index0 + 1].role == 'user' %}{{ raise_exception('no user after a tool') }}{% endif %}"
    "{% endif %}{% endfor %}"
)  # fmt: skip

# Mistral's later ones: the name in plain text before its arguments.
MISTRAL_NAMED = MISTRAL.replace(
    "{{ '[TOOL_CALLS] [' }}{% for call in m.tool_calls %}", "{% for call in m.tool_calls %}"
).replace(
    '{{ \'{"name": "\' + call.function.name + \'", "arguments": \' }}{{ call.function.arguments | tojson }}{{ \', "id": "\' + call.id + \'"}\' }}'
    "{% if not loop.last %}{{ ', ' }}{% else %}{{ ']' + eos_token }}{% endif %}",
    "{{ '[TOOL_CALLS]' + call.function.name + '[ARGS]' }}{{ call.function.arguments | tojson }}{% if loop.last %}{{ eos_token }}{% endif %}",
)

# DeepSeek V3: names in plain text, arguments as JSON text in a fence, all calls between two more tags.
DEEPSEEK = (
    "{{ bos_token }}" + _SYSTEM + "{% if system %}{{ system }}{% endif %}"
    "{% if tools %}{{ '\n\n## Tools\n' }}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{% endif %}{% for m in turns %}"
    "{% if m.role == 'user' %}{{ '<|User|>' + m.content }}"
    "{% elif m.tool_calls %}{{ '<|Assistant|>' + m.content + '<|tool_calls_begin|>' }}{% for call in m.tool_calls %}"
    "{{ '<|tool_call_begin|>function<|tool_sep|>' + call.function.name + '\n```json\n' + call.function.arguments + '\n```<|tool_call_end|>' }}"
    "{% if not loop.last %}{{ '\n' }}{% endif %}{% endfor %}{{ '<|tool_calls_end|>' + eos_token }}"
    "{% elif m.role == 'tool' %}{{ '<|tool_output_begin|>' + m.content + '<|tool_output_end|>' }}"
    "{% else %}{{ '<|Assistant|>' + m.content + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|Assistant|>' }}{% endif %}"
)  # fmt: skip

# Qwen3-Coder: every argument between tags of its own.
CODER = HERMES.replace(
    "{{ '\n<tool_call>\n{\"name\": \"' + call.name + '\", \"arguments\": ' }}{{ call.arguments | tojson }}{{ '}\n</tool_call>' }}",
    "{{ '\n<tool_call>\n<function=' + call.name + '>\n' }}{% for key, value in call.arguments.items() %}"
    "{{ '<parameter=' + key + '>\n' + (value if value is string else value | tojson) + '\n</parameter>\n' }}{% endfor %}"
    "{{ '</function>\n</tool_call>' }}",
)

# DeepSeek-R1: the prompt opens the thought, and answers are kept without theirs.
R1 = (
    "{{ bos_token }}" + _SYSTEM + "{% if system %}{{ system }}{% endif %}{% for m in turns %}"
    "{% if m.role == 'user' %}{{ '<|User|>' + m.content }}{% endif %}"
    "{% if m.role == 'assistant' %}{% set content = m.content %}"
    "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{ '<|Assistant|>' + content + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|Assistant|><think>\n' }}{% endif %}"
)  # fmt: skip

WITH_TOOLS = {
    "hermes": HERMES,
    "qwen3": QWEN3,
    "llama3": LLAMA3,
    "mistral": MISTRAL,
    "mistral_named": MISTRAL_NAMED,
    "deepseek": DEEPSEEK,
    "coder": CODER,
}
SPECIAL_TOKENS = (
    "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "[INST]", "[/INST]",
    "[TOOL_CALLS]", "[ARGS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
    "<|User|>", "<|Assistant|>", "<|tool_calls_begin|>", "<|tool_calls_end|>", "<|tool_call_begin|>",
    "<|tool_call_end|>", "<|tool_sep|>", "<|tool_output_begin|>", "<|tool_output_end|>",
)  # fmt: skip
"Tokens of structure: they decode to nothing."
TEXT_TOKENS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
"Tokens that are text all the same, as Qwen has them."
