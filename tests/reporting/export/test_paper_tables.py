"""Tables for papers. `golden/` holds what is expected, byte for byte. A change that is meant is written there by

    FERCACHE_WRITE_GOLDEN=1 pytest tests/reporting/test_paper.py

whose difference is then read before it is kept.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fercache.csv_cells import csv_text
from fercache.errors import UsageError
from fercache.records import Record, frame
from fercache.reporting.boards import boards
from fercache.reporting.export.csv_tables import summary
from fercache.reporting.export.latex import latex, latex_text
from fercache.reporting.export.markdown import markdown
from fercache.reporting.export.paper_tables import Entry, PaperTable, kept_faces, paper_tables
from fercache.reporting.export.published_rows import (
    MISPRINTED_MEANS,
    NOT_OURS,
    PublishedRow,
    PublishedScore,
    published_rows,
    rows_of,
)
from tests.fake_records import CLASSES, demo_records, fake_record, scores_of

GOLDEN = Path(__file__).parent / "golden"
FACES = {"rafdb": 3068, "ferplus": 3122, "affectnet": 3500, "sfew": 431, "mmafedb": 17356}
SKILL = {"rafdb": 85, "ferplus": 68, "affectnet": 43, "sfew": 50, "mmafedb": 53}
HEADS = {"zero-shot": (1, -20), "linear-probe": (1, -3), "sigmoid-mask": (3, 0), "text-similarity": (3, 1)}
"""Seeds, and points above or below the skill."""


def made(head: str, seed: int, target: str, percent: int, **changes: Any) -> Record:
    """A record with nothing drawn in it: of every expression but the last about that percentage is right."""
    faces = changes.pop("faces", FACES.get(target, 700))
    support = [faces // 10] * 6 + [faces - 6 * (faces // 10)]
    confusion = np.zeros((7, 7), dtype=int)
    for row, count in enumerate(support):
        right = count * min(percent + row - 3, 100) // 100
        confusion[row, row], confusion[row, (row + 1) % 7] = right, count - right
    split = "validation" if target in ("affectnet", "sfew") else "test"
    fixed = {"source": "rafdb", "target_split": split, "scores": {"main": scores_of(confusion, CLASSES)}, "kept": faces}
    intervals = {"accuracy": (0.0, 1.0), "mean_class_recall": (0.0, 1.0)}
    return fake_record(head, seed, target, **(fixed | {"intervals": intervals, "seen_by_encoder": False} | changes))


def papers_records() -> Iterator[Record]:
    """Four heads on the papers' targets: MMAFEDB seen by the encoder, SFEW missing for one seed of one head."""
    for head, (seeds, better) in HEADS.items():
        for seed in range(seeds):
            for target, skill in SKILL.items():
                if (head, seed, target) != ("text-similarity", 2, "sfew"):
                    seen = target == "mmafedb"
                    yield made(
                        head, seed, target, skill + better + seed, seen_by_encoder=seen, encoder="ViT-B-32/openai"
                    )


def tables_of(records: Sequence[Record], published: Sequence[PublishedRow] | None = None) -> list[PaperTable]:
    return paper_tables(boards(frame(records)), kept_faces(records), published)


def column(table: PaperTable, name: str) -> dict[str, Entry]:
    """By method, what stands under a heading."""
    place = [each for columns in table.columns for each in columns.names].index(name)
    return {line.method: line.entries[place] for block in table.blocks for line in block.lines}


def ranks(records: Sequence[Record], published: Sequence[PublishedRow] = ()) -> dict[str, str]:
    """By method, the rank in accuracy on FERPlus."""
    return {method: entry.rank for method, entry in column(tables_of(records, published)[0], "ferplus").items()}


RECORDS = {"demo": list(demo_records()), "papers": list(papers_records())}


@pytest.mark.parametrize("name", RECORDS)
def test_golden_files(name: str) -> None:
    tables = tables_of(RECORDS[name])
    texts = {
        "table.md": markdown(tables),
        "table.tex": latex(tables),
        "summary.csv": csv_text(summary(frame(RECORDS[name]))),
    }
    for file, text in texts.items():
        path = GOLDEN / f"{name}-{file}"
        if os.environ.get("FERCACHE_WRITE_GOLDEN"):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
        assert text.encode() == path.read_bytes(), path.name


def test_the_order_of_records_changes_nothing() -> None:
    tables, turned = tables_of(RECORDS["papers"]), tables_of(RECORDS["papers"][::-1])
    assert markdown(tables) == markdown(turned)
    assert latex(tables) == latex(turned)


