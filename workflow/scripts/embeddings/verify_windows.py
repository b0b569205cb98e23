"""Take some windows of a genome, for Basenji2 in PyTorch and in TensorFlow alike."""

from cisflow.embeddings.parity import take_windows
from cisflow.embeddings.weights import read_params
from cisflow.models.basenji import CROSS2020
from cisflow.script import parser, run


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--fasta", required=True, help="genome, or a FASTA file of some contigs")
    flags.add_argument(
        "--regions", required=True, help="BED file of windows of the model's length, or regions.tsv of a task"
    )
    flags.add_argument("--params", help="settings file of the model (JSON); by default that of the published ones")
    flags.add_argument("--count", type=int, default=2, help="how many windows, evenly chosen (%(default)s)")
    flags.add_argument("--out", required=True, help="HDF5 file to write")
    args = flags.parse_args()
    settings = read_params(args.params)["model"] if args.params else CROSS2020
    take_windows(args.fasta, args.regions, settings["seq_length"], args.count, args.out)


run(main)
