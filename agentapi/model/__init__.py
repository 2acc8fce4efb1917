"""The shared vocabulary: messages, phases, dialogs, items, frames, events.

Value types, their encoding, and text comparison. Imports nothing else of the package.
"""
