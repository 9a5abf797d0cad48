import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from fercache.errors import UsageError
from fercache.records import Record, frame
from fercache.reporting.boards import boards
from fercache.reporting.page import all_sections, made_parts, render, write_report
from fercache.reporting.report import Report, ReportRequest
from fercache.reporting.sections import differences as differences_section
from fercache.reporting.sections import ranks as ranks_section
from fercache.reporting.sections.differences import BoardDifferences, MethodDifference
from fercache.reporting.sections.ranks import BoardRanks, Range
from fercache.reporting.table_rows import UNSEEN
from fercache.scoring.comparison import Difference
from tests.fake_records import corrupted_records, demo_records, fake_record
from tests.reporting.reported import measured

VOID = {"meta", "link", "br", "use", "path", "rect"}


class Outline(HTMLParser):
    """What a page is made of, and whether its elements are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    seen = [fake_record(head, 0, "ferplus") for head in ("zero-shot", "linear-probe")]
    missing = ("linear-probe", 1, "synthetic:night")
    return [r for r in demo_records() if (r.head, r.seed, r.target) != missing] + seen


@pytest.fixture(scope="module")
def page(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = write_report(records, tmp_path_factory.mktemp("reports") / "trial")
    assert files(path.parent) == [
        "figures",
        "index.html",
        "report.json",
        "results.csv",
        "summary.csv",
        "table.md",
        "table.tex",
    ]
    return path.read_text(encoding="utf-8")


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_the_page_loads_nothing(page: str) -> None:
    assert not re.search(r"https?:|@import|url\((?!#)|fetch\(|import\(|XMLHttpRequest", page)
    outline = Outline(page)
    assert outline.all("script") == [{}]
    links = [value for _, attributes in outline.elements for name, value in attributes.items() if name.endswith("href")]
    assert links and all(link is not None and link.startswith(("#", "data:,")) for link in links)
    assert not any("src" in attributes for _, attributes in outline.elements)


def test_the_page_is_well_formed_and_says_nothing_undefined(page: str) -> None:
    outline = Outline(page)
    assert outline.open == []
    assert not re.search(r"undefined|\bnan\b|None|Cell\(|\{\{", " ".join(outline.text))
    targets = {attributes["href"] for attributes in outline.all("a")}
    assert targets <= {f"#{attributes['id']}" for _, attributes in outline.elements if "id" in attributes}


def test_the_page_can_be_read_aloud(page: str) -> None:
    outline = Outline(page)
    assert outline.all("html") == [{"lang": "en"}]
    assert len(outline.all("table")) == len(outline.all("caption"))
    assert all(attributes.get("scope") for attributes in outline.all("th"))
    drawings = outline.all("svg")
    assert drawings and len(drawings) == len(outline.all("title")) - 1
    scrolled = [attributes for _, attributes in outline.elements if "tabindex" in attributes]
    assert scrolled and all(attributes.get("aria-label") for attributes in scrolled)


def test_the_page_shows_what_it_must(page: str, records: list[Record]) -> None:
    text = " ".join(Outline(page).text)
    for expected in (
        "zero-shot",
        "grouped readout",
        "synthetic:sketch",
        "oracle",
        "mean class recall",
        "seen by encoder",
    ):
        assert expected in text
    assert re.search(r'<td class="missing">X</td>', page)
    assert all(record.run in text and record.keys["run"] in text and record.encoder_key in text for record in records)
    assert "no majority 41" in text


def test_the_page_names_the_commands(page: str) -> None:
    (commands,) = re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)
    assert commands.splitlines()[0] == "fercache extract --dataset synthetic:studio --encoder bundled"
    assert (
        "fercache train --encoder bundled --source synthetic:studio --head text-similarity --seeds 0,1,2"
        " --set trunk=mlp --set learning_rate=0.002 --set batch_size=64 --set epochs=30 --set variant=paired"
        in commands
    )
    assert "fercache evaluate --target ferplus@test" in commands
    assert commands.strip().endswith(
        "fercache compare --name trial --selection source-val --selection last --selection oracle"
    )


def test_options_beyond_the_record_stand_in_the_commands(tmp_path: Path) -> None:
    options = {"extract": {"encoder": "ViT-B-32/openai", "weights": "vit.safetensors"}, "train": {"policy": "soft"}}
    record = fake_record(encoder="vit-b-32--openai", options=options)
    page = write_report([record], tmp_path).read_text(encoding="utf-8")
    assert "--dataset synthetic:webcam --encoder ViT-B-32/openai --weights vit.safetensors" in page
    assert re.search(r"fercache train --encoder vit-b-32--openai .* --votes soft", page)


def test_names_are_escaped(tmp_path: Path) -> None:
    record = fake_record(target="folder:<b>&amp", encoder="<script>alert")
    page = write_report([record], tmp_path).read_text(encoding="utf-8")
    assert "<script>alert" not in page and "folder:<b>" not in page
    assert "folder:&lt;b&gt;&amp;amp" in page


@pytest.mark.parametrize("selection", ["oracle", "last"])
def test_a_single_record_makes_a_page(tmp_path: Path, selection: str) -> None:
    page = write_report([fake_record(selection=selection)], tmp_path).read_text(encoding="utf-8")
    assert ("source-val</th>" in page) == (selection == "oracle")


@pytest.fixture(scope="module")
def corrupted_page(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of everything, with all thirty corruptions of one target; a cell is missing."""
    missing = ("linear-probe", 1, "synthetic:webcam+noise:3")
    corrupted = (r for r in corrupted_records("synthetic:webcam") if (r.head, r.seed, r.target) != missing)
    return write_report([*records, *corrupted], tmp_path_factory.mktemp("reports") / "corrupted_page")


