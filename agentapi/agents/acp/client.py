"""Client side of the Agent Client Protocol; converts its schema to our own types.

The protocol's library takes most of a second to import. Only this module imports it, and
`agentapi.agents.acp.driver` imports this module while the agent is starting.

No file system or terminal is offered, and requests for one are declined: the agent runs on this
machine and has its own.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from acp import AGENT_METHODS, CLIENT_METHODS, PROTOCOL_VERSION, schema
from acp.connection import Connection
from acp.exceptions import RequestError
from pydantic import ValidationError

from agentapi import __version__
from agentapi.agents.acp.permission import PermissionOption, PermissionRequest
from agentapi.agents.acp.wire import AgentRefused, LineTransport, LoginNeeded, Message
from agentapi.agents.generic.shell import command_line
from agentapi.conversation.turn_text import Chunk, Operation, PlanPart, Remark, ToolPart

log = logging.getLogger(__name__)

AUTH_REQUIRED = -32000
"""JSON-RPC error code of the protocol for "authentication required"."""

AuthMethod = schema.EnvVarAuthMethod | schema.TerminalAuthMethod | schema.AuthMethodAgent

DIALOG_KINDS = {"execute": "command", "edit": "patch", "delete": "patch", "move": "patch"}
Model = TypeVar("Model", bound=schema.BaseModel)

COMMAND_KEYS = ("command", "cmd", "fullCommandText")
REASON_KEYS = ("reason", "justification", "description")


class AgentLink:
    """Sends requests to one agent, and handles its requests and notifications."""

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        write: Callable[[bytes], Awaitable[None]],
        *,
        unparsed: Callable[[bytes], None],
        update: Callable[[Operation], None],
        request_permission: Callable[[str, PermissionRequest], Awaitable[str | None]],
        env: Mapping[str, str],
    ) -> None:
        """`update` receives the agent's updates in order. `request_permission` receives a tool call
        id and a permission request, and returns the id of an option, or None for "cancelled". `env`
        is the agent's environment, which may contain its API key."""
        self._update = update
        self._request_permission = request_permission
        self._session = ""
        self._env = env
        self._auth_methods: list[AuthMethod] = []
        self._prompt_sent: Callable[[], None] | None = None
        self._calls: dict[str, dict[str, Any]] = {}
        """Details of this turn's tool calls, by id."""
        transport = LineTransport(read, write, unparsed=unparsed, sent=self._sent)
        self._connection = Connection(self._handle, transport)

    async def initialize(self) -> str:
        """Initialize the connection; return the agent's version, or an empty string.

        Raises `AgentRefused`, or `ConnectionError` if the agent is gone."""
        request = schema.InitializeRequest(
            protocol_version=PROTOCOL_VERSION,
            client_capabilities=schema.ClientCapabilities(),
            client_info=schema.Implementation(name="agentapi", version=__version__),
        )
        answer = await self._request("initialize", request)
        parsed = _parse(schema.InitializeResponse, answer, "initialize")
        self._auth_methods = list(parsed.auth_methods or ())
        if parsed.protocol_version != PROTOCOL_VERSION:
            raise AgentRefused(
                f"the agent speaks version {parsed.protocol_version} of the Agent Client Protocol, "
                f"not version {PROTOCOL_VERSION}: use a version of it that does"
            )
        return parsed.agent_info.version if parsed.agent_info else ""

    async def new_session(self, cwd: Path) -> str:
        """Open a session in `cwd` (absolute) and return its id. Raises as `initialize` does.

        If the agent requires authentication, a method that uses a key from its environment is
        tried."""
        request = schema.NewSessionRequest(cwd=str(cwd), mcp_servers=[])
        try:
            answer = await self._request("session_new", request)
        except LoginNeeded:
            method = unattended_method(self._auth_methods, self._env)
            if method is None:
                raise
            log.info("acp: the agent wants authentication: trying %s", method)
            await self._request("authenticate", schema.AuthenticateRequest(method_id=method))
            answer = await self._request("session_new", request)
        self._session = _parse(schema.NewSessionResponse, answer, "session/new").session_id
        return self._session

    async def prompt(self, text: str, sent: Callable[[], None]) -> str:
        """Run one turn and return why it stopped. `sent` is called once the prompt was written.

        Raises as `initialize` does."""
        request = schema.PromptRequest(
            session_id=self._session, prompt=[schema.TextContentBlock(type="text", text=text)]
        )
        self._prompt_sent = sent
        self._calls.clear()
        answer = await self._request("session_prompt", request)
        reason = answer.get("stopReason") if isinstance(answer, dict) else None
        return str(reason or "no reason given")

    async def cancel(self) -> None:
        """Ask the agent to stop the turn. Raises `ConnectionError` if it is gone."""
        note = schema.CancelNotification(session_id=self._session)
        await self._connection.send_notification(AGENT_METHODS["session_cancel"], _dump(note))

    async def close(self) -> None:
        """Close the connection; pending requests fail with `ConnectionError`."""
        await self._connection.close()

    async def _request(self, name: str, request: schema.BaseModel) -> Any:
        method = AGENT_METHODS[name]
        try:
            return await self._connection.send_request(method, _dump(request))
        except RequestError as error:
            if error.code == AUTH_REQUIRED:
                raise LoginNeeded(self._offers()) from error
            details = error.data.get("details") if isinstance(error.data, dict) else error.data
            more = f": {details}" if details and str(details) != str(error) else ""
            raise AgentRefused(
                f"the agent answered {method} with an error ({error.code}): {error}{more}"
            ) from error

    def _offers(self) -> str:
        offers = [f"{item.id} ({item.description or item.name})" for item in self._auth_methods]
        return (
            "the agent wants authentication first: log in with its own program, or set its key in "
            f"the environment, and start again; it offers {', '.join(offers) or 'no way to do so'}"
        )

    def _sent(self, message: Message) -> None:
        if message.get("method") == AGENT_METHODS["session_prompt"] and self._prompt_sent:
            self._prompt_sent()
            self._prompt_sent = None

    async def _handle(self, method: str, params: Any, is_notification: bool) -> Any:
        if method == CLIENT_METHODS["session_update"]:
            return self._session_update(params)
        if method == CLIENT_METHODS["session_request_permission"]:
            return await self._permission(params)
        if is_notification:
            log.debug("acp: notification %s ignored", method)
            return None
        log.info("acp: the agent's request %s was declined", method)
        raise RequestError.method_not_found(method)

    def _session_update(self, params: Any) -> None:
        try:
            note = schema.SessionNotification.model_validate(params)
        except ValidationError as error:
            log.info("acp: an update was not understood: %s", _first(error))
            return
        if self._session and note.session_id != self._session:
            log.debug("acp: an update for another session was ignored")
            return
        if isinstance(note.update, schema.ToolCallStart | schema.ToolCallProgress):
            known = self._calls.setdefault(note.update.tool_call_id, {})
            known.update(tool_call_details(params["update"]))
        operation = to_operation(note.update)
        if operation is not None:
            self._update(operation)

    async def _permission(self, params: Any) -> dict[str, Any]:
        try:
            request = schema.RequestPermissionRequest.model_validate(params)
            if known := self._calls.get(request.tool_call.tool_call_id):
                asked = {name: value for name, value in params["toolCall"].items() if value}
                request = request.model_validate({**params, "toolCall": {**known, **asked}})
        except ValidationError as error:
            log.warning("acp: a permission request was not understood: %s", _first(error))
            raise
        chosen = await self._request_permission(
            request.tool_call.tool_call_id, to_question(request)
        )
        if chosen is None:
            return {"outcome": {"outcome": "cancelled"}}
        return {"outcome": {"outcome": "selected", "optionId": chosen}}


