from fercache.records import frame
from fercache.reporting.robustness_tables import robustness
from fercache.reporting.sections.robustness import robustness_view
from tests.fake_records import corrupted_records


def test_a_robustness_table_without_a_board_is_drawn_all_the_same() -> None:
    (table,) = robustness(frame(list(corrupted_records(seeds=1, corruption="blur"))))
    figure = robustness_view(table, []).figure
    assert figure and "blur" in figure.description
