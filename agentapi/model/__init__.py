"""The words that everybody uses: messages, phases, dialogs, items, frames.

Values only; imports nothing of ours.
"""
