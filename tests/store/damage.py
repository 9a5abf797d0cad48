"""What can happen to the bytes of a file."""

from hypothesis import strategies as st

damages = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 1, exclude_max=True)),
    st.tuples(st.just("flip"), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1)),
    st.tuples(st.just("random"), st.binary(max_size=600)),
    st.tuples(st.just("tail"), st.binary(min_size=1, max_size=600)),
)


def damaged(data: bytes, damage: tuple[str, object]) -> bytes:
    """`data` cut short, with some bytes changed, replaced by noise from the start, or from the middle on."""
    kind, how = damage
    if kind == "cut":
        return data[: int(how * len(data))]
    if kind == "flip":
        changed = bytearray(data)
        for where, mask in how:
            changed[int(where * len(data))] ^= mask
        return bytes(changed)
    return how + data[len(how) :] if kind == "random" else data[: len(data) // 2] + how
