"""The model's built-in answers, chosen by the first words of the prompt.

The demo and the tests use the same prompts:

    hello                 (anything else)  a short friendly answer that quotes the prompt
    markdown                               headings, nested lists, a table, code, a link
    lines 400                              so many numbered lines
    slow 20                                so many words, ten a second
    run CMD                                a shell command, then a sentence about its output
    sleep 3                                a silent shell command of so many seconds
    approve CMD                            the same outside the sandbox: Codex asks the user
    widen CMD                              the same in the sandbox, with the network besides
    permit PATH                            leave to write there and to use the network
    patch FILE [60]                        a patch that adds a file of so many lines
    ask QUESTION…                          questions with two answers (where Codex offers the tool)
    tool SERVER NAME JSON                  a call of an MCP server's tool
    think                                  a reasoning summary, then an answer
    echo TEXT                              the whole prompt, back to the letter
    fail [STATUS]                          an HTTP error (400 by default: Codex does not retry it)
    break                                  a stream that ends in its middle
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from agentapi.scripted.reply import Break, Call, Fail, Patch, Reply, Say, Shell, Think
from agentapi.scripted.request import Request
from agentapi.scripted.schema import fill

MARKDOWN = """\
# A heading

A paragraph with **bold**, *italic*, `code` and a [link](https://example.com/docs). It is long \
enough to wrap in a terminal of eighty columns, so that nobody can mistake a line for a paragraph.

## Lists

- first
  - nested, with `code`
    - deeper
- second

1. one
2. two
   - two and a half

## A table

| name  | size | note        |
|-------|-----:|-------------|
| alpha |   10 | the first   |
| beta  |  200 | the *other* |

## Code

```python
def greet(name: str) -> str:
    return f"Hello, {name}!"
```

> A quotation.

---

That is all."""


_ANSWERED = re.compile(r'"answers": ?\["([^"]*)')


def answer(request: Request) -> Reply:
    """Return the reply to a turn: to its tool output if there is one, else to the prompt."""
    if request.tool_output is not None:
        return [Say(_about(request.tool_output))]
    prompt = request.prompt.strip()
    for pattern, reply in _ANSWERS:
        match = re.match(pattern, prompt, re.IGNORECASE | re.DOTALL)
        if match:
            return reply(match)
    return [Say(_friendly(prompt))]


def title(request: Request) -> Reply:
    """Return the reply to a request outside the conversation: a title from the prompt, or minimal
    JSON for the request's schema."""
    asked = request.prompt.rpartition("User prompt:")[2]
    words = " ".join(asked.split()[:5]) or "A conversation"
    if not request.schema:
        return [Say(words)]
    return [Say(json.dumps(fill(request.schema, words)))]


def numbered(count: int) -> str:
    """Return `count` numbered lines: a lost one is noticed."""
    return "\n".join(f"line {number} of {count}" for number in range(1, count + 1))


def _friendly(prompt: str) -> str:
    lines = prompt.splitlines() or [""]
    quoted = "\n".join(f"> {line}" for line in lines[:5])
    more = f"\n\n(and {len(lines) - 5} more lines)" if len(lines) > 5 else ""
    return (
        f"Hello! I am a **scripted model**: no key, no network. You wrote:\n\n{quoted}{more}\n\n"
        "Try `markdown`, `lines 400`, `run ls`, `sleep 3` or `approve date`."
    )


def _about(output: str) -> str:
    if chosen := _ANSWERED.findall(output):
        return f"You chose {' and '.join(sorted(chosen))}."
    lines = [line for line in _told(output).splitlines() if line.strip()]
    if re.search(r"reject|declin|denied|abort", output, re.IGNORECASE):
        return "The command was not run: it was declined."
    return f"The command has finished; its last line of output was `{lines[-1] if lines else ''}`."


# What Gemini CLI and Copilot CLI add to a command's output.
_ADDED = re.compile(
    r"^</?untrusted_context>$|^Output: |^Process Group PGID: .*$|^<shellId: .*>$", re.MULTILINE
)


def _told(output: str) -> str:
    """Return the output of a command: Codex 0.80 wraps it in JSON."""
    try:
        value = json.loads(output)
    except ValueError:
        return _ADDED.sub("", output)
    return str(value.get("output", output)) if isinstance(value, dict) else output


def _lines(match: re.Match[str]) -> Reply:
    return [Say(numbered(int(match[1])), chunk=2000)]


def _slow(match: re.Match[str]) -> Reply:
    # Ten words a line: some versions of Codex show a streamed line only once it is whole.
    words = [f"word{number}" for number in range(1, int(match[1]) + 1)]
    text = "\n".join(" ".join(words[i : i + 10]) for i in range(0, len(words), 10))
    return [Say(text, chunk=max(1, len(text) // int(match[1])), pause=0.1)]


def _patch(match: re.Match[str]) -> Reply:
    name, count = match[1], match[2]
    lines = numbered(int(count)) if count else "first line\nsecond line"
    added = "\n".join(f"+{line}" for line in lines.splitlines())
    text = f"*** Begin Patch\n*** Add File: {name}\n{added}\n*** End Patch"
    return [Say("I am adding a file."), Patch(text)]


def _questions(match: re.Match[str]) -> Reply:
    options = [
        {"label": "Red", "description": "the warm one"},
        {"label": "Blue", "description": "the cold one"},
    ]
    asked = re.findall(r"[^?]+\??", match[1])
    questions = [
        {"id": f"q{n}", "header": "Choice", "question": text.strip(), "options": options}
        for n, text in enumerate(asked, 1)
    ]
    return [Call("request_user_input", {"questions": questions})]


def _permit(match: re.Match[str]) -> Reply:
    wanted = {"network": {"enabled": True}, "file_system": {"write": [match[1]]}}
    return [Call("request_permissions", {"reason": "To try it.", "permissions": wanted})]


def _tool(match: re.Match[str]) -> Reply:
    return [Call(f"mcp__{match[1]}__{match[2]}", json.loads(match[3]))]


_ANSWERS: list[tuple[str, Callable[[re.Match[str]], Reply]]] = [
    (r"markdown\b", lambda _: [Say(MARKDOWN, chunk=40)]),
    (r"lines (\d+)$", _lines),
    (r"slow (\d+)$", _slow),
    (r"run (.+)$", lambda m: [Shell(m[1])]),
    (r"sleep (\d+)$", lambda m: [Say("Waiting."), Shell(f"sleep {m[1]}; echo slept")]),
    (r"approve (.+)$", lambda m: [Shell(m[1], escalate="May I run this outside the sandbox?")]),
    (
        r"widen (.+)$",
        lambda m: [Shell(m[1], "May I use the network?", {"network": {"enabled": True}})],
    ),
    (r"permit (\S+)$", _permit),
    (r"patch (\S+)(?: (\d+))?$", _patch),
    (r"ask (.+)$", _questions),
    (r"tool (\S+) (\S+) (\{.*\})$", _tool),
    (r"think\b", lambda _: [Think("**Considering**\n\nTwo and two."), Say("Four.")]),
    (r"echo (.+)$", lambda m: [Say(m[0])]),
    (r"fail(?: (\d+))?$", lambda m: [Fail(int(m[1] or 400))]),
    (r"break$", lambda _: [Say("Half of an answer"), Break()]),
]
