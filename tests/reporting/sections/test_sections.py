"""Sections of a report: those that ship with the package, one of an outsider, and one that fails."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fercache import registry
from fercache.errors import FercacheError, UsageError
from fercache.records import Record
from fercache.reporting import page as page_module
from fercache.reporting.page import all_sections, made_before, made_parts, write_report
from fercache.reporting.report import Report, ReportRequest
from fercache.reporting.sections import ORDER, Content, Section, _map_faces, beside, ordered
from fercache.reporting.sections._map_faces import Layout
from tests.fake_records import fake_record
from tests.reporting.fake_predictions import FACES, readings, scored_record

TARGETS = ("synthetic:studio", "synthetic:webcam")

SCRATCH = '''
"""The runs of a report: a whole section in one file."""

from fercache.reporting.sections import Content, Section
from tests.reporting.test_figures import gap


def content(report):
    runs = sorted({record.run for record in report.records})
    return Content({"runs": runs}, drawings={"run-lengths": gap()}, files={"runs.csv": "run\\n" + "\\n".join(runs)})


plugin = Section(
    title="Runs & more",
    heading="All runs",
    template="<ul>{% for run in runs %}<li>{{ run }}</li>{% endfor %}</ul>",
    content=content,
    after="ranks",
    files={"runs*.csv": "a line per run"},
)
'''


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    skills = {"zero-shot": 0.5, "linear-probe": 0.8}
    return [
        scored_record(tmp_path, readings(number, skills[head]), head=head, target=target, method_key=head)
        for head in skills
        for number, target in enumerate(TARGETS)
    ]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Installs sections beside the built-in ones, from source or as objects."""

    def with_sections(source: str = "", **sections: Any) -> Path:
        file = tmp_path / "run_list.py"
        if source:
            file.write_text(source, encoding="utf-8")
            module: dict[str, Any] = {"__name__": "run_list"}
            exec(compile(source, str(file), "exec"), module)
            sections["run-list"] = module["plugin"]
        names, load = registry.names, registry.load
        there = (*names("report_sections"), *sections)
        plain = SimpleNamespace(
            names=lambda kind: there,
            load=lambda kind, name: sections[name] if name in sections else load(kind, name),
            origin=registry.origin,
        )
        monkeypatch.setattr(page_module, "registry", plain)
        return file

    return with_sections


def shown(report: Report) -> dict[str, Content]:
    return {part.id: part.content for part in made_parts(all_sections(), report)}


def test_the_packages_own_sections_are_all_in_order() -> None:
    assert tuple(all_sections()) == ORDER
    assert all(section.is_own and section.title and section.template for section in all_sections().values())


def test_a_section_is_one_file_and_stands_in_page_navigation_and_files(
    tmp_path: Path, install: Callable[..., Path]
) -> None:
    install(SCRATCH)
    record, folder = fake_record(run="<run>"), tmp_path / "report"
    page = write_report([record], folder).read_text(encoding="utf-8")
    assert '<section id="run-list">\n<h2>All runs</h2>\n<ul><li>&lt;run&gt;</li></ul>\n</section>' in page
    nav = page.partition("<nav")[2].partition("</nav>")[0]
    assert '<a href="#targets">Targets</a>\n<a href="#run-list">Runs &amp; more</a>\n<a href="#policies">' in nav
    assert "<li><code>runs.csv</code>: a line per run</li>" in page
    assert (folder / "runs.csv").read_text(encoding="utf-8") == "run\n<run>"
    assert {"run-lengths.svg", "run-lengths.png"} <= {path.name for path in (folder / "figures").iterdir()}


def test_files_of_an_earlier_report_that_a_section_no_longer_has_are_deleted(
    tmp_path: Path, install: Callable[..., Path]
) -> None:
    install(SCRATCH)
    (tmp_path / "runs-of-old.csv").touch()
    (tmp_path / "my-runs.csv").touch()
    write_report([fake_record()], tmp_path)
    assert {path.name for path in tmp_path.glob("*runs*.csv")} == {"runs.csv", "my-runs.csv"}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (("sorted({", "missing_name({"), "NameError: name 'missing_name' is not defined"),
        (("{{ run }}", "{{ run.nothing }}"), "UndefinedError"),
        (("{% endfor %}", ""), "TemplateSyntaxError"),
        (('{"runs.csv"', '{"others.csv"'), "writes others.csv, which is not in its `files`"),
    ],
)
def test_a_section_that_fails_is_named_with_its_file_and_there_is_no_broken_page(
    tmp_path: Path, install: Callable[..., Path], wrong: tuple[str, str], expected: str
) -> None:
    file = install(SCRATCH.replace(*wrong))
    with pytest.raises(FercacheError) as failed:
        write_report([fake_record()], tmp_path / "report")
    assert "report section 'run-list'" in str(failed.value) and str(file) in str(failed.value)
    assert expected in str(failed.value)
    assert not (tmp_path / "report").exists()


def test_a_plugin_that_is_no_section_is_refused(tmp_path: Path, install: Callable[..., Path]) -> None:
    install(mine="a text")
    with pytest.raises(FercacheError, match=r"'mine' is a str, expected a fercache.reporting.sections.Section"):
        write_report([fake_record()], tmp_path)


