"""The bodies of the wire, as pydantic models: requests are checked by them, the OpenAPI document is
made from them.

Names, members and formats down to `UploadResponseBody` are AgentAPI's own. Imported when the first
body is to be checked: pydantic takes its time to load.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from agentapi.agents.registry import agents

Int64 = Annotated[int, Field(json_schema_extra={"format": "int64"})]
Uri = {"format": "uri"}

_MESSAGE_ID = "The message's place in the conversation: ids ascend from 0 without gaps."
_CONTENT = "The message as the agent's terminal shows it: lines of text, as wide as the terminal."


class Body(BaseModel):
    """A JSON object without members that nobody knows."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Described(Body):
    """A body that may name its own schema."""

    schema_: str = Field(
        default="",
        alias="$schema",
        description="The address of this object's JSON Schema.",
        json_schema_extra={**Uri, "readOnly": True},
    )


class AgentStatus(StrEnum):
    """What the agent does."""

    running = "running"
    stable = "stable"


class ConversationRole(StrEnum):
    """Who speaks."""

    agent = "agent"
    user = "user"


class ErrorLevel(StrEnum):
    """How bad it is."""

    error = "error"
    warning = "warning"


class MessageType(StrEnum):
    """What becomes of a message's content."""

    raw = "raw"
    user = "user"


class Transport(StrEnum):
    """How the agent is driven."""

    acp = "acp"
    pty = "pty"


class ErrorBody(Body):
    """`agent_error`."""

    level: ErrorLevel = Field(description="How bad it is.")
    message: str = Field(description="What happened.")
    time: datetime = Field(description="When it happened.")


class ErrorDetail(Body):
    """One fault of a request."""

    location: str = Field(default="", description="Where: `body`, `body.content`, …")
    message: str = Field(default="", description="What is wrong there.")
    value: Any = Field(default=None, description="What was found there.")


class ErrorModel(Described):
    """An error (RFC 9457)."""

    detail: str = Field(default="", description="What went wrong this time.")
    errors: list[ErrorDetail] | None = Field(default=None, description="The faults, one by one.")
    instance: str = Field(
        default="", description="A URI of this occurrence.", json_schema_extra={**Uri}
    )
    status: Int64 = Field(default=0, description="The HTTP status.")
    title: str = Field(default="", description="The HTTP status in words.")
    type: str = Field(
        default="about:blank",
        description="A URI of the kind of error.",
        json_schema_extra={**Uri},
    )


class Message(Body):
    """One message of the conversation."""

    content: str = Field(description=_CONTENT)
    id: Int64 = Field(description=_MESSAGE_ID)
    role: ConversationRole = Field(description="Who said it.")
    time: datetime = Field(description="When it began.")


class MessageRequestBody(Described):
    """`POST /message`."""

    content: str = Field(description="What to send.")
    type: MessageType = Field(
        description="`user`: a message to the agent, kept in the conversation; the answer comes"
        " once the agent has begun to work on it. `raw`: keystrokes, written to the agent's"
        " terminal as they are and kept nowhere, such as escape sequences."
    )


class MessageResponseBody(Described):
    """The answer of `POST /message`."""

    ok: bool = Field(
        description="True: the agent began to work on a `user` message, or the keystrokes of a"
        " `raw` one were written."
    )


class MessageUpdateBody(Body):
    """`message_update`."""

    id: Int64 = Field(description=_MESSAGE_ID)
    message: str = Field(description=_CONTENT)
    role: ConversationRole = Field(description="Who said it.")
    time: datetime = Field(description="When it began.")


class MessagesResponseBody(Described):
    """`GET /messages`."""

    messages: list[Message] = Field(description="The conversation, in order.")


class ScreenUpdateBody(Body):
    """`screen`."""

    screen: str


class StatusChangeBody(Body):
    """`status_change`."""

    agent_type: str = Field(description="Which agent is driven.")
    status: AgentStatus = Field(description="Its status.")


class StatusResponseBody(Described):
    """`GET /status`."""

    agent_type: str = Field(description="Which agent is driven.")
    status: AgentStatus = Field(
        description="`stable`: the agent waits for the user. `running`: it does not."
    )
    transport: Transport = Field(
        description="`pty`: a program on a terminal. `acp`: over the Agent Client Protocol."
    )


class UploadResponseBody(Described):
    """The answer of `POST /upload`."""

    filePath: str = Field(description="Where the file is.")
    ok: bool = Field(description="True: the file is there.")


class EvidenceBody(Body):
    """What one source said last of the phase."""

    source: str = Field(description="`link`, `osc 7501`, `title`, `screen`, `quiet`, …")
    phase: str = Field(description="The phase that it speaks for.")
    detail: str = Field(description="What it said.")
    age_seconds: float = Field(description="Seconds since it began to say so.")
    counts: bool = Field(description="Whether it still says so, in this turn.")


