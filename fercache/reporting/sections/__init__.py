"""The sections of a report: one file each, which offers a `Section` by the name `plugin`. `_name.py` is a helper.

`my_section.py` stands on the page as `<section id="my-section">`, in the navigation, and in the list of files:

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
    *("scores", "ranks", "differences", "policies", "settings", "robustness"),
    *("targets", "maps", "masks", "samples", "repeat"),
)
"""In which the package's own sections stand; any other one stands `after` one of them."""


@dataclass(frozen=True)
class Content:
    """What a section shows in one report.

    `context` are the template's variables, `drawings` figures by the name of their files in `figures/` (without a
    suffix: each is written as SVG and PNG), and `files` the text of files beside the page, by name.
    """

    context: Mapping[str, Any] = field(default_factory=dict)
    drawings: Mapping[str, Drawing] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """A section of the page.

    `content(report)` says what it shows, None where it has nothing to show: then the page does not mention it. Raises
    UsageError for a wrong request. It is called once per report.

    `template` is the Jinja source of what stands below the heading. It has the variables of the content's context, and
    all that `page.environment` gives to every template; what it prints is escaped. `beside(__file__)` reads it from the
    file of the same name that ends in `.html`.

    `title` stands in the navigation and `heading`, which is the title unless given, above the section. `files` says
    what each of its files is, by name or pattern: a file that fits, but is not in the content, is an earlier report's
    and is deleted. A `footer` stands below the main part of the page.
    """

    title: str
    template: str
    content: Callable[[Report], Content | None]
    heading: str = ""
    after: str = "samples"
    files: Mapping[str, str] = field(default_factory=dict)
    footer: bool = False

    @property
    def is_own(self) -> bool:
        """Whether it is the package's own."""
        return self.content.__module__.startswith("fercache.reporting.")

    @property
    def file(self) -> str:
        """Where it was written: what an error names."""
        code = getattr(self.content, "__code__", None)
        return code.co_filename if code else self.content.__module__


def beside(file: str) -> str:
    """The template in the `.html` file of the same name as a section's `file`."""
    return Path(file).with_suffix(".html").read_text(encoding="utf-8")


def ordered(sections: Mapping[str, Section]) -> list[str]:
    """The names of `sections` as they stand on the page. Raises FercacheError where one is `after` an unknown one."""
    names = [name for name in ORDER if name in sections]
    for name in sorted(sections.keys() - set(ORDER), reverse=True):
        after = sections[name].after
        if after not in ORDER:
            raise FercacheError(
                f"The report section '{name}' ({sections[name].file}) is to stand after '{after}', which is none. "
                f"{nearest(after, ORDER)}"
            )
        names.insert(names.index(after) + 1, name)
    return names
