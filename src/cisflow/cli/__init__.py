"""The command line: what can be done without the workflow, and what can be asked about it."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from cisflow import __version__
from cisflow.cli.encode import app as encode_app
from cisflow.errors import CisflowError

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
out = Console(highlight=False)


def main() -> None:
    """Run the command line; a problem that the user can mend is one message and exit status 1."""
    try:
        app()
    except CisflowError as error:
        Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {error}", markup=True, soft_wrap=True)
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


@app.command()
def predict(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            help="Checkpoint folders, as results/tasks/task1/runs/cnn-2_relu/trial-0.", metavar="CHECKPOINT..."
        ),
    ],
    fasta: Annotated[Path, typer.Option(help="Sequences, all of the length that the model takes; plain or gzipped.")],
    output: Annotated[Path, typer.Option("--out", help="Table to write: .tsv, or .parquet.")],
    weights: Annotated[
        Literal["best", "last"] | None, typer.Option(help="Weights of which epoch. [default: those the task uses]")
    ] = None,
    device: Annotated[Literal["gpu", "cpu", "any"], typer.Option(help="Where to compute.")] = "any",
) -> None:
    """Predict sequences with trained models.

    The table has a row for each checkpoint and sequence, and a column for each target: probabilities for binary labels.
    """
    from cisflow.cli.predict import predict_fasta

    count, unknown = predict_fasta(checkpoints, fasta, output, weights, device)
    note = f" ({unknown:,} unknown bases were given as no base at all)" if unknown else ""
    out.print(f"{output}: {count:,} sequences, {len(checkpoints)} models{note}")


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
) -> None:
    """Lift a BED file to another assembly.

    Rows that cannot be lifted are in a table beside the output, its name ending in .dropped.tsv, each with its reason.
    """
    from cisflow.tracks.bed import lift_bed
    from cisflow.tracks.liftover import Rules

    for note in lift_bed(chain, bed, output, Rules(min_fraction, max_length_change, same_strand, best)):
        out.print(note, markup=False, soft_wrap=True)


@app.command()
def explain(
    task: Annotated[str, typer.Argument(help="Name of a task, as in config/tasks.yaml.")],
    config: Config = CONFIG,
) -> None:
    """Show a task as it is understood: every setting and where it comes from, its runs, its jobs, time and disk."""
    from cisflow.cli.explain import explain_task
    from cisflow.config.project import load_project

    explain_task(load_project(config), task, out)


@app.command()
def figures(config: Config = CONFIG) -> None:
    """List the figures: their state, what they cost in jobs, hours and disk, and what each is made from."""
    from cisflow.cli.figures import list_figures
    from cisflow.config.project import load_project

    list_figures(load_project(config), out, config)


@app.command()
def doctor(config: Config = CONFIG) -> None:
    """Check this machine and the configuration; each problem comes with the command that mends it."""
    from cisflow.cli.doctor import examine

    if not examine(config, out):
        raise typer.Exit(1)


@app.command()
def schema(
    folder: Annotated[Path, typer.Option(help="Where to write them.", metavar="FOLDER")] = Path("config/schemas"),
) -> None:
    """Write the JSON schemas of the configuration files, which editors use."""
    from cisflow.config.schemas import write

    for path in write(folder):
        out.print(str(path))
