"""The checks are for authors who may have another test runner, or none."""

import subprocess
import sys


def test_the_checks_need_no_pytest() -> None:
    code = "import sys; from fercache.contracts import check_head; print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
