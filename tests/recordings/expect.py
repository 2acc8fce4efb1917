"""What the driver makes of each recording, kept beside it: `NAME.conversation.txt`.

`python -m tests.recordings.expect [PART-OF-A-PATH ...]` writes these files anew. Read the
difference before you commit it: the test holds the driver to them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.replay import Replayed, replay

CODEX = Path(__file__).parent / "codex"


def recordings() -> list[Path]:
    """Every recording of Codex."""
    return sorted(CODEX.glob("*/*.cast"))


def expected_path(recording: Path) -> Path:
    """Where the expectation for a recording stands."""
    return recording.with_suffix(".conversation.txt")


def render(replayed: Replayed) -> str:
    """Phases and messages as text."""
    parts = [f"phases: {' '.join(replayed.phases)}"]
    parts += [f"--- {role}\n{text}" for role, text in replayed.conversation]
    return "\n".join(parts) + "\n"


def main(selected: list[str]) -> None:
    """Write the expectations of the recordings whose path holds one of the words, or of all."""
    for recording in recordings():
        if not selected or any(word in str(recording) for word in selected):
            expected_path(recording).write_text(render(replay(recording)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
