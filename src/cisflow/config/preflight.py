"""Checks of the files that a configuration names, before the first job."""

from pathlib import Path

import h5py

from cisflow.config.datasets import Hdf5
from cisflow.config.project import Project
from cisflow.datasets.mat5 import is_mat5
from cisflow.datasets.store import SPLITS
from cisflow.errors import CisflowError
from cisflow.io import h5_reader


def check_files(project: Project) -> None:
    """Check that users' own data files are whole and have the arrays that their task names.

    A file that is not there is left to Snakemake, which reports it if a target needs it.

    Raises
    ------
    CisflowError
        All problems of all tasks, a line each.
    """
    problems = [f"tasks.{name}.dataset: {problem}" for name, task in project.tasks.items() for problem in _of(task)]
    if problems:
        raise CisflowError("files that the configuration names have problems:\n" + "\n".join(problems))


def _of(task) -> list[str]:
    dataset = task.dataset
    if dataset.kind != "hdf5" or dataset.source is not None:
        return []
    return [problem for file in dataset.files() if Path(file).exists() for problem in _problems(file, dataset)]


def _problems(file: str, dataset: Hdf5) -> list[str]:
    if is_mat5(file):
        return []  # its arrays would have to be unpacked
    splits = [split for split in SPLITS if dataset.file.replace("{split}", split) == file]
    try:
        with h5_reader(file) as h5:
            keys = [key.format(split=split) for key in (dataset.keys.x, dataset.keys.y) for split in splits]
            missing = [key for key in keys if not isinstance(h5.get(key), h5py.Dataset)]
    except CisflowError as error:
        return [str(error)]
    return [f"{file}: there is no array {', '.join(missing)}; name the arrays with 'keys'."] if missing else []
