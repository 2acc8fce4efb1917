"""A scripted model: a loopback server with the APIs of real models, complete enough for agents.

`scripts/demo` uses it without credentials, and the tests get predictable answers from real agents.
It is an ordinary server: nothing in the daemon depends on it.
"""

from __future__ import annotations

from agentapi.scripted.model import ScriptedModel
from agentapi.scripted.reply import (
    Break,
    Call,
    Fail,
    Hold,
    Patch,
    Reply,
    Say,
    Shell,
    Step,
    Think,
    Wait,
)
from agentapi.scripted.request import Request

__all__ = [
    "Break",
    "Call",
    "Fail",
    "Hold",
    "Patch",
    "Reply",
    "Request",
    "Say",
    "ScriptedModel",
    "Shell",
    "Step",
    "Think",
    "Wait",
]