def section(page: str, name: str) -> str:
    return page[page.index(f'<section id="{name}">') :].partition("</section>")[0]


def unnumbered(html: str) -> str:
    """Without the places by which parts of figures are named: where more figures stand before them, they are others."""
    return re.sub(r'((?:id="|#)[\w.]+)-\d+', r"\1", html)


def test_corrupted_targets_stand_in_a_section_of_their_own(page: str, corrupted_page: Path) -> None:
    text = corrupted_page.read_text(encoding="utf-8")
    for name in ("scores", "policies", "targets"):
        assert unnumbered(section(text, name)) == unnumbered(section(page, name))
    robust = section(text, "robustness")
    words = " ".join(Outline(robust).text)
    for expected in (
        "trained on synthetic:studio",
        "occlusion",
        "1–5",
        "of corruptions",
        "Gaussian blur",
        "of the last epoch",
    ):
        assert expected in words
    assert 'id="robustness"' not in page and '"#robustness"' not in page


def test_the_robustness_table_has_two_lines_per_method_and_bold_best_cells(corrupted_page: Path) -> None:
    robust = section(corrupted_page.read_text(encoding="utf-8"), "robustness")
    table = robust.partition("</table>")[0]
    rows = re.findall(r"<tr.*?</tr>", table.partition("<tbody>")[2], re.DOTALL)
    assert len(rows) == 10 and {row.count("<td") for row in rows} == {9}
    probe = [row for row in rows if "linear-probe" in row]
    assert [row.count('class="missing"') for row in probe] == [3]  # noise, and with it mean and drop
    assert not any("<b>" in row.rpartition("<td")[2] for row in rows)  # no best drop
    assert sum(row.count("<b>") for row in rows) >= 16


def test_there_is_one_figure_of_six_panels_per_robustness_table(corrupted_page: Path) -> None:
    robust = section(corrupted_page.read_text(encoding="utf-8"), "robustness")
    (figure,) = re.findall(r"<svg.*?</svg>", robust, re.DOTALL)
    assert all(f">{kind}</text>" in figure for kind in ("blur", "jpeg", "dark", "noise", "occlusion", "lowres"))
    assert "linear-probe: clean 72." in figure and "noise X" in figure
    assert len(set(re.findall(r'fill: (#\w+)" [^>]*>■', figure))) == 4


