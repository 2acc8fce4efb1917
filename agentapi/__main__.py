"""`python -m agentapi`: the same as the executable `agentapi`."""

from __future__ import annotations

from agentapi.cli import main

if __name__ == "__main__":
    main(prog_name="agentapi")
