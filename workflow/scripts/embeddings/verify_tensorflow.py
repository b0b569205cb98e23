"""Compute windows with TensorFlow and Keras, from the weights file itself."""

from cisflow.errors import CisflowError
from cisflow.script import parser, run


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--weights", required=True, help="HDF5 file of Keras")
    flags.add_argument("--windows", required=True, help="HDF5 file of windows")
    flags.add_argument("--out", required=True, help="HDF5 file to write")
    args = flags.parse_args()
    try:
        from cisflow.embeddings.tensorflow_side import compute_reference
    except ModuleNotFoundError as error:
        raise CisflowError(
            f"{error.name} is not installed here. 'make benchmark-keras' installs TensorFlow in .venv-tensorflow; then "
            "set CISFLOW_TENSORFLOW_PYTHON=.venv-tensorflow/bin/python."
        ) from None
    compute_reference(args.weights, args.windows, args.out)


run(main)