def test_a_page_with_corrupted_targets_is_as_sound_as_any(corrupted_page: Path) -> None:
    text = corrupted_page.read_text(encoding="utf-8")
    test_the_page_loads_nothing(text)
    test_the_page_is_well_formed_and_says_nothing_undefined(text)
    test_the_page_can_be_read_aloud(text)


def test_corrupted_targets_with_equal_counts_share_a_line_of_samples(corrupted_page: Path) -> None:
    samples = section(corrupted_page.read_text(encoding="utf-8"), "samples")
    assert re.findall(r'<th scope="row">(.*?)</th>', samples).count("synthetic:webcam+all") == 1
    assert "webcam+blur:1" not in samples


def test_corrupted_targets_alone_make_a_page(tmp_path: Path) -> None:
    path = write_report(list(corrupted_records(seeds=1, corruption="blur")), tmp_path)
    text = path.read_text(encoding="utf-8")
    assert files(tmp_path) == ["figures", "index.html", "report.json", "results.csv", "robustness.csv"]
    assert "Only corrupted targets were scored" in text and "summary.csv" not in text
    test_the_page_is_well_formed_and_says_nothing_undefined(text)


def test_a_single_corrupted_record_of_the_oracle_makes_a_page_without_a_figure(tmp_path: Path) -> None:
    page = write_report([fake_record(target="ferplus+blur:1", selection="oracle")], tmp_path)
    assert "<svg" not in page.read_text(encoding="utf-8")


def test_files_that_an_earlier_report_left_are_gone_when_there_is_nothing_for_them(tmp_path: Path) -> None:
    write_report([fake_record(), fake_record(target="ferplus"), fake_record(target="ferplus+blur:1")], tmp_path)
    (tmp_path / "figures" / "mine.txt").touch()
    write_report([fake_record()], tmp_path)
    assert files(tmp_path) == [
        "figures",
        "index.html",
        "report.json",
        "results.csv",
        "summary.csv",
        "table.md",
        "table.tex",
    ]
    assert files(tmp_path / "figures") == [
        "mine.txt",
        "recall-synthetic-studio-synthetic-webcam.png",
        "recall-synthetic-studio-synthetic-webcam.svg",
    ]


def test_the_folder_of_figures_goes_with_its_last_figure(tmp_path: Path) -> None:
    write_report([fake_record()], tmp_path)
    write_report([fake_record(target="ferplus+blur:1", selection="oracle")], tmp_path)
    assert files(tmp_path) == ["index.html", "report.json", "results.csv", "robustness.csv"]


def test_every_figure_of_the_page_is_written_as_svg_and_png(tmp_path: Path) -> None:
    records = [measured(record) for record in demo_records(seeds=2)]
    path = write_report([*records, *corrupted_records("synthetic:webcam", seeds=2, corruption="blur")], tmp_path)
    figures, text = path.parent / "figures", path.read_text(encoding="utf-8")
    assert len(list(figures.glob("*.svg"))) == text.count('<svg role="img"') == 3 * 4 + 2
    assert [file.stem for file in sorted(figures.glob("*.png"))] == [
        file.stem for file in sorted(figures.glob("*.svg"))
    ]
    names = {file.stem for file in figures.glob("*.svg")}
    assert {"gap-synthetic-studio", "robustness-synthetic-studio-synthetic-webcam"} < names
    assert {f"{kind}-synthetic-studio-synthetic-night" for kind in ("recall", "reliability", "abstention")} < names
    assert "<li><code>figures</code>: every figure" in text
    assert len(text) < 3_000_000


