"""CSV, JSONL and Parquet read as one stream of rows, a bounded piece at a time."""

from __future__ import annotations

import codecs
import csv
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from common.params import Invalid, Problem
from common.text import say
from segments.ingest.body import Poison, read_json
from segments.ingest.check import MESSAGES
from segments.ingest.limits import BadBody, Refused

PIECE = 1 << 20
LINE = 1 << 20  # the longest line: what follows in it is passed over, and the row refused
ROWS = 8192
SAMPLE = 64 * 1024
PACKED = (
    b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"\xd0\xcf\x11\xe0", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd", b"7z\xbc\xaf",
    b"%PDF",
)  # fmt: skip
BROKEN = "perennial.broken"
Row = tuple[int, Any]  # line or row number from 1, and a dict of columns or the Refused that it is


@dataclass(frozen=True)
class Facts:
    """What one pass over a text file tells: its encoding and about how many lines."""

    encoding: str
    lines: int


class Reader(ABC):
    """One file. `columns` is empty when rows may differ; `total` is the number of rows, about, or None."""

    columns: list[str]
    total: int | None
    typed: bool  # whether values come with their types; CSV has text only

    @abstractmethod
    def rows(self, wanted: Sequence[str], *, skip: int) -> Iterator[Row]:
        """Rows after the first `skip`, with the wanted columns (all, when none is named)."""


def open_file(path: Path) -> Reader:
    """The reader for the file, by its suffix. Raises Invalid for one that cannot be read."""
    if not path.is_file():
        raise Invalid([Problem("file", say(f"there is no file {path}", f"没有文件 {path}"))])
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        return ParquetReader(path)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return JsonReader(path)
    if suffix in (".csv", ".tsv", ".txt"):
        return CsvReader(path)
    kinds = ".csv .tsv .jsonl .ndjson .parquet"
    raise Invalid([Problem("file", say(f"'{suffix}' is none of {kinds}", f"“{suffix}”不属于 {kinds}"))])


def check_text(path: Path) -> None:
    """Raises Invalid for what is no text file, whatever its name says."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(PACKED):
        said = say(
            "this is packed, or no text at all: unpack it, or save it as CSV",
            "这是压缩文件或并非文本：请解压，或另存为 CSV",
        )
        raise Invalid([Problem("file", said)])
    marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not marked and head.count(0) * 4 > len(head):
        said = say(
            "this is no text in UTF-8, GB18030 or UTF-16 with its mark", "这不是 UTF-8、GB18030 或带标记的 UTF-16 文本"
        )
        raise Invalid([Problem("file", said)])


def bounded(file: Any) -> Iterator[Any]:
    """The lines of a file, each cut at LINE, so that one without an end costs no memory."""
    while line := file.readline(LINE):
        yield line
        end = line[-1:]
        while line and len(line) == LINE and end not in ("\n", b"\n", "\r"):
            line = file.readline(LINE)
            end = line[-1:]


def _mark_broken(error: UnicodeError) -> tuple[str, int]:
    """Stands for bytes of UTF-16 that are no character, as broken UTF-8 is marked: the row is refused for it."""
    return "\udcff", error.end  # type: ignore[attr-defined]


codecs.register_error(BROKEN, _mark_broken)


def fingerprint(path: Path) -> str:
    """SHA-256 over the size and the first and last MiB: tells whether a file is still the one begun."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(PIECE))
        file.seek(max(0, size - PIECE))
        digest.update(file.read(PIECE))
    return digest.hexdigest()


def survey(path: Path) -> Facts:
    """Read the whole file once: UTF-16 and UTF-8 by their marks or by being valid, else GB18030."""
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return Facts("utf-16", 0)
        file.seek(0)
        utf8: Any = codecs.getincrementaldecoder("utf-8")()
        lines, last = 0, b""
        while piece := file.read(PIECE):
            lines += piece.count(b"\n")
            last = piece
            utf8 = _still(utf8, piece)
        utf8 = _still(utf8, b"", final=True)
    lines += bool(last) and not last.endswith(b"\n")
    return Facts("utf-8-sig" if utf8 else "gb18030", lines)


