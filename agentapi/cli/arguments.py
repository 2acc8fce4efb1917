"""Creates click commands from a table of options, with upstream's syntax.

Click supports neither `-I=value` nor `--load-state=false`, so arguments are first normalized to
`--name=value`. The rest is click's: the help, unknown options, missing values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from agentapi.settings.settings import Option


def normalize(words: Sequence[str], options: Iterable[Option]) -> list[str]:
    """Normalize every option to `--name=value`, up to a bare `--`. Unknown options and those
    without a value stay unchanged; click reports them."""
    by_flag = {f"--{option.name}": option for option in options}
    by_flag |= {f"-{option.short}": option for option in options if option.short}
    result: list[str] = []
    rest = iter(_add_bare_values(words, by_flag))
    for word in rest:
        if word == "--":
            return [*result, word, *rest]
        result += _normalize_word(word, rest, by_flag)
    return result


def _add_bare_values(words: Sequence[str], by_flag: dict[str, Option]) -> Iterator[str]:
    """Yield each word; add the value of flags that are given without an optional one."""
    own = words[: words.index("--")] if "--" in words else words
    for index, word in enumerate(own):
        following = own[index + 1] if index + 1 < len(own) else ""
        option = by_flag.get(word)
        if option is not None and option.bare and not _accepts(option, following):
            yield f"{word}={option.bare}"
        else:
            yield word
    yield from words[len(own) :]


def _accepts(option: Option, value: str) -> bool:
    try:
        option.parse(value)
    except ValueError:
        return False
    return True


def _normalize_word(word: str, rest: Iterator[str], by_flag: dict[str, Option]) -> list[str]:
    flag, equals, value = word.partition("=")
    option = by_flag.get(flag)
    if option is None:
        return _normalize_cluster(word, rest, by_flag)
    if not equals:
        if option.boolean:
            value = "true"
        elif (following := next(rest, None)) is not None:
            value = following
        else:
            return [f"--{option.name}"]
    return [f"--{option.name}={value}"]


def _normalize_cluster(word: str, rest: Iterator[str], by_flag: dict[str, Option]) -> list[str]:
    """Split `-Pp3010`: one-letter flags in one word, the last one perhaps with a value."""
    option = by_flag.get(word[:2])
    if word.startswith("--") or option is None or len(word) < 3:
        return [word]
    if not option.boolean:
        return [f"--{option.name}={word[2:]}"]
    return [f"--{option.name}=true", *_normalize_word("-" + word[2:], rest, by_flag)]


class TableCommand(click.Command):
    """A command whose options come from a table; the values stay unvalidated texts: flags and
    variables are validated in one place (`agentapi.settings.settings`)."""

    def __init__(self, *args: Any, table: Sequence[Option], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = [option for option in table if option.flag]
        """The options that have a flag."""
        self.params += [_click_option(option) for option in self.table]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Normalize the arguments and parse them."""
        return super().parse_args(ctx, normalize(args, self.table))


class _TableOption(click.Option):
    """Shows a boolean as a flag in the help, though click parses it as `--name=true`."""

    def __init__(self, option: Option) -> None:
        names = [f"--{option.name}"] + ([f"-{option.short}"] if option.short else [])
        super().__init__(names, multiple=option.many, type=str, default=None)
        self._option = option

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Return the option's line in the help."""
        option = self._option
        flags = (f"-{option.short}, " if option.short else "    ") + f"--{option.name}"
        if not option.boolean:
            flags += f" {option.metavar}"
        default = f"default: {option.shown}; " if option.shown else ""
        return flags, f"{option.help}  [{default}{option.variable}]"


def _click_option(option: Option) -> click.Option:
    return _TableOption(option)