def test_boards_of_two_encoders_have_figures_of_their_own(tmp_path: Path) -> None:
    other = fake_record(encoder="vit-b-32--openai", encoder_key="f" * 64, method_key="a" * 64, run="other")
    write_report([fake_record(), other], tmp_path)
    assert {file.stem.partition("-synthetic")[0] for file in (tmp_path / "figures").iterdir()} == {
        "recall-bundled",
        "recall-vit-b-32-openai",
    }


def test_the_table_of_scores_holds_every_policy_and_shows_the_first(page: str) -> None:
    table = section(page, "scores").partition("</table>")[0]
    rows = re.findall(r'<tr data-head="([^"]*)" data-trunk="([^"]*)" data-policy="([^"]*)"( hidden)?>', table)
    assert {policy for *_, policy, hidden in rows if not hidden} == {"source-val"}
    assert {policy for *_, policy, hidden in rows if hidden} == {"last", "oracle"}
    assert {(head, trunk) for head, trunk, *_ in rows} > {("zero-shot", "none"), ("sigmoid-mask", "mlp")}
    of_policy = {policy: table.partition(f'data-policy="{policy}" hidden><th')[2] for policy in ("last", "oracle")}
    assert "<b>" in of_policy["last"] and "<b>" not in of_policy["oracle"]  # a bound is no best


def html_of(records: list[Record]) -> str:
    """The page without the files beside it."""
    report = Report("trial", records)
    return render(report, made_parts(all_sections(), report))


def test_a_page_is_headed_by_the_policy_that_all_methods_have() -> None:
    every = list(demo_records(seeds=1))
    shifted = [r.model_copy(update={"selection": "source-shifted"}) for r in every if r.selection == "source-val"]
    for records, policy in (([*every, *shifted], "source-shifted"), ([*every, *shifted[1:]], "source-shifted")):
        page = html_of(records)
        assert f'data-headline="{policy}"' in page
        (options,) = re.findall(r'<select[^>]*name="policy".*?</select>', page, re.DOTALL)
        assert options.index(policy) < options.index("source-val")
        shown = re.findall(r'<tr[^>]*data-policy="([\w-]+)"(?![^>]*hidden)', page)
        assert set(shown) == {policy}
    lacking = [record for record in shifted if record.head != "zero-shot"]
    page = html_of([*every, *lacking])
    assert 'data-headline="source-val"' in page, "one method has no other"


def test_there_is_nothing_to_filter_by_where_there_is_nothing_to_choose(tmp_path: Path) -> None:
    page = write_report([fake_record()], tmp_path).read_text(encoding="utf-8")
    assert '<form id="filters"' not in page and "data-sort" in page


def test_records_without_measures_have_a_page_without_their_figures(page: str) -> None:
    assert not re.search("Reliability|Risk by coverage|By group", page)
    assert "95 % Wilson interval" in page


def test_the_same_records_make_the_same_page(records: list[Record], page: str, tmp_path: Path) -> None:
    assert write_report(list(reversed(records)), tmp_path / "trial").read_text(encoding="utf-8") == page


def test_nothing_to_report_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fercache evaluate"):
        write_report([], tmp_path)


def test_two_records_of_one_cell_are_refused(tmp_path: Path) -> None:
    twin = fake_record(run="twin")
    with pytest.raises(UsageError, match="both have the score of one method and seed on synthetic:webcam"):
        write_report([fake_record(), twin], tmp_path)
    assert not list(tmp_path.iterdir())


