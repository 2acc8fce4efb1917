"""Write Codex's configuration without losing existing content.

    plan = plan_config(ConfigOptions(codex_home=…, model="gpt-5.4"), codex=find_codex())
    plan.write()

The files are in Codex's home: config.toml, profiles (`NAME.config.toml`), auth.json and AGENTS.md,
and `agentapi.json`, which records our parts of them. Everything that the user or Codex wrote is
kept, including values of ours that they changed; the rest of our part follows the options of the
last run. Planning reads and checks everything; only `write` changes files.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentapi.agents.codex.config import ledger as config_ledger
from agentapi.agents.codex.config.check import (
    CodexProgram,
    Fault,
    check_files,
    check_home,
    find_codex,
    masked,
)
from agentapi.agents.codex.config.files import (
    ConfigError,
    mode_of,
    parse_toml,
    read_given,
    read_text,
    replace_file,
)
from agentapi.agents.codex.config.ledger import Ledger, Owned, digest
from agentapi.agents.codex.config.merge import Merged, dotted, leaves, merge, tables_of
from agentapi.agents.codex.config.text import merge_auth, merge_instructions
from agentapi.agents.codex.config.wanted import (
    GATEWAYS,
    ConfigOptions,
    ProfileForm,
    split_profiles,
    wanted_config,
)

__all__ = [
    "GATEWAYS",
    "CodexProgram",
    "ConfigError",
    "ConfigOptions",
    "ConfigPlan",
    "Fault",
    "check_home",
    "find_codex",
    "plan_config",
]

AUTH, INSTRUCTIONS, MAIN = "auth.json", "AGENTS.md", "config.toml"
_PROFILE_END = ".config.toml"


@dataclass(frozen=True)
class Change:
    """One file before and after."""

    path: Path
    before: str | None
    after: str
    mode: int | None = None
    """The required permissions; None keeps the current ones."""

    @property
    def needed(self) -> bool:
        """Whether the file must be written."""
        wrong_mode = self.mode is not None and mode_of(self.path) != self.mode
        return self.before != self.after or wrong_mode


@dataclass
class ConfigPlan:
    """The changes of a run."""

    home: Path
    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Notes for the user: kept and dropped values."""
    faults: list[Fault] = field(default_factory=list)
    """Codex's errors in the result; never a fatal one in a file that would be written."""
    ledger: Ledger = field(default_factory=dict)
    ledger_before: Ledger | None = None

    @property
    def changed(self) -> list[Change]:
        """The files that would be written."""
        return [each for each in self.changes if each.needed]

    def write(self) -> None:
        """Write the changed files. Raises `ConfigError` when one changed since it was read, or
        cannot be written."""
        for change in self.changes:
            if read_text(change.path) != change.before:
                raise ConfigError(
                    f"{change.path}: changed by another program meanwhile. Run this again."
                )
        listing = self.home / config_ledger.FILE_NAME
        final = config_ledger.dump(self.ledger)
        if self.changed:
            both = config_ledger.transition(self.ledger_before or {}, self.ledger)
            replace_file(listing, config_ledger.dump(both), mode=0o600)
            for change in self.changed:
                replace_file(change.path, change.after, mode=change.mode)
        if read_text(listing) != final:
            replace_file(listing, final, mode=0o600)

    def diff(self) -> str:
        """Return the changes as a unified diff without secrets."""
        return "".join(_diff(change) for change in self.changed)


def plan_config(
    options: ConfigOptions,
    *,
    codex: CodexProgram | None = None,
    check: bool = True,
    api_key: str = "",
) -> ConfigPlan:
    """Plan the changes for `options`.

    `codex` determines the form of profiles and, with `check`, validates the result (None: the
    current form, no check). `api_key` goes into auth.json, except with a gateway, which has its own
    token. Raises `ConfigError` for invalid files or options, and for a result that Codex would
    refuse."""
    home = options.codex_home
    known = config_ledger.load(home)
    plan = ConfigPlan(home, ledger_before=known)
    _plan_toml(plan, options, codex.profile_form if codex else "file")
    _plan_instructions(plan, options)
    if api_key and not options.gateway and not options.gateway_config:
        _plan_auth(plan, options, api_key)
    elif known and AUTH in known:
        plan.ledger[AUTH] = known[AUTH]
    if codex and check:
        _check(plan, codex)
    return plan


def _plan_toml(plan: ConfigPlan, options: ConfigOptions, form: ProfileForm) -> None:
    wanted, profiles, notes = split_profiles(wanted_config(options), form)
    plan.notes += notes
    _yield_to_permissions(plan, wanted)
    base = read_text(options.base_config) if options.base_config else None
    _plan_document(plan, options, MAIN, wanted, base or "")
    for name in profiles:
        _check_profile_name(name)
    ours_before = {name for name in plan.ledger_before or {} if name.endswith(_PROFILE_END)}
    for file in sorted(ours_before | {f"{name}{_PROFILE_END}" for name in profiles}):
        _plan_document(plan, options, file, profiles.get(file.removesuffix(_PROFILE_END), {}))
    if form == "file":
        _warn_of_old_profiles(plan, set(profiles))


def _check_profile_name(name: str) -> None:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ConfigError(f"profile {name!r}: use letters, digits, `-` and `_` only")


