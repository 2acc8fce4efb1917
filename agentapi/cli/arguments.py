"""From the table of options to a command line that reads like upstream's.

Click knows neither `-I=value` nor `--load-state=false`, so the words are first brought into one
form, `--name=value`; everything else is click's: the help, unknown options, missing values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from agentapi.settings.settings import Option


def canonical(words: Sequence[str], options: Iterable[Option]) -> list[str]:
    """The words with every option as `--name=value`, up to a bare `--`. What is unknown or lacks
    its value stays as it is, for click to complain of."""
    by_flag = {f"--{option.name}": option for option in options}
    by_flag |= {f"-{option.short}": option for option in options if option.short}
    result: list[str] = []
    rest = iter(_valued(words, by_flag))
    for word in rest:
        if word == "--":
            return [*result, word, *rest]
        result += _canonical_word(word, rest, by_flag)
    return result


def _valued(words: Sequence[str], by_flag: dict[str, Option]) -> Iterator[str]:
    """Each word; a flag that may stand without its value, and does, gets the one that it means."""
    own = words[: words.index("--")] if "--" in words else words
    for place, word in enumerate(own):
        following = own[place + 1] if place + 1 < len(own) else ""
        option = by_flag.get(word)
        if option is not None and option.bare and not _takes(option, following):
            yield f"{word}={option.bare}"
        else:
            yield word
    yield from words[len(own) :]


def _takes(option: Option, value: str) -> bool:
    try:
        option.parse(value)
    except ValueError:
        return False
    return True


def _canonical_word(word: str, rest: Iterator[str], by_flag: dict[str, Option]) -> list[str]:
    flag, equals, value = word.partition("=")
    option = by_flag.get(flag)
    if option is None:
        return _canonical_cluster(word, rest, by_flag)
    if not equals:
        if option.boolean:
            value = "true"
        elif (following := next(rest, None)) is not None:
            value = following
        else:
            return [f"--{option.name}"]
    return [f"--{option.name}={value}"]


def _canonical_cluster(word: str, rest: Iterator[str], by_flag: dict[str, Option]) -> list[str]:
    """`-Pp3010`: one-letter flags in one word, the last perhaps with its value."""
    option = by_flag.get(word[:2])
    if word.startswith("--") or option is None or len(word) < 3:
        return [word]
    if not option.boolean:
        return [f"--{option.name}={word[2:]}"]
    return [f"--{option.name}=true", *_canonical_word("-" + word[2:], rest, by_flag)]


class TableCommand(click.Command):
    """A command whose options come from a table; the values arrive as texts, unchecked, so that
    flags and variables are checked in one place (`agentapi.settings.settings`)."""

    def __init__(self, *args: Any, table: Sequence[Option], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = [option for option in table if option.flag]
        """Its options that have a flag."""
        self.params += [_click_option(option) for option in self.table]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, after bringing the words into click's form."""
        return super().parse_args(ctx, canonical(args, self.table))


class _TableOption(click.Option):
    """Shows a boolean as the flag it is, though click parses it as `--name=true`."""

    def __init__(self, option: Option) -> None:
        names = [f"--{option.name}"] + ([f"-{option.short}"] if option.short else [])
        super().__init__(names, multiple=option.many, type=str, default=None)
        self._option = option

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """The option's line in the help."""
        option = self._option
        flags = (f"-{option.short}, " if option.short else "    ") + f"--{option.name}"
        if not option.boolean:
            flags += f" {option.metavar}"
        default = f"default: {option.shown}; " if option.shown else ""
        return flags, f"{option.help}  [{default}{option.variable}]"


def _click_option(option: Option) -> click.Option:
    return _TableOption(option)
