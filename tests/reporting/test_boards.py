import pytest

from fercache.records import DUPLICATE, IMPORTED, Record, frame
from fercache.records.relations import Seen
from fercache.reporting.boards import Board, boards
from fercache.reporting.table_rows import UNSEEN, Cell, Row, mean_scores
from tests.fake_records import SELECTIONS, TARGETS, corrupted_records, demo_records, drawn_scores, fake_record


def board_of(records: list[Record]) -> Board:
    (board,) = boards(frame(records))
    return board


def row_of(board: Board, head: str, selection: str = "source-val", readout: str = "main") -> Row:
    (row,) = [r for r in board.rows if (r.method.head, r.selection, r.method.readout) == (head, selection, readout)]
    return row


def test_a_cell_is_the_mean_and_deviation_over_seeds() -> None:
    cell = Cell((80.0, 82.0, 87.0))
    assert cell.mean == pytest.approx(83.0)
    assert cell.deviation == pytest.approx(3.605551275)
    assert str(cell) == "83.0 ±3.6"
    assert (str(Cell((83.0,))), str(Cell())) == ("83.0", "X")


def test_columns_are_the_source_then_seen_then_unseen() -> None:
    board = board_of([*demo_records(), fake_record(target="ferplus")])
    assert board.own == ("synthetic:studio",)
    assert board.seen == ("ferplus",)
    assert board.unseen == ("synthetic:night", "synthetic:sketch", "synthetic:webcam")


def test_baselines_come_first_and_every_readout_has_a_row() -> None:
    headline = board_of(list(demo_records())).headline
    assert [(row.method.head, row.method.readout) for row in headline] == [
        ("zero-shot", "main"),
        ("linear-probe", "main"),
        ("sigmoid-mask", "main"),
        ("sigmoid-mask", "grouped"),
        ("text-similarity", "main"),
    ]
    assert str(headline[3].method) == "sigmoid-mask (mlp trunk, grouped readout)"


def test_cells_hold_the_scores_of_all_seeds() -> None:
    records = list(demo_records())
    cell = row_of(board_of(records), "linear-probe").cells["synthetic:night"]["mean_class_recall"]
    expected = [
        100 * r.scores["main"].mean_class_recall
        for r in records
        if (r.head, r.target, r.selection) == ("linear-probe", "synthetic:night", "source-val")
    ]
    assert cell.values == pytest.approx(expected)


def test_the_mean_is_over_unseen_targets_seed_by_seed() -> None:
    records = [*demo_records(), *(fake_record("linear-probe", seed, "ferplus") for seed in range(3))]
    row = row_of(board_of(records), "linear-probe")
    per_target = [row.cells[target]["accuracy"].values for target in TARGETS if target != "synthetic:studio"]
    assert row.unseen_mean["accuracy"].values == pytest.approx(
        [sum(seed) / 3 for seed in zip(*per_target, strict=True)]
    )


def test_one_missing_seed_makes_an_x_and_takes_its_target_out_of_every_mean() -> None:
    missing = ("linear-probe", 1, "synthetic:night", "source-val")
    board = board_of([r for r in demo_records() if (r.head, r.seed, r.target, r.selection) != missing])
    row = row_of(board, "linear-probe")
    assert str(row.cells["synthetic:night"]["accuracy"]) == "X"
    assert board.counted == ("synthetic:sketch", "synthetic:webcam") and board.not_counted == ("synthetic:night",)
    assert {each.unseen for each in board.rows} == {board.counted}
    both = zip(*(row.cells[target]["accuracy"].values for target in board.counted), strict=True)
    assert row.unseen_mean["accuracy"].values == pytest.approx([sum(pair) / 2 for pair in both])
    assert row.cells["synthetic:webcam"]["accuracy"].mean is not None
    assert row_of(board, "linear-probe", "last").unseen_mean["accuracy"].mean is not None
    assert board.incomplete and not board_of(list(demo_records())).incomplete