def _plan_document(
    plan: ConfigPlan, options: ConfigOptions, name: str, wanted: dict[str, Any], base: str = ""
) -> None:
    """Plan one TOML file. A new one starts as the text of `base`, including comments."""
    path = plan.home / name
    before = read_text(path)
    if before is None and not wanted:
        return
    owned = _known(plan, name, before)
    text = before
    if before is None:
        text = base
        values = parse_toml(base, str(options.base_config))
        keys = {key: frozenset([digest(value)]) for key, value in leaves(values)}
        owned = Owned(dict(keys), set(tables_of(values)))
    merged = merge(text or "", wanted, owned, source=str(path), overwrite=options.overwrite)
    plan.notes += _kept(path, merged)
    plan.changes.append(Change(path, before, merged.text))
    plan.ledger[name] = merged.owned


def _known(plan: ConfigPlan, name: str, before: str | None) -> Owned | None:
    """Return our keys in a file: none without the file; None (use its marks) without a ledger."""
    if before is None:
        return Owned()
    if plan.ledger_before is None:
        return None
    return plan.ledger_before.get(name, Owned())


def _kept(path: Path, merged: Merged) -> Iterator[str]:
    for key in merged.kept:
        yield f"{path.name}: kept your {dotted(key)} (--overwrite takes the one asked for)"


def _yield_to_permissions(plan: ConfigPlan, wanted: dict[str, Any]) -> None:
    """Drop `sandbox_mode` where the user has permission profiles, which it would disable."""
    path = plan.home / MAIN
    text = read_text(path)
    if text and "default_permissions" in parse_toml(text, str(path)):
        dropped = [key for key in ("sandbox_mode", "sandbox_workspace_write") if key in wanted]
        for key in dropped:
            del wanted[key]
        if dropped:
            plan.notes.append(
                f"{MAIN}: left out {' and '.join(dropped)}: your default_permissions decide"
            )


def _warn_of_old_profiles(plan: ConfigPlan, names: set[str]) -> None:
    for change in plan.changes:
        if change.path.name == MAIN:
            theirs = parse_toml(change.after, str(change.path)).get("profiles", {})
            plan.notes += [
                f"{MAIN}: your [profiles.{name}] stops the installed Codex from starting with "
                f"`--profile {name}`: move its values to {name}{_PROFILE_END} and delete it"
                for name in sorted(names & theirs.keys())
            ]


def _plan_instructions(plan: ConfigPlan, options: ConfigOptions) -> None:
    path = plan.home / INSTRUCTIONS
    before = read_text(path)
    wanted = read_given(options.instructions) if options.instructions else ""
    if before is None and not wanted:
        return
    owned = _known(plan, INSTRUCTIONS, before)
    after, ours, kept = merge_instructions(
        before or "", wanted, owned, source=str(path), overwrite=options.overwrite
    )
    if kept:
        plan.notes.append(
            f"{INSTRUCTIONS}: kept your version of our block (--overwrite replaces it)"
        )
    if wanted and (plan.home / "AGENTS.override.md").exists():
        plan.notes.append(f"AGENTS.override.md is there: Codex reads it instead of {INSTRUCTIONS}")
    plan.changes.append(Change(path, before, after))
    plan.ledger[INSTRUCTIONS] = ours


def _plan_auth(plan: ConfigPlan, options: ConfigOptions, api_key: str) -> None:
    path = plan.home / AUTH
    before = read_text(path)
    owned = _known(plan, AUTH, before) or Owned()
    after, ours, kept = merge_auth(
        before or "", api_key, owned, source=str(path), overwrite=options.overwrite
    )
    if kept:
        plan.notes.append(f"{AUTH}: kept the login that is there (--overwrite replaces it)")
    plan.changes.append(Change(path, before, after, mode=None if kept else 0o600))
    plan.ledger[AUTH] = ours


def _check(plan: ConfigPlan, codex: CodexProgram) -> None:
    files = {
        change.path.name: change.after for change in plan.changes if change.path.suffix == ".toml"
    }
    plan.faults = check_files(codex, plan.home, files)
    fatal = [fault for fault in plan.faults if fault.fatal and _of_ours(fault, plan.home)]
    if fatal:
        raise ConfigError(
            "\n".join(str(fault) + _where(fault, files) for fault in fatal)
            + f"\nCodex {codex.version} would refuse to start with this. Nothing was written: "
            "correct it, or write it all the same with --no-check."
        )


def _of_ours(fault: Fault, home: Path) -> bool:
    """Return whether the fault is in a file of the home, not in the system's."""
    return fault.file is None or Path(fault.file).parent == home


def _where(fault: Fault, files: dict[str, str]) -> str:
    """Return the key on the fault's line of the new text."""
    text = files.get(Path(fault.file).name, "") if fault.file else ""
    lines = text.split("\n")
    if fault.line is None or fault.line > len(lines):
        return ""
    key = lines[fault.line - 1].partition("=")[0].strip()
    return f" (at `{key}`)" if key else ""


def _diff(change: Change) -> str:
    if change.path.name == AUTH:
        return f"{change.path}: a new API key (not shown)\n"
    name = str(change.path)
    before, after = change.before or "", change.after
    if name.endswith(".toml"):
        before, after = masked(before), masked(after)
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        name if change.before is not None else "/dev/null",
        name,
    )
    text = "".join(line if line.endswith("\n") else line + "\n" for line in lines)
    return text or f"{name}: only values that are not shown here\n"
