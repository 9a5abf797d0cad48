"""Videos and cameras: frames one at a time, faces linked to tracks, probabilities smoothed over time."""

from pathlib import Path

SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv", ".f4v"),
    *(".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".ogv", ".mxf"),
)
"""Suffixes of video files, in lower case."""
_STILL_IMAGES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")
"""The first bytes of image files."""


def is_video(path: Path) -> bool:
    """Whether a plain file is called as videos are, unless its first bytes are those of an image.

    A text file called `clip.mp4` is a video, which cannot be read. Animations (GIF, WebP) are images.
    """
    return path.suffix.lower() in SUFFIXES and path.is_file() and not _begins_as_image(path)


def _begins_as_image(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(8).startswith(_STILL_IMAGES)
    except OSError:
        return False