def test_where_methods_have_no_target_in_common_the_mean_is_over_all_and_x() -> None:
    records = [
        fake_record("linear-probe", target="synthetic:night"),
        fake_record("zero-shot", target="synthetic:webcam"),
    ]
    board = board_of(records)
    assert board.counted == ("synthetic:night", "synthetic:webcam") and board.not_counted == ()
    assert {str(row.unseen_mean["accuracy"]) for row in board.rows} == {"X"}


def test_a_method_scored_on_its_source_alone_leaves_the_mean_of_others_as_it_is() -> None:
    others = [record for record in demo_records() if record.head != "zero-shot"]
    board = board_of([*others, fake_record("zero-shot", target="synthetic:studio")])
    assert board.counted == ("synthetic:night", "synthetic:sketch", "synthetic:webcam")
    assert str(row_of(board, "zero-shot").unseen_mean["accuracy"]) == "X"
    assert (
        row_of(board, "linear-probe").unseen_mean == row_of(board_of(list(demo_records())), "linear-probe").unseen_mean
    )


def test_two_experiments_in_one_cache_leave_each_other_alone() -> None:
    ours = [fake_record(head, target=t) for head in ("zero-shot", "linear-probe") for t in ("synthetic:night", "rafdb")]
    theirs = [fake_record(target=target, source="synthetic:sketch") for target in ("ferplus", "synthetic:webcam")]
    both = {board.source: board for board in boards(frame([*ours, *theirs]))}
    for records in (ours, theirs):
        alone = board_of(records)
        assert (both[alone.source].columns, both[alone.source].rows) == (alone.columns, alone.rows)
        assert not both[alone.source].incomplete


def test_the_policy_of_the_headline_is_one_that_every_seed_has() -> None:
    policies = ("source-val", "source-shifted")
    records = [fake_record(selection="source-val", seed=1)]
    records += [fake_record().model_copy(update={"selection": policy}) for policy in policies]
    board = board_of(records)
    assert board.policy == "source-val" and not any(
        cell.mean is None for row in board.headline for cell in row.cells["synthetic:webcam"].values()
    )


def test_the_oracle_never_stands_alone() -> None:
    board = board_of([record for record in demo_records() if record.selection == "oracle"])
    assert board.selections == ["source-val", "oracle"]
    assert {str(row.cells["synthetic:night"]["accuracy"]) for row in board.headline} == {"X"}


def test_heads_without_a_choice_are_unmoved_by_the_policy() -> None:
    board = board_of(list(demo_records()))
    assert {row.method.head for row in board.unmoved("oracle")} == {"zero-shot", "linear-probe"}
    assert board.unmoved("source-val") == []


def test_each_source_and_encoder_has_its_own_board_with_every_target() -> None:
    records = [fake_record(), fake_record(source="synthetic:night"), fake_record(encoder_key="0" * 64)]
    found = boards(frame(records))
    assert sorted((board.source, board.encoder_key == "0" * 64) for board in found) == [
        ("synthetic:night", False),
        ("synthetic:studio", False),
        ("synthetic:studio", True),
    ]
    assert {board.columns for board in found} == {("synthetic:webcam",)}


def test_settings_that_differ_are_named_and_others_are_not() -> None:
    grid = [
        fake_record("text-similarity", settings={"trunk": "mlp", "rate": rate, "epochs": 30}) for rate in (0.1, 0.2)
    ]
    assert [row.method.details for row in board_of(grid).headline] == ["mlp trunk, rate=0.1", "mlp trunk, rate=0.2"]


def test_methods_that_differ_elsewhere_show_their_keys() -> None:
    twins = [fake_record(method_key=key * 64) for key in "ab"]
    assert [row.method.details for row in board_of(twins).headline] == ["key=aaaaaaaa", "key=bbbbbbbb"]


def test_the_best_of_a_column_ignores_missing_cells() -> None:
    records = list(demo_records())
    board = board_of([r for r in records if r.head != "text-similarity" or r.seed or r.target != "synthetic:night"])
    means = [row.cells["synthetic:night"]["accuracy"].mean for row in board.headline]
    assert None in means
    assert board.best(board.headline, "synthetic:night", "accuracy") == round(max(mean for mean in means if mean), 1)
    assert board.best(board.headline, UNSEEN, "mean_class_recall") is not None


