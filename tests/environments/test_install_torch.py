"""`make environment` takes the build of PyTorch that fits the machine. pip is real, wheels and indexes are small."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from workflow.envs import install_torch

RELEASE = "9.9.0"
# Nobody listens on this port.
UNREACHABLE = "http://127.0.0.1:9/whl/cpu"


def write_index(folder: Path, *versions: str) -> str:
    """Write a package index with wheels of these versions of torch, and return its address."""
    page = folder / "torch" / "index.html"
    page.parent.mkdir(parents=True)
    for version in versions:
        information = f"torch-{version}.dist-info"
        with zipfile.ZipFile(page.parent / f"torch-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
            wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{information}/RECORD", "")
    page.write_text("".join(f'<a href="{wheel.name}">{wheel.name}</a>' for wheel in page.parent.glob("*.whl")))
    return folder.as_uri()


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """The Python of an environment that has pip."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


@pytest.fixture
def install(monkeypatch, environment, tmp_path):
    """Return a function that runs the program, and gives the version that it installs, or None."""
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", write_index(tmp_path / "own", RELEASE, "9.10.0"))
    monkeypatch.setattr(sys, "executable", str(environment))
    monkeypatch.setattr(install_torch.platform, "system", lambda: "Linux")

    def run(build: str = "auto", driver: bool = False, index: str = UNREACHABLE) -> str | None:
        monkeypatch.setattr(install_torch, "has_driver", lambda: driver)
        monkeypatch.setattr(sys, "argv", ["install_torch", f"torch=={RELEASE}", "--build", build, "--cpu-index", index])
        subprocess.run([environment, "-m", "pip", "uninstall", "--quiet", "--yes", "torch"], check=True)
        install_torch.main()
        code = "from importlib.metadata import version; print(version('torch'))"
        return subprocess.run([environment, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    return run


@pytest.fixture
def cpu_index(tmp_path) -> str:
    return write_index(tmp_path / "pytorch", f"{RELEASE}+cpu")


def test_without_a_driver_the_cpu_build_is_taken(install, cpu_index, capfd):
    assert install(index=cpu_index) == f"{RELEASE}+cpu"
    said = capfd.readouterr().out
    assert "no NVIDIA driver is found here" in said
    assert f"torch=={RELEASE}+cpu: 0.2 GB to download, 0.8 GB on disk, from {cpu_index}" in said


def test_an_index_that_cannot_be_reached_is_passed_over(install, capfd):
    assert install() == RELEASE
    said = capfd.readouterr().out
    assert f"{UNREACHABLE} cannot be reached, or has no torch {RELEASE}+cpu" in said
    assert f"torch=={RELEASE}: 2.7 GB to download, 4.5 GB on disk, with CUDA" in said


def test_a_cpu_build_that_breaks_off_is_passed_over(install, cpu_index, tmp_path, capfd):
    (tmp_path / f"pytorch/torch/torch-{RELEASE}+cpu-py3-none-any.whl").write_bytes(b"half a whe")
    assert install(index=cpu_index) == RELEASE
    assert "so the build of your package index is taken" in capfd.readouterr().out


def test_a_cpu_build_among_pips_own_sources_is_preferred(install, monkeypatch, tmp_path, capfd):
    """A folder of wheels, as on machines without a network: no other index is asked."""
    write_index(tmp_path / "wheels", f"{RELEASE}+cpu")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels/torch"))
    assert install() == f"{RELEASE}+cpu"
    assert UNREACHABLE not in capfd.readouterr().out


def test_with_a_driver_pip_chooses(install, cpu_index, capfd):
    assert install(driver=True, index=cpu_index) == RELEASE
    assert f"torch=={RELEASE}: 2.7 GB to download" in capfd.readouterr().out


def test_the_build_with_cuda_can_be_had_where_pip_would_choose_the_other(install, monkeypatch, tmp_path):
    write_index(tmp_path / "wheels", f"{RELEASE}+cpu")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels/torch"))
    assert install("cuda") == RELEASE


def test_the_cpu_build_is_all_or_nothing_where_it_is_asked_for(install, cpu_index):
    assert install("cpu", driver=True, index=cpu_index) == f"{RELEASE}+cpu"
    with pytest.raises(SystemExit, match="The CPU build cannot be had. TORCH_CPU_INDEX=… names another index"):
        install("cpu")


def test_what_is_no_build_is_refused(install):
    with pytest.raises(SystemExit, match="TORCH_BUILD is one of auto, cpu, cuda, not 'gpu'"):
        install("gpu")


def test_what_cannot_be_installed_is_an_error(install, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_INDEX_URL", write_index(tmp_path / "empty", "9.8.0"))
    with pytest.raises(SystemExit, match=f"pip could not install torch {RELEASE}"):
        install()
