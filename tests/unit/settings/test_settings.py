from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.agents.codex.link.option import link_wanted
from agentapi.agents.codex.options import codex_settings
from agentapi.agents.registry import agent_types
from agentapi.settings.settings import (
    ServerSettings,
    SettingsError,
    server_options,
    server_settings,
)

CODEX = ("codex",)
TYPES = agent_types()
OPTIONS = server_options(TYPES)


def settings(
    environment: dict[str, str] | None = None,
    command: tuple[str, ...] = CODEX,
    **flags: Any,
) -> ServerSettings:
    named = {name.replace("_", "-"): value for name, value in flags.items()}
    return server_settings(named, environment or {}, command, TYPES)


def test_the_defaults_are_upstreams_but_for_the_addresses() -> None:
    ours = settings(command=("custom-agent", "--flag"))
    assert ours.command == ("custom-agent", "--flag")
    assert (ours.type, ours.port, ours.term_width, ours.term_height) == ("custom", 3284, 80, 1000)
    assert ours.chat_base_path == "/chat"
    assert ours.host == ("127.0.0.1", "::1")
    assert ours.allowed_hosts == ("localhost", "127.0.0.1", "::1")
    assert ours.allowed_origins == (
        "http://localhost:3284",
        "http://localhost:3000",
        "http://localhost:3001",
    )
    assert (ours.state_file, ours.load_state, ours.save_state) == (None, False, False)
    assert ours.auth_token is None


def test_every_option_has_its_field() -> None:
    fields = {field.name for field in dataclasses.fields(ServerSettings)}
    own = {option.field for option in TYPES.options}
    general = {option.field for option in OPTIONS} - own - {"auth_token_file"}
    assert fields == general | {"command", "agent_options"}
    assert set(settings().agent_options) == own


def test_every_option_is_a_variable_and_the_flag_wins() -> None:
    environment = {"AGENTAPI_PORT": "4000", "AGENTAPI_TERM_WIDTH": "120", "AGENTAPI_BOUNDARY": "x"}
    ours = settings(environment, port="5000")
    assert (ours.port, ours.term_width) == (5000, 120)


def test_an_empty_variable_counts_as_unset() -> None:
    environment = {option.variable: "" for option in OPTIONS}
    assert settings(environment) == settings()


def test_an_empty_flag_is_a_value() -> None:
    assert (
        settings({"AGENTAPI_INITIAL_PROMPT": "from outside"}, initial_prompt="").initial_prompt
        == ""
    )


def test_lists_have_commas_in_flags_and_blanks_in_variables() -> None:
    expected = ("a.example", "b.example")
    assert settings(allowed_hosts="a.example,b.example").allowed_hosts == expected
    assert settings(allowed_hosts=["a.example", "b.example"]).allowed_hosts == expected
    variable = {"AGENTAPI_ALLOWED_HOSTS": "a.example  b.example"}
    assert settings(variable).allowed_hosts == expected


