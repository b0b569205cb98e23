"""The table of regions of an HDF5 file: group `regions` with chrom, start, end and split."""

import h5py
import numpy as np
import polars as pl

from cisflow.tables import REGIONS


def put_regions(h5: h5py.Group, table: pl.DataFrame) -> None:
    """Write the group `regions` of a file."""
    for key in REGIONS:
        column = table[key].to_numpy()
        h5[f"regions/{key}"] = column if column.dtype.kind == "i" else np.char.encode(column.astype(str))


def get_regions(h5: h5py.Group) -> pl.DataFrame:
    """Return the regions of a file."""
    columns = {key: h5[f"regions/{key}"][:] for key in REGIONS}
    return pl.DataFrame({k: v if v.dtype.kind == "i" else np.char.decode(v) for k, v in columns.items()})
