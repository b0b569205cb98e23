"""Windows of TFRecord files, as the Basenji programs write them, read without TensorFlow.

The format of the files is that of tensorflow.org/tutorials/load_data/tfrecord: each record is its length, a checksum of
it, a serialised `tf.train.Example`, and a checksum of that; the whole is compressed by zlib, or gzip, or not at all.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from cisflow.datasets.store import SPLITS, Split, Stream
from cisflow.errors import CisflowError
from cisflow.sequence import UNKNOWN

CHUNK = 1 << 20
# Of the longest identity of a window: record-<number>:<start>-<end>.
ID_BYTES = 48
# Kinds of protocol-buffer fields (protobuf.dev/programming-guides/encoding).
VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
# The lists of a `Feature`, by the number of its field.
BYTES, FLOATS, INTEGERS = 1, 2, 3


@dataclass(frozen=True)
class Window:
    """A record: its sequence and its labels.

    Attributes
    ----------
    x
        Base indices (length,); 4 is unknown.
    y
        Labels (bins, targets), float32.
    """

    x: NDArray[np.uint8]
    y: NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """What the windows of a file have in common.

    Attributes
    ----------
    targets
        Number of targets.
    bin
        Bases of a bin of labels.
    crop
        Bases of a sequence before its first bin, and after its last.
    """

    targets: int
    bin: int = 128
    crop: int = 0


def read_records(path: str | Path) -> Iterator[bytes]:
    """Yield the records of a TFRecord file in their order, after their checksums have been compared.

    Raises
    ------
    CisflowError
        The file is missing, empty, truncated or damaged, or it is no TFRecord file; with the number of the record.
    """
    path = Path(path)
    reader = _Reader(path)
    number = 0
    while head := reader.take(12, f"record {number}"):
        (size, check), length = struct.unpack("<QI", head), head[:8]
        if masked_crc(length) != check:
            what = "the checksum of its length is wrong" if number else f"it is no TFRecord file{_page(head)}"
            raise CisflowError(f"{path}: record {number}: {what}. Fetch the file again.")
        body = reader.take(size + 4, f"record {number}", needed=True)
        if masked_crc(body[:-4]) != struct.unpack("<I", body[-4:])[0]:
            raise CisflowError(f"{path}: record {number}: the checksum of its data is wrong. Fetch the file again.")
        yield body[:-4]
        number += 1
    if not number:
        raise CisflowError(f"{path}: there is no record in it.")


def masked_crc(data: bytes) -> int:
    """Return the checksum that stands in TFRecord files: CRC32C, rotated by 15 bits, plus a constant."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _page(head: bytes) -> str:
    return " but an HTML or XML page" if head.lstrip()[:1] == b"<" else ""