class CsvReader(Reader):
    """Comma, semicolon, tab or bar; quoted line breaks; the header names the columns."""

    typed = False

    def __init__(self, path: Path) -> None:
        self.path = path
        check_text(path)
        found = survey(path)
        self.encoding = found.encoding
        self.total = max(0, found.lines - 1) if found.lines else None
        with self._open() as file:
            sample = file.read(SAMPLE)
        self.delimiter = _delimiter(sample.partition("\n")[0])
        if not sample.strip("\ufeff"):
            raise Invalid([Problem("file", say("the file is empty", "文件是空的"))])
        self.columns = self._header()
        if not self.columns or len(set(self.columns)) < len(self.columns) or "" in self.columns:
            said = say("every column needs a name of its own in the first line", "首行中每列须有各自不同的名称")
            raise Invalid([Problem("file", said)])

    def rows(self, wanted: Sequence[str], *, skip: int) -> Iterator[Row]:
        names = list(wanted) or self.columns
        places = [self.columns.index(name) for name in names]
        with self._open() as file:
            reader = csv.reader(bounded(file), delimiter=self.delimiter)
            next(reader, None)
            number = 0
            while True:
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    found: Any = Refused("not_csv", "", str(error))
                else:
                    found = self._problem(row) or {name: row[at] for name, at in zip(names, places, strict=True)}
                number += 1
                if number > skip:
                    yield reader.line_num, found

    def _header(self) -> list[str]:
        """The names in the first line; none when it is no line of a table."""
        with self._open() as file:
            try:
                return [name.strip() for name in next(csv.reader(bounded(file), delimiter=self.delimiter), [])]
            except csv.Error:
                return []

    def _problem(self, row: list[str]) -> Refused | None:
        if not row:
            return Refused("empty_line", "", "the line is empty")
        if len(row) != len(self.columns):
            return Refused("wrong_width", "", f"the line has {len(row)} fields, the header {len(self.columns)}")
        return None

    def _open(self) -> TextIO:
        broken = BROKEN if self.encoding == "utf-16" else "surrogateescape"
        return self.path.open(encoding=self.encoding, errors=broken, newline="")


class JsonReader(Reader):
    """One JSON object a line."""

    typed = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns = []
        check_text(path)
        self.total = survey(path).lines

    def rows(self, wanted: Sequence[str], *, skip: int) -> Iterator[Row]:
        with self.path.open("rb") as file:
            for number, line in enumerate(bounded(file), 1):
                if number > skip:
                    yield number, _json_row(line, wanted)


class ParquetReader(Reader):
    """Row groups in batches, and only the columns that are needed."""

    typed = True

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as parquet

        try:
            self.file = parquet.ParquetFile(path)
        except Exception as error:  # noqa: BLE001 - pyarrow raises many kinds for a broken file
            why = str(error)[:200]
            raise Invalid([Problem("file", say(f"this is not Parquet: {why}", f"这不是 Parquet：{why}"))]) from None
        self.columns = list(self.file.schema_arrow.names)
        self.total = self.file.metadata.num_rows
        if len(set(self.columns)) < len(self.columns):
            raise Invalid([Problem("file", say("every column needs a name of its own", "每列须有各自不同的名称"))])

    def rows(self, wanted: Sequence[str], *, skip: int) -> Iterator[Row]:
        names = list(wanted) or self.columns
        groups, number = self._after(skip)
        for batch in self._batches(names, groups):
            if number + batch.num_rows <= skip:
                number += batch.num_rows
                continue
            columns = [_values(batch.column(name)) for name in names]
            for values in zip(*columns, strict=True):
                number += 1
                if number > skip:
                    yield number, dict(zip(names, values, strict=True))

    def _batches(self, names: list[str], groups: list[int]) -> Iterator[Any]:
        """Raises Invalid where the pages do not hold what the footer says."""
        import pyarrow

        try:
            yield from self.file.iter_batches(ROWS, columns=names, row_groups=groups)
        except (OSError, pyarrow.ArrowException) as error:
            why = str(error)[:200]
            said = say(f"the file cannot be read on: {why}", f"文件无法继续读取：{why}")
            raise Invalid([Problem("file", said)]) from None

    def _after(self, skip: int) -> tuple[list[int], int]:
        """The row groups that hold rows after `skip`, and how many rows lie before them."""
        before = 0
        for group in range(self.file.num_row_groups):
            size = self.file.metadata.row_group(group).num_rows
            if before + size > skip:
                return list(range(group, self.file.num_row_groups)), before
            before += size
        return [], before


def _values(column: Any) -> list[Any]:
    """Python values; times in microseconds, since nanoseconds come as pandas' own type."""
    import pyarrow

    if pyarrow.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pyarrow.timestamp("us", column.type.tz), safe=False)
    found: list[Any] = column.to_pylist()
    return found


def _still(decoder: Any, piece: bytes, *, final: bool = False) -> Any:
    """The decoder, or None once a piece was not UTF-8."""
    if decoder is None:
        return None
    try:
        decoder.decode(piece, final)
    except UnicodeDecodeError:
        return None
    return decoder


def _delimiter(header: str) -> str:
    return max(",;\t|", key=header.count)


def _json_row(line: bytes, wanted: Sequence[str]) -> Any:
    if len(line) >= LINE:
        return Refused("too_large", "", f"a line may have {LINE} bytes")
    try:
        row = read_json(line)
    except BadBody as bad:
        return Refused(bad.code, "", bad.message)
    if isinstance(row, Poison):
        return Refused(row.code, "", MESSAGES[row.code])
    if not isinstance(row, dict):
        return Refused("not_an_object", "", "a line is a JSON object")
    return {name: row.get(name) for name in wanted} if wanted else row
