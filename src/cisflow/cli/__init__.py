"""The command line: what can be done without the workflow, and what can be asked about it."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from cisflow import __version__
from cisflow.cli import options
from cisflow.cli.console import VisibleConsole
from cisflow.cli.encode import app as encode_app
from cisflow.cli.sources import app as sources_app
from cisflow.errors import CisflowError
from cisflow.io import failing_message
from cisflow.script import show_all_letters, watch

app = typer.Typer(
    name="cisflow",
    help="Regulatory genomics from the public source to the finished figure.",
    epilog="Results are made by snakemake; see the README. These commands need no workflow run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Config = Annotated[
    Path,
    typer.Option(
        "--config", help="Configuration, which sets the scale: config/demo/config.yaml for the demo.", metavar="FILE"
    ),
]
CONFIG = Path("config/config.yaml")
out = VisibleConsole()


def main() -> None:
    """Run the command line; a problem that the user can mend is one message and exit status 1."""
    show_all_letters()
    sys.unraisablehook = watch
    try:
        app()
    except (CisflowError, OSError) as error:
        message = str(error) if isinstance(error, CisflowError) else failing_message(error)
        if message is None:
            raise
        VisibleConsole(stderr=True).print(f"[bold red]error:[/] {escape(message)}", markup=True, soft_wrap=True)
        raise SystemExit(1) from None


def _version(show: bool) -> None:
    if show:
        out.print(f"cisflow {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


app.add_typer(encode_app, name="encode")
app.add_typer(sources_app, name="sources")


@app.command()
def predict(
    context: typer.Context,
    fasta: Annotated[
        Path, typer.Option(help="Sequences, all of the length that the model takes; of Basenji2, the genome.")
    ],
    output: Annotated[Path, typer.Option("--out", help="Table to write: .tsv or .parquet; of Basenji2, an HDF5 file.")],
    checkpoints: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Checkpoint folders, as results/tasks/task1/runs/cnn-2_relu/trial-0.", metavar="[CHECKPOINT...]"
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Of checkpoints: best or last, the weights of which epoch. Default: those the task uses. Without "
            "checkpoints: file of weights of Basenji2.",
            metavar="best|last|FILE",
        ),
    ] = None,
    device: options.Device = "any",
    regions: options.Regions = None,
    params: options.Params = None,
    gelu: options.Gelu = "auto",
    targets: options.Targets = None,
    tracks: options.Tracks = None,
    rc: options.ReverseComplement = False,
    shifts: options.Shifts = "0",
    dtype: options.Dtype = "float32",
    bigwig: options.BigWig = None,
    precision: options.Precision = "32-true",
    batch: options.Batch = 4,
    exact: options.Exact = False,
    edges: options.Edges = "pad",
) -> None:
    """Predict sequences with trained models, or the tracks of windows with Basenji2.

    With checkpoints, the table has a row for each checkpoint and sequence, in the order of the file, and a column for
    each target: probabilities for binary labels. The column of a target called checkpoint or sequence is p.checkpoint
    or p.sequence. Without, --weights and --regions are those of Basenji2, and the file has an array (regions, bins,
    tracks).
    """
    if checkpoints:
        from cisflow.cli.predict import predict_fasta

        if weights not in (None, "best", "last"):
            raise CisflowError(f"--weights {weights}: of checkpoints, say best or last.")
        if wrong := options.given(context, options.BASENJI2):
            raise CisflowError(f"{', '.join(wrong)}: these belong to Basenji2, and checkpoints are given.")
        count, unknown = predict_fasta(checkpoints, fasta, output, weights, device)
        note = f" ({unknown:,} unknown bases were given as no base at all)" if unknown else ""
        out.print(f"{output}: {count:,} sequences, {len(checkpoints)} models{note}")
        return
    if weights is None or regions is None:
        raise CisflowError("give checkpoint folders; or, for Basenji2, its weights and windows: --weights, --regions.")
    from cisflow.cli.embed import Input, parse_shifts, predict_file
    from cisflow.embeddings.embed import How
    from cisflow.embeddings.predict import Ensemble

    notes = predict_file(
        Input(Path(weights), params, gelu, fasta, regions, exact, edges), How(precision, batch, device),
        Ensemble(rc, parse_shifts(shifts)), output, targets, tracks, dtype, bigwig, out,
    )  # fmt: skip
    for note in notes:
        out.print(note, markup=False, soft_wrap=True)


@app.command()
def embed(
    weights: options.Weights,
    fasta: Annotated[Path, typer.Option(help="Genome, plain or gzipped; indexed, if there is an index beside it.")],
    regions: Annotated[Path, typer.Option(help="BED file of windows.", metavar="FILE")],
    output: Annotated[Path, typer.Option("--out", help="HDF5 file to write.")],
    params: options.Params = None,
    gelu: options.Gelu = "auto",
    keep: Annotated[
        str, typer.Option(help="Bins to store: all, their mean or max, or numbers of bins, as 447,448.")
    ] = "all",
    dtype: Annotated[Literal["float16", "bfloat16"], typer.Option(help="Numbers that are stored.")] = "float16",
    compression: Annotated[
        Literal["none", "bitshuffle"], typer.Option(help="Of the file; to read it takes hdf5plugin.")
    ] = "none",
    shards: Annotated[
        int, typer.Option(min=1, help="Files to share the windows out to; a run that is begun again goes on with them.")
    ] = 1,
    device: options.Device = "any",
    precision: options.Precision = "32-true",
    batch: options.Batch = 4,
    exact: options.Exact = False,
    edges: options.Edges = "pad",
) -> None:
    """Embed windows with a pretrained Basenji2.

    The file has an array (regions, bins, channels), the regions, and checksums of what it was made from.
    """
    from cisflow.cli.embed import Input, embed_file, parse_keep
    from cisflow.embeddings.embed import How, Kept

    given = Input(weights, params, gelu, fasta, regions, exact, edges)
    kept = Kept(parse_keep(keep), dtype, compression)
    for note in embed_file(given, kept, How(precision, batch, device), output, shards, out):
        out.print(note, markup=False, soft_wrap=True)


@app.command()
def liftover(
    chain: Annotated[Path, typer.Option(help="UCSC chain file from the one assembly to the other; plain or gzipped.")],
    bed: Annotated[Path, typer.Option("--in", help="BED file to lift; plain or gzipped.")],
    output: Annotated[Path, typer.Option("--out", help="BED file to write; gzipped if its name ends in .gz.")],
    min_fraction: Annotated[float, typer.Option(help="Part of an interval's bases that one chain must carry.")] = 0.95,
    max_length_change: Annotated[float, typer.Option(help="How much its length may change, as a part of it.")] = 0.1,
    same_strand: Annotated[bool, typer.Option("--same-strand", help="Drop intervals that turn round.")] = False,
    best: Annotated[
        bool, typer.Option("--best", help="Take the best-scoring of several chains; else the interval is dropped.")
    ] = False,
    kind: Annotated[
        Literal["auto", "bed", "narrowpeak"],
        typer.Option(
            "--format",
            help="Format of the BED file: summits of narrowPeak are lifted, too. Default: as its rows look.",
        ),
    ] = "auto",
    drop_beyond: Annotated[
        bool, typer.Option("--drop-beyond", help="Drop rows that end beyond their contig; else they are an error.")
    ] = False,
) -> None:
    """Lift a BED file to another assembly.

    Rows that cannot be lifted are in a table beside the output, its name ending in .dropped.tsv, each with its reason.
    """
    from cisflow.tracks.bed import lift_bed
    from cisflow.tracks.liftover import Rules

    rules = Rules(min_fraction, max_length_change, same_strand, best)
    for note in lift_bed(chain, bed, output, rules, kind, drop_beyond):
        out.print(note, markup=False, soft_wrap=True)


@app.command()
def explain(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Tasks, as in config/tasks.yaml, or results, as results/figures/fig1.pdf. Default: everything.",
            metavar="[TASK|RESULT...]",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="Profile that says where jobs run: slurm, local, a path, or none. Default: that of 'command' in the "
            "configuration.",
            metavar="NAME",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Configuration, which sets the scale: config/demo/config.yaml for the demo. Default: that of the "
            "profile, else config/config.yaml.",
            metavar="FILE",
        ),
    ] = None,
) -> None:
    """Show what it will take to make results, before anything is submitted; of a task also how it is understood.

    Jobs by rule, core hours, GPU hours, wall time and disk: measured by earlier runs, or estimated.
    """
    from cisflow.cli.explain import explain as print_all
    from cisflow.cli.planning.plan import NO_PROFILE, config_of, profile_path
    from cisflow.config.project import load_project

    named = config_of(profile_path(profile)) if profile not in (None, NO_PROFILE) and config is None else None
    path = config or (Path(named) if named else CONFIG)
    print_all(load_project(path), targets or [], out, path, profile)


@app.command()
def figures(config: Config = CONFIG) -> None:
    """List the figures: their state, what they cost in jobs, hours and disk, and what each is made from."""
    from cisflow.cli.figures import list_figures
    from cisflow.config.project import load_project

    list_figures(load_project(config), out, config)


@app.command()
def records(
    config: Config = CONFIG,
    rule: Annotated[str | None, typer.Option(help="Show the jobs of this rule.", metavar="RULE")] = None,
    tsv: Annotated[
        Path | None,
        typer.Option(help="Write the table of jobs, or of those of the rule, to this file.", metavar="FILE"),
    ] = None,
) -> None:
    """Show what the jobs took beside what they asked for, and what to ask for next time.

    By rule, the costliest first; memory is in MiB. The last lines are for a profile.
    """
    from cisflow.cli.records import show_records
    from cisflow.config.project import load_project

    show_records(load_project(config), out, rule, tsv)


@app.command()
def crate(
    target: Annotated[Path, typer.Argument(help="A result, as results/figures/fig1.pdf.", metavar="RESULT")],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="Configuration that it was made with; default: by the folder of the result.",
            metavar="FILE",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--out", help="New folder, or new .zip file; default: beside the result.", metavar="PATH"),
    ] = None,
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Copy all files from the sources on; else most are only described.")
    ] = False,
) -> None:
    """Write a finished result as an RO-Crate: its files, the workflow, and all jobs that it was made by.

    Files that are not in it are described with address or path, and checksum.
    """
    from cisflow.cli.records import config_of
    from cisflow.config.project import load_project
    from cisflow.records.crate import default_out, write_crate

    project = load_project(config or config_of(target))
    for note in write_crate(project, target, output or default_out(target), with_data):
        out.print(note, markup=False, soft_wrap=True)


@app.command()
def doctor(
    profile: Annotated[
        str | None,
        typer.Option(help="Look at this profile and its cluster, too: slurm, or the path of one.", metavar="PROFILE"),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--for", help="What will be made, as results/figures/fig1.pdf: its space and files.", metavar="TARGET"
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Configuration. Default: that of the profile, or config/config.yaml.", metavar="FILE"),
    ] = None,
) -> None:
    """Check this machine and the configuration; each problem comes with the command that mends it.

    With --profile, Slurm is asked what it has and allows, and that is held against what the rules ask.
    """
    from cisflow.cli.doctor import examine

    if not examine(config, out, profile, targets or ()):
        raise typer.Exit(1)


@app.command()
def schema(
    folder: Annotated[Path, typer.Option(help="Where to write them.", metavar="FOLDER")] = Path("config/schemas"),
) -> None:
    """Write the JSON schemas of the configuration files, which editors use."""
    from cisflow.config.schemas import write

    for path in write(folder):
        out.print(str(path))
