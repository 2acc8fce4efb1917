"""Through a reverse proxy that buffers: nginx as Debian has it."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.support.live import PATIENCE, Live, Stream, serving

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"

CONFIG = """
daemon off; master_process off; pid "{folder}/pid"; error_log "{folder}/error.log";
events {{}}
http {{
  access_log off; gzip on; gzip_types *; gzip_min_length 1;
  client_body_temp_path "{folder}/a"; proxy_temp_path "{folder}/b"; fastcgi_temp_path "{folder}/c";
  uwsgi_temp_path "{folder}/d"; scgi_temp_path "{folder}/e";
  server {{
    listen 127.0.0.1:{port};
    location /prefix/ {{
      proxy_pass http://127.0.0.1:{behind}/;
      proxy_buffering on; proxy_buffers 8 64k; proxy_buffer_size 64k;
    }}
  }}
}}
"""

pytestmark = pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")


@asynccontextmanager
async def proxied(live: Live, folder: Path) -> AsyncIterator[str]:
    """The server's address behind the proxy."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, behind=live.port))
    program = (NGINX, "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log"))
    process = await asyncio.create_subprocess_exec(*program)
    try:
        await reachable(port)
        yield f"http://127.0.0.1:{port}/prefix"
    finally:
        process.terminate()
        await process.wait()


async def reachable(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return


async def test_each_event_passes_a_buffering_proxy_at_once(tmp_path: Path) -> None:
    packed = {"Accept-Encoding": "gzip"}
    async with (
        serving() as live,
        proxied(live, tmp_path) as url,
        live.client.get(f"{url}/events", headers=packed) as answer,
    ):
        stream = Stream(answer)
        assert [name for name, _ in await stream.events(2)] == ["message_update", "status_change"]
        live.driver.idle()  # nothing follows it: a buffer would hold it for ever
        assert (await stream.until("status_change"))["status"] == "stable"
        await live.say("hi")
        assert (await stream.until("message_update"))["message"] == "hi"


async def test_a_stream_through_a_proxy_is_rebuilt_after_a_cut_in_mid_turn(tmp_path: Path) -> None:
    async with serving() as live, proxied(live, tmp_path) as url:
        live.driver.idle()
        async with live.client.get(f"{url}/events") as answer:
            await live.say("hi")
            live.driver.say("half an")
            await Stream(answer).until("message_update", role="agent", id=2)
        live.driver.say("half an answer, and the other half")
        async with live.client.get(f"{url}/events") as answer:
            events = await Stream(answer).events(4)
        assert [(data["id"], data["message"]) for name, data in events if "id" in data] == [
            (0, ""),
            (1, "hi"),
            (2, "half an answer, and the other half"),
        ]


async def test_messages_uploads_and_redirects_pass_a_prefix(tmp_path: Path) -> None:
    async with serving() as live, proxied(live, tmp_path) as url:
        live.driver.idle()
        body = {"content": "hi", "type": "user"}
        async with live.client.post(f"{url}/message", json=body) as answer:
            assert answer.status == 200
        form = aiohttp.FormData()
        form.add_field("file", b"x" * 500_000, filename="x.bin")
        async with live.client.post(f"{url}/upload", data=form) as answer:
            assert answer.status == 200
        async with live.client.get(f"{url}/chat/embed") as answer:
            assert answer.status == 200
            assert answer.url.path == "/prefix/chat/embed/"
