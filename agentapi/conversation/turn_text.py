"""What an agent said and did in a turn, as operations, and the one message they add up to.

Text stands as it came. A tool call is one line and the plan a short list, each at the place where
it first appeared, brought up to date where it stands:

    I look at the tests first.

    - ✓ Read tests/test_parse.py
    - … pytest -q

Pure: no I/O and no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TITLE_LENGTH = 120
TOOL_MARKS = {"completed": "✓", "failed": "✗"}
"""By the protocol's tool call status; whatever else it may be, the call still runs."""
PLAN_MARKS = {"completed": "[x]", "in_progress": "[ ] →"}


@dataclass(frozen=True, slots=True)
class Chunk:
    """More text of the agent's. A different `message_id` begins a new paragraph."""

    text: str
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolPart:
    """A tool call began or changed; None is what did not change."""

    id: str
    title: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class PlanPart:
    """The whole plan: (status, content) pairs, or the agent's own Markdown; empty removes it."""

    id: str = ""
    entries: tuple[tuple[str, str], ...] = ()
    markdown: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that the adapter, not the agent, says to the user: no part of the message."""

    text: str


Operation = Chunk | ToolPart | PlanPart | Remark


@dataclass(slots=True)
class _Block:
    kind: str
    """`text`, `tool` or `plan`: a neighbour of the same kind follows on the next line."""
    text: str = ""
    message_id: str | None = None
    status: str = "pending"

    def render(self) -> str:
        if self.kind != "tool":
            return self.text
        return f"- {TOOL_MARKS.get(self.status, '…')} {self.text}"


@dataclass(slots=True)
class TurnText:
    """The agent's message of one turn, as far as it has come."""

    _blocks: list[_Block] = field(default_factory=list)
    _tools: dict[str, _Block] = field(default_factory=dict)
    _plans: dict[str, _Block] = field(default_factory=dict)

    def apply(self, operation: Chunk | ToolPart | PlanPart) -> None:
        """Take one more operation in."""
        match operation:
            case Chunk():
                self._chunk(operation)
            case ToolPart():
                self._tool(operation)
            case PlanPart():
                self._plan(operation)

    def text(self) -> str:
        """The whole message; as long as there is text only, exactly the text that came."""
        blocks = [block for block in self._blocks if block.text]
        pieces: list[str] = []
        for before, block in zip([None, *blocks], blocks, strict=False):
            shown = block.render()
            if before:
                pieces[-1] = pieces[-1].rstrip("\n")
                pieces.append("\n" if block.kind == before.kind == "tool" else "\n\n")
                shown = shown.lstrip("\n")
            pieces.append(shown)
        return "".join(pieces)

    def title(self, tool_id: str) -> str:
        """What a tool call of this turn is called; empty when it is not known."""
        block = self._tools.get(tool_id)
        return block.text if block else ""

    def _chunk(self, chunk: Chunk) -> None:
        last = self._blocks[-1] if self._blocks else None
        if last is None or last.kind != "text" or last.message_id != chunk.message_id:
            if not chunk.text:
                return
            last = _Block("text", message_id=chunk.message_id)
            self._blocks.append(last)
        last.text += chunk.text

    def _tool(self, tool: ToolPart) -> None:
        block = self._tools.get(tool.id)
        if block is None:
            block = self._tools[tool.id] = _Block("tool", "tool call")
            self._blocks.append(block)
        if tool.title and tool.title.strip():
            block.text = one_line(tool.title)
        if tool.status:
            block.status = tool.status

    def _plan(self, plan: PlanPart) -> None:
        block = self._plans.get(plan.id)
        if block is None:
            block = self._plans[plan.id] = _Block("plan")
            self._blocks.append(block)
        steps = [
            f"- {PLAN_MARKS.get(status, '[ ]')} {one_line(step)}" for status, step in plan.entries
        ]
        block.text = "\n".join(steps) or plan.markdown.strip()


def one_line(text: str) -> str:
    """`text` on one line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1] + "…"
