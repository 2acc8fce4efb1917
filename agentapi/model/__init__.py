"""The words that everybody uses: messages, phases, dialogs, items, frames, events.

Values, how they are encoded and how texts are compared; imports nothing of ours.
"""
