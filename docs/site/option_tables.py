"""Requests on the API page: a table of their fields with types, help texts and defaults, from the fields themselves."""

import importlib
import inspect
import re
from typing import Any

from griffe import Attribute, Class, Docstring, Extension
from pydantic import BaseModel
from pydantic.fields import FieldInfo

MODULES = ("fercache.options", "fercache.settings")
"""Only these are imported: none of them loads PyTorch."""


def shown_type(cls: Class, name: str, field: FieldInfo) -> str:
    """The type as it is written in the code, or without the names of modules."""
    written = cls.all_members.get(name)
    if isinstance(written, Attribute) and written.annotation is not None:
        return str(written.annotation)
    return re.sub(r"(?:\w+\.)+(?=\w)", "", inspect.formatannotation(field.annotation))


def shown_default(field: FieldInfo) -> str:
    """In brackets, or nothing if the help text has it."""
    if "[default:" in (field.description or ""):
        return ""
    if field.is_required():
        return "[required]"
    extra, default = field.json_schema_extra, field.get_default(call_default_factory=True)
    shown = extra.get("shown") if isinstance(extra, dict) else ""
    if default is None or isinstance(default, BaseModel):
        return ""
    return f"[default: {shown or default!s}]"


def shown_text(field: FieldInfo) -> str:
    """The help text and the default; brackets outside of code are no links."""
    text = f"{field.description or ''} {shown_default(field)}".strip() or "-"
    return "`".join(part if n % 2 else part.replace("[", "\\[") for n, part in enumerate(text.split("`")))


class OptionTables(Extension):
    """Adds the fields of a pydantic model to its docstring."""

    def on_class(self, *, cls: Class, **_: Any) -> None:
        if not cls.module.path.startswith(MODULES):
            return
        model = getattr(importlib.import_module(cls.module.path), cls.name, None)
        if isinstance(model, type) and issubclass(model, BaseModel) and model.model_fields:
            lines = [
                f"    {name} ({shown_type(cls, name, field)}): {shown_text(field)}"
                for name, field in model.model_fields.items()
            ]
            text = cls.docstring.value if cls.docstring else ""
            cls.docstring = Docstring("\n".join([text, "", "Attributes:", *lines]), parent=cls)