def tool_call_details(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the command and file changes of a tool call in wire format. A permission request need
    not repeat details sent before (codex-acp 2.6 does not)."""
    changes = [part for part in call.get("content") or () if part.get("type") == "diff"]
    details = {"rawInput": call.get("rawInput"), "content": changes}
    return {name: value for name, value in details.items() if value}


def to_operation(update: object) -> Operation | None:
    """Convert a session update; return None if it is not part of the agent's message."""
    match update:
        case schema.AgentMessageChunk():
            return _chunk(update)
        case schema.ToolCallStart() | schema.ToolCallProgress():
            return ToolPart(update.tool_call_id, update.title, update.status)
        case schema.AgentPlanUpdate():
            return PlanPart(entries=_steps(update.entries))
        case schema.AgentPlanContentUpdate():
            return _plan(update.plan)
        case schema.AgentPlanRemovedUpdate():
            return PlanPart(id=update.plan_id)
    return None


def to_question(request: schema.RequestPermissionRequest) -> PermissionRequest:
    """Convert a permission request."""
    tool = request.tool_call
    raw = tool.raw_input if isinstance(tool.raw_input, dict) else {}
    return PermissionRequest(
        kind=DIALOG_KINDS.get(tool.kind or "", "permission"),
        title=(tool.title or "").strip(),
        reason=_pick(raw, REASON_KEYS) or _text_content(tool.content or ()),
        command=_pick(raw, COMMAND_KEYS),
        diff="\n".join(_diff(item) for item in tool.content or () if isinstance(item, schema.Diff)),
        options=tuple(
            PermissionOption(item.option_id, item.name, item.kind) for item in request.options
        ),
    )


def _chunk(update: schema.AgentMessageChunk) -> Chunk | Remark:
    text = _content(update.content)
    if update.message_id is None and text.startswith("Warning: ") and text.endswith("\n\n"):
        # codex-acp 2.6 sends warnings like this, at the beginning of every turn's message.
        return Remark(text.strip())
    return Chunk(text, update.message_id)


def unattended_method(methods: Iterable[AuthMethod], env: Mapping[str, str]) -> str | None:
    """Return the id of an authentication method that uses a key from `env`, if any.

    Some methods list their variables; codex-acp 2.6 only marks its method as `api-key`, and reports
    missing variables in an error."""
    for method in methods:
        match method:
            case schema.EnvVarAuthMethod():
                if all(env.get(item.name) for item in method.vars if not item.optional):
                    return method.id
            case schema.AuthMethodAgent(field_meta={"api-key": _}):
                if any(name.endswith("_API_KEY") and env[name] for name in env):
                    return method.id
    return None


def _content(block: object) -> str:
    match block:
        case schema.TextContentBlock():
            return block.text
        case schema.ResourceContentBlock():
            return f"[{block.name}]({block.uri})"
        case schema.EmbeddedResourceContentBlock():
            return f"[{block.resource.uri}]"
        case schema.ImageContentBlock():
            return "[image]"
        case schema.AudioContentBlock():
            return "[audio]"
    return ""


def _steps(entries: Iterable[schema.PlanEntry]) -> tuple[tuple[str, str], ...]:
    return tuple((entry.status, entry.content) for entry in entries)


def _plan(plan: object) -> PlanPart | None:
    match plan:
        case schema.PlanUpdateItems():
            return PlanPart(plan.plan_id, _steps(plan.entries))
        case schema.PlanUpdateMarkdown():
            return PlanPart(plan.plan_id, markdown=plan.content)
    return None


def _pick(raw: dict[str, Any], keys: Iterable[str]) -> str:
    """Return the first value of `keys` that is text or the words of a command."""
    for key in keys:
        value = raw.get(key)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
            return command_line(value)
    return ""


def _text_content(content: Iterable[object]) -> str:
    """Return the text in the content of a tool call."""
    texts = [_content(item.content) for item in content if isinstance(item, schema.Content)]
    return "\n".join(filter(None, texts))


def _diff(change: schema.Diff) -> str:
    before = (change.old_text or "").splitlines()
    lines = difflib.unified_diff(
        before,
        change.new_text.splitlines(),
        change.path if change.old_text is not None else "/dev/null",
        change.path,
        lineterm="",
    )
    return "\n".join(lines)


def _parse(model: type[Model], answer: Any, method: str) -> Model:
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        raise AgentRefused(
            f"the agent's answer to {method} is not what the protocol asks for: {_first(error)}"
        ) from error


def _first(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _dump(model: schema.BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)
