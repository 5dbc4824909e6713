"""Run commands and measure what they take: wall time, and the peak memory of each process.

Every measured thing is a process of its own, ours and the floor alike, from its start to its end.
Memory is the kernel's own high-water mark (``VmHWM``) of each process of the tree, looked up while
it runs; ``ru_maxrss`` would not do, since a child begins with the peak of what forked it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import psutil
from benchmarks.measuring.workshop import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: How often memory is looked at; what a process takes in its last moment may be missed.
_LOOK_S = 0.25
#: How much of what a failed command said is shown.
_SAID_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Peak:
    """Most memory of one process.

    Attributes:
        program: Its name.
        rss_mb: Resident, mapped files included.
        own_mb: Resident without mapped files: what the machine cannot take back.
    """

    program: str
    rss_mb: float
    own_mb: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command, or several joined by pipes, took.

    Attributes:
        seconds: Wall time.
        cpu_s: Processor time of all its processes.
        peaks: Most memory of each of them.
    """

    seconds: float
    cpu_s: float = 0.0
    peaks: tuple[Peak, ...] = ()

    def peak(self, program: str) -> Peak:
        """The largest process whose name begins so.

        Raises:
            LookupError: there was none, or it ended before it could be looked at.
        """
        found = [peak for peak in self.peaks if peak.program.startswith(program)]
        if not found:
            message = f"no process {program!r} among {sorted(p.program for p in self.peaks)}"
            raise LookupError(message)
        return max(found, key=lambda peak: peak.rss_mb)


def run(
    *commands: Sequence[str | Path],
    stdin: Path | None = None,
    stdout: Path | None = None,
    variables: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Cost:
    """Run commands, each one's output piped into the next, until the last has ended.

    Args:
        commands: The pipe.
        stdin: What the first reads; nothing if absent.
        stdout: Where the last writes; nowhere if absent.
        variables: More environment variables.
        cwd: Where they run; the project's folder if absent.

    Raises:
        SystemExit: one of them failed; tells what it said.
    """
    with ExitStack() as files:
        source: IO[bytes] = files.enter_context((stdin or Path(os.devnull)).open("rb"))
        sink = files.enter_context((stdout or Path(os.devnull)).open("wb"))
        said = [files.enter_context(tempfile.TemporaryFile()) for _ in commands]
        begun, cpu_before = time.perf_counter(), _cpu_of_children()
        with _Pipe() as processes:
            for command, log in zip(commands, said, strict=True):
                is_last = len(processes) == len(commands) - 1
                process = subprocess.Popen(  # noqa: S603 - our own commands
                    list(map(str, command)),
                    stdin=processes[-1].stdout if processes else source,
                    stdout=sink if is_last else subprocess.PIPE,
                    stderr=log,
                    env=environment(variables),
                    cwd=cwd or PROJECT,
                )
                if processes and (pipe := processes[-1].stdout) is not None:
                    pipe.close()  # so that the writer learns when its reader is gone
                processes.append(process)
            with _Watch([process.pid for process in processes]) as watch:
                codes = [process.wait() for process in reversed(processes)]
                seconds = time.perf_counter() - begun
        if any(codes):
            raise SystemExit(_failure(commands, codes[::-1], said))
    return Cost(seconds, _cpu_of_children() - cpu_before, watch.peaks())


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours with bytecode on, without what would steer the programs under measurement."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV"}
        and not name.startswith(("TAP_", "TARGET_", "MELTANO_"))
    }
    return {**kept, "LC_ALL": "C.UTF-8", **(variables or {})}


def alternately(repetitions: int, *works: Callable[[], Cost]) -> list[Cost]:
    """Let ``works`` take turns and keep the fastest of each: what disturbs hits all alike."""
    fastest: list[Cost | None] = [None] * len(works)
    for _ in range(repetitions):
        for at, work in enumerate(works):
            cost, best = work(), fastest[at]
            fastest[at] = cost if best is None or cost.seconds < best.seconds else best
    return [cost for cost in fastest if cost is not None]


def _failure(
    commands: Sequence[Sequence[str | Path]], codes: Sequence[int], said: Sequence[IO[bytes]]
) -> str:
    lines = []
    for command, code, log in zip(commands, codes, said, strict=True):
        log.seek(max(0, log.seek(0, os.SEEK_END) - _SAID_BYTES))
        text = log.read().decode(errors="replace")
        lines.append(f"{' '.join(map(str, command))}\nended with {code}:\n{text}")
    return "\n".join(lines)


def _cpu_of_children() -> float:
    """Processor time of all processes waited for, and of those that they waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Pipe(list[subprocess.Popen[bytes]]):
    """Processes that end with the block, however it ends."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self:
            if process.poll() is None:
                process.terminate()
                process.wait()


@dataclass
class _Watch:
    """Looks at the memory of processes and their descendants while a block runs."""

    roots: Sequence[int]
    _peaks: dict[int, Peak] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def peaks(self) -> tuple[Peak, ...]:
        return tuple(self._peaks.values())

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            for root in self.roots:
                with contextlib.suppress(psutil.Error):
                    process = psutil.Process(root)
                    for one in (process, *process.children(recursive=True)):
                        self._look(one)

    def _look(self, process: psutil.Process) -> None:
        with contextlib.suppress(OSError, psutil.Error, KeyError):
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            status = dict(line.split(":", 1) for line in lines if ":" in line)
            rss, own = (_megabytes(status[name]) for name in ("VmHWM", "RssAnon"))
            before = self._peaks.get(process.pid)
            name = program_name(process.cmdline()) or status["Name"].strip()
            self._peaks[process.pid] = Peak(name, rss, max(own, before.own_mb if before else 0.0))


def program_name(command: Sequence[str]) -> str:
    """What a command line runs: of an interpreter its script or module."""
    if not command:
        return ""
    name = Path(command[0]).name
    if not name.startswith("python"):
        return name
    script = next((part for part in command[1:] if not part.startswith("-")), name)
    return Path(script).name


def _megabytes(kilobytes: str) -> float:
    return int(kilobytes.split(maxsplit=1)[0]) / 1024