def test_a_method_has_a_row_for_each_policy_it_was_scored_under_and_for_the_first() -> None:
    records = [*demo_records(), fake_record("linear-probe", settings={"strengths": 1}, selection="last")]
    board = board_of(records)
    oracle_of_second_readout = 1  # the oracle looks at the main readout alone
    assert len(board.rows) == 5 * len(SELECTIONS) + 2 - oracle_of_second_readout
    assert not any(row.selection == "oracle" and row.method.readout == "grouped" for row in board.rows)


def test_a_method_scored_on_fewer_faces_is_said_and_never_best() -> None:
    best = fake_record("text-similarity", scores={"main": drawn_scores(0.99, 0, faces=300)}, kept=300)
    board = board_of([fake_record(), best])
    best_row = next(row for row in board.headline if row.method.head == "text-similarity")
    (column,) = board.columns
    assert best_row.cells[column]["accuracy"].mean > board.best(board.headline, column, "accuracy")
    (note,) = board.scored_on_fewer
    assert note.startswith("text-similarity (mlp trunk) was scored on ") and "of 700 faces of synthetic:webcam" in note


def test_whole_numbers_stay_whole_where_other_methods_have_no_such_setting() -> None:
    records = [fake_record("sigmoid-mask", settings={"trunk": "mlp", "epochs": epochs}) for epochs in (4, 30)]
    records.append(fake_record("linear-probe"))
    assert {row.method.details for row in board_of(records).headline if row.method.readout == "main"} == {
        "",
        "mlp trunk, epochs=4",
        "mlp trunk, epochs=30",
    }


def test_a_pooled_source_owns_its_sets_and_its_score_is_their_mean() -> None:
    pool = "synthetic:night & synthetic:webcam"
    targets = ("synthetic:night", "synthetic:webcam", "synthetic:sketch")
    board = board_of([fake_record(target=target, source=pool) for target in targets])
    assert (board.own, board.unseen) == (targets[:2], targets[2:])
    (row,) = board.rows
    assert board.source_scores(row) == mean_scores([row.cells[target] for target in targets[:2]])


def test_imported_predictions_stand_on_every_board_of_their_source() -> None:
    theirs = fake_record(encoder=IMPORTED, encoder_key="", method_key="d" * 64, settings={})
    ours = [fake_record(), fake_record(encoder="other", encoder_key="e" * 64), fake_record(source="synthetic:night")]
    found = boards(frame([theirs, *ours]))
    assert {(b.encoder, b.source): len(b.headline) for b in found} == {
        ("bundled", "synthetic:night"): 1,
        ("bundled", "synthetic:studio"): 2,
        ("other", "synthetic:studio"): 2,
    }
    (alone,) = boards(frame([theirs]))
    assert (alone.encoder, alone.source) == (IMPORTED, "synthetic:studio")


def test_corrupted_targets_are_no_columns_and_not_in_the_unseen_mean() -> None:
    clean = list(demo_records())
    before = board_of(clean)
    after = board_of(
        [*clean, *corrupted_records("synthetic:webcam", corruption="blur"), *corrupted_records(corruption="blur:1")]
    )
    assert (after.columns, after.unseen, after.seen_by_encoder) == (before.columns, before.unseen, frozenset())
    assert [row.unseen_mean for row in after.rows] == [row.unseen_mean for row in before.rows]


def test_a_seed_that_was_scored_on_corrupted_targets_alone_is_missing_in_the_board() -> None:
    board = board_of([fake_record(seed=0), fake_record(seed=1, target="synthetic:webcam+blur:1")])
    assert str(row_of(board, "linear-probe").cells["synthetic:webcam"]["accuracy"]) == "X"


def test_corrupted_targets_alone_make_no_board() -> None:
    assert boards(frame(corrupted_records(corruption="blur:1"))) == []


