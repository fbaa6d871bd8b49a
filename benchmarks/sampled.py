"""
Runs `miroir` and notes every millisecond of CPU what it is doing; used by profile.py.

    python -m benchmarks.sampled FILE serve --config ...

Time spent inside C code is counted for the Python function that called it.
"""

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from miroir.cli import main

INTERVAL_S = 0.001
SERVING = "runtime/serving.py:serve"
own: Counter[str] = Counter()
whole: Counter[str] = Counter()


def take(_signal: int, frame: FrameType | None) -> None:
    """Count the running function, and each one that is waiting for it once; not the start-up."""
    stack: list[str] = []
    while frame is not None:
        stack.append(_name(frame))
        frame = frame.f_back
    if SERVING in stack:
        own[stack[0]] += 1
        whole.update(set(stack[: stack.index(SERVING)]))


def _name(frame: FrameType) -> str:
    path = Path(frame.f_code.co_filename)
    return f"{path.parent.name}/{path.name}:{frame.f_code.co_qualname}"


if __name__ == "__main__":
    target = Path(sys.argv.pop(1))
    signal.signal(signal.SIGPROF, take)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
    try:
        main()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        target.write_text(json.dumps({"own": own, "whole": whole}))
