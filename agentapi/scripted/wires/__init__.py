"""The APIs of the scripted model: each module reads requests and encodes replies.

What a model answers is described once (`agentapi.scripted.reply`); a wire only gives it its form.
"""

from __future__ import annotations

from agentapi.scripted.wires.base import Encoder, Tool, Wire
from agentapi.scripted.wires.chat import Chat
from agentapi.scripted.wires.gemini import Gemini
from agentapi.scripted.wires.messages import Messages
from agentapi.scripted.wires.responses import Responses

__all__ = ["WIRES", "Encoder", "Tool", "Wire"]

WIRES: tuple[Wire, ...] = (Responses(), Messages(), Chat(), Gemini())
