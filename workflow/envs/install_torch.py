"""Install PyTorch into the environment of this Python, in the build that fits the machine: `make environment` runs it.

On Linux, package indexes offer the build with CUDA, whose libraries fill gigabytes and serve nobody without an NVIDIA
GPU. PyTorch's own index has CPU builds. Only the standard library and pip are needed here.
"""

import argparse
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

# What builds are called in versions of wheels: 2.13.0+cpu, 2.13.0+cu130. The one with CUDA on PyPI has no such ending.
CPU = "+cpu"
# Of torch 2.13.0 for Python 3.11 on x86-64, with all that it needs; the other packages add 1.8 GB.
SIZES = {"cpu": "0.2 GB to download, 0.8 GB on disk", "cuda": "2.7 GB to download, 4.5 GB on disk"}
BUILDS = {
    "auto": "the CPU build where no NVIDIA driver is found and it can be had, otherwise what pip chooses",
    "cpu": "the CPU build",
    "cuda": "what pip chooses among the others",
}
# Bytes of a whole environment, and of what is downloaded for it.
ROOM = {"cpu": 4e9, "cuda": 10e9}
# An index that does not answer at once is passed over.
PROBE = ("--timeout", "10", "--retries", "0")


def has_driver() -> bool:
    """Return whether this machine has an NVIDIA driver."""
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()


def pip(*arguments: str, **options: bool) -> subprocess.CompletedProcess:
    """Run pip in the environment of this Python, with the user's own settings."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, text=True, check=False, **options)


def offered(release: str, *flags: str) -> list[str]:
    """Return the builds of a release that pip finds, the one that it would choose first; none if it cannot tell."""
    done = pip("index", "versions", "torch", *flags, capture_output=True)
    (listed,) = re.findall(r"^Available versions: (.*)$", done.stdout, flags=re.MULTILINE) or [""]
    return [version for version in listed.split(", ") if version.partition("+")[0] == release]


def install(requirement: str, size: str, *flags: str) -> bool:
    """Say what is installed and how large it is, install it, and return whether that was possible."""
    room = shutil.disk_usage(sys.prefix).free / 1e9
    print(f"      {requirement}: {size} ({room:.0f} GB are free)", flush=True)
    return pip("install", "--quiet", *flags, requirement).returncode == 0


def install_cpu(release: str, index: str) -> bool:
    """Install the CPU build, if it can be had from pip's own sources or from PyTorch's index."""
    wanted = release + CPU
    if wanted in offered(release):
        return install(f"torch=={wanted}", SIZES["cpu"])
    source = ("--index-url", index)
    if wanted not in offered(release, *source, *PROBE):
        print(f"      {index} cannot be reached, or has no torch {wanted} for this Python", flush=True)
        return False
    # What it needs has its version and hash in requirements.lock, which is installed next.
    return install(f"torch=={wanted}", f"{SIZES['cpu']}, from {index}", *source, "--no-deps")


def check(release: str, build: str, index: str, folder: Path) -> None:
    """Exit with the reason if an environment with this build cannot be made in a folder; install nothing."""
    builds = offered(release)
    if build == "cpu" and release + CPU not in builds:
        builds = offered(release, "--index-url", index, *PROBE)
    if not any((version == release + CPU) == (build == "cpu") for version in builds):
        sys.exit(f"no package index that can be reached has the {build} build of torch {release}")
    free = shutil.disk_usage(folder).free
    if free < ROOM[build]:
        sys.exit(f"{ROOM[build] / 1e9:.0f} GB are needed in {folder}, and {free / 1e9:.0f} GB are free")


def install_other(release: str, build: str) -> bool:
    """Install the build that pip chooses: any, or any but the CPU build."""
    builds = [version for version in offered(release) if build == "auto" or version != release + CPU]
    cpu = builds[:1] == [release + CPU] or platform.system() != "Linux"
    size = SIZES["cpu"] if cpu else f"{SIZES['cuda']}, with CUDA"
    return install(f"torch=={release}" + ("" if build == "auto" else f",!={release}{CPU}"), size)


def main() -> None:
    """Install the build that is asked for, or exit with what to do."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("requirement", help="torch==VERSION")
    flags.add_argument("--build", default="auto", help="; ".join(f"{name}: {text}" for name, text in BUILDS.items()))
    flags.add_argument("--cpu-index", required=True, help="a package index with CPU builds")
    flags.add_argument("--check", type=Path, metavar="FOLDER", help="only tell why it cannot be installed there, if so")
    args = flags.parse_args()
    release = args.requirement.removeprefix("torch==")
    if args.build not in BUILDS:
        sys.exit(f"TORCH_BUILD is one of {', '.join(BUILDS)}, not {args.build!r}")
    if args.check:
        check(release, args.build, args.cpu_index, args.check)
        return
    # Elsewhere than on Linux there is no build with CUDA.
    prefers_cpu = args.build == "auto" and platform.system() == "Linux" and not has_driver()
    if prefers_cpu:
        print("      no NVIDIA driver is found here, so the CPU build is preferred", flush=True)
    if args.build == "cpu" or prefers_cpu:
        if install_cpu(release, args.cpu_index):
            return
        if args.build == "cpu":
            sys.exit(
                "The CPU build cannot be had. TORCH_CPU_INDEX=… names another index, TORCH_BUILD=auto takes any build."
            )
        print("      so the build of your package index is taken; TORCH_CPU_INDEX=… names another index", flush=True)
    if not install_other(release, args.build):
        sys.exit(f"pip could not install torch {release}; what it said is above")


if __name__ == "__main__":
    main()
