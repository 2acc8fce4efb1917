"""The page that asks for the token, shown instead of the requested one.

Its form leads back to the same URL with `?token=`, which `security.token_guard` moves into a
cookie. So it works under any prefix, and without a script.
"""

from __future__ import annotations

from html import escape

from aiohttp import web

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Token</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; }}
body {{ display: grid; place-items: center; min-height: 90vh; }}
form {{ display: grid; gap: .75rem; width: min(22rem, 90vw); }}
input, button {{ font: inherit; padding: .5rem .75rem; }}
p {{ margin: 0; }}
</style></head><body><form method="get">
<label for="token">This agent asks for its token.</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
{kept}<button>Open</button>{wrong}</form></body></html>
"""
WRONG = '<p role="alert">That is not the token.</p>'


def wants_page(request: web.Request) -> bool:
    """Whether the request is a browser's for a page."""
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def login_page(request: web.Request) -> web.Response:
    """Return the page; other query parameters are kept."""
    kept = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in request.query.items()
        if name != "token"
    )
    wrong = WRONG if "token" in request.query else ""
    return web.Response(
        status=401,
        text=PAGE.format(kept=kept, wrong=wrong),
        content_type="text/html",
        headers={"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"},
    )
