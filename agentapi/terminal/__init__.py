"""The pseudo-terminal and its emulator: bytes in, frames and signals out; keystrokes back."""

from agentapi.terminal.emulator import Emulator
from agentapi.terminal.process import ExitStatus, LineMode, PtyProcess, child_environment

__all__ = ["Emulator", "ExitStatus", "LineMode", "PtyProcess", "child_environment"]
