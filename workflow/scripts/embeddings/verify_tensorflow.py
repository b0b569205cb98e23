"""Compute windows with TensorFlow and Keras, from the weights file itself."""

from cisflow.embeddings.tensorflow_side import compute_reference
from cisflow.script import parser, run


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--weights", required=True, help="HDF5 file of Keras")
    flags.add_argument("--windows", required=True, help="HDF5 file of windows")
    flags.add_argument("--out", required=True, help="HDF5 file to write")
    args = flags.parse_args()
    compute_reference(args.weights, args.windows, args.out)


run(main)
