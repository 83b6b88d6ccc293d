"""The machine that figures come from, and what processes take of it."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1_000_000


def use_test_client() -> None:
    """Set this process up for Django's test client, and for staff without a second factor."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "musicrec.settings")
    os.environ.setdefault("DJANGO_SECRET_KEY", "a secret for benchmarks only")
    os.environ |= {
        "DJANGO_ALLOWED_HOSTS": "testserver",
        "DJANGO_HTTPS": "false",
        "MUSICREC_STAFF_MFA": "false",
    }


def describe_machine() -> str:
    """Return processor, cores, memory, Python and the present load, in one line."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GB, "
        f"{platform.system()} {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}; {describe_load()}"
    )


def describe_load() -> str:
    """Return the load average of the last minute: above the number of cores, figures suffer."""
    return f"load average {os.getloadavg()[0]:.1f}"


@dataclass(frozen=True)
class Memory:
    """Memory of one process, in bytes.

    Attributes:
        resident: what is in memory, shared pages included (VmRSS).
        proportional: the same with each shared page divided by those who share it (PSS).
    """

    resident: int
    proportional: int


def memory_of(pid: int) -> Memory:
    """Return what a living process holds; Linux only."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split(":")
        fields[name] = int(value.split()[0]) * 1024
    return Memory(resident=fields["Rss"], proportional=fields["Pss"])


def processor_seconds(pid: int) -> float:
    """Return the processor time that a living process has used, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def thread_seconds(pid: int) -> float:
    """Return the processor time of a process of one thread, to the nanosecond; Linux only.

    `processor_seconds` counts in hundredths of a second, too coarse for one query.
    """
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def children_of(pid: int) -> list[int]:
    """Return the process ids of a process's children."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


@dataclass(frozen=True)
class Finished:
    """A command that ended well.

    Attributes:
        seconds: wall time from start to end, the interpreter's start included.
        processor: seconds of processor time, all threads; on a busy machine this stays the same.
        peak: the most memory it held at once, in bytes.
        output: what it printed.
    """

    seconds: float
    processor: float
    peak: int
    output: str


def run(command: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> Finished:
    """Run a command and wait for it.

    Raises:
        RuntimeError: it failed; the message holds the end of what it said.
    """
    with log.open("w+") as file:
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 (our own command, no shell)
            command, env=dict(env), cwd=cwd, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    output = log.read_text()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{output[-2000:]}")
    processor = usage.ru_utime + usage.ru_stime
    return Finished(seconds, processor, usage.ru_maxrss * 1024, output)
