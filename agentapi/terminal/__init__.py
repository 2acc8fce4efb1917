"""The pseudo-terminal and its emulator: bytes in, frames and signals out; keystrokes back."""

from agentapi.terminal.emulator import Emulator

__all__ = ["Emulator"]
