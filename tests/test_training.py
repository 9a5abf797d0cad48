"""The optimisation loop, the seeds, and the split of source validation."""

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fercache.contracts.feature_space import SEVEN, faces, task
from fercache.errors import UsageError
from fercache.heads import Batch, FitSettings, GradientHead, Head, HeadSettings, Task
from fercache.heads.class_mean import ClassMean
from fercache.heads.knn import KNearestNeighbours
from fercache.heads.linear_probe import LinearProbe
from fercache.heads.sigmoid_mask import SigmoidMask, SigmoidMaskSettings
from fercache.heads.text_similarity import TextSimilarity
from fercache.heads.tip_adapter import TipAdapter
from fercache.heads.tip_adapter_f import TipAdapterF
from fercache.scoring.selection import choose
from fercache.training import SourceFaces, build_head, fit, learning_rate, train_head
from fercache.trunks import Faces


class SoftmaxSettings(FitSettings):
    learning_rate: float = 0.05
    weight_decay: float = 0.0
    batch_size: int = 32
    epochs: int = 30


class Softmax(GradientHead):
    """A linear layer and a cross-entropy; remembers the batches that it was given."""

    Settings = SoftmaxSettings

    def __init__(self, task: Task, settings: SoftmaxSettings) -> None:
        super().__init__(task, settings)
        self.layer = nn.Linear(task.dimension, len(task.expressions))
        self.batches: list[Batch] = []
        self.product_types: set[torch.dtype] = set()

    def logits(self, faces: Faces) -> Tensor:
        scores: Tensor = self.layer(faces.features)
        if self.training:
            self.product_types.add(scores.dtype)
        return scores

    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        self.batches.append(batch)
        entropy = nn.functional.cross_entropy(self.logits(batch), batch.target, weight=batch.class_weights)
        return {"entropy": entropy, "decay": 0.001 * self.layer.weight.square().sum()}


def train_softmax(train: Batch | None = None, *, seed: int = 1, **changed: Any) -> tuple[Softmax, Any]:
    chosen = SoftmaxSettings(**changed)
    head = build_head(Softmax, task(), chosen, seed)
    assert isinstance(head, Softmax)
    return head, fit(head, SourceFaces(train or faces(70, 1), faces(35, 2)), chosen, seed=seed)


@pytest.mark.parametrize("plugin", [SigmoidMask, TextSimilarity, LinearProbe])
def test_equal_seeds_give_equal_bits(plugin: Any) -> None:
    results = []
    for seed in (1, 1, 2):
        chosen = plugin.Settings().model_copy(update={"epochs": 4})
        head = build_head(plugin, task(), chosen, seed)
        results.append(train_head(head, SourceFaces(faces(70, 1), faces(35, 2)), chosen, seed=seed))
    one, two, other = results
    assert one.history == two.history
    assert list(one.snapshots) == list(two.snapshots)
    for name, state in one.snapshots.items():
        assert all(torch.equal(tensor, two.snapshots[name][key]) for key, tensor in state.items())
    if plugin is not LinearProbe:
        assert one.history != other.history


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_loss_is_taken_in_the_precision_that_is_set(precision: str) -> None:
    head, fitted = train_softmax(epochs=2, precision=precision)
    assert head.product_types == {torch.float32 if precision == "fp32" else torch.bfloat16}
    assert all(parameter.dtype == torch.float32 for parameter in head.parameters())
    assert fitted.history[-1]["entropy"] < fitted.history[0]["entropy"]


def test_bf16_learns_as_well() -> None:
    accuracy = [train_softmax(faces(210, 1), precision=p)[1].history[-1] for p in ("fp32", "bf16")]
    assert accuracy[0]["validation_accuracy"] == pytest.approx(accuracy[1]["validation_accuracy"], abs=0.06)


def flushes_denormals() -> bool:
    return bool((torch.full((100_000,), 1e-39) * 0.5 == 0).all())


class AsksForDenormals(Softmax):
    """Remembers whether they were flushed, in each thread that a large tensor is spread over."""

    flushed: bool | None = None

    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        self.flushed = flushes_denormals()
        return super().loss(batch, generator)


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor cannot flush denormals")
def test_all_threads_flush_denormals_while_training_and_none_after() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert not flushes_denormals()  # starts the threads that do not
        chosen = SoftmaxSettings(epochs=1)
        head = build_head(AsksForDenormals, task(), chosen, 1)
        assert isinstance(head, AsksForDenormals)
        fit(head, SourceFaces(faces(70, 1), faces(35, 2)), chosen, seed=1)
        assert head.flushed
        assert not flushes_denormals()
    finally:
        torch.set_num_threads(before)


