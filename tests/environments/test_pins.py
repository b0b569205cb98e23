"""The conda files are the same whichever build of torch they are made with."""

from importlib import metadata

import pytest
from workflow.envs import pins
from workflow.envs.pins import files, lock, needed

# What both builds of torch 2.13.0 need, and what only torch 2.13.0+cu130 needs, from their wheels on PyPI.
ANY_BUILD = [
    "filelock",
    "typing-extensions>=4.10.0",
    "setuptools>=77.0.3",
    "sympy>=1.13.3",
    "networkx>=2.5.1",
    "jinja2",
    "fsspec>=0.8.5",
    'optree>=0.13.0; extra == "optree"',
    'opt-einsum>=3.3; extra == "opt-einsum"',
    'pyyaml; extra == "pyyaml"',
]
CUDA_BUILD = [
    "cuda-toolkit[cublas,cudart,cufft,cufile,cupti,curand,cusolver,cusparse,nvjitlink,nvrtc,nvtx]==13.0.3;"
    ' platform_system == "Linux"',
    'cuda-bindings<14,>=13.0.3; platform_system == "Linux" and python_version < "3.15"',
    'nvidia-cudnn-cu13==9.20.0.48; platform_system == "Linux"',
    'nvidia-cusparselt-cu13==0.8.1; platform_system == "Linux"',
    'nvidia-nccl-cu13==2.29.7; platform_system == "Linux"',
    'nvidia-nvshmem-cu13==3.4.5; platform_system == "Linux"',
    'triton==3.7.1; platform_system == "Linux" and python_version < "3.15"',
]
BUILDS = {"cpu": ANY_BUILD, "cuda": [*ANY_BUILD, *CUDA_BUILD]}
# Of the packages above, those that need others.
OF_CUDA = {
    "cuda-toolkit": ['nvidia-cublas==13.1.1.3; extra == "cublas"', 'nvidia-cufft==12.0.0.61; extra == "cufft"'],
    "cuda-bindings": ["cuda-pathfinder~=1.1"],
    "nvidia-cudnn-cu13": ["nvidia-cublas"],
    "nvidia-cufft": ["nvidia-nvjitlink"],
}
NEEDS_NOTHING = (
    "triton", "cuda-pathfinder", "nvidia-cublas", "nvidia-nvjitlink", "nvidia-cusparselt-cu13", "nvidia-nccl-cu13",
    "nvidia-nvshmem-cu13",
)  # fmt: skip


@pytest.fixture
def install(monkeypatch):
    """Return a function that lets a build of torch seem installed, or another change of what packages need."""
    installed = metadata.requires

    def change(**requirements: list[str]) -> None:
        changed = OF_CUDA | {name: [] for name in NEEDS_NOTHING} | requirements
        monkeypatch.setattr(
            pins.metadata, "requires", lambda name: changed[name] if name in changed else installed(name)
        )

    return change


@pytest.mark.parametrize("build", BUILDS)
def test_the_files_do_not_depend_on_the_build_of_torch(install, build):
    install(torch=BUILDS[build])
    assert {path.name: text for path, text in files()} == {
        path.name: path.read_text() for path in pins.HERE.glob("*.yaml")
    }


def test_an_environment_of_links_has_the_libraries_of_its_build(install):
    """libcudnn.so.9 is in a package of its own, without which torch is not imported."""
    install(torch=BUILDS["cuda"])
    found = needed(["torch"])
    assert {"cuda-bindings", "cuda-pathfinder", "nvidia-cudnn-cu13", "nvidia-cublas", "triton", "sympy"} <= found
    assert needed(["torch"], lock(pins.ROOT / "requirements.lock")) == {name for name in found if not of_cuda(name)}


def of_cuda(name: str) -> bool:
    return name.startswith(("cuda-", "nvidia-", "triton"))


def test_a_package_that_the_lock_lacks_is_named(install):
    """Only torch has builds: what another package needs has to be in the lock."""
    install(torchmetrics=["lightning-utilities>=0.15", "nvidia-nccl-cu13"])
    with pytest.raises(SystemExit, match=r"requirements.lock lacks nvidia-nccl-cu13: renew it"):
        list(files())
