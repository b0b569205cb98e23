"""Which reader a file of signal needs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cisflow.errors import CisflowError
from cisflow.tracks.bam import Bam
from cisflow.tracks.bigwig import BigWig
from cisflow.tracks.endings import format_of
from cisflow.tracks.signal import Assembly, Signal
from cisflow.tracks.spans import Table

# The value of a bedGraph row is in its fourth column.
VALUE = 4


def open_signal(path: str | Path, assembly: Assembly, track: Mapping[str, Any]) -> Signal:
    """Open a file of signal.

    Parameters
    ----------
    path
        The file.
    assembly
        The genome that it must be of.
    track
        Its settings (`cisflow.config.tracks.Track`, as a dictionary), of which format, column, reads and
        rows_beyond_contig are used.

    Raises
    ------
    CisflowError
        Its format is not known, or the file is not right.
    """
    path = Path(path)
    beyond = track.get("rows_beyond_contig", "fail")
    kind = format_of(path.name, track["format"])
    if kind == "bigwig":
        return BigWig(path, assembly)
    if kind == "bedgraph":
        return Table(path, assembly, VALUE, sorted_rows=True, beyond=beyond)
    if kind == "bed":
        return Table(path, assembly, track["column"], beyond=beyond)
    if kind == "bam":
        return Bam(path, assembly, track["reads"])
    raise CisflowError(
        f"{path}: the end of its name does not tell the format; give format: bigwig, bedgraph, bed, bam."
    )