class SessionBody(Described):
    """`GET /session`: what is not known is null."""

    session_id: str | None = Field(description="The agent's own id of its session.")
    agent_type: str
    agent_version: str | None
    workdir: str | None
    phase: str = Field(description="`starting`, `idle`, `working`, `blocked` or `exited`.")
    phase_reason: str = Field(description="The evidence for the phase.")
    phase_since: datetime
    turn: Int64 = Field(description="The number of user messages so far.")
    resumed: bool = Field(description="Whether an earlier conversation goes on.")
    started_at: datetime
    last_activity_at: datetime
    last_user_message_at: datetime | None
    idle_seconds: float = Field(description="Seconds since the last activity; 0 while it works.")
    clients: Int64 = Field(description="Subscribers of `/events`.")
    usage: dict[str, Any] | None
    evidence: list[EvidenceBody] | None = Field(
        description="What each source said last, the strongest first."
    )
    link: str | None = Field(
        default=None,
        description=" ".join(agent.link for agent in agents() if agent.link),
    )


class TranscriptItemBody(BaseModel):
    """One item of the transcript; what more it has depends on its kind."""

    id: Int64 = Field(description="Ascends from 1, and stays the same over restarts.")
    turn: Int64 = Field(description="The number of the turn, from 1.")
    time: datetime | None = Field(description="When it began.")
    kind: str = Field(
        description="`user_message`, `agent_message`, `reasoning`, `tool_call`, `plan`,"
        " `approval`, `usage`, `turn`, `error`, `notice` or `other`."
    )
    partial: bool = Field(description="Whether it still grows, or its exact form is to come.")
    source: str = Field(description="`link`, `rollout` and `acp` are exact; `screen` is not.")
    text: str | None = Field(default=None, description="Of messages: exact Markdown.")
    tool: str | None = Field(default=None, description="Of tool calls: `shell`, `apply_patch`, …")
    command: str | None = Field(default=None, description="A command line or a patch.")
    arguments: str | None = Field(default=None, description="Of other tools, JSON text.")
    output: str | None = None
    exit_code: Int64 | None = None
    duration_ms: Int64 | None = None
    status: str | None = Field(
        default=None, description="`running`, `completed`, `failed`, `declined` or `aborted`."
    )
    steps: list[dict[str, str]] | None = Field(default=None, description="Of plans.")
    reason: str | None = None
    decision: str | None = Field(
        default=None,
        description="Of approvals: `pending`, `answered` (it is not known how yet), `approved` or"
        " `declined`.",
    )
    title: str | None = Field(default=None, description="Of approvals: what the dialog asks.")
    dialog: str | None = Field(
        default=None, description="Of approvals: the dialog's id for `POST /approval`."
    )
    event: str | None = Field(
        default=None, description="Of turns: `started`, `completed`, `failed` or `aborted`."
    )
    usage: dict[str, Any] | None = Field(default=None, description="As in `GET /session`.")


class TranscriptBody(Described):
    """`GET /transcript`."""

    items: list[TranscriptItemBody] = Field(description="The items, in order.")
    next: Int64 = Field(description="What to give as `after` to get what follows.")


class WithdrawnBody(Body):
    """`withdrawn`."""

    id: Int64 = Field(description="The item that is there no more.")


class ChoiceBody(Body):
    """One way to answer a dialog."""

    id: str
    label: str
    key: str = Field(description="The key that picks it in the terminal; empty where none does.")
    description: str = Field(description="What the agent says of it besides; mostly empty.")


class DialogBody(Body):
    """A question that only the user may answer."""

    id: str
    kind: str = Field(description="`command`, `patch`, `permission`, `mcp`, `question`, …")
    title: str
    reason: str
    command: str
    diff: str
    choices: list[ChoiceBody]


class ApprovalBody(Described):
    """`GET /approval`."""

    open: DialogBody | None = Field(description="The open dialog, if any.")


class AnswerBody(Described):
    """`POST /approval`."""

    id: str = Field(description="The dialog's id, as `GET /approval` gave it.")
    choice: str = Field(description="The id of one of its choices.")


class QueueRequestBody(Described):
    """`POST /queue`."""

    content: str = Field(
        description="The message, not blank; blanks around it are not sent.",
        json_schema_extra={"pattern": r"[^ \t\n\r\f\v]"},
    )


class QueuedBody(Described):
    """The answer of `POST /queue`."""

    id: Int64 = Field(description="Its id, never used for another message.")
    position: Int64 = Field(description="Its place: 1 goes out next.")


class QueueItemBody(Body):
    """A queued message."""

    id: Int64
    position: Int64 = Field(description="Its place: 1 goes out next.")
    content: str
    time: datetime = Field(description="When it was queued.")
    state: str = Field(description="`waiting`, `sending` or `failed`, which holds the others.")
    error: str | None = Field(description="Why it failed.")


class QueueBody(Described):
    """`GET /queue`."""

    items: list[QueueItemBody] = Field(description="What waits, the next one first.")
    held_by: str | None = Field(
        description="Why nothing goes out now; null when nothing waits or one is on its way."
    )


class OkBody(Described):
    """Done."""

    ok: bool


class InterruptBody(Described):
    """The answer of `POST /interrupt`."""

    ok: bool
    phase: str = Field(description="The phase afterwards.")


class LoginBody(Described):
    """`POST /login`."""

    token: str = Field(description="The bearer token.")


class HealthBody(Described):
    """`GET /healthz`, `GET /readyz`."""

    ok: bool
    reason: str = Field(description="Why, or why not.")