def test_a_missing_cell_is_x_and_its_target_is_in_no_mean() -> None:
    accuracy, recall = tables_of(RECORDS["papers"])
    for table in (accuracy, recall):
        assert column(table, "sfew")["text-similarity"] == Entry("X")
        assert "X" not in {entry.mean for entry in column(table, "Mean").values()}
        assert "Mean: over affectnet, ferplus; not over sfew, where a method has no score." in table.notes
        assert "X: not scored for every seed." in table.notes


def test_a_target_that_the_encoder_saw_has_a_dagger_and_counts_in_no_mean() -> None:
    records = [made("linear-probe", 0, target, skill) for target, skill in (("rafdb", 90), ("ferplus", 60))]
    records.append(made("linear-probe", 0, "mmafedb", 20, seen_by_encoder=True))
    table = tables_of(records)[0]
    assert [columns.names for columns in table.columns] == [("rafdb",), ("mmafedb†",), ("ferplus", "Mean")]
    for method in ("linear-probe", "OFER"):
        assert column(table, "Mean")[method].mean == column(table, "ferplus")[method].mean
    assert r"mmafedb$^\dagger$" in latex([table])


def test_scores_without_duplicates_have_a_double_dagger_and_count_in_no_mean() -> None:
    records = [made("linear-probe", 0, "ferplus", 60)]
    records.append(made("linear-probe", 0, "ferplus", 30, without_duplicates=True))
    table = tables_of(records)[0]
    assert table.columns[-1].names == ("ferplus", "ferplus‡", "Mean")
    for method in ("linear-probe", "OFER"):
        assert column(table, "Mean")[method].mean == column(table, "ferplus")[method].mean
    assert column(table, "ferplus‡")["OFER"].mean == "–"
    assert any(note.startswith("‡") for note in table.notes)


def test_best_and_second_best_are_shared_by_what_is_printed_alike() -> None:
    percents = {"zero-shot": 50, "linear-probe": 70, "sigmoid-mask": 70, "text-similarity": 60}
    records = [made(head, 0, "ferplus", percent) for head, percent in percents.items()]
    assert ranks(records) == {
        "zero-shot": "",
        "linear-probe": "best",
        "sigmoid-mask": "best",
        "text-similarity": "second",
    }
    line = next(line for line in latex(tables_of(records)).splitlines() if line.startswith("text-similarity"))
    assert r"\underline{" in line and r"\textbf" not in line
    assert "| **" in markdown(tables_of(records)) and "| <u>" in markdown(tables_of(records))


def test_where_all_are_alike_there_is_no_second_and_one_row_alone_is_not_best() -> None:
    records = [made(head, 0, "ferplus", 60) for head in ("zero-shot", "linear-probe")]
    assert set(ranks(records).values()) == {"best"}
    assert ranks(records[:1]) == {"zero-shot": ""}


def published(target: str, faces: int | None = 3122, departs: tuple[str, ...] = ()) -> PublishedRow:
    return PublishedRow("A", "none", "rafdb", "accuracy", "B", (PublishedScore(target, 99.0, faces, departs),))


@pytest.mark.parametrize(
    ("row", "protocol", "rank"),
    [
        (published("ferplus"), "yes", "best"),
        (published("ferplus", 3137), "no (1)", ""),
        (published("ferplus", None), "no (1)", ""),
        (published("ferplus@train"), "no (1)", ""),
        (published("ferplus", 3137, ("chosen by dice",)), "no (1, 2)", ""),
    ],
)
def test_published_rows_compete_only_where_the_protocol_is_ours(row: PublishedRow, protocol: str, rank: str) -> None:
    records = [made(head, 0, "ferplus", percent) for head, percent in (("zero-shot", 50), ("linear-probe", 60))]
    table = tables_of(records, [row])[0]
    assert table.blocks[1].lines[0].protocol == protocol
    assert ranks(records, [row]) == {
        "A": rank,
        "linear-probe": "second" if rank else "best",
        "zero-shot": "" if rank else "second",
    }


def test_notes_say_in_what_a_published_protocol_departs() -> None:
    notes = " ".join(tables_of(RECORDS["papers"])[0].notes)
    assert "(1) epoch chosen on the test set;" in notes
    assert "ferplus: 3,137 faces, ours 3,122" in notes
    assert "sfew: 891 faces of sfew@train, ours 431 of another split" in notes
    assert "affectnet: 3,500 faces" not in notes


def test_published_rows_are_said_to_differ_in_more_than_the_method() -> None:
    records = [made("sigmoid-mask", 0, "ferplus", 80)]
    assert NOT_OURS in tables_of(records)[0].notes
    assert NOT_OURS not in tables_of(records, [])[0].notes


