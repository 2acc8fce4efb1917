"""All figures of the main path in one command: `python -m benchmarks` (some three minutes).

The emulator beside stock pyte, then messages beside what Codex itself takes. The others have
commands of their own: `python -m benchmarks.link`, `.rollout`, `.exactness`, and `scripts/matrix`.
"""

from __future__ import annotations

import asyncio

from benchmarks import emulator, latency

if __name__ == "__main__":
    emulator.main()
    print()
    asyncio.run(latency.main(rounds=20))
