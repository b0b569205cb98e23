"""Embed a shard of the windows of a task with a pretrained trunk."""

import logging
import time

import torch

from cisflow.embeddings.embed import How, Kept, about_of, embed_shard, load_model
from cisflow.embeddings.store import COMPRESSIONS
from cisflow.embeddings.windows import EDGES, windows_of_task
from cisflow.models.folded import PRECISIONS
from cisflow.script import json_value, parser, run
from cisflow.tracks.genome import Genome

# Seconds between two lines of the log that say how far it is.
EVERY = 10


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--weights", required=True, help="HDF5 file of Keras, or PyTorch state")
    flags.add_argument("--params", nargs="*", default=[], help="settings file of the model, if it has one")
    flags.add_argument("--gelu", default="auto")
    flags.add_argument("--genome", required=True, help="indexed genome")
    flags.add_argument("--regions", required=True, help="TSV file of all regions")
    flags.add_argument("--keep", required=True, type=json_value, help="what is stored, as JSON")
    flags.add_argument("--dtype", required=True, choices=("float16", "bfloat16"))
    flags.add_argument("--precision", required=True, choices=PRECISIONS)
    flags.add_argument("--compression", default="none", choices=COMPRESSIONS)
    flags.add_argument("--batch", required=True, type=int, help="windows computed together")
    flags.add_argument("--device", required=True, choices=("gpu", "cpu", "any"))
    # What is beyond a contig was left out, or refused, when the regions were made.
    flags.add_argument("--edges", default="pad", choices=(*EDGES, "drop"))
    flags.add_argument("--threads", type=int, default=1, help="of the computation on a CPU")
    flags.add_argument("--shard", required=True, type=int, help="which part of the regions, from 0")
    flags.add_argument("--shards", required=True, type=int, help="how many parts there are")
    flags.add_argument("--out", required=True, help="HDF5 file to write")
    args = flags.parse_args()
    torch.set_num_threads(args.threads)
    params = args.params[0] if args.params else None
    how, kept = How(args.precision, args.batch, args.device), Kept(args.keep, args.dtype, args.compression)
    model = load_model(args.weights, params, args.gelu, how)
    with Genome(args.genome) as genome:
        sizes = genome.sizes
    windows = windows_of_task(args.regions, model, sizes, "pad" if args.edges == "pad" else "fail")
    about = about_of(model, how, kept, args.weights, params, args.genome, args.regions)
    started = told = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal told
        if (now := time.monotonic()) - told >= EVERY or done == total:
            told = now
            logging.info("%s of %s windows, %.2f a second", f"{done:,}", f"{total:,}", done / (now - started))

    logging.info("%s GELU, %s, on %s threads or a GPU", model.gelu, args.precision, args.threads)
    embed_shard(model, args.genome, windows, about, how, kept, args.shard, args.shards, args.out, progress)


run(main)
