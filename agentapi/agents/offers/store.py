"""Open the state file of a server, with exclusive access."""

from __future__ import annotations

import errno
import logging

from agentapi.processes.locks import InUse
from agentapi.settings.settings import ServerSettings, SettingsError
from agentapi.storage.state_file import StateStore

_FULL = (errno.ENOSPC, errno.EDQUOT)

_log = logging.getLogger(__name__)


def open_store(settings: ServerSettings) -> StateStore | None:
    """Return the store of `--state-file`, if set; no other server can save to it.

    Raises `SettingsError` if another server uses the file, or its folder is not writable. A full
    disk is not an error: it may have room again later."""
    file = settings.state_file
    if file is None:
        return None
    store = StateStore(file, load=settings.load_state, save=settings.save_state)
    try:
        store.hold()
    except InUse as error:
        raise SettingsError(
            f"--state-file: {file} is in use by another agentapi ({error.who}): stop it, choose"
            " another file, or only load this one (--save-state=false)"
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno not in _FULL:
            raise SettingsError(
                f"--state-file: cannot write in {str(file.parent)!r}: {reason}: make the folder"
                " writable, choose another file, or only load this one (--save-state=false)"
            ) from error
        _log.warning("%s is not locked against other servers: %s", file, reason)
    return store