def test_an_error_in_the_loss_reaches_the_caller() -> None:
    class Fails(Softmax):
        def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
            raise UsageError("no loss today")

    chosen = SoftmaxSettings()
    head = build_head(Fails, task(), chosen, 1)
    assert isinstance(head, Fails)
    with pytest.raises(UsageError, match="no loss today"):
        fit(head, SourceFaces(faces(70, 1), faces(35, 2)), chosen, seed=1)


def test_building_and_training_leave_the_global_state_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    train_softmax()
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_the_initial_weights_depend_on_the_seed_alone() -> None:
    chosen = SigmoidMaskSettings()
    torch.manual_seed(1)
    one = build_head(SigmoidMask, task(), chosen, 7).state_dict()
    torch.manual_seed(2)
    two = build_head(SigmoidMask, task(), chosen, 7).state_dict()
    other = build_head(SigmoidMask, task(), chosen, 8).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])


def test_a_dozen_snapshots_the_best_and_the_last_are_kept() -> None:
    _, fitted = train_softmax(epochs=60)
    even = [f"epoch-{epoch:02d}" for epoch in range(5, 61, 5)]
    best = choose("source-val", fitted.history, None)
    assert list(fitted.snapshots) == sorted({*even, best})
    assert [row["snapshot"] for row in fitted.history if row["snapshot"]] == list(fitted.snapshots)
    assert choose("last", fitted.history, None) == "epoch-60"
    assert [row["epoch"] for row in fitted.history] == list(range(1, 61))
    top = max(row["validation_accuracy"] for row in fitted.history)
    assert next(row for row in fitted.history if row["snapshot"] == best)["validation_accuracy"] == top


@pytest.mark.parametrize(("epochs", "names"), [(1, ["epoch-01"]), (3, ["epoch-01", "epoch-02", "epoch-03"])])
def test_short_runs_keep_every_epoch(epochs: int, names: list[str]) -> None:
    assert list(train_softmax(epochs=epochs)[1].snapshots) == names


def test_a_snapshot_gives_the_accuracy_that_the_history_says() -> None:
    head, fitted = train_softmax(epochs=7)
    validation = faces(35, 2)
    for row in fitted.history:
        if row["snapshot"]:
            head.load_state_dict(fitted.snapshots[row["snapshot"]])
            right = head.logits(validation).argmax(1) == validation.labels
            assert float(right.float().mean()) == pytest.approx(row["validation_accuracy"])


def test_every_row_is_reported_as_it_comes() -> None:
    rows: list[dict[str, Any]] = []
    chosen = SoftmaxSettings(epochs=3)
    head = build_head(Softmax, task(), chosen, 1)
    fitted = train_head(head, SourceFaces(faces(70, 1), faces(35, 2)), chosen, seed=1, report=rows.append)
    assert rows == fitted.history
    assert set(rows[0]) == {
        "epoch",
        "entropy",
        "decay",
        "validation_accuracy",
        "validation_mean_class_recall",
        "temperature",
        "snapshot",
    }


def test_every_batch_is_reported_as_it_comes() -> None:
    steps: list[int] = []
    chosen = SoftmaxSettings(epochs=3, batch_size=32)
    fit(
        build_head(Softmax, task(), chosen, 1),
        SourceFaces(faces(70, 1), faces(35, 2)),
        chosen,
        seed=1,
        step=steps.append,
    )
    assert steps == [32, 32, 6] * 3


def test_a_fitted_head_has_a_snapshot_for_each_candidate_and_is_left_as_the_best() -> None:
    rows: list[dict[str, Any]] = []
    head, chosen = KNearestNeighbours(task(), HeadSettings()), HeadSettings()
    source = SourceFaces(faces(70, 1), faces(140, 2), shifted=faces(35, 4))
    fitted = train_head(head, source, chosen, seed=1, report=rows.append)
    assert list(fitted.snapshots) == ["k=50", "k=20", "k=10", "k=5", "k=3", "k=1"] == [row["snapshot"] for row in rows]
    assert rows == fitted.history
    for row in rows:
        head.load_state_dict(fitted.snapshots[row["snapshot"]])
        for name, batch in (("validation", source.validation), ("shifted", faces(35, 4))):
            right = head.logits(batch).argmax(1) == batch.labels
            assert float(right.float().mean()) == pytest.approx(row[f"{name}_accuracy"])
    train_head(head, source, chosen, seed=1)
    best = max(rows, key=lambda row: (row["validation_accuracy"], row["validation_mean_class_recall"]))
    assert f"k={int(head.k)}" == best["snapshot"]


