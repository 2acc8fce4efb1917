"""A scripted model: a loopback server that speaks the APIs of the real ones well enough for agents.

`scripts/demo` uses it where there are no credentials, the tests use it so that real agents give
answers known to the byte. It is a server like any other: nothing in the daemon knows of it.
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
