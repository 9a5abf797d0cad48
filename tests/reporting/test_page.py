import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fercache.errors import UsageError
from fercache.records import Record
from fercache.reporting.page import write_report
from tests.fake_records import corrupted_records, demo_records, fake_record

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
    assert sorted(file.name for file in path.parent.iterdir()) == ["index.html", "results.csv", "summary.csv"]
    return path.read_text(encoding="utf-8")


def test_the_page_loads_nothing(page: str) -> None:
    assert not re.search(r"https?:|@import|<script|url\((?!#)", page)
    outline = Outline(page)
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
        "Mean class recall",
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
    assert commands.strip().endswith("fercache compare --name trial")


def test_options_beyond_the_record_stand_in_the_commands(tmp_path: Path) -> None:
    options = {"extract": {"encoder": "ViT-B-32/openai", "weights": "vit.safetensors"}, "train": {"policy": "soft"}}
    record = fake_record(encoder="vit-b-32--openai", options=options)
    page = write_report([record], tmp_path).read_text(encoding="utf-8")
    assert "--dataset synthetic:webcam --encoder ViT-B-32/openai --weights vit.safetensors" in page
    assert re.search(r"fercache train --encoder vit-b-32--openai .* --policy soft", page)


def test_names_are_escaped(tmp_path: Path) -> None:
    page = write_report([fake_record(target="folder:<b>&amp", encoder="<script>")], tmp_path).read_text(
        encoding="utf-8"
    )
    assert "<script>" not in page and "folder:<b>" not in page
    assert "folder:&lt;b&gt;&amp;amp" in page


@pytest.mark.parametrize("selection", ["oracle", "last"])
def test_a_single_record_makes_a_page(tmp_path: Path, selection: str) -> None:
    page = write_report([fake_record(selection=selection)], tmp_path).read_text(encoding="utf-8")
    assert ("source-val</th>" in page) == (selection == "oracle")


@pytest.fixture(scope="module")
def spoilt(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of everything, with all thirty corruptions of one target; a cell is missing."""
    missing = ("linear-probe", 1, "synthetic:webcam+noise:3")
    corrupted = (r for r in corrupted_records("synthetic:webcam") if (r.head, r.seed, r.target) != missing)
    return write_report([*records, *corrupted], tmp_path_factory.mktemp("reports") / "spoilt")


def section(page: str, name: str) -> str:
    return page[page.index(f'<section id="{name}">') :].partition("</section>")[0]


def test_corrupted_targets_stand_in_a_section_of_their_own(page: str, spoilt: Path) -> None:
    text = spoilt.read_text(encoding="utf-8")
    for name in ("scores", "policies", "targets"):
        assert section(text, name) == section(page, name)
    robust = section(text, "robustness")
    words = " ".join(Outline(robust).text)
    for expected in (
        "trained on synthetic:studio",
        "occlusion",
        "1–5",
        "of corruptions",
        "Gaussian blur",
        "last epoch",
    ):
        assert expected in words
    assert 'id="robustness"' not in page and '"#robustness"' not in page


def test_the_robustness_table_has_two_lines_per_method_and_bold_best_cells(spoilt: Path) -> None:
    robust = section(spoilt.read_text(encoding="utf-8"), "robustness")
    table = robust.partition("</table>")[0]
    rows = re.findall(r"<tr.*?</tr>", table.partition("<tbody>")[2], re.DOTALL)
    assert len(rows) == 10 and {row.count("<td") for row in rows} == {9}
    probe = [row for row in rows if "linear-probe" in row]
    assert [row.count('class="missing"') for row in probe] == [3]  # noise, and with it mean and drop
    assert not any("<b>" in row.rpartition("<td")[2] for row in rows)  # no best drop
    assert sum(row.count("<b>") for row in rows) >= 16


def test_there_is_one_figure_of_six_panels_per_robustness_table(spoilt: Path) -> None:
    robust = section(spoilt.read_text(encoding="utf-8"), "robustness")
    (figure,) = re.findall(r"<svg.*?</svg>", robust, re.DOTALL)
    assert all(f">{kind}</text>" in figure for kind in ("blur", "jpeg", "dark", "noise", "occlusion", "lowres"))
    assert "linear-probe: clean 72." in figure and "noise X" in figure
    colours = set(re.findall(r'<i style="background:(#\w+)"', robust))
    assert len(colours) == 4 and all(colour in figure for colour in colours)


def test_a_page_with_corrupted_targets_is_as_sound_as_any(spoilt: Path) -> None:
    text = spoilt.read_text(encoding="utf-8")
    test_the_page_loads_nothing(text)
    test_the_page_is_well_formed_and_says_nothing_undefined(text)
    test_the_page_can_be_read_aloud(text)


def test_corrupted_targets_with_equal_counts_share_a_line_of_samples(spoilt: Path) -> None:
    samples = section(spoilt.read_text(encoding="utf-8"), "samples")
    assert re.findall(r'<th scope="row">(.*?)</th>', samples).count("synthetic:webcam+all") == 1
    assert "webcam+blur:1" not in samples


def test_corrupted_targets_alone_make_a_page(tmp_path: Path) -> None:
    path = write_report(list(corrupted_records(seeds=1, corruption="blur")), tmp_path)
    text = path.read_text(encoding="utf-8")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["index.html", "results.csv", "robustness.csv"]
    assert "Only corrupted targets were scored" in text and "summary.csv" not in text
    test_the_page_is_well_formed_and_says_nothing_undefined(text)


def test_a_single_corrupted_record_of_the_oracle_makes_a_page_without_a_figure(tmp_path: Path) -> None:
    page = write_report([fake_record(target="ferplus+blur:1", selection="oracle")], tmp_path)
    assert "<svg" not in page.read_text(encoding="utf-8")


def test_files_that_an_earlier_report_left_are_gone_when_there_is_nothing_for_them(tmp_path: Path) -> None:
    write_report([fake_record(target="ferplus+blur:1")], tmp_path)
    write_report([fake_record()], tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["index.html", "results.csv", "summary.csv"]


def test_the_same_records_make_the_same_page(records: list[Record], page: str, tmp_path: Path) -> None:
    assert write_report(list(reversed(records)), tmp_path / "trial").read_text(encoding="utf-8") == page


def test_nothing_to_report_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fercache evaluate"):
        write_report([], tmp_path)


def test_two_records_of_one_cell_are_refused(tmp_path: Path) -> None:
    twin = fake_record(run="twin")
    with pytest.raises(UsageError, match="both hold the same method's and seed's score on synthetic:webcam"):
        write_report([fake_record(), twin], tmp_path)
    assert not list(tmp_path.iterdir())


def test_reporting_needs_no_torch() -> None:
    code = "import sys, fercache.reporting.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
