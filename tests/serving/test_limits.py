"""What a server accepts at a time."""

import pytest

from fercache.serving.limits import BODIES_HELD, Gate, Limits, Refused


def test_what_a_visit_held_is_free_again() -> None:
    gate = Gate(Limits(body=10))
    for _ in range(3):
        with gate.visit("a") as visit:
            for _ in range(BODIES_HELD):
                visit.hold(10)
            with gate.visit("b") as other, pytest.raises(Refused) as refused:
                other.hold(1)
            assert refused.value.status == 503
    assert gate.held == gate.waiting == 0


def test_a_client_is_counted_by_itself() -> None:
    gate = Gate(Limits(waiting=3, per_client=2))
    with gate.visit("a"), gate.visit("a"), pytest.raises(Refused) as refused, gate.visit("a"):
        pass
    assert refused.value.status == 429
    with gate.visit("a"), gate.visit("a"), gate.visit("b"), pytest.raises(Refused) as refused, gate.visit("c"):
        pass
    assert refused.value.status == 503 and gate.waiting == 0
