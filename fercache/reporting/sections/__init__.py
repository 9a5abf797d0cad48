"""The sections of a report: one file each, which defines a `Section` as `plugin`. `_name.py` is a helper.

`my_section.py` appears on the page as `<section id="my-section">`, in the navigation, and in the list of files:

    from fercache.reporting.sections import Content, Section

    def content(report):
        return Content({"runs": sorted({record.run for record in report.records})})

    plugin = Section(
        title="Runs",
        template="<ul>{% for run in runs %}<li>{{ run }}</li>{% endfor %}</ul>",
        content=content,
    )
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fercache.errors import FercacheError, nearest
from fercache.reporting.drawing import Drawing
from fercache.reporting.report import Report

ORDER = (
    *("summary", "scores", "matrix", "differences", "targets", "ranks", "curves", "policies", "settings"),
    *("robustness", "adaptations", "few-labels", "unlabelled", "maps", "masks", "samples", "repeat"),
)
"""The order of the built-in sections; any other section comes `after` one of them."""


@dataclass(frozen=True)
class Content:
    """The content of a section in one report.

    `context` are the template's variables, `drawings` figures by the name of their files in `figures/` (without a
    suffix: each is written as SVG and PNG), and `files` the text of files beside the page, by name. `gist` says what a
    folded section has to say, in a few words.
    """

    context: Mapping[str, Any] = field(default_factory=dict)
    drawings: Mapping[str, Drawing] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    gist: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the page.

    `content(report)` returns its content, or None to leave the section out of the page. It may raise UsageError for a
    wrong request. It is called once per report.

    `template` is the Jinja source below the heading. It has the variables of the content's context and the globals of
    `page.environment`; output is escaped. `beside(__file__)` reads it from the `.html` file of the same name.

    `title` is shown in the navigation, and `heading` (default: the title) above the section. `files` describes each of
    its files, by name or pattern: a matching file that is not in the content is from an earlier report and is deleted.
    A `footer` comes below the main part of the page. A `folded` section shows its heading and its content's gist until
    it is opened, by a click or by a link to it.
    """

    title: str
    template: str
    content: Callable[[Report], Content | None]
    heading: str = ""
    after: str = "samples"
    files: Mapping[str, str] = field(default_factory=dict)
    footer: bool = False
    folded: bool = False

    @property
    def is_own(self) -> bool:
        """Whether the section is built in."""
        return self.content.__module__.startswith("fercache.reporting.")

    @property
    def file(self) -> str:
        """The file that defines it, for error messages."""
        code = getattr(self.content, "__code__", None)
        return code.co_filename if code else self.content.__module__


def beside(file: str) -> str:
    """The template in the `.html` file of the same name as a section's `file`."""
    return Path(file).with_suffix(".html").read_text(encoding="utf-8")


def ordered(sections: Mapping[str, Section]) -> list[str]:
    """The names of `sections` in the order of the page. Raises FercacheError for one `after` an unknown section."""
    names = [name for name in ORDER if name in sections]
    for name in sorted(sections.keys() - set(ORDER), reverse=True):
        after = sections[name].after
        if after not in ORDER:
            raise FercacheError(
                f"The report section '{name}' ({sections[name].file}) comes after '{after}', which does not exist. "
                f"{nearest(after, ORDER)}"
            )
        names.insert(names.index(after) + 1, name)
    return names
