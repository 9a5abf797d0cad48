"""Records with everything that a page can show, for tests of what shows it."""

import numpy as np

from fercache.identity import seed_from
from fercache.records import AbstentionRecord, CalibrationRecord, GroupRecord, Record

BINS = 15


def measured(record: Record, columns: tuple[str, ...] = ("age", "sex")) -> Record:
    """`record` with calibration, abstention and groups; the first value of a column is read worst."""
    main = record.scores["main"]
    random = np.random.default_rng(seed_from(record.run, record.target, record.selection))
    faces = random.multinomial(main.n, np.arange(BINS) / np.arange(BINS).sum())
    middles = (np.arange(BINS) + 0.5) / BINS
    coverage = np.arange(1, 21) / 20
    calibration = CalibrationRecord(
        ece=float((faces * middles).sum() * 0.1 / main.n),
        faces=tuple(map(int, faces)),
        confidence=tuple(float(middle) if count else None for middle, count in zip(middles, faces, strict=True)),
        accuracy=tuple(float(middle) * 0.9 if count else None for middle, count in zip(middles, faces, strict=True)),
    )
    wrong = 1 - main.accuracy
    abstention = AbstentionRecord(
        coverage=tuple(map(float, coverage)), risk=tuple(map(float, wrong * coverage)), area=wrong / 2
    )
    values = {"age": {"60 and older": 0.2, "under 30": 0.0, "30 to 59": 0.05}, "sex": {"female": 0.04, "male": 0.0}}
    groups = {
        column: {
            value: _group({name: max((recall or 0) - loss, 0) for name, recall in main.recall.items()}, main.accuracy)
            for value, loss in values[column].items()
        }
        for column in columns
    }
    return record.model_copy(update={"calibration": calibration, "abstention": abstention, "groups": groups})


def _group(recall: dict[str, float], accuracy: float) -> GroupRecord:
    return GroupRecord(n=100, accuracy=accuracy, mean_class_recall=float(np.mean(list(recall.values()))), recall=recall)
