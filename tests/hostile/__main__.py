"""Extracts a dataset of which a tenth is damaged, and reads thousands of files with various defects.

Exit code 1 unless exactly that tenth is left out and all else right, and every file is read, or refused in our words.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fercache import EncoderRequest
from tests.hostile.files import CASES, KINDS
from tests.hostile.images import judge
from tests.images.test_decode import DAMAGED, EXACT


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--cases", type=int, default=CASES, help="Files of each kind.")
    asked = parser.parse_args()
    wrong = [kind for kind in KINDS if not _files_are_right(kind, asked.cases)]
    return int(bool(wrong) | (asked.images > 0 and not _images_are_right(asked.images)))


def _files_are_right(kind: str, cases: int) -> bool:
    """In a process of their own, so that a crash of a library is seen as well."""
    command = [sys.executable, "-m", "tests.hostile.files", kind, "0", str(cases)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    lines = done.stdout.split("\n") if done.stdout.strip() else []
    ended = f", ended with {done.returncode}" if done.returncode not in (0, 1) else ""
    print(f"{kind}: {cases:,} cases, {len([line for line in lines if line])} wrong{ended}")
    print("\n".join(lines[:20]), end="")
    return done.returncode == 0


def _images_are_right(images: int) -> bool:
    with TemporaryDirectory() as folder:
        verdict = judge(Path(folder), images, EncoderRequest(precision="fp32"))
    print(f"{images:,} images, damaged in {len(DAMAGED)} ways or stored in {len(EXACT)}:", end=" ")
    print(f"{verdict.damaged:,} left out, {verdict.right:,} rows, {len(verdict.wrong)} of them wrong")
    for reason, count in verdict.reasons.most_common():
        print(f"{count:6} {reason}")
    for line in verdict.wrong[:20]:
        print(line)
    return not verdict.wrong


if __name__ == "__main__":
    sys.exit(main())
