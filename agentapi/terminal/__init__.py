"""The pseudo-terminal and its emulator: bytes in, frames and signals out; keystrokes back."""
