"""Extracts a set of which a tenth is damaged; exit code 1 unless exactly that tenth is left out and all else right."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fercache import EncoderRequest
from tests.extraction.test_decode import DAMAGED, EXACT
from tests.hostile.pictures import judge


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        verdict = judge(Path(folder), asked.images, EncoderRequest(precision="fp32"))
    print(f"{asked.images:,} images, damaged in {len(DAMAGED)} ways or stored in {len(EXACT)}:", end=" ")
    print(f"{verdict.damaged:,} left out, {verdict.right:,} rows, {len(verdict.wrong)} of them wrong")
    for reason, count in verdict.reasons.most_common():
        print(f"{count:6} {reason}")
    for line in verdict.wrong[:20]:
        print(line)
    return int(bool(verdict.wrong))


if __name__ == "__main__":
    sys.exit(main())
