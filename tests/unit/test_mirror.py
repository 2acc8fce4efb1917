"""Each module has its test file at the mirrored place, or is named here with the tests it has."""

from __future__ import annotations

from pathlib import Path

import agentapi

PACKAGE = Path(agentapi.__file__).parent
TESTS = PACKAGE.parent / "tests"

ELSEWHERE = {
    "contract": (
        "http/app http/body http/connections http/docs http/json_errors"
        " http/login_page http/metrics http/models http/openapi http/options http/problems"
        " http/replies http/server http/sse http/routes/chat http/routes/conversation"
        " http/routes/docs http/routes/health http/routes/queue http/routes/transcript"
        " http/routes/upload"
    ),
    "contract/test_attach.py": "cli/attach/attach cli/attach/command cli/attach/server",
    "contract/test_cli.py": "__main__ cli/version",
    "contract/test_lifecycle.py": "agents/acp/drive cli/server cli/server_command daemon/signals",
    "e2e/test_configure.py": "agents/codex/probe agents/codex/config/command cli/configure",
    "e2e/test_demo.py": "scripted/demo",
    "e2e/test_sessions_killed.py": "processes/open_files",
    "e2e/test_sessions_scripts.py": (
        "agents/codex/command agents/codex/run agents/offers/commands cli/agent_command"
    ),
    "unit/agents/acp/test_process.py": "processes/descriptors",
    "unit/agents/codex/config/test_config.py": (
        "agents/codex/config/files agents/codex/config/text agents/codex/config/wanted"
    ),
    "unit/agents/codex/config/test_merge.py": "agents/codex/config/ledger",
    "unit/agents/codex/link/test_approval.py": (
        "agents/codex/link/forms agents/codex/link/question"
    ),
    "unit/agents/codex/link/test_link.py": (
        "agents/codex/link/command agents/codex/link/events agents/codex/link/items"
        " agents/codex/link/thread agents/codex/link/usage"
    ),
    "unit/agents/codex/resume/test_driver.py": "agents/codex/relay",
    "unit/agents/codex/resume/test_previous_run.py": "agents/codex/options agents/offers/store",
    "unit/agents/codex/rollout/test_parse.py": (
        "agents/codex/rollout/lines agents/codex/rollout/tools agents/codex/rollout/usage"
    ),
    "unit/agents/generic/test_tui.py": (
        "agents/driver agents/generic/companion agents/generic/console agents/generic/deadlines"
        " agents/generic/lag agents/generic/reporter agents/generic/stopper model/errors"
        " model/events"
    ),
    "unit/agents/codex/doctor/test_doctor.py": (
        "agents/codex/doctor/credentials agents/codex/doctor/examine agents/codex/doctor/node"
        " agents/codex/doctor/program agents/codex/doctor/requirements agents/codex/doctor/sandbox"
        " agents/codex/home"
    ),
    "unit/agents/test_generic.py": (
        "agents/generic/dialog agents/generic/profile agents/generic/prompt"
    ),
    "unit/cli/doctor/test_doctor.py": (
        "agents/offers/doctor cli/doctor/agents cli/doctor/machine cli/doctor/report model/finding"
    ),
    "unit/conversation/test_extract.py": "conversation/plain conversation/profile",
    "unit/conversation/test_recordings.py": "agents/codex/screen/profile conversation/unknown",
    "unit/conversation/test_tracker.py": (
        "conversation/known_screen conversation/open_dialog conversation/screen_reader"
        " conversation/shape_screen conversation/message_reader model/conversation model/frames"
    ),
    "unit/scripted/test_answers.py": "scripted/reply scripted/schema",
    "unit/scripted/test_main.py": "scripted/__main__",
    "unit/scripted/test_wires.py": (
        "scripted/wires/base scripted/wires/chat scripted/wires/gemini scripted/wires/messages"
        " scripted/wires/responses"
    ),
    "unit/session/test_session.py": (
        "session/controls session/history session/info session/outbox session/prompt"
        " session/question session/screen_feed session/stats session/status"
    ),
    "unit/agents/test_registry.py": (
        "agents/agent agents/aider agents/amazonq agents/amp agents/auggie agents/claude"
        " agents/codex/agent agents/codex/drive agents/codex/versions agents/copilot agents/cursor"
        " agents/custom agents/gemini agents/generic/drive agents/goose agents/offers/parts"
        " agents/opencode"
    ),
    "unit/settings/test_settings.py": "agents/codex/link/option settings/parsers",
    "unit/storage/test_state_file.py": "storage/state",
    "unit/terminal/test_emulator.py": (
        "terminal/dump terminal/line terminal/modes terminal/signals terminal/stream terminal/style"
    ),
    "unit/transcript/test_live.py": "session/transcript_events transcript/matching",
    "unit/transcript/test_transcript.py": (
        "model/items transcript/changes transcript/feed transcript/tail"
    ),
}
"""Test files and folders, and the modules without a test file of their own that they test."""


def modules() -> set[str]:
    """Every module that is not just the face of its package."""
    files = (file.relative_to(PACKAGE).with_suffix("") for file in PACKAGE.rglob("*.py"))
    return {file.as_posix() for file in files if file.name != "__init__"}


def mirrored() -> set[str]:
    """The modules with a test file at the place of their own."""
    found = (Path(module) for module in modules())
    return {
        module.as_posix()
        for module in found
        if (TESTS / "unit" / module.parent / f"test_{module.name}.py").exists()
    }


def test_every_module_is_tested_at_its_place_or_named_here() -> None:
    named = [module for listed in ELSEWHERE.values() for module in listed.split()]
    assert len(named) == len(set(named))
    assert modules() - mirrored() == set(named)


def test_the_tests_named_here_exist() -> None:
    assert [place for place in ELSEWHERE if not (TESTS / place).exists()] == []


def test_every_folder_of_tests_is_one_of_the_package_or_beside_it() -> None:
    beside = {"benchmarks", "support"}
    unit = TESTS / "unit"
    folders = {file.parent.relative_to(unit) for file in unit.rglob("test_*.py")}
    missing = {folder for folder in folders if not (PACKAGE / folder).is_dir()}
    assert {folder.parts[0] for folder in missing} <= beside
