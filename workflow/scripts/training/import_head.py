"""Make a checkpoint of a head that the CS282A project trained (a PyTorch state dict), for evaluation and prediction."""

from pathlib import Path

from cisflow.script import parser, run
from cisflow.training.pth import write_checkpoint


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--weights", required=True, help="the .pth file")
    flags.add_argument("--targets", required=True, nargs="+", help="names of the outputs, in order")
    flags.add_argument("--bins", type=int, default=896, help="bins of the embeddings")
    flags.add_argument("--length", type=int, default=131_072, help="bases of a window")
    flags.add_argument("--out", required=True, type=Path, help="folder to write: <run>/trial-<number>")
    args = flags.parse_args()
    write_checkpoint(args.weights, args.out, args.targets, args.bins, args.length)


run(main)
