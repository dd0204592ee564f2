"""An index of poses on the disk: LanceDB holds the rows, a small file beside it what they are.

A folder with ``index.json`` (version, kind of vector, what was indexed) and the table ``poses``. Rows of a
recording are committed at once, and ``index.json`` names the recording after that: rows that it does not
name are of a run that was cut off, and the next one removes them. Nothing is loaded whole: small indexes
are scanned, larger ones searched by an inverted file (IVF) of LanceDB.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.core.files import read_limited, reason, write_text
from diffpose_ros.search.index_rows import READ, arrow, matrix, schema, values
from diffpose_ros.search.kinds import LIFTED_POSE, Kind, check_same, kind_from_json
from diffpose_ros.search.recorded import Recorded
from diffpose_ros.search.scan import Scan, checked_query

FORMAT = "diffpose_ros pose index"
VERSION = 2
META, LOCK, TABLE = "index.json", "lock", "poses"
MOST_META_BYTES = 256 << 20
SCANNED_ROWS = 50_000
"""Up to so many, a scan of all is faster than an index."""
PROBES = 24
INSTALL = "needs the Python package 'lancedb', which is not installed: pip install 'diffpose_ros[search]'"


@dataclass(frozen=True)
class Source:
    """A recording that was indexed.

    Attributes:
        number: of the recording, in its rows.
        path: of the file.
        size: its bytes.
        mtime_ns: when it was changed.
        rows: how many poses it gave.
        video: where its images are; empty: not known.
    """

    number: int
    path: str
    size: int
    mtime_ns: int
    rows: int
    video: str = ""


@dataclass(frozen=True)
class Hit:
    """A pose that was found.

    Attributes:
        source: the recording.
        frame: number of its frame.
        stamp_s: its time, seconds.
        track_id: who.
        distance: metres (root mean square over the joints); of an embedding 1 - cosine.
        root: (3,) where the hip was, metres; NaN where unknown.
        box: (4,) left, top, right, bottom in the image, pixels; NaN where unknown.
        vector: (D,).
    """

    source: Source
    frame: int
    stamp_s: float
    track_id: int
    distance: float
    root: NDArray
    box: NDArray
    vector: NDArray


class PoseIndex:
    """An index in a folder.

    Args:
        folder: of the index.
        kind: what its vectors must be.
        create: make it where there is none.

    Raises:
        InputError: there is none, it is of another version, kind or model, damaged, or something else; or
            LanceDB is not installed.
    """

    def __init__(self, folder: str | Path, kind: Kind = LIFTED_POSE, *, create: bool = False) -> None:
        self.folder, self.kind = Path(folder), kind
        self.sources: list[Source] = []
        self._scan: tuple[Scan, Any] | None = None
        meta = self.folder / META
        if create and not meta.exists():
            self._begin(meta)
        self._read(meta)
        self._table = self._open()

    def __len__(self) -> int:
        return sum(source.rows for source in self.sources)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Nobody else writes meanwhile; rows of a run that was cut off are removed.

        Raises:
            InputError: somebody else does.
        """
        with _told(self.folder), (self.folder / LOCK).open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.seek(0)
                who = lock.read(40).strip() or "?"
                raise InputError(
                    f"{self.folder}: is locked, process {who} writes to it; wait until it has ended"
                ) from None
            lock.seek(0)
            lock.truncate()
            lock.write(f"{os.getpid()}")
            lock.flush()
            self._read(self.folder / META)
            self._table = self._open()
            named = self._next
            if self._table.count_rows(f"source >= {named}"):
                self._table.delete(f"source >= {named}")
            yield
        self._scan = None

    def has(self, path: Path) -> bool:
        """Whether a file is in the index as it is now."""
        info = path.stat()
        return any(
            s.path == str(path.resolve()) and (s.size, s.mtime_ns) == (info.st_size, info.st_mtime_ns)
            for s in self.sources
        )

    def add(self, path: Path, recording: Recorded, video: str = "") -> int:
        """Add a recording, within :meth:`writing`; an older state of the file is replaced.

        Returns:
            How many poses it gave.

        Raises:
            InputError: it cannot be written; the index is as it was.
        """
        vectors, rows = recording.vectors()
        number, name = self._next, str(path.resolve())
        size, mtime_ns = (path.stat().st_size, path.stat().st_mtime_ns)
        with _told(self.folder):
            if len(rows):
                self._table.add(arrow(vectors, recording.take(rows), number, self.kind.size))
            old = [s for s in self.sources if s.path == name]
            new = Source(number, name, size, mtime_ns, len(rows), video)
            self._write([*(s for s in self.sources if s.path != name), new])
            for source in old:
                self._table.delete(f"source = {source.number}")
        self._scan = None
        return len(rows)

    def settle(self) -> None:
        """Make or renew the inverted file, within :meth:`writing`; takes seconds to minutes."""
        count = len(self)
        with _told(self.folder):
            if count > SCANNED_ROWS:
                if self._table.list_indices():
                    self._table.optimize()
                else:
                    from lancedb.index import IvfFlat

                    self._table.optimize()  # into few files, of which a query opens fewer
                    parts = max(64, round(count**0.5))
                    self._table.create_index(
                        "vector", config=IvfFlat(distance_type="l2", num_partitions=parts)
                    )

    def nearest(self, query: NDArray, count: int, *, probes: int = PROBES) -> list[Hit]:
        """The nearest poses.

        Args:
            query: (D,) a vector of the index's kind.
            count: how many.
            probes: parts of the inverted file that are looked through.

        Raises:
            InputError: the query is none, or the index is damaged.
        """
        wanted = checked_query(query, self.kind.size)
        if not len(self) or count < 1:
            return []
        with _told(self.folder):
            if len(self) <= SCANNED_ROWS:
                scan, table = self._scanned()
                rows, squared = scan.nearest(wanted, count)
                return self._hits(table.take(rows), squared)
            found = (
                self._table.search(wanted, vector_column_name="vector")
                .distance_type("l2")
                .nprobes(probes)
                .limit(count)
                .select([*READ, "_distance"])
                .to_arrow()
            )
            return self._hits(found, np.asarray(found["_distance"]))

    def batches(self, size: int = 65_536) -> Iterator[tuple[NDArray, Any]]:
        """All vectors (B, D) and their rows, piece by piece.

        Raises:
            InputError: the index is damaged.
        """
        with _told(self.folder):
            for batch in self._table.search().select(READ).to_batches(batch_size=size):
                import pyarrow as pa

                table = pa.Table.from_batches([batch])
                yield matrix(table["vector"], self.kind.size), table

    def recordings(self) -> Iterator[tuple[NDArray, Any]]:
        """All vectors (R, D) and their rows, recording by recording.

        Raises:
            InputError: the index is damaged.
        """
        with _told(self.folder):
            for source in self.sources:
                only = self._table.search().where(f"source = {source.number}").select(READ)
                table = only.limit(source.rows).to_arrow() if source.rows else None
                if table is not None:
                    yield matrix(table["vector"], self.kind.size), table

    def hits(self, table: Any, rows: NDArray, distances: NDArray) -> list[Hit]:
        """Rows of a piece of :meth:`batches` as hits."""
        return self._hits(table.take(rows), None, distances)

    def _hits(self, table: Any, squared: NDArray | None, given: NDArray | None = None) -> list[Hit]:
        by_number = {s.number: s for s in self.sources}
        vectors, rows = matrix(table["vector"], self.kind.size), values(table)
        distances = given if squared is None else self._distance(squared)
        assert distances is not None
        return [
            Hit(
                by_number[int(row[0])], int(row[1]), float(row[2]), int(row[3]), float(distances[k]),
                row[4:7], row[7:], vectors[k],
            )
            for k, row in enumerate(rows)
            if int(row[0]) in by_number
        ]  # fmt: skip

    def _distance(self, squared: NDArray) -> NDArray:
        if self.kind.metric == "cosine":
            return np.asarray(squared) / 2
        return np.sqrt(np.maximum(squared, 0) / (self.kind.size // 3))

    def _scanned(self) -> tuple[Scan, Any]:
        if self._scan is None:
            table = self._table.to_arrow()
            self._scan = Scan(matrix(table["vector"], self.kind.size)), table
        return self._scan

    @property
    def _next(self) -> int:
        return 1 + max((s.number for s in self.sources), default=-1)

    def _begin(self, meta: Path) -> None:
        lancedb = _lancedb()
        if self.folder.exists() and any(self.folder.iterdir()):
            raise InputError(f"{self.folder}: is not empty and no pose index; name another folder")
        with _told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lancedb.connect(str(self.folder)).create_table(
                TABLE, schema=schema(self.kind.size), mode="overwrite"
            )
            self._write([])
        assert meta.exists()

    def _read(self, meta: Path) -> None:
        if not meta.exists():
            what = "is no pose index" if self.folder.exists() else "no such pose index"
            raise InputError(
                f"{self.folder}: {what}; `diffpose_ros index FILE --into {self.folder}` makes one"
            )
        try:
            content = json.loads(read_limited(meta, MOST_META_BYTES, "a pose index"))
        except (ValueError, RecursionError):
            raise InputError(f"{meta}: expected a pose index, got something else, or part of one") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f"{meta}: expected a pose index of {FORMAT.split()[0]}, got another file")
        if content.get("version") != VERSION:
            raise InputError(
                f"{meta}: is an index of version {content.get('version')}, this program reads {VERSION}"
            )
        check_same(kind_from_json(content, str(meta)), self.kind, str(self.folder))
        try:
            self.sources = [Source(**one) for one in content["sources"]]
        except (KeyError, TypeError) as error:
            raise InputError(f"{meta}: is damaged ({error})") from None

    def _write(self, sources: Sequence[Source]) -> None:
        content = {
            "format": FORMAT, "version": VERSION, **self.kind.to_json(),
            "sources": [asdict(source) for source in sources],
        }  # fmt: skip
        write_text(self.folder / META, json.dumps(content, indent=1) + "\n")
        self.sources = list(sources)

    def _open(self) -> Any:
        lancedb = _lancedb()
        with _told(self.folder):
            table = lancedb.connect(str(self.folder)).open_table(TABLE)
            if not table.schema.equals(schema(self.kind.size)):
                raise InputError(f"{self.folder}: its table has other columns than a pose index")
            if table.count_rows() < len(self):
                raise InputError(f"{self.folder}: is damaged: rows are missing")
            return table


def _lancedb() -> Any:
    try:
        import lancedb
    except ImportError:
        raise InputError(INSTALL) from None
    return lancedb


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What LanceDB or the disk raises, as one line that names the index."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{folder}: {_line(error)}") from None
    except (RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"{folder}: {_line(error)}") from None


def _line(error: Exception) -> str:
    text = " ".join((reason(error) if isinstance(error, OSError) else str(error)).split())
    if "No space left" in text or "os error 28" in text:
        return "the disk is full; the index is as it was before this file"
    return f"is damaged, or cannot be used ({text[:200]})"
