import io
from typing import Any

import numpy as np
import pandas as pd

from fercache.csv_cells import csv_text
from fercache.records import Record, frame
from fercache.records.relations import Seen
from fercache.reporting.export.csv_tables import results, summary
from fercache.reporting.screen import screen_table
from tests.fake_records import demo_records, fake_record, scores_of

FACES = {"studio": [[9, 1], [0, 10]], "night": [[6, 4], [3, 7]], "webcam": [[8, 2], [2, 8]]}


def fixed(head: str, seed: int, target: str, selection: str = "source-val", **changes: Any) -> Record:
    """A record of twenty faces and two expressions, with nothing drawn in it."""
    shift = seed if head == "linear-probe" else -seed
    confusion = np.array(FACES[target]) + np.array([[-shift, shift], [0, 0]]) * (target != "studio")
    scores = scores_of(confusion, ("happiness", "anger"))
    values = {
        "run": f"{head}-{seed}",
        "method_key": head,
        "encoder_key": "e",
        "settings": {},
        "classes": ("happiness", "anger"),
        "scores": {"main": scores},
        "kept": 20,
        "intervals": {"accuracy": (0.5, 0.95), "mean_class_recall": (0.5, 0.95)},
        "seen_by_encoder": target == "webcam",
    }
    return fake_record(head, seed, f"synthetic:{target}", selection, **(values | changes))


GRID = [fixed(head, seed, target) for head in ("zero-shot", "linear-probe") for seed in (0, 1) for target in FACES]

SUMMARY = """\
encoder,source,head,trunk,readout,changed_settings,common_settings,method_key,sees,encoder_key,selection,\
seeds,seen_by_encoder,seen,mean_over,\
source accuracy,source accuracy deviation,source mean class recall,source mean class recall deviation,\
synthetic:night accuracy,synthetic:night accuracy deviation,synthetic:night mean class recall,\
synthetic:night mean class recall deviation,synthetic:webcam accuracy,synthetic:webcam accuracy deviation,\
synthetic:webcam mean class recall,synthetic:webcam mean class recall deviation,unseen accuracy,\
unseen accuracy deviation,unseen mean class recall,unseen mean class recall deviation
bundled,synthetic:studio,zero-shot,none,main,,,zero-shot,nothing,e,source-val,2,synthetic:webcam,synthetic:webcam,synthetic:night,95.00,0.00,95.00,\
0.00,67.50,3.54,67.50,3.54,82.50,3.54,82.50,3.54,67.50,3.54,67.50,3.54
bundled,synthetic:studio,linear-probe,none,main,,,linear-probe,nothing,e,source-val,2,synthetic:webcam,synthetic:webcam,synthetic:night,95.00,0.00,\
95.00,0.00,62.50,3.54,62.50,3.54,77.50,3.54,77.50,3.54,62.50,3.54,62.50,3.54
"""

RESULTS = """\
encoder,source,head,trunk,readout,seed,target,target_split,policy,without_duplicates,sees,adaptation,declined,\
selection,snapshot,n,\
accuracy,mean_class_recall,accuracy_low,accuracy_high,accuracy_unconditional_low,accuracy_unconditional_high,mean_class_recall_low,mean_class_recall_high,\
few_faces,ece,ece_low,ece_high,temperature,ece_calibrated,macro_f1,mask_distance,mask_null,mask_p,dropped,duplicates,seen_by_encoder,\
seen_by_head,seen,norm_ratio,frechet,frechet_floor,a_distance,a_distance_floor,device,seconds,run,method_key,\
encoder_key,not_default,recall.happiness,recall.anger
bundled,synthetic:studio,linear-probe,none,main,0,synthetic:night,test,majority,False,nothing,,,source-val,final,20,0.65,\
0.65,0.5,0.95,,,0.5,0.95,,,,,,,0.649123,,,,0,,False,False,,,,,,,cpu,0.4,linear-probe-0,linear-probe,e,,0.6,0.7
bundled,synthetic:studio,linear-probe,none,main,1,synthetic:night,test,majority,False,nothing,,,source-val,final,20,0.6,\
0.6,0.5,0.95,,,0.5,0.95,,,,,,,0.59596,,,,0,,False,False,,,,,,,cpu,0.4,linear-probe-1,linear-probe,e,,0.5,0.7
"""


def test_golden_summary() -> None:
    assert csv_text(summary(frame(GRID))) == SUMMARY


def test_golden_results() -> None:
    assert csv_text(results(frame([fixed("linear-probe", 1, "night"), fixed("linear-probe", 0, "night")]))) == RESULTS


def test_a_missing_cell_is_x_in_the_summary_and_its_target_is_in_no_mean() -> None:
    sketch = [record.model_copy(update={"target": "synthetic:sketch"}) for record in GRID if "night" in record.target]
    records = [r for r in GRID + sketch if (r.head, r.seed, r.target) != ("linear-probe", 1, "synthetic:night")]
    row = summary(frame(records)).iloc[1]
    assert {row[column] for column in row.index if column.startswith("synthetic:night")} == {"X"}
    assert row["synthetic:webcam accuracy"] == "77.50"
    assert row["mean_over"] == "synthetic:sketch"
    assert row["unseen accuracy"] == row["synthetic:sketch accuracy"] != "X"


def test_one_seed_has_no_deviation() -> None:
    row = summary(frame([fixed("zero-shot", 0, target) for target in FACES])).iloc[0]
    assert row["unseen accuracy"] == "65.00"
    assert "unseen accuracy deviation" not in row


def test_a_method_of_another_source_has_its_own_source_column() -> None:
    records = [fixed("zero-shot", 0, target, source=f"synthetic:{source}") for target in FACES for source in FACES]
    table = summary(frame([r.model_copy(update={"method_key": r.source}) for r in records]))
    assert list(table["source accuracy"]) == ["65.00", "95.00", "80.00"]
    assert list(table["synthetic:studio accuracy"]) == ["95.00", "", "95.00"]


def test_results_read_back_as_they_were() -> None:
    table = results(frame(demo_records()))
    again = pd.read_csv(io.StringIO(csv_text(table)))
    np.testing.assert_allclose(again["accuracy"], table["accuracy"], rtol=1e-5)
    assert list(again["setting.variant"].dropna().unique()) == ["paper", "paired"]


def test_the_summary_names_what_is_seen_and_leaves_it_out_of_the_mean() -> None:
    shown = Seen(by="source", through="synthetic:studio", how="identical images", images=7)
    records = [r.model_copy(update={"seen": (shown,)}) if r.target == "synthetic:night" else r for r in GRID]
    row = summary(frame(records)).iloc[0]
    assert row["seen"] == "synthetic:night, synthetic:webcam" and "unseen accuracy" not in row
    text = screen_table(frame(records))
    assert "night§" in text
    assert "§ synthetic:night: 7 of its 20 images are in synthetic:studio, which the head was trained on" in " ".join(
        text.split()
    )