def test_a_mean_that_a_paper_misprints_is_noted_beside_its_row() -> None:
    table = tables_of([made("sigmoid-mask", 0, "ferplus", 80, source="affectnet")])[0]
    (note,) = (note for note in table.notes if "prints" in note)
    assert "CAFE Table 1 prints 60.27 as the mean of CAFE, whose scores average 61.67" in note
    assert "CAFE Table 1 prints 53.09 as the mean of EAC, whose scores average 53.29" in note
    assert not any("prints" in note for note in tables_of([made("sigmoid-mask", 0, "ferplus", 80)])[0].notes)


def test_misprinted_means_are_of_rows_that_we_have_and_are_not_their_means() -> None:
    rows = {(row.reference, row.method, row.source): row for row in published_rows()}
    for place, printed in MISPRINTED_MEANS.items():
        scores = [score.percent for score in rows[place].scores]
        assert len(scores) == 5 and abs(sum(scores) / 5 - printed) > 0.1


def test_published_scores_stand_under_their_very_faces_where_those_were_scored() -> None:
    split = {"target_split": "train", "faces": 891}
    records = [made("linear-probe", 0, "sfew", 50), made("linear-probe", 0, "sfew", 50, **split)]
    table = tables_of(records)[0]
    assert column(table, "sfew@train")["OFER"].mean == "43.9"
    assert column(table, "sfew")["OFER"].mean == column(table, "Mean")["OFER"].mean == "–"
    assert "sfew@train: 891" not in " ".join(table.notes)


def titles(table: PaperTable) -> list[str]:
    return [block.title for block in table.blocks]


def test_by_default_a_table_has_the_one_published_table_with_the_most_of_its_targets() -> None:
    accuracy, recall = tables_of(RECORDS["papers"])
    assert titles(accuracy) == ["", "CAFE Table 1"] and titles(recall) == ["", "Exp-CLIP results table"]
    (accuracy, _) = tables_of([made("zero-shot", 0, "ferplus", 50, source="synthetic:studio")])
    assert titles(accuracy) == ["", "Exp-CLIP results table"], "CAFE has no such source"
    assert not any(note.startswith("No accuracy") for note in accuracy.notes)


def test_published_tables_can_be_chosen() -> None:
    accuracy, recall = tables_of(RECORDS["papers"], rows_of(["cafe:4", "exp-clip"]))
    assert titles(accuracy) == ["", "CAFE Table 4", "Exp-CLIP results table"]
    assert titles(recall) == ["", "Exp-CLIP results table"]
    assert "No mean class recall from this source on these targets: CAFE Table 4." in recall.notes
    (accuracy, _) = tables_of(RECORDS["papers"], rows_of(["cafe"]))
    assert titles(accuracy) == ["", *(f"CAFE Table {number}" for number in range(1, 6))]
    for table in tables_of(RECORDS["papers"], rows_of(["none"])):
        assert titles(table) == [""] and not table.compares and "No " not in " ".join(table.notes)
    assert rows_of([]) is None


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cafe:9"], "'cafe:9'. Did you mean 'cafe:5'"),
        (["none", "cafe:1"], "'none' stands alone"),
    ],
)
def test_unknown_published_tables_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rows_of(names)


def test_published_rows_are_of_the_same_source_metric_and_targets() -> None:
    (accuracy, _) = tables_of(RECORDS["papers"], rows_of(["cafe:1", "exp-clip"]))
    assert column(accuracy, "ferplus")["SCN"].mean == "58.4"
    scores = {
        name: column(accuracy, name)["Exp-CLIP ViT-B/32"].mean for name in ("affectnet", "ferplus", "sfew", "Mean")
    }
    assert scores["sfew"] == "–"
    assert float(scores["Mean"]) == pytest.approx((float(scores["affectnet"]) + float(scores["ferplus"])) / 2, abs=0.1)
    assert all(not table.compares and "Protocol" not in markdown([table]) for table in tables_of(RECORDS["demo"]))


def test_every_published_score_is_a_percentage_of_a_set_that_we_have_and_stands_there_once() -> None:
    places = [(row, score) for row in published_rows() for score in row.scores]
    assert len(places) == 204
    assert len({(row.method, row.trunk, row.source, row.metric, score.target) for row, score in places}) == len(places)
    assert {score.target.partition("@")[0] for _, score in places} == set(FACES)
    assert {row.metric for row, _ in places} == {"accuracy", "mean_class_recall"}
    assert all(0 < score.percent < 100 for _, score in places)


def test_the_caption_names_encoder_source_seeds_and_policy() -> None:
    caption = tables_of(RECORDS["papers"])[0].caption
    for words in ("rafdb", "ViT-B-32/openai", "over 3 seeds", "source-val", "chosen on source validation"):
        assert words in caption