def test_a_fitted_head_without_a_choice_has_one_final_snapshot() -> None:
    fitted = train_head(
        ClassMean(task(), HeadSettings()), SourceFaces(faces(70, 1), faces(35, 2)), HeadSettings(), seed=1
    )
    assert list(fitted.snapshots) == ["final"]


class DrawsMore(Softmax):
    """Draws in its loss."""

    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        torch.rand(17, generator=generator)
        return super().loss(batch, generator)


def test_methods_with_one_seed_see_the_faces_in_the_same_order_whatever_else_they_draw() -> None:
    orders = []
    for plugin, seed in ((Softmax, 1), (DrawsMore, 1), (Softmax, 2)):
        head = build_head(plugin, task(), SoftmaxSettings(epochs=2), seed)
        assert isinstance(head, Softmax)
        fit(head, SourceFaces(faces(70, 1), faces(35, 2)), SoftmaxSettings(epochs=2), seed=seed)
        orders.append(torch.cat([batch.features for batch in head.batches]))
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


def test_weights_start_alike_under_one_seed_whatever_the_other_settings() -> None:
    plain, changed = (
        build_head(SigmoidMask, task(), SigmoidMask.Settings(separation_weight=weight), seed=3) for weight in (0, 1.5)
    )
    for one, two in zip(plain.parameters(), changed.parameters(), strict=True):
        assert torch.equal(one, two)


def test_an_epoch_shows_every_face_once() -> None:
    train = faces(70, 1)
    head, _ = train_softmax(train, epochs=2)
    assert [len(batch.labels) for batch in head.batches] == [32, 32, 6] * 2
    for epoch in (head.batches[:3], head.batches[3:]):
        shown = torch.cat([batch.features for batch in epoch])
        assert torch.equal(shown.sort(dim=0).values, train.features.sort(dim=0).values)
    assert not torch.equal(head.batches[0].features, head.batches[3].features)


def test_the_history_has_the_mean_of_each_term() -> None:
    chosen = SoftmaxSettings(epochs=1, batch_size=64, learning_rate=1e-12)
    head = build_head(Softmax, task(), chosen, 1)
    train = faces(70, 1)
    row = fit(head, SourceFaces(train, faces(35, 2)), chosen, seed=1).history[0]
    assert row["entropy"] == pytest.approx(head.loss(train, torch.Generator())["entropy"].item(), rel=1e-5)


def unbalanced() -> Batch:
    return faces(84, 1, shown=("happiness",) * 5 + ("fear",))


def test_balanced_sampling_shows_each_expression_alike() -> None:
    head, _ = train_softmax(unbalanced(), epochs=40, balance="sampling")
    shown = torch.cat([batch.labels for batch in head.batches])
    assert len(shown) == 40 * 84
    assert float((shown == SEVEN.index("fear")).float().mean()) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("soft", [False, True])
def test_weights_make_each_expression_weigh_the_same(soft: bool) -> None:
    train = unbalanced()
    if soft:
        train = replace(train, distribution=nn.functional.one_hot(train.labels, 7).float())
    head, _ = train_softmax(train, epochs=1, balance="weights")
    weights = head.batches[0].class_weights
    assert weights is not None
    assert weights[SEVEN.index("fear")] == pytest.approx(3.0)
    assert weights[SEVEN.index("happiness")] == pytest.approx(0.6)
    assert weights.tolist().count(0) == 5


def test_no_balance_leaves_the_batches_alone() -> None:
    head, _ = train_softmax(unbalanced(), epochs=1)
    assert head.batches[0].class_weights is None


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["exponential", "cosine", "constant"])
def test_every_optimizer_and_schedule_learns(optimizer: str, schedule: str) -> None:
    _, fitted = train_softmax(faces(210, 1), optimizer=optimizer, schedule=schedule, learning_rate=0.02)
    assert fitted.history[-1]["entropy"] < fitted.history[0]["entropy"] / 3


def test_schedules() -> None:
    def rates(schedule: str) -> list[float]:
        chosen = SoftmaxSettings(epochs=5, learning_rate=2.0, decay=0.5, schedule=schedule)
        return [learning_rate(chosen, epoch) for epoch in range(1, 6)]

    assert rates("constant") == [2.0] * 5
    assert rates("exponential") == [2.0, 1.0, 0.5, 0.25, 0.125]
    assert rates("cosine") == pytest.approx([1 + math.cos(math.pi * k / 5) for k in range(5)])


