"""The token, its cookie, and pages of other sites."""

from __future__ import annotations

import aiohttp
import pytest

from agentapi.http.app import HttpOptions
from agentapi.http.security import Origins, Token, host_name
from tests.support.live import Answer, Live, serving

LOCKED = HttpOptions(auth_token="s3cret")
BEARER = {"Authorization": "Bearer s3cret"}


async def cookie(live: Live) -> str:
    answer = await live.post("/login", {"token": "s3cret"})
    return answer.headers["Set-Cookie"].split(";")[0]  # type: ignore[no-any-return]


# -- the token -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *("/status", "/messages", "/events", "/internal/screen", "/session", "/metrics"),
        *("/approval", "/", "/chat", "/chat/embed/", "/openapi.json", "/docs"),
        *("/schemas/Message.json", "/terminal", "/nowhere"),
    ],
)
async def test_everything_asks_for_the_token(path: str) -> None:
    async with serving(LOCKED) as live:
        answer = await live.get(path)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.headers["Content-Type"] == "application/problem+json"


async def test_posts_ask_for_the_token_and_do_nothing_without() -> None:
    async with serving(LOCKED) as live:
        assert (await live.say("x", "raw")).status == 401
        assert (await live.post("/interrupt")).status == 401
        assert (live.driver.typed, live.driver.interrupts) == ([], 0)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_checks_need_neither_token_nor_host(path: str) -> None:
    async with serving(LOCKED) as live:
        live.driver.idle()
        answer = await live.get(path, headers={"Host": "pod.internal"})
        assert answer.status == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
        ("Bearer s3cre", 401),
        ("Bearer s3cret2", 401),
        ("Bearer ", 401),
        ("Basic s3cret", 401),
        ("s3cret", 401),
        ("Bearer s3crét", 401),
    ],
)
async def test_the_bearer_token_must_match(header: str, status: int) -> None:
    async with serving(LOCKED) as live:
        answer = await live.get("/status", headers={"Authorization": header})
        assert answer.status == status


async def test_a_browser_logs_in_once_and_comes_back_with_a_cookie() -> None:
    async with serving(LOCKED) as live:
        answer = await live.post("/login", {"token": "s3cret"})
        assert answer.status == 200
        given = answer.headers["Set-Cookie"]
        assert "s3cret" not in given
        for word in ("HttpOnly", "SameSite=Lax", "Path=/"):
            assert word in given
        assert "Secure" not in given
        headers = {"Cookie": given.split(";")[0]}
        assert (await live.get("/status", headers=headers)).status == 200


async def test_behind_tls_the_cookie_is_secure() -> None:
    async with serving(LOCKED) as live:
        headers = {"X-Forwarded-Proto": "https"}
        answer = await live.post("/login", {"token": "s3cret"}, headers=headers)
        assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("body", [{"token": "wrong"}, {"token": ""}])
async def test_a_wrong_login_is_refused(body: object) -> None:
    async with serving(LOCKED) as live:
        answer = await live.post("/login", body)
        assert answer.status == 401
        assert "Set-Cookie" not in answer.headers


async def test_a_wrong_cookie_is_refused() -> None:
    async with serving(LOCKED) as live:
        name = (await cookie(live)).split("=")[0]
        for value in ("", "0" * 64, "s3cret"):
            answer = await live.get("/status", headers={"Cookie": f"{name}={value}"})
            assert answer.status == 401


def test_daemons_on_one_host_do_not_share_a_cookie() -> None:
    assert Token("one").cookie != Token("other").cookie


async def follow(live: Live, path: str) -> tuple[Answer, str]:
    answer = await live.get(path)
    assert answer.status == 303
    return answer, answer.headers["Location"]


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/chat/embed/?token=s3cret", "./"),
        ("/chat?token=s3cret&url=http%3A%2F%2Fx", "./chat?url=http://x"),
        ("/events?a=1&token=s3cret&b=2", "./events?a=1&b=2"),
    ],
)
async def test_a_token_in_the_address_becomes_a_cookie_and_leaves_it(
    path: str, location: str
) -> None:
    async with serving(LOCKED) as live:
        answer, where = await follow(live, path)
        assert where == location
        headers = {"Cookie": answer.headers["Set-Cookie"].split(";")[0]}
        assert (await live.get("/status", headers=headers)).status == 200


