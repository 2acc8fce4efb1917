"""Split a Codex command line into those of a linked run: the app-server's and the TUI's.

A wrapper before `codex` (`boundary … -- codex …`) is applied to both: the app-server is the one
that uses the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

_VALUED_WORDS = """
-c --config --enable --disable --remote --remote-auth-token-env -i --image -m --model
--local-provider -p --profile -s --sandbox -a --ask-for-approval -C --cd --add-dir
"""
_VALUED = frozenset(_VALUED_WORDS.split())
"""The options whose value is the next word."""
_FOR_SERVER = frozenset(("-c", "--config", "--enable", "--disable"))
_TUI_ONLY = frozenset(("-p", "--profile", "--oss", "--local-provider", "--worktree"))
"""Options that the TUI does not forward to the app-server of a linked run."""
_OTHER_COMMANDS = """
agents exec e review login logout mcp plugin app-server remote-control completion update doctor
sandbox debug apply a queue archive delete migrate-rollouts migrate-nfs-db unarchive cloud
exec-server features help mcp-server proto
"""
_OTHERS = frozenset(_OTHER_COMMANDS.split())
"""Subcommands that, unlike `resume` and `fork`, open no conversation on the terminal."""


@dataclass(frozen=True, slots=True)
class CodexCommand:
    """A command line, split at its word `codex`."""

    prefix: tuple[str, ...]
    program: str
    arguments: tuple[str, ...]

    @classmethod
    def parse(cls, command: Sequence[str]) -> CodexCommand | None:
        """Split a command; None when no word of it is Codex."""
        for index, word in enumerate(command):
            if PurePath(word).name == "codex":
                return cls(tuple(command[:index]), word, tuple(command[index + 1 :]))
        return None

    def obstacle(self) -> str:
        """Return why this command cannot be linked; empty when it can."""
        for option, _ in self.options():
            if option in ("--remote", "--no-daemon"):
                return f"the command line has {option}"
            if option in _TUI_ONLY:
                return f"{option} does not reach an app-server"
        word = next(self._words(), "")
        return f"codex {word} is no conversation" if word in _OTHERS else ""

    def server(self, socket: Path) -> list[str]:
        """Return the app-server's command, with the configuration options of this one."""
        configuration = [
            word
            for option, words in self.options()
            if option in _FOR_SERVER or option == "--strict-config"
            for word in words
        ]
        listen = ["app-server", "--listen", f"unix://{socket}"]
        return [*self.prefix, self.program, *listen, *configuration]

    def tui(self, socket: Path) -> list[str]:
        """Return the TUI's command for that app-server."""
        remote = ["--remote", f"unix://{socket}"]
        return [*self.prefix, self.program, *remote, *self.arguments]

    def resuming(self, session_id: str) -> CodexCommand:
        """Return a command that resumes a session with the same options."""
        options = [word for _, words in self.options() for word in words]
        selecting = {"--last", "--all", "--include-non-interactive"}
        kept = [word for word in options if word not in selecting]
        return CodexCommand(self.prefix, self.program, ("resume", session_id, *kept))

    def options(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each option's name and words."""
        words = iter(self.arguments)
        for word in words:
            if word == "--":
                return
            if not word.startswith("-") or word == "-":
                continue
            name, equals, _ = word.partition("=")
            if name in _VALUED and not equals:
                value = next(words, None)
                yield name, [word] if value is None else [word, value]
            elif word[:2] in _VALUED and not word.startswith("--") and len(word) > 2:
                yield word[:2], [word]
            else:
                yield name, [word]

    def _words(self) -> Iterator[str]:
        """Yield the positional arguments: a subcommand, a session, a prompt."""
        words = iter(self.arguments)
        for word in words:
            if word == "--":
                yield from words
            elif word in _VALUED:
                next(words, None)
            elif not word.startswith("-"):
                yield word