@pytest.mark.parametrize(
    ("environment", "flags", "parts"),
    [
        ({}, {"port": "abc"}, ("--port", "'abc'", "from 0 to 65535")),
        ({}, {"port": "65536"}, ("--port", "'65536'", "from 0 to 65535")),
        ({}, {"port": "-1"}, ("--port", "'-1'")),
        ({}, {"port": "٣"}, ("--port", "'٣'")),
        ({"AGENTAPI_PORT": "abc"}, {}, ("AGENTAPI_PORT", "'abc'", "from 0 to 65535")),
        ({}, {"term_width": "9"}, ("--term-width", "'9'", "from 10 to")),
        ({}, {"term_height": "x"}, ("--term-height", "'x'", "from 10 to")),
        ({}, {"type": "clippy"}, ("--type", "'clippy'", "claude", "opencode", "custom")),
        ({"AGENTAPI_TYPE": "clippy"}, {}, ("AGENTAPI_TYPE", "'clippy'", "codex")),
        ({}, {"load_state": "maybe"}, ("--load-state", "'maybe'", "true or false")),
        ({}, {"allowed_hosts": ""}, ("--allowed-hosts", "must not be empty")),
        ({}, {"allowed_hosts": "a b"}, ("--allowed-hosts", "'a b'", "commas")),
        ({"AGENTAPI_ALLOWED_HOSTS": "a,b"}, {}, ("AGENTAPI_ALLOWED_HOSTS", "'a,b'", "blanks")),
        ({}, {"allowed_hosts": "localhost:80"}, ("--allowed-hosts", "without a port")),
        ({}, {"allowed_hosts": "http://localhost"}, ("--allowed-hosts", "'http://localhost'")),
        ({}, {"allowed_origins": "localhost"}, ("--allowed-origins", "'localhost'", "http://")),
        ({}, {"log_level": "loud"}, ("--log-level", "'loud'", "debug, info")),
        ({}, {"log_format": "xml"}, ("--log-format", "'xml'", "text, json")),
        ({}, {"chat_base_path": "/a b"}, ("--chat-base-path", "'/a b'")),
        ({}, {"state_file": "a\0b"}, ("--state-file", "NUL")),
        ({}, {"load_state": "true"}, ("--load-state", "--state-file")),
        ({}, {"save_state": "true"}, ("--save-state", "--state-file")),
        (
            {},
            {"experimental_acp": "true", "state_file": "s"},
            ("--experimental-acp", "--state-file"),
        ),
        ({}, {"experimental_acp": "true", "print_openapi": "true"}, ("--print-openapi",)),
    ],
)
def test_a_wrong_value_names_its_source_itself_and_what_is_allowed(
    environment: dict[str, str], flags: dict[str, Any], parts: tuple[str, ...]
) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(environment, **flags)
    for part in parts:
        assert part in str(caught.value)


def test_a_state_file_is_loaded_and_saved_by_default() -> None:
    assert dataclasses.astuple(settings(state_file="s.json"))  # a plain value
    both = settings(state_file="s.json")
    assert (both.state_file, both.load_state, both.save_state) == (Path("s.json"), True, True)
    neither = settings(state_file="s.json", load_state="false", save_state="0")
    assert (neither.load_state, neither.save_state) == (False, False)
    assert settings(save_state="false").save_state is False


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("claude", "claude"),
        ("/opt/tools/bin/codex", "codex"),
        ("cursor-agent", "cursor"),
        ("q", "amazonq"),
        ("bash", "custom"),
        ("codex-wrapper", "custom"),
        ("", "custom"),
    ],
)
def test_the_programs_own_name_says_its_type(program: str, name: str) -> None:
    assert TYPES.of_program(program) == name


def test_the_type_given_wins_and_knows_the_aliases() -> None:
    assert settings(type="cursor-agent").type == "cursor"
    assert settings(type="q").type == "amazonq"
    assert settings({"AGENTAPI_TYPE": "custom"}).type == "custom"


def test_an_agent_is_needed_but_for_the_openapi_document() -> None:
    with pytest.raises(SettingsError, match="agentapi server -- PROGRAM"):
        settings(command=())
    with pytest.raises(SettingsError, match="empty"):
        settings(command=("",))
    assert settings(command=(), print_openapi="true").print_openapi


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"verbatim": "true"}, "--verbatim and --codex-link on exclude each other"),
        ({"experimental_acp": "true"}, "--experimental-acp and --codex-link on exclude each other"),
        ({"type": "claude"}, "type is claude, and only codex has a link"),
    ],
)
def test_a_link_that_is_asked_for_and_cannot_be_is_an_error(
    others: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason):
        settings(codex_link="on", **others)
    with pytest.raises(SettingsError, match=reason):
        settings({"AGENTAPI_CODEX_LINK": "on"}, **others)
    assert link_wanted(settings(codex_link="auto", **others)) == "auto"


def test_agentapi_codex_is_of_codex_s_type_whatever_its_program_is_called(tmp_path: Path) -> None:
    flags = {"workdir": str(tmp_path), "codex": "/opt/my-codex", "codex-link": "on"}
    made = codex_settings(flags, {"AGENTAPI_TYPE": "claude"}, ())
    assert (made.server.type, link_wanted(made.server)) == ("codex", "on")
    with pytest.raises(SettingsError, match="--verbatim and --codex-link on"):
        codex_settings({**flags, "verbatim": "true"}, {}, ())
    del flags["codex-link"]
    assert codex_settings({**flags, "verbatim": "true"}, {}, ()).server.verbatim


