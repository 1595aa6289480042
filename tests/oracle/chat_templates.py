"""Templates of the families that are recognised, in the spellings that checkpoints have them; written for these
tests: what counts is that transformers runs them and that the turns are the families'."""

_ALTERNATE = "{{ raise_exception('roles must alternate') }}"
_GENERATE_CHATML = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
_CHATML_TURN = "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
_LLAMA3_TURN = ("'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim"
                " + '<|eot_id|>'")
_LLAMA3_ANSWER = "'<|start_header_id|>assistant<|end_header_id|>\n\n'"

CHATML = "{% for message in messages %}" + _CHATML_TURN + "{% endfor %}" + _GENERATE_CHATML
CHATML_DEFAULT = ("{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
                  "{{ '<|im_start|>system\nYou answer in verse.<|im_end|>\n' }}{% endif %}" + _CHATML_TURN +
                  "{% endfor %}" + _GENERATE_CHATML)
CHATML_BOS = "{{ bos_token }}{% for message in messages %}" + _CHATML_TURN + "{% endfor %}" + _GENERATE_CHATML

QWEN2_5 = """{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are of service.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) or message.role == "assistant" %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

QWEN3 = """{#- Thoughts of earlier answers are left out. #}
{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set last = namespace(question=messages|length - 1, open=true) %}
{%- for message in messages[::-1] %}
    {%- if last.open and message.role == "user" %}
        {%- set last.open = false %}
        {%- set last.question = messages|length - 1 - loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set said = message.content %}
        {%- set thought = '' %}
        {%- if '</think>' in message.content %}
            {%- set said = message.content.split('</think>')[-1].lstrip('\\n') %}
            {%- set thought = message.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > last.question and (loop.last or thought) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' }}
            {{- said.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + said }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

LLAMA2 = ("{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
          "{% set system_message = messages[0]['content'] %}{% else %}{% set rest = messages %}"
          "{% set system_message = false %}{% endif %}{% for message in rest %}"
          "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}" + _ALTERNATE + "{% endif %}"
          "{% if loop.first and system_message != false %}"
          "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
          "{% else %}{% set content = message['content'] %}{% endif %}"
          "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
          "{% else %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}")

LLAMA3 = ("{% for message in messages %}{% set content = " + _LLAMA3_TURN + " %}"
          "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
          "{% if add_generation_prompt %}{{ " + _LLAMA3_ANSWER + " }}{% endif %}").replace("\n", "\\n")

# With the preface of Llama 3.1 and later.
LLAMA3_DATED = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}

{#- The system message comes behind the dates. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- TURN }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- ANSWER }}
{%- endif %}
""".replace("TURN", _LLAMA3_TURN.replace("\n", "\\n")).replace("ANSWER", _LLAMA3_ANSWER.replace("\n", "\\n"))

# No system message; the answer's end token with and without a space behind it.
MISTRAL_PLAIN = ("{{ bos_token }}{% for message in messages %}"
                 "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}" + _ALTERNATE + "{% endif %}"
                 "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
                 "{% else %}{{ message['content'] + eos_token + ' ' }}{% endif %}{% endfor %}")


def _mistral(place, before, after, answer):
    """The system message in the first or in the last message of the user."""
    return """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.PLACE and system_message is defined %}
            {{- "BEFORE" + system_message + "\\n\\n" + message["content"] + "AFTER" }}
        {%- else %}
            {{- "BEFORE" + message["content"] + "AFTER" }}
        {%- endif %}
    {%- else %}
        {{- ANSWER }}
    {%- endif %}
{%- endfor %}
""".replace("PLACE", place).replace("BEFORE", before).replace("AFTER", after).replace("ANSWER", answer)


MISTRAL_FIRST = _mistral("first", " [INST] ", " [/INST]", '" " + message["content"] + eos_token')
MISTRAL_LAST = _mistral("last", "[INST] ", "[/INST]", '" " + message["content"]|trim + eos_token')
MISTRAL_TIGHT = _mistral("last", "[INST]", "[/INST]", 'message["content"] + eos_token')

# Those that take a system message, and the one that does not.
TEMPLATES = {"chatml": CHATML, "chatml with a default": CHATML_DEFAULT, "chatml with a first token": CHATML_BOS,
             "qwen 2.5": QWEN2_5, "qwen 3": QWEN3, "llama-2": LLAMA2, "llama-3": LLAMA3,
             "llama-3 with dates": LLAMA3_DATED, "mistral, system first": MISTRAL_FIRST,
             "mistral, system last": MISTRAL_LAST, "mistral, no spaces": MISTRAL_TIGHT, "mistral": MISTRAL_PLAIN}
