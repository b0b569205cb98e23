"""Hold Basenji2 in PyTorch against what TensorFlow made of the same windows; fails beyond a tolerance."""

import logging

import torch

from cisflow.embeddings.parity import compare
from cisflow.embeddings.weights import load_basenji, read_params, read_weights
from cisflow.models.folded import PRECISIONS, inference
from cisflow.script import parser, run


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--weights", required=True, help="HDF5 file of Keras")
    flags.add_argument("--params", help="settings file of the model (JSON); by default that of the published ones")
    flags.add_argument("--gelu", default="auto", help="auto, quick, tanh or erf (%(default)s)")
    flags.add_argument("--precision", default="32-true", choices=PRECISIONS, help="(%(default)s)")
    flags.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="(%(default)s)")
    flags.add_argument("--windows", required=True, help="HDF5 file of windows")
    flags.add_argument("--reference", required=True, help="HDF5 file of what TensorFlow made of them")
    flags.add_argument("--tolerance", type=float, default=1e-3, help="how much a value may differ (%(default)s)")
    flags.add_argument("--threads", type=int, default=torch.get_num_threads(), help="(%(default)s)")
    flags.add_argument("--out", required=True, help="TSV file to write: the largest difference of each window")
    args = flags.parse_args()
    torch.set_num_threads(args.threads)
    params = read_params(args.params) if args.params else None
    head = read_weights(args.weights).head is not None
    model = inference(load_basenji(args.weights, params, args.gelu, head), args.precision, args.device)
    largest = compare(model, args.weights, args.windows, args.reference, args.tolerance, args.out)
    logging.info("equal to TensorFlow: the largest difference is %.2g, and %g is allowed", largest, args.tolerance)


run(main)
