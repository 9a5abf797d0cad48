"""The allowed imports, and no file that has grown too long to read."""

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