async def test_a_browser_that_is_logged_in_loses_the_token_from_its_address_too() -> None:
    async with serving(LOCKED) as live:
        answer = await live.get("/chat?token=s3cret", headers={"Cookie": await cookie(live)})
        assert (answer.status, answer.headers["Location"]) == (303, "./chat")


async def test_a_wrong_token_in_the_address_is_refused() -> None:
    async with serving(LOCKED) as live:
        for token in ("wrong", "", "%00", "%ff"):
            assert (await live.get(f"/chat?token={token}")).status == 401


async def test_a_person_is_asked_for_the_token_by_a_page() -> None:
    page = {"Accept": "text/html,*/*"}
    async with serving(LOCKED) as live:
        answer = await live.get("/chat/embed/?url=http%3A%2F%2Fx%22%3E", headers=page)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert '<form method="get">' in answer.text
        assert '<input type="hidden" name="url" value="http://x&quot;&gt;">' in answer.text
        assert "not the token" not in answer.text
        answer = await live.get("/chat/embed/?token=wrong", headers=page)
        assert (answer.status, "not the token" in answer.text) == (401, True)
        assert "wrong" not in answer.text
        answer = await live.get("/chat/embed/?token=s3cret&url=x", headers=page)
        assert (answer.status, answer.headers["Location"]) == (303, "./?url=x")


async def test_a_web_socket_may_carry_the_token_in_its_address() -> None:
    async with serving(LOCKED) as live:
        live.driver.paint("hello")
        async with live.client.ws_connect(f"{live.url}/terminal?token=s3cret") as socket:
            assert b"hello" in (await socket.receive_bytes())


async def test_a_preflight_needs_no_token() -> None:
    async with serving(LOCKED) as live:
        headers = {
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        answer = await live.call("OPTIONS", "/message", headers=headers)
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization"


async def test_without_a_token_nothing_asks_for_one_and_there_is_no_login() -> None:
    async with serving() as live:
        assert (await live.get("/status?token=x")).status == 200
        assert (await live.post("/login", {"token": "x"})).status == 404


# -- pages of other sites ------------------------------------------------------------------------

FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:9"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://evil.example", "X-Forwarded-Host": "good.example"},
]
OURS: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://proxied.example"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:3000"},
    {"Origin": "http://localhost:3284"},
    {"Origin": "https://Good.example", "X-Forwarded-Host": "good.example"},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_foreign_page_changes_nothing(headers: dict[str, str]) -> None:
    async with serving() as live:
        live.driver.idle()
        body = {"content": "x", "type": "raw"}
        assert (await live.post("/message", body, headers=headers)).status == 403
        form = aiohttp.FormData()
        form.add_field("file", b"x", filename="x")
        assert (await live.call("POST", "/upload", data=form, headers=headers)).status == 403
        assert (await live.post("/interrupt", headers=headers)).status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await live.client.ws_connect(f"{live.url}/terminal", headers=headers)
        assert refused.value.status == 403
        assert (live.driver.typed, live.driver.interrupts) == ([], 0)


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_foreign_page_may_ask_but_a_browser_will_not_show_it(
    headers: dict[str, str],
) -> None:
    async with serving() as live:
        answer = await live.get("/status", headers=headers)
        assert (answer.status, "Access-Control-Allow-Origin" in answer.headers) == (200, False)


@pytest.mark.parametrize("headers", OURS)
async def test_our_pages_and_programs_are_served(headers: dict[str, str]) -> None:
    async with serving() as live:
        body = {"content": "x", "type": "raw"}
        assert (await live.post("/message", body, headers=headers)).status == 200


async def test_the_page_s_own_address_is_its_origin_whatever_the_port() -> None:
    async with serving() as live:
        body = {"content": "x", "type": "raw"}
        assert (await live.post("/message", body, headers={"Origin": live.url})).status == 200


# -- pieces --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("LocalHost:80", "localhost"),
        ("[::1]:3284", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("", ""),
        ("[::1", ""),
        ("user@localhost", "localhost"),
    ],
)
def test_the_name_of_a_host_header(host: str, name: str) -> None:
    assert host_name(host) == name


def test_a_wildcard_does_not_overlap_itself() -> None:
    origins = Origins(["https://aa*aa"])
    assert "https://aaa" not in origins
    assert "https://aaaa" in origins