def test_encoders_of_one_name_are_told_apart() -> None:
    records = [made("zero-shot", 0, "ferplus", 50, encoder_key=key * 10) for key in "ab"]
    assert [table.label for table in tables_of(records)][::2] == [
        "tab:accuracy-rafdb-bundled-key-aaaaaaaa",
        "tab:accuracy-rafdb-bundled-key-bbbbbbbb",
    ]


def test_special_characters_are_escaped() -> None:
    assert latex_text(r"a_b & 5% {x} #1 $ ~ ^ \ ± †") == (
        r"a\_b \& 5\% \{x\} \#1 \$ \textasciitilde{} \textasciicircum{} \textbackslash{} $\pm$ $^\dagger$"
    )
    tables = tables_of([made("zero-shot", 0, "folder:my_set|<b>", 50, source="a & b")])
    assert r"folder:my\_set\|&lt;b>" in markdown(tables)
    assert r"folder:my\_set\textbar{}\textless{}b\textgreater{}" in latex(tables)
    assert r"trained on a \& b," in latex(tables)


@pytest.mark.parametrize("text", ["a\nb", "a\n\nb", "a \t b"])
def test_a_line_end_tears_no_table_apart(text: str) -> None:
    tables = tables_of([made("zero-shot", 0, "ferplus", 50, source=text)])
    assert "trained on a b," in markdown(tables) and "trained on a b," in latex(tables)


def test_a_name_is_no_formula() -> None:
    tables = tables_of([made("zero-shot", 0, "ferplus", 50, source=r"$\frac{$ and $x^2$")])
    assert r"\$\\frac{\$ and \$x^2\$" in markdown(tables)
    assert r"\$\textbackslash{}frac\{\$ and \$x\textasciicircum{}2\$" in latex(tables)


@pytest.mark.parametrize("name", RECORDS)
def test_latex_is_balanced_and_every_line_has_all_columns(name: str) -> None:
    text = latex(tables_of(RECORDS[name]))
    plain = re.sub(r"\\[\\{}&%$#_]", lambda found: r"\\" if found[0] == r"\\" else "", text)
    assert plain.count("{") == plain.count("}")
    assert plain.count("$") % 2 == 0
    assert text.isascii()
    assert re.findall(r"\\(?:begin|end)\{(\w+\*?)\}", text) == ["table*", "tabular", "tabular", "table*"] * 2
    for table in re.findall(r"\\begin\{tabular\}(.*?)\\end\{tabular\}", plain, re.DOTALL):
        columns = re.sub(r"@\{(?:[^{}]|\{[^{}]*\})*\}", "", table.splitlines()[0]).count("l")
        for line in (line for line in table.splitlines() if line.endswith(r"\\")):
            spanned = [int(width) - 1 for width in re.findall(r"\\multicolumn\{(\d+)\}", line)]
            assert line.count("&") + 1 + sum(spanned) == columns, line


@pytest.mark.parametrize("name", RECORDS)
def test_every_line_of_a_markdown_table_has_all_columns(name: str) -> None:
    for part in markdown(tables_of(RECORDS[name])).split("\n\n"):
        lines = [line for line in part.splitlines() if line.startswith("|")]
        assert len({line.replace(r"\|", "").count("|") for line in lines}) <= 1


def test_settings_that_would_widen_the_table_stand_below_it() -> None:
    def first_table(**more: float) -> PaperTable:
        first, second = ({"batch_size": 8 * i} | {name: value * i for name, value in more.items()} for i in (1, 2))
        return tables_of([made("linear-probe", 0, "ferplus", 50, settings=each) for each in (first, second)], ())[0]

    beside, below = first_table(), first_table(learning_rate=0.5, label_smoothing=0.25)
    assert set(column(beside, "ferplus")) == {"linear-probe (batch_size=8)", "linear-probe (batch_size=16)"}
    assert not any("Settings" in note for note in beside.notes)
    assert list(column(below, "ferplus")) == ["linear-probe (settings=S1)", "linear-probe (settings=S2)"]
    assert below.notes[-1] == (
        "Settings: S1: batch_size=16, learning_rate=1, label_smoothing=0.5; "
        "S2: batch_size=8, learning_rate=0.5, label_smoothing=0.25."
    )


def test_adjusted_accuracy_has_a_table_of_its_own() -> None:
    records = [made("zero-shot", 0, "ferplus", 50)]
    found = boards(frame(records, {"fear": 1.0}))
    tables = paper_tables(found, kept_faces(records), [])
    assert [table.caption.partition(" in percent")[0] for table in tables] == [
        "Accuracy",
        "Mean class recall",
        "Adjusted accuracy",
    ]
    recall = records[0].scores["main"].recall["fear"]
    assert recall is not None and column(tables[2], "ferplus")["zero-shot"].mean == f"{100 * recall:.1f}"
    assert "Adjusted accuracy" in markdown(tables) and "Adjusted accuracy" in latex(tables)
