"""The tables on the screen: 80 columns, whatever the names, and the best of a column marked."""

import re
from collections.abc import Iterator

from fercache.records import Record, frame
from fercache.reporting.boards import boards
from fercache.reporting.columns import WIDTH
from fercache.reporting.screen import screen_table
from tests.fake_records import demo_records, fake_record


def test_the_screen_table_shows_every_policy_and_explains_its_marks() -> None:
    text = screen_table(frame([*demo_records(), fake_record(target="ferplus")]))
    assert [line for line in text.splitlines() if line.startswith("---")] == [
        "--- source-val: chosen on source validation",
        "--- last: of the last epoch",
        "--- oracle: chosen on the target itself: a bound, not a result",
    ]
    assert "as under source-val: zero-shot" in text
    assert "ferplus†" in text and "†: the encoder was trained" in text
    assert "† ferplus: the encoder was trained on this dataset, or on one with its images" in " ".join(text.split())
    assert "X: not scored for every seed" in text


def test_the_screen_table_is_aligned_and_fits() -> None:
    lines = screen_table(frame(demo_records())).splitlines()
    for name in ("accuracy, %", "mean class recall, %"):
        at = next(number for number, line in enumerate(lines) if line.startswith(name))
        block = lines[at + 2 : lines.index("", at)]
        assert len({len(line) for line in block if "±" in line}) == 1
        assert len({line.index(".") for line in block if "." in line}) == 1, "decimal points are in line"
    assert max(map(len, lines)) <= WIDTH


def test_a_name_for_every_metric_and_a_mark_on_the_best_of_a_column() -> None:
    text = screen_table(frame(demo_records()))
    assert "*: best of its column." in text and " acc" not in text.replace("accuracy", "") and "mcr" not in text
    (board,) = boards(frame(demo_records()))
    first = text.partition("--- last")[0]
    for metric in ("accuracy", "mean class recall"):
        block = first.partition(f"{metric}, %")[2].partition("\n\n")[0]
        best = [board.best(board.headline, column, metric.replace(" ", "_")) for column in board.shown]
        marked = [word[1:] for line in block.splitlines() for word in line.split() if word.startswith("*")]
        assert sorted(marked) == sorted(f"{value:.1f}" for value in best)
    assert "*" not in text.partition("--- oracle")[2].partition("±:")[0], "a bound is no result"
    assert "*" not in screen_table(frame([fake_record()])).partition("±:")[0], "nothing to compare"


def names() -> Iterator[Record]:
    """3 sources x 8 targets x 10 methods x 2 seeds, with names as long as they may be."""
    for source in ("folder:one", "folder:" + "studio-" * 13, "folder:two & folder:three & manifest:" + "x" * 60):
        targets = [f"folder:{'very-long-name-of-an-office-' * (number % 4)}{number}" for number in range(7)]
        for target in (source.partition(" & ")[0], *targets):
            for number in range(10):
                settings = {"trunk": "mlp", "learning_rate": 10.0**-number, "batch_size": 2**number}
                for seed in range(2):
                    yield fake_record("sigmoid-mask", seed, target, source=source, settings=settings)


def test_many_long_names_fit_80_columns_and_nothing_is_left_out() -> None:
    text = screen_table(frame(names()))
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH and text.count("Trained on") == 3
    assert not re.search(r"\w…", text)
    assert all(f"{10.0**-number:g}" in text for number in range(10)) and "very-long-na" in text
    wide = screen_table(frame(names()), 300)
    assert 80 < max(map(len, wide.splitlines())) <= 300 and len(wide.splitlines()) < len(lines)
    assert sorted(re.findall(r"\d+\.\d ±", wide)) == sorted(re.findall(r"\d+\.\d ±", text))
