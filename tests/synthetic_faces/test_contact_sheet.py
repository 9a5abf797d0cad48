"""The sheet for the README, and its command."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from fercache.synthetic_faces import make_contact_sheet


def test_the_sheet_is_small_and_reproducible(tmp_path: Path) -> None:
    first, second = make_contact_sheet(tmp_path / "a.png"), make_contact_sheet(tmp_path / "b.png")
    assert first.stat().st_size < 400_000
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as sheet:
        assert np.asarray(sheet).shape == (436, 790, 3)


def test_the_command_wants_one_path() -> None:
    done = subprocess.run([sys.executable, "-m", "fercache.synthetic_faces"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Give one path" in done.stderr and "Traceback" not in done.stderr


def test_the_command_says_where_the_sheet_is(tmp_path: Path) -> None:
    path = tmp_path / "faces.png"
    command = [sys.executable, "-m", "fercache.synthetic_faces", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(path) and path.exists()


def test_the_command_says_where_it_cannot_write(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fercache.synthetic_faces", str(tmp_path / "missing" / "faces.png")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "missing" in done.stderr and "Traceback" not in done.stderr
