"""Which device a network is computed on."""

import torch

from cisflow.errors import CisflowError
from cisflow.gpus import claim


def choose_device(device: str, wait: bool = True) -> torch.device:
    """Return the device that 'gpu', 'cpu', or 'any' (a GPU if one is visible) stands for; a GPU is claimed.

    Parameters
    ----------
    device
        One of the three.
    wait
        Wait while other jobs have all GPUs; False: share one.

    Raises
    ------
    CisflowError
        A GPU is asked for and none is visible.
    """
    if device != "cpu":
        claim(wait=wait)
    if device == "gpu" and not torch.cuda.is_available():
        raise CisflowError(
            "a GPU is asked for, and no GPU is visible here. Run it where there is one (profiles/slurm asks for it), "
            "or allow the CPU: 'device: any' under 'training' or 'trunk' of the task, '--device any' as an option."
        )
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