def test_scores_without_duplicates_stand_beside_and_count_in_no_mean() -> None:
    plain = list(demo_records())
    left_out = {"without_duplicates": True, "dropped": {DUPLICATE: 9}}
    unique = [fake_record("linear-probe", seed, "synthetic:night", **left_out) for seed in range(3)]
    other_source = fake_record("linear-probe", source="ferplus")
    board, other = sorted(boards(frame([*plain, *unique, other_source])), key=lambda b: b.source != "synthetic:studio")
    assert [label for label in board.columns if "without" in label] == ["synthetic:night without duplicates"]
    assert not any("without" in column for column in other.columns)
    row = row_of(board, "linear-probe")
    assert row.unseen == row_of(board_of(plain), "linear-probe").unseen
    assert row.unseen_mean == row_of(board_of(plain), "linear-probe").unseen_mean


def seen_of(*images: int) -> tuple[Seen, ...]:
    return tuple(Seen(by="source", through="rafdb", how="identical images", images=count) for count in images)


@pytest.mark.parametrize("target", ["fer2013", "mmafedb", "ferplus+blur:1"])
def test_what_shares_the_images_of_the_source_is_not_unseen(target: str) -> None:
    records = [fake_record(target=name, source="ferplus") for name in ("ferplus", target, "rafdb")]
    records = [record.model_copy(update={"seen_by_encoder": False}) for record in records]
    board = board_of(records)
    assert board.unseen == board.counted == ("rafdb",)
    if "+" not in target:
        assert (board.seen, board.mark(target), board.kind(target)) == ((target,), "§", "seen by head")
        (note,) = (note for note in board.seen_notes if note.startswith("§"))
        assert note == f"§ {target}: it has the photographs of ferplus, which the head was trained on"


def test_a_head_trained_on_a_corrupted_set_has_seen_the_clean_one() -> None:
    board = board_of([fake_record(target=name, source="ferplus+blur:1") for name in ("mmafedb", "rafdb", "ferplus")])
    assert board.unseen == ("rafdb",)
    assert board.kind("ferplus") == "seen by encoder and head" and board.mark("ferplus") == "†§"


def test_a_seen_target_counts_in_the_mean_without_its_duplicates() -> None:
    """Where these are all that was seen; never twice."""
    unique = {"without_duplicates": True, "dropped": {DUPLICATE: 9}}
    records = [fake_record(target="synthetic:night", seen=seen_of(9), seen_by_encoder=False)]
    records += [fake_record(target="synthetic:night", seen=(), **unique), fake_record()]
    board = board_of(records)
    assert (board.seen, board.counted) == (
        ("synthetic:night",),
        ("synthetic:night without duplicates", "synthetic:webcam"),
    )
    (row,) = board.headline
    assert row.unseen == board.counted
    assert board.why["synthetic:night"].startswith("9 of its 700 images are in rafdb")
    still = board_of([*records[:1], records[1].model_copy(update={"seen": seen_of(1)}), records[2]])
    assert still.counted == ("synthetic:webcam",)


def test_a_cell_has_the_interval_of_its_seeds_in_percent_and_a_mean_has_none() -> None:
    def limits(low: float) -> dict[str, tuple[float, float]]:
        return {"accuracy": (0.5, 0.6), "accuracy_unconditional": (low, 0.9), "mean_class_recall": (low, 0.8)}

    records = [fake_record(seed=seed, intervals=limits(0.4 + 0.1 * seed)) for seed in range(2)]
    ((row,),) = [board.headline for board in boards(frame(records))]
    cells = row.cells["synthetic:webcam"]
    assert cells["accuracy"].interval == pytest.approx((45, 90))
    assert cells["mean_class_recall"].interval == pytest.approx((45, 80))
    assert row.unseen_mean["accuracy"].interval is None
    old = [*records[:1], records[1].model_copy(update={"intervals": {"accuracy": (0.5, 0.6)}})]
    ((row,),) = [board.headline for board in boards(frame(old))]
    assert row.cells["synthetic:webcam"]["accuracy"].interval is None, "one seed has the narrower intervals of old"
