"""Summary: which method won on the unseen targets, by how much, and how sure that is; the first screen of the page.

It says only what `ranks` has tested. A method has won if it ranks above all others; it never has if a trivial baseline
may be as good.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fercache.policies import SelectionPolicy
from fercache.reporting.boards import Board
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.sections.ranks import BoardRanks, ranks_of, report_ranks
from fercache.reporting.table_rows import BASELINES, Row
from fercache.scoring.comparison import Difference

MOST = 6
"""The largest number of methods in the table of a board."""


@dataclass(frozen=True)
class Standing:
    """A method beside the best one: its `difference` to it, a fraction, and whether it is significantly `worse`.

    Both are None for the best, and for methods that were not compared with it. `ranks` are by metric.
    """

    row: Row
    difference: Difference | None
    worse: bool | None
    ranks: Mapping[str, str]

    @property
    def name(self) -> str:
        """The method in words."""
        return str(self.row.method)

    @property
    def is_baseline(self) -> bool:
        """Whether it is a trivial baseline."""
        return self.row.method.head in BASELINES

    def mean(self, metric: str) -> float:
        """Over the unseen targets, in percent."""
        return self.row.unseen_mean[metric].mean or 0.0

    @property
    def interval(self) -> str:
        """The difference to the best with its 95 % interval, in points."""
        assert self.difference is not None
        value, low, high = (100 * end for end in (self.difference.value, self.difference.low, self.difference.high))
        return f"{value:+z.1f} points, 95 % interval {low:+z.1f} to {high:+z.1f}".replace("-", "−")


@dataclass(frozen=True)
class Verdict:
    """The result on one board: the `best` method by mean accuracy, and the `others`, best first.

    `left_out` are methods without a mean over the same targets and faces.
    """

    board: Board
    best: Standing | None
    others: tuple[Standing, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def compared(self) -> list[Standing]:
        """The others that were compared with the best."""
        return [each for each in self.others if each.difference]

    @property
    def as_good(self) -> list[Standing]:
        """The others that may be as good as the best, as far as that is known."""
        return [each for each in self.compared if not each.worse]

    @property
    def baselines(self) -> list[Standing]:
        """The best variant of each trivial baseline among the others that were compared."""
        of_head: dict[str, Standing] = {}
        for each in (each for each in self.compared if each.is_baseline):
            of_head.setdefault(each.row.method.head, each)
        return list(of_head.values())

    @property
    def next(self) -> Standing | None:
        """The next to the best, of those that were compared with it."""
        return next(iter(self.compared), None)

    @property
    def baseline(self) -> Standing | None:
        """The best trivial baseline that was compared with the best method."""
        return next(iter(self.baselines), None)

    @property
    def one_seed(self) -> bool:
        """Whether a comparison with the best is about trained models only."""
        return any(each.difference and each.difference.about != "methods" for each in self.others)

    @property
    def headline(self) -> str:
        """The result in a few words."""
        if self.best is None:
            return "Nothing was scored on an unseen target"
        name, rivals = self.best.name, [each for each in self.baselines if not each.worse]
        if not self.compared:
            return f"{name} has the highest score, untested" if self.others else f"{name} is the only method"
        if self.best.is_baseline:
            return f"No method beats {name}, a trivial baseline"
        if rivals:
            return f"No method is clearly better than {rivals[0].name}, a trivial baseline"
        return f"{name} won" if self.won else f"{name} leads, but has not clearly won"

    @property
    def sentences(self) -> list[str]:
        """What the headline rests on."""
        if self.best is None:
            return []
        found = [self._scores(self.best), self._by_selection()]
        if self.compared:
            found += [self._next(), self._rivals(), self._of_baselines(self.best), self._doubts()]
        elif self.others:
            found.append("Whether the difference exceeds chance is unknown: there are no predictions to compare.")
        if self.left_out:
            found.append(f"Not compared, since scored on fewer targets or faces: {_listed(self.left_out)}.")
        return [sentence for sentence in found if sentence]

    def _scores(self, best: Standing) -> str:
        accuracy, recall = (best.row.unseen_mean[metric] for metric in ("accuracy", "mean_class_recall"))
        seeds = len(best.row.seeds)
        over = f"{seeds} seeds" if seeds > 1 else "one seed"
        source = self.board.source_accuracy(best.row)
        own = "" if source is None else f" On its own source, accuracy {source:.1f} %."
        highest = max(self.others, key=lambda each: each.mean("mean_class_recall"), default=best)
        more = highest.mean("mean_class_recall") > best.mean("mean_class_recall")
        other = f", below the {highest.mean('mean_class_recall'):.1f} % of {highest.name}" if more else ""
        return f"{best.name}: accuracy {accuracy} % ({over}), mean class recall {recall} %{other}.{own}"

    @property
    def other_policies(self) -> list[str]:
        """The selection policies beside the board's own, without the oracle."""
        return [each for each in self.board.selections if each not in (self.board.policy, SelectionPolicy.ORACLE)]

    @property
    def other_leaders(self) -> dict[str, list[str]]:
        """Methods that are the most accurate under other selection policies, with these policies."""
        found: dict[str, list[str]] = {}
        for selection in self.other_policies:
            rows = (row for row in self.board.rows if row.selection == selection)
            leading = self.board.leading(row for row in rows if self.board.comparable_mean(row) is not None)
            if self.best and leading is not None and leading.method != self.best.row.method:
                found.setdefault(str(leading.method), []).append(selection)
        return found

    def _by_selection(self) -> str:
        if leaders := self.other_leaders:
            named = "; ".join(f"{name} ({_listed(policies)})" for name, policies in leaders.items())
            return f"Under another selection policy, another method is the most accurate: {named}."
        return f"The same under {_listed(self.other_policies)}." if self.other_policies else ""

    def _next(self) -> str:
        following = self.compared[0]
        return f"Next: {following.name}, {following.interval}."

    def _rivals(self) -> str:
        if not self.as_good:
            return f"All {len(self.compared)} others are significantly worse." if len(self.compared) > 1 else ""
        if len(self.as_good) == len(self.compared) > 1:
            return f"None of the {len(self.compared)} others is significantly worse, tested over all pairs."
        return f"Not significantly worse, tested over all pairs: {_listed([each.name for each in self.as_good])}."

    def _of_baselines(self, best: Standing) -> str:
        if not (self.baselines or best.is_baseline):
            return f"No trivial baseline ({', '.join(BASELINES)}) was compared."
        good = [each.name for each in self.baselines if not each.worse]
        worse = [each.name for each in self.baselines if each.worse]
        texts = [f"{_listed(good)} may do as well"] if good else []
        texts += [f"{_listed(worse)} {'is' if len(worse) == 1 else 'are'} worse"] if worse else []
        return f"Trivial baselines: {'; '.join(texts)}." if texts else ""

    def _doubts(self) -> str:
        count, difference = len(self.board.counted), self.compared[0].difference
        assert difference is not None
        of = (
            "One unseen target says nothing about others"
            if count == 1
            else f"Intervals take the {count} targets as a sample of similar domains"
        )
        seen = f"a gap to the next of {100 * difference.smallest:.1f} points or more would probably be significant"
        seeds = "; with one seed, this is about the trained models, and another seed may reverse it"
        return f"{of}; {seen}{seeds if self.one_seed else ''}."

    @property
    def won(self) -> bool:
        """Whether the best ranks above all others, of which none is left untested, under every selection policy, as a
        method and not by one seed.
        """
        tested = len(self.compared) == len(self.others) > 0 and not self.other_leaders
        return self.best is not None and tested and not self.as_good and not self.one_seed and not self.best.is_baseline

    @property
    def no_better(self) -> bool:
        """Whether a trivial baseline is the best, or may be as good."""
        return bool(self.best and self.best.is_baseline) or any(not each.worse for each in self.baselines)

    @property
    def shown(self) -> list[Standing]:
        """The best and up to MOST in all: baselines first, then those that may be as good, then the next."""
        if self.best is None:
            return []
        order = sorted(self.others, key=lambda each: (each not in self.baselines, each not in self.as_good))
        return [self.best, *(each for each in self.others if each in order[: MOST - 1])]

    @property
    def reach(self) -> tuple[float, float]:
        """The lowest and the highest end of the shown intervals, and 0, as fractions."""
        ends = [end for each in self.shown if each.difference for end in (each.difference.low, each.difference.high)]
        return min([0.0, *ends]), max([0.0, *ends])

    def place(self, difference: float) -> float:
        """Where a difference lies within `reach`, in percent."""
        low, high = self.reach
        return 100 * (difference - low) / (high - low) if high > low else 0.0


