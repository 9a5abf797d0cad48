"""Clips of two drawn faces that move and change their expressions at known times.

`python -m tests.clips` makes some and measures what `fercache predict` finds in them, and its memory.
"""

from tests.clips.compose import PLANS, RATE, SECONDS, Step, clip_frames, repeated, write_film

__all__ = ["PLANS", "RATE", "SECONDS", "Step", "clip_frames", "repeated", "write_film"]