def test_two_sections_with_a_file_of_one_name_are_refused(tmp_path: Path, install: Callable[..., Path]) -> None:
    install(SCRATCH.replace('{"runs.csv"', '{"summary.csv"').replace('"runs*.csv"', '"summary.csv"'))
    with pytest.raises(FercacheError, match=r"'scores' .* and 'run-list' .* both write the file summary.csv"):
        write_report([fake_record()], tmp_path)


def test_sections_stand_after_the_one_that_they_name_and_in_the_order_of_their_names() -> None:
    def after(name: str) -> Section:
        return Section("A title", "", lambda report: None, after=name)

    own = dict.fromkeys(reversed(ORDER), after("samples"))
    others: Mapping[str, Section] = {"b": after("ranks"), "c": after("samples"), "a": after("ranks")}
    names = ordered(own | others)
    assert names[5:9] == ["ranks", "a", "b", "curves"] and names[-3:] == ["samples", "c", "repeat"]
    with pytest.raises(FercacheError, match=r"'a' .* comes after 'rank', which does not exist. Did you mean 'ranks'"):
        ordered(own | {"a": after("rank")})


def test_a_template_may_stand_in_a_file_beside_its_section(tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("<p>ü</p>", encoding="utf-8")
    assert beside(str(tmp_path / "mine.py")) == "<p>ü</p>"


def test_what_sections_share_is_made_once() -> None:
    report, calls = Report("latest", [fake_record()]), []

    def count(of: Report) -> int:
        calls.append(of)
        return len(calls)

    assert [report.once(count), report.once(count)] == [1, 1] and calls == [report]


def test_predictions_give_errors_ranks_and_with_a_baseline_differences(records: list[Record], tmp_path: Path) -> None:
    found = shown(Report("latest", records, tmp_path, ReportRequest(baseline="zero-shot")))
    errors = {panel.label: panel.errors for _, panel in found["targets"].context["panels"]}
    assert set(errors) == set(TARGETS) and all(each.confident for each in errors.values())
    assert set(found["targets"].files) == {each.file for each in errors.values()}
    (compared,) = found["differences"].context["differences"]
    assert compared.baseline.head == "zero-shot" and len(compared.differences) == 4
    assert "linear-probe" in found["differences"].files["differences.csv"]
    (ranked,) = found["ranks"].context["ranks"]
    assert len(ranked.rows) == 2 and "linear-probe" in found["ranks"].files["ranks.csv"]
    assert "maps" not in found  # there are no features


def test_without_predictions_no_section_needs_them(records: list[Record]) -> None:
    found = shown(Report("latest", records, request=ReportRequest(baseline="zero-shot")))
    assert list(found) == ["summary", "scores", "targets", "policies", "samples", "repeat"]
    assert set(found["scores"].files) == {"results.csv", "summary.csv", "table.md", "table.tex"}


def test_corrupted_targets_alone_have_no_tables() -> None:
    found = shown(Report("latest", [fake_record(target="ferplus+blur:1")]))
    assert {name for part in found.values() for name in part.files} == {"results.csv", "robustness.csv"}


def test_an_unknown_baseline_is_refused(records: list[Record], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="zero-shoot"):
        shown(Report("latest", records, tmp_path, ReportRequest(baseline="zero-shoot")))


def test_maps_are_figures_and_have_a_file_of_their_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(size=(FACES, 4)).astype(np.float16)
    records = [scored_record(tmp_path, readings(0, 0.8), target=target, features=features) for target in TARGETS]
    layout = Layout(features[:, :2].repeat(2, axis=0).astype(np.float32), np.zeros((2 * FACES, 10), np.int16))
    monkeypatch.setattr(_map_faces, "_place", lambda _: layout)
    found = shown(Report("latest", records, tmp_path))["maps"]
    assert set(found.drawings) == {"map-before-synthetic-studio", "map-after-synthetic-studio"}
    assert set(found.files) == {"maps/synthetic-studio.js"}


def test_a_report_shows_them_all_and_loses_what_a_later_one_lacks(records: list[Record], tmp_path: Path) -> None:
    folder = tmp_path / "report"
    page = write_report(records, folder, tmp_path, ReportRequest(baseline="zero-shot")).read_text(encoding="utf-8")
    assert 'id="differences"' in page and "Most confident errors" in page
    assert "<code>differences.csv</code>" in page and (folder / "differences.csv").is_file()
    assert "<code>errors/*.js</code>: every error" in page
    names = [f"synthetic-studio-{target.replace(':', '-')}.js" for target in TARGETS]
    assert sorted(path.name for path in (folder / "errors").iterdir()) == sorted(names)
    made = made_before(folder)
    assert made is not None and made.files.keys() >= {f"errors/{name}" for name in names}
    page = write_report(records[:1], folder, tmp_path).read_text(encoding="utf-8")
    assert [path.name for path in (folder / "errors").iterdir()] == names[:1]
    page = write_report(records, folder).read_text(encoding="utf-8")
    assert not (folder / "errors").exists() and 'data-file="' not in page
    page = write_report(records, folder, tmp_path).read_text(encoding="utf-8")
    assert 'id="ranks"' in page and (folder / "ranks.csv").is_file()
    assert 'id="differences"' not in page and not (folder / "differences.csv").exists()
