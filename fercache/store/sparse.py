"""A file in memory that holds only the written pieces."""

import io


class SparseMemory(io.RawIOBase):
    """Holds HDF5's metadata, which are between gigabytes of arrays that HDF5 does not write itself."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bytes]] = []
        self._position = 0
        self._size = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def truncate(self, size: int | None = None) -> int:
        self._size = self._position if size is None else size
        return self._size

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
        piece = bytes(data)
        self.pieces.append((self._position, piece))
        self._position += len(piece)
        self._size = max(self._size, self._position)
        return len(piece)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Later pieces override earlier ones; gaps read as zeros."""
        wanted = memoryview(buffer).cast("B")
        count = max(0, min(len(wanted), self._size - self._position))
        wanted[:count] = bytes(count)
        for offset, piece in self.pieces:
            start, stop = max(offset, self._position), min(offset + len(piece), self._position + count)
            if start < stop:
                wanted[start - self._position : stop - self._position] = piece[start - offset : stop - offset]
        self._position += count
        return count
