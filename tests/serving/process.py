"""`fercache serve` in a process of its own."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[str]
    port: int


@contextmanager
def started(*options: str) -> Iterator[Server]:
    """A server on a free port, interrupted at the end. Raises RuntimeError if it does not start."""
    command = [sys.executable, "-m", "fercache", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout
        found = re.search(r"http://127.0.0.1:(\d+)", process.stdout.readline())
        if not found:
            raise RuntimeError("fercache serve did not start")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield Server(process, int(found[1]))
    finally:
        process.terminate()
        process.wait(120)


def processor_seconds(pid: int) -> float:
    """The seconds of a processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int) -> int:
    """The most megabytes that a process has used."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return round(int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024)  # type: ignore[index]
