"""`POST /upload`: store one file in a private folder until the server ends."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Awaitable
from pathlib import Path, PurePosixPath
from typing import TypeVar

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from agentapi.http.body import CLOSE, timed_out
from agentapi.http.options import OPTIONS
from agentapi.http.problems import Problem, invalid
from agentapi.http.replies import described

T = TypeVar("T")

FILE_LIMIT = 10 * 1024 * 1024
"""The maximum size of a file, in bytes."""
OTHER_LIMIT = 10 * 1024 * 1024
"""The maximum size of all other form fields, in bytes."""
_BROKEN = (ValueError, AssertionError, RuntimeError, web.RequestPayloadError, HttpProcessingError)
"""What aiohttp raises for an invalid form."""
UPLOAD_TIME = 600.0
"""The timeout of a whole form, in seconds."""
NAME_LIMIT = 255
"""The maximum length of a file name, in bytes, in most file systems."""


def add(app: web.Application) -> None:
    """Add the route, and remove the folder at the end."""
    app[FOLDER] = Uploads()
    app.router.add_post("/upload", upload)
    app.on_cleanup.append(_clean_up)


class Uploads:
    """The folder of the uploaded files, created by the first one."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    def folder(self) -> Path:
        """Return the folder, created with mode 0700."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="agentapi-uploads-"))
        return self._folder

    def store(self, part: Path, digest: str, name: str) -> Path:
        """Move a complete file to its final path: a folder named by its content, and its name."""
        home = self.folder() / digest[:16]
        home.mkdir(mode=0o700, exist_ok=True)
        return part.rename(home / name)

    def remove(self) -> None:
        """Remove the folder and its content."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


FOLDER = web.AppKey("uploads", Uploads)


async def _clean_up(app: web.Application) -> None:
    app[FOLDER].remove()


async def upload(request: web.Request) -> web.StreamResponse:
    """Store the file of the form field `file`, and respond with its path."""
    if request.content_type != "multipart/form-data":
        raise _unreadable("request Content-Type isn't multipart/form-data")
    if "boundary=" not in request.headers["Content-Type"].lower():
        raise _unreadable("no multipart boundary param in Content-Type")
    form = _Form(request.app[FOLDER], request.app[OPTIONS].body_timeout)
    try:
        async with asyncio.timeout(UPLOAD_TIME):
            await form.read(await request.multipart())
        path = form.keep()
    except TimeoutError:
        raise timed_out() from None
    except _BROKEN as error:
        raise _unreadable(_reason(error)) from None
    finally:
        form.drop()
    return described(request, "UploadResponseBody", {"filePath": str(path), "ok": True})


def _unreadable(reason: str) -> Problem:
    """Return a 422: the form is invalid."""
    return invalid(f"cannot read multipart form: {reason}", "body", headers=CLOSE)


def _reason(error: Exception) -> str:
    """Return aiohttp's reason, as upstream words it if it has a message for it."""
    reason = str(error)
    if reason.startswith("Could not find starting boundary"):
        return "multipart: NextPart: EOF"
    return "unexpected EOF" if reason == "Reading after EOF" else reason


class _Form:
    """A form that is being read. Its file is written to disk at once."""

    def __init__(self, uploads: Uploads, timeout: float) -> None:
        self._uploads = uploads
        self._timeout = timeout
        self._part: Path | None = None
        self._name = ""
        self._hash = hashlib.sha256()
        self._other = 0

    async def read(self, reader: MultipartReader) -> None:
        """Read all parts. Raises `Problem`, `TimeoutError` if nothing arrives for a while, or
        `ValueError` if the form is invalid."""
        while (part := await self._with_timeout(reader.next())) is not None:
            if not isinstance(part, BodyPartReader):
                raise ValueError("a form inside a form")
            if part.name == "file":
                await self._read_file(part)
            else:
                await self._skip(part)

    def keep(self) -> Path:
        """Store the file and return its final path."""
        if self._part is None:
            raise invalid("File required", "file")
        return self._uploads.store(self._part, self._hash.hexdigest(), self._name)

    def drop(self) -> None:
        """Remove a file that was not stored."""
        if self._part is not None:
            self._part.unlink(missing_ok=True)

    async def _read_file(self, part: BodyPartReader) -> None:
        if self._part is not None:
            raise invalid("Multiple files received but only one was expected", "file")
        if part.filename is None:
            raise invalid("a file is expected: a part with a file name", "file")
        self._name = file_name(part.filename)
        with tempfile.NamedTemporaryFile(dir=self._uploads.folder(), delete=False) as file:
            self._part = Path(file.name)
            size = 0
            while chunk := await self._with_timeout(part.read_chunk(64 * 1024)):
                size += len(chunk)
                if size > FILE_LIMIT:
                    raise Problem(400, "file size exceeds 10MB limit", headers=CLOSE)
                self._hash.update(chunk)
                file.write(chunk)

    async def _skip(self, part: BodyPartReader) -> None:
        while chunk := await self._with_timeout(part.read_chunk()):
            self._other += len(chunk)
            if self._other > OTHER_LIMIT:
                raise _unreadable("multipart: message too large")

    async def _with_timeout(self, work: Awaitable[T]) -> T:
        async with asyncio.timeout(self._timeout):
            return await work


def file_name(given: str) -> str:
    """Return the base name of an uploaded file. Raises `Problem` (422) if it is invalid."""
    name = PurePosixPath(given).name
    if name in ("", ".", ".."):
        raise invalid("the file has no name", "file", given)
    if any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) < 0xE000 for char in name):
        raise invalid("the file's name holds control characters", "file")
    if len(name.encode()) > NAME_LIMIT:
        raise invalid(f"the file's name is longer than {NAME_LIMIT} bytes", "file")
    return name
