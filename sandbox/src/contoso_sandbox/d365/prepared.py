"""Bodies that are written once and kept compressed.

``PublicEntities`` of an environment with 4,000 sets is a hundred megabytes of JSON. Neither the
text nor its parts are ever in memory as a whole: pieces go into the compressor as they are made,
and come out of it again for a client that does not take gzip.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from contoso_sandbox.compression import GZIP_WINDOW, gzipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Pieces in which a body is unpacked and sent.
_PIECE_BYTES = 1 << 18
#: Small texts are gathered first: a call of the compressor for each would cost more than its work.
_GATHERED_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Prepared:
    """A body in compressed form.

    Attributes:
        gzip: The compressed body.
        plain_bytes: Its length when unpacked.
    """

    gzip: bytes = field(repr=False)
    plain_bytes: int

    @classmethod
    def of(cls, pieces: Iterable[bytes]) -> Self:
        """Compress ``pieces``."""
        length = 0

        def gathered() -> Iterator[bytes]:
            nonlocal length
            waiting: list[bytes] = []
            size = 0
            for piece in pieces:
                waiting.append(piece)
                size += len(piece)
                length += len(piece)
                if size >= _GATHERED_BYTES:
                    yield b"".join(waiting)
                    waiting, size = [], 0
            yield b"".join(waiting)

        packed = b"".join(gzipped(gathered()))
        return cls(packed, length)

    def packed(self) -> Iterator[bytes]:
        """Yield the compressed body in pieces."""
        for start in range(0, len(self.gzip), _PIECE_BYTES):
            yield self.gzip[start : start + _PIECE_BYTES]

    def plain(self) -> Iterator[bytes]:
        """Yield the unpacked body in pieces."""
        stream = zlib.decompressobj(wbits=GZIP_WINDOW)
        packed = self.gzip
        while not stream.eof:
            yield stream.decompress(packed, _PIECE_BYTES)
            packed = stream.unconsumed_tail
