"""The allowed imports; no file, list of parameters or call that is too long to read."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
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
    allowed |= {"predicting/prediction_files.py"}  # beside its place, line by line, and renamed at the end
    in_place = re.compile(r"""\.write_(text|bytes)\(|\.to_csv\((?!index)|open\([^)]*["'][wax]b?["']""")
    writing = {
        str(path.relative_to(ROOT / "fercache")): line.strip()
        for path in ROOT.glob("fercache/**/*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if in_place.search(line) and "replacing(" not in line
    }
    assert {path: line for path, line in writing.items() if path not in allowed} == {}


@cache
def trees() -> dict[str, ast.Module]:
    """The modules of the package, by path."""
    paths = sorted(ROOT.glob("fercache/**/*.py"))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for path, tree in trees().items():
        yield from ((path, node) for node in ast.walk(tree))


def test_no_function_has_more_than_six_parameters() -> None:
    long = []
    for path, node in nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            if len([name for name in names if name not in ("self", "cls")]) > 6:
                long.append(f"{path}:{node.lineno} {node.name}")
    assert long == []


def test_no_call_has_more_than_three_arguments_by_position() -> None:
    """To functions of the package; four for data classes, whose fields are in the order of what they describe."""
    classes = {node.name for _, node in nodes() if isinstance(node, ast.ClassDef)}
    variadic = {node.name for _, node in nodes() if isinstance(node, ast.FunctionDef) and node.args.vararg}
    found = []
    for path, tree in trees().items():
        ours = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fercache"):
                ours |= {each.asname or each.name for each in node.names}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ours - variadic:
                starred = any(isinstance(each, ast.Starred) for each in node.args)
                if not starred and len(node.args) > (4 if node.func.id in classes else 3):
                    found.append(f"{path}:{node.lineno} {node.func.id}")
    assert found == []
