"""The bundled tower is laid out without a trace in the networks of other threads."""

import threading

import pytest
import torch
from torch import Tensor, nn

from fercache.encoders.bundled.packing import packed


class Slow(nn.Module):
    """A layer whose forward, while it is being traced, waits until another thread has called a network."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)
        self.begun, self.other_done = threading.Event(), threading.Event()

    def forward(self, images: Tensor) -> Tensor:
        self.begun.set()
        assert self.other_done.wait(10)
        return torch.relu(self.layer(images))

    def __deepcopy__(self, memo: object) -> "Slow":
        return self  # events cannot be copied


def test_a_network_of_another_thread_computes_as_usual_while_a_tower_is_traced() -> None:
    tower, other, rows = Slow().eval(), nn.Sequential(nn.Linear(5, 2), nn.Dropout()).eval(), torch.ones(1, 5)
    expected, found = other(rows), []

    def call() -> None:
        tower.begun.wait(10)
        try:
            found.append(other(rows))
        except Exception as error:
            found.append(error)
        tower.other_done.set()

    thread = threading.Thread(target=call)
    thread.start()
    laid_out = packed(tower)
    thread.join()
    assert isinstance(found[0], Tensor), found[0]
    assert torch.equal(found[0], expected)
    images = torch.rand(2, 3, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(laid_out(images), tower(images))


def test_towers_that_are_laid_out_at_the_same_time_are_all_right() -> None:
    start, found = threading.Barrier(4), []
    tower = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.ReLU()).eval()
    images = torch.rand(2, 3, 8, 8)

    def lay_out() -> None:
        start.wait()
        with torch.inference_mode():
            found.append(packed(tower)(images))

    threads = [threading.Thread(target=lay_out) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for each in found:
        torch.testing.assert_close(each, tower(images))
    assert nn.Module.__call__.__name__ == "_wrapped_call_impl", "the tracer left its methods behind"


@pytest.mark.parametrize("layer", [nn.BatchNorm2d, nn.Dropout])
def test_what_changes_nothing_is_removed(layer: type[nn.Module]) -> None:
    tower = nn.Sequential(nn.Conv2d(3, 4, 3), layer(4) if layer is nn.BatchNorm2d else layer(), nn.ReLU()).eval()
    assert not any(isinstance(part, layer) for part in packed(tower).modules())