def test_reporting_needs_no_torch() -> None:
    code = "import sys, fercache.reporting.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_differences_to_a_baseline_stand_there_with_interval_p_and_what_could_be_seen(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (board,) = boards(frame(records))
    baseline, other = board.headline[0].method, board.headline[1].method
    of_night = Difference(-0.081, -0.1, 0.0, p=0.001, df=9, smallest=0.124, about="methods")
    found = MethodDifference(other, "synthetic:night", "accuracy", of_night, 0.02, (3, 1), 700, None)
    of_model = replace(of_night, about="trained models")
    unclear = replace(found, target="synthetic:webcam", p_holm=0.4, difference=of_model)
    summary = replace(found, target=UNSEEN, p_holm=0.0002)
    of_board = BoardDifferences(board, baseline, (summary, found, unclear), ("nothing of synthetic:sketch",))
    monkeypatch.setattr(differences_section, "differences", lambda *_: [of_board])
    asked = ReportRequest(baseline="zero-shot")
    page = write_report(records, tmp_path / "trial", tmp_path, asked).read_text(encoding="utf-8")
    differences = section(page, "differences")
    cells = re.findall(r"<td[^>]*>(.*?)</td>", differences)
    interval, seen = "<small>−10.0 to 0.0</small>", "<small>detectable from 12.4</small>"
    assert cells == [
        f"<b>−8.1</b>{interval}<small>p &lt; 0.001</small>{seen}",
        f"<b>−8.1</b>{interval}<small>p = 0.020</small>{seen}",
        f'−8.1<span title="about trained models">*</span>{interval}<small>p = 0.400</small>{seen}',
        *["X"] * 3,
    ]
    assert re.findall(r'<th scope="col">(.*?)<', differences) == [
        "Method",
        "Mean",
        "synthetic:night",
        "synthetic:webcam",
    ]
    assert "Against zero-shot " in differences and "Not compared: nothing of synthetic:sketch" in differences
    assert "Only one seed of a method with random parts: this compares the trained models" in differences
    test_the_page_is_well_formed_and_says_nothing_undefined(page)
    test_the_page_can_be_read_aloud(page)


def test_ranks_stand_in_a_table_of_their_own(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (board,) = boards(frame(records))
    first, second = board.headline[:2]
    ranges: dict[Any, Any] = {
        first.method: {(UNSEEN, metric): Range(1, 2, 2) for metric in ("accuracy", "mean_class_recall")}
    }
    ranges[second.method] = {(UNSEEN, "accuracy"): Range(2, 2, 2)}
    found = BoardRanks(board, (UNSEEN,), (first, second), ranges, (), frozenset({second.method}))
    monkeypatch.setattr(ranks_section, "ranks", lambda *_: [found])
    page = write_report(records, tmp_path / "trial", tmp_path).read_text(encoding="utf-8")
    assert re.findall(r"<td[^>]*>(.*?)</td>", section(page, "ranks")) == ["1–2", "1–2", "2*", "X"]
    assert "the rank is that of this trained model" in section(page, "ranks")
    means = re.findall(r"<small class=\"below\">(rank .*?)</small>", section(page, "scores"))
    assert means == ["rank 1–2", "rank 1–2", "rank 2"]
    test_the_page_is_well_formed_and_says_nothing_undefined(page)
    test_the_page_can_be_read_aloud(page)


def test_no_name_of_a_part_stands_twice_on_a_page(tmp_path: Path) -> None:
    """Zero-shot has the same figures on the board of each source."""
    runs = {"synthetic:studio": "bundled-a-0-aaaaaaaa", "synthetic:webcam": "bundled-b-0-bbbbbbbb"}
    records = [measured(fake_record("zero-shot", source=source, run=run)) for source, run in runs.items()]
    names = re.findall(r' id="([^"]*)"', write_report(records, tmp_path).read_text(encoding="utf-8"))
    assert len(set(names)) == len(names) > 10


def test_what_it_is_about_is_the_authors_word_and_the_data_are_named(tmp_path: Path) -> None:
    page = write_report([fake_record()], tmp_path, request=ReportRequest(about="On RAF-DB alone.")).read_text(
        encoding="utf-8"
    )
    assert (
        "In its author's words: “On RAF-DB alone.” Trained on synthetic:studio, tested on synthetic:webcam. Report"
        in page
    )
    several = [fake_record(target=f"folder:n{number}") for number in range(9)]
    assert "folder:n4, 4 more. Report" in write_report(several, tmp_path).read_text(encoding="utf-8")
