"""Options of the commands that compute with models, of which those of Basenji2 are a panel of their own in the help."""

from pathlib import Path
from typing import Annotated, Literal

import typer

BASENJI2 = "Basenji2"
Weights = Annotated[
    Path, typer.Option(help="Weights of Basenji2: Keras' HDF5 file (.h5), or a PyTorch state (.pth).", metavar="FILE")
]
Params = Annotated[
    Path | None,
    typer.Option(help="Settings file (JSON) of a model of other widths.", metavar="FILE", rich_help_panel=BASENJI2),
]
Gelu = Annotated[
    Literal["auto", "quick", "tanh", "erf"],
    typer.Option(help="GELU of the model; auto: what the file of weights says.", rich_help_panel=BASENJI2),
]
Precision = Annotated[
    Literal["32-true", "bf16-mixed", "bf16-true"],
    typer.Option(help="Of the computation.", rich_help_panel=BASENJI2),
]
Batch = Annotated[int, typer.Option(min=1, help="Windows computed together.", rich_help_panel=BASENJI2)]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Refuse regions of another length than the model's; else the window is laid around their middle, which is "
        "counted.",
        rich_help_panel=BASENJI2,
    ),
]
Edges = Annotated[
    Literal["pad", "fail"],
    typer.Option(help="Windows beyond a contig: filled with N and counted, or refused.", rich_help_panel=BASENJI2),
]
Device = Annotated[Literal["gpu", "cpu", "any"], typer.Option(help="Where to compute.")]
Regions = Annotated[Path | None, typer.Option(help="BED file of windows.", metavar="FILE", rich_help_panel=BASENJI2)]
Targets = Annotated[
    Path | None,
    typer.Option(help="Table of the model's tracks, as targets_human.txt.", metavar="FILE", rich_help_panel=BASENJI2),
]
Tracks = Annotated[
    str | None,
    typer.Option(
        help="Tracks to predict: numbers, ranges or identifiers, as 0,4-7,CNhs10608. Default: all.",
        rich_help_panel=BASENJI2,
    ),
]
ReverseComplement = Annotated[
    bool, typer.Option("--rc", help="Average with the reverse complement.", rich_help_panel=BASENJI2)
]
Shifts = Annotated[
    str, typer.Option(help="Average over sequences moved by so many bases, as 1,0,-1.", rich_help_panel=BASENJI2)
]
Dtype = Annotated[
    Literal["float16", "float32"], typer.Option(help="Numbers that are stored.", rich_help_panel=BASENJI2)
]
BigWig = Annotated[
    Path | None,
    typer.Option(
        help="Folder for a BigWig file a track, too; windows that overlap without their crop are refused.",
        metavar="FOLDER",
        rich_help_panel=BASENJI2,
    ),
]


def given(context: typer.Context, panel: str) -> list[str]:
    """Return the options of a panel of the help that are on the command line, whatever their values."""
    return [
        option.opts[0]
        for option in context.command.params
        if getattr(option, "rich_help_panel", None) == panel
        and (source := context.get_parameter_source(option.name or "")) is not None
        and source.name == "COMMANDLINE"
    ]
