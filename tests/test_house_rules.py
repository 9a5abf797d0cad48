"""The allowed imports, and no file that has grown too long to read."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_allowed_imports() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in ROOT.glob("fercache/**/*.py")}
    assert lengths
    assert {str(path): n for path, n in lengths.items() if n > 400} == {}


def test_files_are_written_by_the_store_alone() -> None:
    """Elsewhere a file could be half written and be taken for whole."""
    allowed = {"store/atomic.py", "store/runs.py", "store/sealed.py", "store/crops.py", "store/shards.py"}
    allowed |= {"encoders/bundled/train.py", "encoders/bundled/weights.py"}  # tools to train the encoder
    allowed |= {"stages/write_predictions.py"}  # beside its place, line by line, and renamed at the end
    in_place = re.compile(r"""\.write_(text|bytes)\(|\.to_csv\((?!index)|open\([^)]*["'][wax]b?["']""")
    writing = {
        str(path.relative_to(ROOT / "fercache")): line.strip()
        for path in ROOT.glob("fercache/**/*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if in_place.search(line) and "replacing(" not in line
    }
    assert {path: line for path, line in writing.items() if path not in allowed} == {}