def right_shares(train: Batch, folds: np.ndarray, neighbours: int) -> float:
    """Accuracy of the vote of `neighbours`, each face by those of the other folds, counted one by one in numpy."""
    unit = (train.features / train.features.norm(dim=1, keepdim=True)).numpy()
    labels, right = train.labels.numpy(), 0
    for row, fold in enumerate(folds):
        others = np.flatnonzero(folds != fold)
        nearest = others[np.argsort(-(unit[others] @ unit[row]))[:neighbours]]
        votes = np.zeros(len(SEVEN))
        for other in nearest:
            votes[labels[other]] += 1 + 1e-3 * (unit[other] @ unit[row])
        right += int(votes.argmax() == labels[row])
    return right / len(folds)


def test_where_validation_is_of_few_faces_candidates_are_cross_validated() -> None:
    train, folds = faces(70, 1), np.arange(70) // 7 % 5
    train = replace(train, features=2 * train.features + 3 * faces(70, 2).features.roll(1, 0))  # so that some are wrong
    head = KNearestNeighbours(task(), HeadSettings())
    source = SourceFaces(train, train.rows(torch.arange(1)), shifted=train.rows(torch.arange(1)), folds=folds)
    fitted = train_head(head, source, HeadSettings(), seed=1)
    assert min(row["validation_accuracy"] for row in fitted.history) < 1
    for row in fitted.history:
        assert row["validation_accuracy"] == pytest.approx(right_shares(train, folds, row["k"]))
        assert row["shifted_accuracy"] == row["validation_accuracy"]
    assert len(head.memory.keys) == 70  # in the end it is fitted to all
    small = replace(source, train=faces(14, 1), folds=np.arange(14) % 2)
    assert [row["k"] for row in train_head(head, small, HeadSettings(), seed=1).history] == [5, 3, 1]  # all folds have


def test_faces_in_no_fold_are_learned_from_and_never_scored() -> None:
    train, folds = faces(70, 1), np.arange(70) // 7 % 5
    # The others are the same faces with wrong labels, and nearly the same faces with right ones.
    features = torch.cat([train.features, train.features, train.features + 0.01 * faces(70, 2).features])
    labels = torch.cat([train.labels, (train.labels + 1) % 7, train.labels])
    source = SourceFaces(
        Batch(features, None, labels=labels),
        train.rows(torch.arange(1)),
        folds=np.concatenate([folds, np.full(140, -1)]),
    )
    head, settings = KNearestNeighbours(task(), HeadSettings()), HeadSettings()
    with_them = train_head(head, source, settings, seed=1).history
    without = train_head(head, replace(source, train=train, folds=folds), settings, seed=1).history
    for ours, theirs in zip(with_them[-1:], without[-1:], strict=True):
        assert ours["k"] == theirs["k"] == 1
        assert ours["validation_accuracy"] == 0 < theirs["validation_accuracy"]


@pytest.mark.parametrize("plugin", [LinearProbe, TipAdapter, ClassMean])
def test_every_fitted_head_can_be_cross_validated(plugin: type[Head]) -> None:
    train = faces(42, 1)
    source = SourceFaces(train, train.rows(torch.arange(1)), folds=np.arange(42) // 7 % 5)
    fitted = train_head(plugin(task(), plugin.Settings()), source, plugin.Settings(), seed=1)
    right = [42 * row["validation_accuracy"] for row in fitted.history]
    assert right == pytest.approx([round(count) for count in right]) and max(right) > 35


def test_of_few_faces_a_head_that_is_trained_takes_its_defaults() -> None:
    train, chosen = faces(42, 1), TipAdapterF.Settings(epochs=1, learning_rate=1e-9)
    head = TipAdapterF(task(), chosen)
    fit(head, SourceFaces(train, train.rows(torch.arange(1)), folds=np.zeros(42, dtype=int)), chosen, seed=1)
    assert (float(head.alpha), float(head.beta)) == (1.0, 4.0)


@pytest.mark.parametrize("empty", ["train", "validation"])
def test_an_empty_part_is_refused(empty: str) -> None:
    parts = {"train": faces(7, 1), "validation": faces(7, 2)}
    parts[empty] = parts[empty].rows(torch.zeros(0, dtype=torch.long))
    chosen = SoftmaxSettings()
    with pytest.raises(UsageError, match="no labelled face"):
        train_head(build_head(Softmax, task(), chosen, 1), SourceFaces(**parts), chosen, seed=1)