def test_a_wrapper_s_words_are_as_a_shell_reads_them(tmp_path: Path) -> None:
    flags = {"workdir": str(tmp_path)}
    words = ("boundary", "--allow", "a b,c", "--")
    line = "boundary --allow 'a b,c' --"
    assert codex_settings({**flags, "wrap": line}, {}, ()).wrap == words
    assert codex_settings(flags, {"AGENTAPI_WRAP": line}, ()).wrap == words
    assert codex_settings(flags, {"AGENTAPI_BOUNDARY_PREFIX": line}, ()).wrap == words
    assert codex_settings(flags, {}, ()).wrap == ()
    with pytest.raises(SettingsError, match="--wrap"):
        codex_settings({**flags, "wrap": "it's"}, {}, ())


def test_the_chat_path_has_one_slash_in_front_and_none_behind() -> None:
    assert settings(chat_base_path="@me/ws/apps/x/chat/").chat_base_path == "/@me/ws/apps/x/chat"
    assert settings(chat_base_path="/").chat_base_path == "/"


def test_the_token_comes_from_its_file_or_its_variable(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  s3cret\n")
    assert (
        settings({"AGENTAPI_AUTH_TOKEN": "other"}, auth_token_file=str(file)).auth_token == "s3cret"
    )
    assert settings({"AGENTAPI_AUTH_TOKEN": "other"}).auth_token == "other"
    assert settings({"AGENTAPI_AUTH_TOKEN_FILE": str(file)}).auth_token == "s3cret"


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"\xff\xfe"])
def test_a_token_file_without_a_token_is_an_error(tmp_path: Path, content: bytes) -> None:
    """Otherwise the server would be open to everybody, against the settings."""
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match="--auth-token-file"):
        settings(auth_token_file=str(file))
    with pytest.raises(SettingsError, match="cannot read"):
        settings(auth_token_file=str(tmp_path / "none"))


def test_a_variable_without_a_usable_token_is_an_error_that_does_not_show_it() -> None:
    with pytest.raises(SettingsError, match="AGENTAPI_AUTH_TOKEN") as caught:
        settings({"AGENTAPI_AUTH_TOKEN": "two words"})
    assert "two" not in str(caught.value)


@given(
    name=st.sampled_from([option.name for option in OPTIONS if option.flag]),
    value=st.text(max_size=40),
)
def test_any_text_is_taken_or_refused_with_its_flags_name(name: str, value: str) -> None:
    try:
        server_settings({name: value}, {}, CODEX, TYPES)
    except SettingsError as error:
        assert f"--{name}" in str(error)


@given(
    name=st.sampled_from([option.variable for option in OPTIONS]),
    value=st.text(st.characters(exclude_characters="\0"), max_size=40),
)
def test_any_variable_is_taken_or_refused_with_its_name(name: str, value: str) -> None:
    try:
        server_settings({}, {name: value}, CODEX, TYPES)
    except SettingsError as error:
        assert name in str(error) or "--" + name[9:].lower().replace("_", "-") in str(error)


def test_a_token_that_is_handed_over_is_read_once(tmp_path: Path) -> None:
    """It is not opened by name: standard input would be read again, as the prompt."""
    (tmp_path / "token").write_text("word\n")
    with (tmp_path / "token").open() as given:
        ours = settings(auth_token_file=f"/dev/fd/{given.fileno()}")
        assert ours.auth_token == "word"
        assert given.read() == ""


def test_what_the_agent_may_send_is_named() -> None:
    assert settings().allow_agent_requests == ()
    assert settings(allow_agent_requests="queue,message").allow_agent_requests == (
        "queue",
        "message",
    )
    with pytest.raises(SettingsError, match="--allow-agent-requests: 'all' is not allowed"):
        settings(allow_agent_requests="all")
