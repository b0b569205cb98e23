"""`cisflow embed`, and `cisflow predict` with weights of Basenji2: windows of a FASTA file, without the workflow."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cisflow.embeddings.embed import How, Kept, about_of, embed_shard, load_model
from cisflow.embeddings.predict import (
    Ensemble,
    check_apart,
    choose_tracks,
    only,
    read_targets,
    write_bigwigs,
    write_predictions,
)
from cisflow.embeddings.store import gather, read_embeddings
from cisflow.embeddings.windows import Windows, windows_of_bed
from cisflow.errors import CisflowError
from cisflow.io import partial_folder, remove_partial
from cisflow.models.device import choose_device
from cisflow.models.folded import Folded
from cisflow.tracks.genome import Genome, index_genome


@dataclass(frozen=True)
class Input:
    """What is computed from: weights, their settings file, their GELU, a FASTA file, and windows of it.

    Attributes
    ----------
    exact
        Refuse regions of another length than the model's.
    edges
        'pad' or 'fail'.
    """

    weights: Path
    params: Path | None
    gelu: str
    fasta: Path
    regions: Path
    exact: bool
    edges: str


@dataclass(frozen=True)
class _Opened:
    model: Folded
    genome: Path
    sizes: dict[str, int]
    windows: Windows
    notes: list[str]


def parse_keep(text: str) -> str | list[int]:
    """Return what `--keep` says: all, mean, max, or numbers of bins with commas between them.

    Raises
    ------
    CisflowError
        It is none of them.
    """
    if text in ("all", "mean", "max"):
        return text
    parts = text.split(",")
    if not all(part.strip().isdigit() for part in parts) or len(set(parts)) < len(parts):
        raise CisflowError(f"--keep {text}: say all, mean, max, or numbers of bins, each once, as 447,448.")
    return sorted(map(int, parts))


def parse_shifts(text: str) -> tuple[int, ...]:
    """Return what `--shifts` says: whole numbers with commas between them.

    Raises
    ------
    CisflowError
        It is something else, or has a number twice.
    """
    try:
        shifts = tuple(map(int, text.split(",")))
    except ValueError:
        raise CisflowError(f"--shifts {text}: say whole numbers with commas between them, as 1,0,-1.") from None
    if len(set(shifts)) < len(shifts):
        raise CisflowError(f"--shifts {text}: a shift is there twice.")
    return shifts


def embed_file(given: Input, kept: Kept, how: How, out: Path, shards: int, console: Console) -> list[str]:
    """Write the embeddings of the windows of a BED file; return what to tell.

    With more than one shard, `out` is a file over shards in the folder of its name, and a run that was interrupted goes
    on with the first shard that is not there.

    Raises
    ------
    CisflowError
        A file is not right, or a shard is there that was made from or with something else.
    """
    with _opened(given, how, out, console) as opened:
        about = about_of(opened.model, how, kept, given.weights, given.params, given.fasta, given.regions)
        paths = [_folder(out) / f"{shard}.h5" for shard in range(shards)] if shards > 1 else [out]
        work = (opened.model, opened.genome, opened.windows, about, how, kept)
        started, made = time.monotonic(), 0
        with _progress(console, len(opened.windows)) as told:
            for number, path in enumerate(paths):
                made += embed_shard(*work, number, shards, path, told.part)
                told.next(len(opened.windows) * (number + 1) // shards)
        if shards > 1:
            gather(paths, out)
    notes = (
        opened.notes if made == shards else [*opened.notes, f"{shards - made} of {shards} shards were there already"]
    )
    with read_embeddings(out) as found:
        unknown, shape = int(found.regions["unknown"].sum()), found.values.shape
    notes += [_unknown(unknown)] if unknown else []
    seconds = time.monotonic() - started
    return [
        f"{out}: embeddings {shape}, {opened.model.gelu} GELU, {len(opened.windows) / seconds:.2g} windows/s",
        *notes,
    ]


def _folder(out: Path) -> Path:
    """Return the folder of the shards of a file; only .h5 is no part of its name."""
    return out.with_suffix("") if out.suffix == ".h5" else out.with_name(f"{out.name}.shards")


def predict_file(
    given: Input, how: How, ensemble: Ensemble, out: Path, targets: Path | None, tracks: str | None, dtype: str,
    bigwig: Path | None, console: Console,
) -> list[str]:  # fmt: skip
    """Write the tracks that a model predicts for the windows of a BED file; return what to tell.

    Raises
    ------
    CisflowError
        A file is not right.
    """
    with _opened(given, how, out, console, head=True) as opened:
        model = opened.model
        if any(abs(shift) >= model.length for shift in ensemble.shifts):
            raise CisflowError(f"--shifts: a shift moves all {model.length:,} bases out of the window.")
        chosen = read_targets(targets, model.head.out_features)
        if tracks is not None:
            chosen = choose_tracks(chosen, [text.strip() for text in tracks.split(",")])
            only(model, chosen)
        if bigwig is not None:
            check_apart(opened.windows)
        about = about_of(model, how, Kept(), given.weights, given.params, given.fasta, given.regions)
        started = time.monotonic()
        with _progress(console, len(opened.windows)) as told:
            unknown = write_predictions(
                model, opened.genome, opened.windows, chosen, about, how, ensemble, dtype, out, told.part
            )
        seconds = time.monotonic() - started
        shape = (len(opened.windows), model.bins, len(chosen))
        notes = [f"{out}: predictions {shape}, {model.gelu} GELU, {len(opened.windows) / seconds:.2g} windows/s"]
        if bigwig is not None:
            files = write_bigwigs(out, opened.sizes, bigwig)
            notes.append(f"{bigwig}: {len(files):,} BigWig files")
    return notes + opened.notes + ([_unknown(unknown)] if unknown else [])


def _unknown(count: int) -> str:
    return f"{count:,} unknown bases were given as no base at all"


@contextmanager
def _opened(given: Input, how: How, out: Path, console: Console, head: bool = False) -> Iterator[_Opened]:
    choose_device(how.device, wait=False)
    model = load_model(given.weights, given.params, given.gelu, how, head)
    with _indexed(given.fasta, out, console) as genome:
        with Genome(genome) as fasta:
            sizes = dict(fasta.sizes)
        windows, moved = windows_of_bed(given.regions, model, sizes, given.fasta, given.exact, given.edges)
        notes = []
        if moved:
            notes.append(
                f"{moved:,} of {len(windows):,} regions have another length than {model.length:,}; windows are around "
                "their middle"
            )
        if padded := int((windows.padded > 0).sum()):
            bases = int(windows.padded.sum())
            notes.append(f"{padded:,} windows reach beyond their contig and are filled with N ({bases:,} bases)")
        yield _Opened(model, genome, sizes, windows, notes)


@contextmanager
def _indexed(fasta: Path, out: Path, console: Console) -> Iterator[Path]:
    """Give an indexed copy of a FASTA file, or the file itself if it is one, as those below resources/genomes."""
    if all(Path(f"{fasta}{ending}").is_file() for ending in ("", ".fai", ".gzi")):
        yield fasta
        return
    remove_partial(out)
    with partial_folder(out) as folder:
        note = f"{fasta}: it is indexed for this run alone; bgzip and samtools faidx would do so for all"
        console.print(note, markup=False, soft_wrap=True)
        index_genome(fasta, path := folder / "genome.fa.gz")
        yield path


class _Told:
    """Windows that are done, for a progress bar: those of the parts before, and of the present one."""

    def __init__(self, bar: Progress, task: Any):
        self.bar, self.task, self.before = bar, task, 0

    def part(self, done: int, total: int) -> None:
        """Take how much of the present part is done."""
        self.bar.update(self.task, completed=self.before + done)

    def next(self, before: int) -> None:
        """Begin the next part."""
        self.before = before
        self.part(0, 0)


@contextmanager
def _progress(console: Console, total: int) -> Iterator[_Told]:
    columns = (TextColumn("windows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Told(bar, bar.add_task("windows", total=total))
