"""What the project says: `python -m tests.words` lists every message and help text, to be read aloud."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPEAKERS = {
    "UsageError",
    "FercacheError",
    "InterruptedWorkError",
    "NewerRecordError",
    "Refused",
    "Unreadable",
    "ValueError",
}
SPEAKERS |= {"echo", "secho", "print", "say_once", "option", "argument", "Quarantined"}
"""Whose arguments a user reads."""


def _text(node: ast.expr) -> str:
    """A string as it is written, with `{}` for each value in it."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return ""


def messages() -> Iterator[tuple[str, str]]:
    """(file:line, text) of everything with a blank in it that the package prints, raises, or shows as help."""
    for path in sorted(ROOT.glob("fercache/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in SPEAKERS:
                values = [*node.args, *(keyword.value for keyword in node.keywords)]
                yield from (
                    (f"{path.relative_to(ROOT)}:{value.lineno}", text)
                    for value in values
                    if " " in (text := _text(value))
                )