def content(report: Report) -> Content | None:
    """Shown if clean targets were scored."""
    ranked = report.once(report_ranks)
    verdicts = [verdict(board, ranks_of(ranked, board)) for board in report.boards]
    return Content({"verdicts": verdicts, "overall": overall(verdicts)}) if verdicts else None


def overall(verdicts: Sequence[Verdict]) -> str:
    """What several boards have in common: which method is most often the best, and how often it has won."""
    judged = [each for each in verdicts if each.best]
    if not judged:
        return verdicts[0].headline
    names = Counter(each.best.name for each in judged if each.best)
    wins = Counter(each.best.name for each in judged if each.best and each.won)
    name = max(names, key=lambda name: (names[name], wins[name]))
    of = f"{len(judged)} {'sources' if len({each.board.source for each in judged}) == len(judged) else 'tables'}"
    level = sum(each.no_better for each in judged)
    text = f"{name} is the most accurate for {names[name]} of {of}, and has clearly won for {wins[name] or 'none'}"
    return f"{text}; for {level} of {of}, a trivial baseline may do as well" if level else text


def verdict(board: Board, ranks: BoardRanks | None) -> Verdict:
    """The result on a board; without its `ranks`, nothing is compared."""
    if not board.unseen:
        return Verdict(board, None)
    scored = [row for row in board.headline if board.comparable_mean(row) is not None]
    best = board.leading(scored)
    if best is None:
        return Verdict(board, None)
    ordered = sorted(scored, key=lambda row: (row is not best, -(board.comparable_mean(row) or 0)))
    first, *others = _standings(ordered, ranks)
    left_out = tuple(str(row.method) for row in board.headline if row not in scored)
    return Verdict(board, first, tuple(others), left_out)


def _standings(rows: Sequence[Row], ranks: BoardRanks | None) -> list[Standing]:
    """Of rows, the best first."""
    if ranks is None or ranks.overall is None:
        return [Standing(row, difference=None, worse=None, ranks={}) for row in rows]
    overall = ranks.overall
    method_of = {(method.key, method.readout): method for method in overall.methods}
    named = [method_of.get((row.method.key, row.method.readout)) for row in rows]
    against = overall.against(named[0], "accuracy") if named[0] else {}
    places = {metric: overall.ranges(metric) for metric in overall.compared}
    found = []
    for row, method in zip(rows, named, strict=True):
        difference, clear = against.get(method, (None, None)) if method else (None, None)
        worse = bool(clear and difference.value < 0) if difference else None
        ranked = {str(metric): str(ranges[method]) for metric, ranges in places.items()} if method else {}
        found.append(Standing(row, difference=difference, worse=worse, ranks=ranked))
    return found


def _listed(names: Sequence[str], most: int = 4) -> str:
    """`a, b and c`; of many, the first and the number of others."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


plugin = Section(title="Summary", template=beside(__file__), content=content)