class _Reader:
    """The content of a file, inflated as far as it is asked for."""

    def __init__(self, path: Path):
        self.path = path
        self._chunks = self._inflated()
        self._buffer = bytearray()

    def take(self, size: int, where: str, needed: bool = False) -> bytes:
        """Return so many bytes; none at the end of the file, unless they are needed."""
        while len(self._buffer) < size and (chunk := next(self._chunks, b"")):
            self._buffer += chunk
        if len(self._buffer) < size and (self._buffer or needed):
            raise CisflowError(
                f"{self.path}: {where}: the file ends within it ({len(self._buffer):,} of {size:,} bytes are there). "
                "Fetch it again."
            )
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _inflated(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                yield from self._inflate(file, file.peek(2)[:2])
        except FileNotFoundError:
            raise CisflowError(f"{self.path}: there is no such file.") from None
        except zlib.error as error:
            raise CisflowError(f"{self.path}: the compressed data are damaged ({error}). Fetch it again.") from None

    def _inflate(self, file: BufferedReader, head: bytes) -> Iterator[bytes]:
        if not (head == b"\x1f\x8b" or (head[:1] == b"\x78" and int.from_bytes(head, "big") % 31 == 0)):
            yield from iter(lambda: file.read(CHUNK), b"")
            return
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        while not inflate.eof:
            chunk = inflate.unconsumed_tail or file.read(CHUNK)
            data = inflate.decompress(chunk, CHUNK)
            if not (chunk or data or inflate.eof):
                raise CisflowError(f"{self.path}: the compressed data are truncated. Fetch it again.")
            if data:
                yield data
        if inflate.unused_data or file.read(1):
            raise CisflowError(f"{self.path}: there are data after the end of the compressed ones. Fetch it again.")


def read_example(data: bytes, where: str) -> dict[str, NDArray]:
    """Return the features of a serialised `tf.train.Example` by name.

    Parameters
    ----------
    data
        A record.
    where
        What it is, for messages.

    Returns
    -------
    dict
        uint8 of a list with one text of bytes, float32 of a list of floats; other features are left out.

    Raises
    ------
    CisflowError
        It is no such message.
    """
    try:
        entries = [entry for example in _fields(data, 1) for entry in _fields(example, 1)]
        features = {bytes(_one(entry, 1)).decode(): _values(_one(entry, 2)) for entry in entries}
    except (IndexError, ValueError, struct.error) as error:
        raise CisflowError(f"{where}: it is no tf.train.Example ({error}).") from None
    return {name: values for name, values in features.items() if values is not None}


def _one(message: memoryview | bytes, number: int) -> memoryview:
    found = list(_fields(message, number))
    if not found:
        raise ValueError(f"field {number} of a feature is missing")
    return found[-1]


def _values(feature: memoryview) -> NDArray | None:
    for texts in _fields(feature, BYTES):
        found = list(_fields(texts, 1))
        return np.frombuffer(found[0], np.uint8) if len(found) == 1 else None
    for floats in _fields(feature, FLOATS):
        # Packed they are one field, and else a field each.
        return np.frombuffer(b"".join(_fields(floats, 1, FIXED32)), "<f4")
    return None


def _fields(message: memoryview | bytes, number: int, other: int = DELIMITED) -> Iterator[memoryview]:
    """Yield the contents of the fields of a number, which are delimited or of one other kind."""
    view, position = memoryview(message), 0
    while position < len(view):
        key, position = _varint(view, position)
        start, position, kind = *_extent(view, position, key & 7), key & 7
        if position > len(view):
            raise ValueError("a field ends beyond its message")
        if key >> 3 == number:
            if kind not in (DELIMITED, other):
                raise ValueError(f"field {number} is of kind {kind}")
            yield view[start:position]


def _extent(view: memoryview, position: int, kind: int) -> tuple[int, int]:
    """Return where the content of a field starts and ends."""
    if kind == DELIMITED:
        size, position = _varint(view, position)
        return position, position + size
    if kind == VARINT:
        return position, _varint(view, position)[1]
    if kind in (FIXED32, FIXED64):
        return position, position + (4 if kind == FIXED32 else 8)
    raise ValueError(f"a field is of the unknown kind {kind}")


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position


def window_of(data: bytes, shape: Shape, where: str) -> Window:
    """Return the sequence and the labels of a record.

    Both layouts of Basenji's files are read: `sequence` one-hot, four bytes a base, or an index a base (4: unknown);
    `target` as float16 in raw bytes, or as a list of floats, (bins, targets) in C order. Which it is follows from sizes
    and types.

    Parameters
    ----------
    data
        A record.
    shape
        What the file's windows have in common.
    where
        File and number of the record, for messages.

    Raises
    ------
    CisflowError
        A feature is missing, its size is wrong, a base is none, or a label is no finite number.
    """
    features = read_example(data, where)
    missing = [name for name in ("sequence", "target") if name not in features]
    if missing:
        found = ", ".join(features) or "none"
        raise CisflowError(f"{where}: there is no feature {', '.join(missing)}; there are: {found}.")
    y = _labels(features, shape.targets, where)
    length = len(y) * shape.bin + 2 * shape.crop
    return Window(_bases(features["sequence"], length, shape, where), y)


def _labels(features: Mapping[str, NDArray], targets: int, where: str) -> NDArray[np.float32]:
    values = features["target"]
    if values.dtype == np.uint8:
        if len(values) % 2:
            raise CisflowError(f"{where}: the target has {len(values):,} bytes, which are no float16 numbers.")
        values = values.view("<f2")
    if not len(values) or len(values) % targets:
        raise CisflowError(
            f"{where}: the target has {len(values):,} values, which is no number of bins for {targets} targets."
        )
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        row, column = divmod(int(wrong[0]), targets)
        raise CisflowError(
            f"{where}: the label in bin {row}, target {column} is {values[wrong[0]]:g} ({wrong.size:,} such labels); "
            "labels must be finite."
        )
    return values.reshape(-1, targets).astype(np.float32)


def _bases(values: NDArray[np.uint8], length: int, shape: Shape, where: str) -> NDArray[np.uint8]:
    if values.dtype != np.uint8 or len(values) not in (length, 4 * length):
        bins = (length - 2 * shape.crop) // shape.bin
        raise CisflowError(
            f"{where}: the sequence has {len(values):,} values; by its target ({bins:,} bins of {shape.bin}, crop "
            f"{shape.crop}) it should have {length:,} (an index a base) or {4 * length:,} "
            "(one-hot). Are bin, crop and targets right?"
        )
    if len(values) == length:
        wrong, bases = np.flatnonzero(values > UNKNOWN), values
    else:
        one_hot = values.reshape(-1, 4)
        total = one_hot.sum(1, dtype=np.uint16)
        wrong = np.flatnonzero((one_hot.max(1) > 1) | (total > 1))
        bases = np.where(total == 0, np.uint8(UNKNOWN), one_hot.argmax(1).astype(np.uint8))
    if wrong.size:
        raise CisflowError(
            f"{where}: position {wrong[0]:,} of the sequence is no base ({wrong.size:,} such positions)."
        )
    return bases


@dataclass(frozen=True)
class Tiles:
    """How windows are cut from records; keys of a task's `dataset` of kind tfrecord.

    Attributes
    ----------
    length
        Bases of a window, a multiple of a bin.
    take
        'tiles': all windows of a record beside each other; 'centre': the one in its middle.
    statistic
        Of the bins of a window, 'mean', 'sum' or 'max': its label.
    transform
        'log1p' of the labels, or None.
    columns
        Targets that are taken, in this order; all if empty.
    """

    length: int
    take: str = "tiles"
    statistic: str = "mean"
    transform: str | None = None
    columns: tuple[int, ...] = ()

    def starts(self, bins: int, bin: int) -> NDArray[np.int64]:
        """Return the first bin of each window of a record with so many bins."""
        width = self.length // bin
        if self.take == "centre":
            return np.array([(bins - width) // 2])[: bins >= width]
        return np.arange(0, bins - width + 1, width)

    def cut(self, window: Window, shape: Shape) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return the windows of a record: base indices (n, length) and labels (n, targets)."""
        starts, width = self.starts(len(window.y), shape.bin), self.length // shape.bin
        bases = shape.crop + starts * shape.bin
        x = np.stack([window.x[at : at + self.length] for at in bases])
        y = window.y[:, list(self.columns)] if self.columns else window.y
        summary = getattr(np, self.statistic)
        labels = np.stack([summary(y[at : at + width].astype(np.float64), axis=0) for at in starts])
        return x, self._transformed(labels).astype(np.float32)

    def _transformed(self, labels: NDArray) -> NDArray:
        if self.transform is None:
            return labels
        if (labels <= -1).any():
            raise CisflowError(f"dataset.transform: log1p of {labels.min():g} is no number.")
        return np.log1p(labels)


def open_tfrecords(
    files: Sequence[str | Path], shape: Shape, tiles: Tiles, split_of: Callable[[int], NDArray[np.str_]]
) -> tuple[dict[str, Stream], dict[str, int]]:
    """Return the splits, whose rows are read when their blocks are asked for, and counts for the account.

    Parameters
    ----------
    files
        TFRecord files, in the order in which records are numbered.
    shape
        What their windows have in common.
    tiles
        How windows are cut from them.
    split_of
        Of the number of records, the split of each record; '' for one that is left out.

    Returns
    -------
    tuple
        The splits; and windows by split in `<split>`, records in `records` and `records_left_out`, and the bases that
        are in no window in `bases`, `bases_without_window`.

    Raises
    ------
    CisflowError
        A file is not right, records differ in their length, or are shorter than a window.
    """
    lengths = [(path, len(window.y)) for path, _, window in _windows(files, shape)]
    bins = lengths[0][1]
    if other := [(path, size) for path, size in lengths if size != bins]:
        raise CisflowError(f"{other[0][0]}: a record has {other[0][1]} bins, and the first of {lengths[0][0]} {bins}.")
    each = len(tiles.starts(bins, shape.bin))
    if not each:
        raise CisflowError(
            f"{files[0]}: its records have {bins * shape.bin:,} bases with labels, and dataset.length is "
            f"{tiles.length:,}."
        )
    splits = split_of(len(lengths))
    targets = len(tiles.columns) or shape.targets
    streams = {}
    for name in SPLITS:
        wanted = splits == name
        if not wanted.any():
            raise CisflowError(f"no record is in the split '{name}' ({len(lengths)} records are there).")
        blocks = _blocks(files, shape, tiles, wanted)
        streams[name] = Stream(int(wanted.sum()) * each, tiles.length, targets, blocks, id_bytes=ID_BYTES)
    counts = {"records": len(lengths), "records_left_out": int((splits == "").sum())}
    used = counts["records"] - counts["records_left_out"]
    counts["bases"] = used * (bins * shape.bin + 2 * shape.crop)
    counts["bases_without_window"] = counts["bases"] - used * each * tiles.length
    return streams, counts


def _windows(files: Sequence[str | Path], shape: Shape) -> Iterator[tuple[str | Path, int, Window]]:
    number = 0
    for path in files:
        for own, record in enumerate(read_records(path)):
            yield path, number, window_of(record, shape, f"{path}, record {own}")
            number += 1


def _blocks(files: Sequence[str | Path], shape: Shape, tiles: Tiles, wanted: NDArray[np.bool_]) -> Iterator[Split]:
    for _, number, window in _windows(files, shape):
        if wanted[number]:
            x, y = tiles.cut(window, shape)
            starts = shape.crop + tiles.starts(len(window.y), shape.bin) * shape.bin
            yield Split(x, y, np.array([f"record-{number}:{at}-{at + tiles.length}".encode() for at in starts]))
