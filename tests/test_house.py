"""The rules of the house that a program can check: style, environments, rule files, the map of the stages."""

import ast
import functools
import re
import subprocess
import sys
from importlib import metadata

import pytest
import yaml

from cisflow import __version__
from cisflow.provenance import _digest
from cisflow.software import pins
from tests.workflow.conftest import environment

STAGES = (
    "sources",
    "tracks",
    "datasets",
    "models",
    "embeddings",
    "training",
    "evaluation",
    "motifs",
    "attribution",
    "figures",
    "claims",
    "records",
)
# Helpers that every stage may use.
SHARED = {"errors", "io", "sequence", "seeds", "provenance", "script", "pwm", "tables", "trials", "config", "job",
    "claim", "locks", "checksums", "software", "gpus"}  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("snakefmt", "--check", "Snakefile", "workflow")],
    ids=" ".join,
)
def test_linters_and_formatters_have_nothing_to_say(root, command):
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def lock(root, name: str = "requirements.lock") -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", (root / name).read_text(), flags=re.MULTILINE))


def test_the_environment_is_the_locked_one(root):
    pinned = lock(root)
    assert len(pinned) > 100
    differ = {name: metadata.version(name) for name, wanted in pinned.items() if metadata.version(name) != wanted}
    assert differ == {}


@functools.cache
def conda_pins(path) -> dict[str, str]:
    """Return the versions of a conda file by pip's names, each of which is exact."""
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    conda = [entry for entry in dependencies if isinstance(entry, str)]
    assert all(re.fullmatch(r"[a-z-]+=\d+(\.\d+)+(=c\w+\*)?", pin) for pin in conda), path
    (pip,) = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pip), path
    torch = [("torch", entry.split("=")[1]) for entry in conda if entry.startswith("pytorch=")]
    return dict(torch) | dict(pin.split("==") for pin in pip)


def test_conda_environments_have_the_locked_versions(root):
    torch = re.search(r"^TORCH := torch==(\S+)$", (root / "Makefile").read_text(), flags=re.MULTILINE)[1]
    main = lock(root) | {"torch": torch}
    tensorflow = lock(root, "workflow/envs/basenji2-tensorflow.lock")
    own = {"basenji2-tensorflow": tensorflow | {"tensorflow": tensorflow["tensorflow-cpu"]}}
    for path in (root / "workflow/envs").glob("*.yaml"):
        assert conda_pins(path).items() <= own.get(path.stem, main).items(), path
        assert pins(path) == conda_pins(path), "what a job compares with is the file"


def test_conda_files_are_what_make_pins_writes(root):
    """They name all that the packages need, and the variants follow from their families' files."""
    done = subprocess.run(
        [sys.executable, "workflow/envs/pins.py", "--check"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# What tests wait for, and how long something took, held against a number.
LIMITS = r"timeout=\d|timeout\(\d|\.wait\(\d|alarm\([1-9]|(monotonic|perf_counter|time)\(\) - \w+ <=? *\d"


def test_the_limits_of_tests_are_in_one_place(root):
    """tests/limits.py, which is generous: a number in a test is what one machine happens to meet."""
    found = [
        f"{path.relative_to(root)}: {line.strip()}"
        for path in (root / "tests").rglob("*.py")
        for line in path.read_text().splitlines()
        if re.search(LIMITS, line) and "LIMITS = " not in line
    ]
    assert found == []


def lines(path) -> set[str]:
    return {line.strip() for line in path.read_text().splitlines() if not line.startswith("#")}


def test_variants_differ_only_in_what_they_are_variants_of(root):
    envs = root / "workflow/envs"
    for family in ("torch", "attribution"):
        cpu, cuda = lines(envs / f"{family}-cpu.yaml"), lines(envs / f"{family}-cuda.yaml")
        assert {line.split("=")[0] for line in cuda ^ cpu} == {"- pytorch", "- cuda-version"}
        assert len(cuda - cpu) == 2
        assert len(cpu - cuda) == 1
    plain, meme = lines(envs / "motifs.yaml"), lines(envs / "motifs-meme.yaml")
    assert plain < meme
    assert {line.split("=")[0] for line in meme - plain} == {"- meme", "- bioconda"}


def third_party(path, seen=None) -> set[str]:
    """Return the distributions that a program and the cisflow modules it uses import."""
    seen = set() if seen is None else seen
    names = set()
    if path in seen:
        return names
    seen.add(path)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    found = {name for name in names if name not in sys.stdlib_module_names and name != "cisflow"}
    return found.union(*(third_party(module, seen) for module in _digest(path)[1]))


def rules(root):
    """Yield (rule file, rule name, its text) of the whole workflow."""
    for path in (root / "workflow/rules").glob("*.smk"):
        for name, text in re.findall(
            r"^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(), flags=re.MULTILINE | re.DOTALL
        ):
            yield path, name, text


def conda_files(folder, text) -> list:
    """Return the conda files that a rule may use: variants have names that begin with that of their family."""
    family = re.search(r'envmodules:\n +"cisflow/([\w-]+)",', text)[1]
    conda = re.search(r"conda:\n +(.+)\n", text)[1]
    own = {
        f'"../envs/{family}.yaml"': [family],
        f'f"../envs/{family}-{{project.settings.torch}}.yaml"': [f"{family}-cpu", f"{family}-cuda"],
        "motifs_environment": ["motifs", "motifs-meme"],
    }
    return [folder / f"../envs/{stem}.yaml" for stem in own[conda]]


def test_each_rule_has_an_environment_with_all_that_its_script_imports(root):
    distribution = {
        "Bio": "biopython",
        "google_crc32c": "google-crc32c",
        "sklearn": "scikit-learn",
        "yaml": "pyyaml",
        "lightning_fabric": "lightning-fabric",
        "modiscolite": "modisco-lite",
        "tf_keras": "tf-keras",
    }
    optional = {"tensorboard", "wandb"}
    for path, name, text in rules(root):
        script = re.search(r"workflow/scripts/(\S+\.py)", text)
        if script is None:
            continue
        files = conda_files(path.parent, text)
        imported = third_party(root / "workflow/scripts" / script[1])
        if name.startswith("draw_"):
            for module in (root / "src/cisflow/figures").glob("*.py"):
                imported |= third_party(module)
        needed = {distribution.get(module, module) for module in imported} - optional
        for file in files:
            lacking = needed - set(conda_pins(file))
            assert not lacking, f"{name}: {file.name} lacks {lacking}"


def test_each_rule_is_complete_and_quotes_what_it_passes_on(root):
    found = list(rules(root))
    assert len(found) >= 12
    for path, name, text in found:
        if "shell:" not in text:
            continue
        for directive in ("input", "output", "log", "benchmark", "conda", "threads", "resources", "shell"):
            assert f"    {directive}:" in text or (directive == "input" and path.stem in ("sources", "records")), (
                f"{name} has no {directive}"
            )
        # A file that has come is what its declaration says, and could not be fetched again everywhere.
        assert "code=" in text or name == "fetch_source", f"{name} does not follow its code"
        shell = text[text.index("shell:") :]
        assert not re.search(r"^    run:", text, flags=re.MULTILINE)
        for reference in re.findall(r"\{[^}]+\}", shell.replace("{threads}", "")):
            assert reference.endswith(":q}"), f"{name}: {reference} is not quoted"
        last = shell.rstrip().rstrip('"').rstrip().splitlines()[-1]
        assert not re.search(r"params\.(mirror|exclude|loggers|baselines|replicates)", last), (
            f"{name}: a flag that may be empty must not come last"
        )


def test_each_job_tells_its_record_what_it_reads_writes_and_asks_for(root):
    told = 0
    for _path, name, text in rules(root):
        if "scripts/" not in text:
            continue
        shell, told = text[text.index("shell:") :], told + 1
        (log,) = re.findall(r"--log \{(.+):q\} ", shell)
        # The first log, where there are several, is that of the script.
        assert log == ("log[0]" if re.search(r"    log:\n.*\n +\w+=", text) else "log"), name
        asked = re.findall(r"\S+=\S+", " ".join(re.findall(r"--asked (.*) \\", shell)))
        resources = re.findall(r"^        (mem_mb|runtime|gpu)=", text, flags=re.MULTILINE)
        assert asked == [
            f"rule={name}", "threads={threads}", *(f"{name}={{resources.{name}:q}}" for name in resources)
        ], name  # fmt: skip
        assert re.findall(r"--(reads|writes) (\S+) \\", shell) == [("reads", "{input:q}"), ("writes", "{output:q}")], (
            name
        )
    assert told > 35


def test_a_stage_has_the_same_name_everywhere(root):
    for stage in STAGES:
        assert (root / "src/cisflow" / stage / "__init__.py").is_file()
        assert (root / "tests" / stage).is_dir()
        if stage != "models":
            assert (root / "workflow/rules" / f"{stage}.smk").is_file()
            assert list((root / "workflow/scripts" / stage).glob("*.py"))


def imported_stages(path) -> set[str]:
    modules = {
        node.module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    return {module.split(".")[1] for module in modules if module.startswith("cisflow.")} - SHARED


def test_a_stage_imports_only_earlier_ones(root):
    for number, stage in enumerate(STAGES):
        for path in (root / "src/cisflow" / stage).glob("*.py"):
            assert imported_stages(path) <= set(STAGES[: number + 1]), path
    # These two name what stages have.
    for name in SHARED - {"config", "trials"}:
        assert imported_stages(root / "src/cisflow" / f"{name}.py") == set()


def test_the_package_knows_nothing_of_snakemake(root):
    """But for the commands that ask Snakemake what it would do, and what it knows."""
    for path in set((root / "src/cisflow").rglob("*.py")) - set((root / "src/cisflow/cli").rglob("*.py")):
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        modules = {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
        assert not {name for name in names | modules if name and name.split(".")[0] == "snakemake"}, path


ALLOWED_ON_A_GPU_NODE = {
    "torch",
    "lightning_fabric",
    "torchmetrics",
    "numpy",
    "h5py",
    "hdf5plugin",
    "safetensors",
    "wandb",
}


def test_what_killed_jobs_leave_is_where_the_next_attempt_removes_it(root):
    """Folders beside outputs are made by `io.partial_folder`, and not by the standard library."""
    for path in [*(root / "src").rglob("*.py"), *(root / "workflow/scripts").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(getattr(node, "func", None), "attr", getattr(getattr(node, "func", None), "id", None))
            if name in ("TemporaryDirectory", "mkdtemp", "NamedTemporaryFile", "mkstemp") and path.name != "io.py":
                # Of the system, or inside a folder that `partial_folder` made.
                places = [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "dir"]
                assert places in ([], ["'/tmp'"], ["self.staged"], ["path.parent"]), path


def opens_text_by_locale(call: ast.Call) -> bool:
    """Return whether a call reads or writes a text in the encoding of the locale, which another machine has not."""
    function = call.func
    name = getattr(function, "attr", getattr(function, "id", None))
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    if name in ("read_text", "write_text"):
        return len(call.args) < {"read_text": 1, "write_text": 2}[name]
    owner = getattr(getattr(function, "value", None), "id", None)
    if name not in ("open", "fdopen") or owner in ("gzip", "tarfile", "pybigtools", "archive"):
        return False
    modes = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    modes += [keyword.value.value for keyword in call.keywords if keyword.arg == "mode"]
    return owner != "os" and not any(isinstance(mode, str) and "b" in mode for mode in modes)


def test_files_are_utf_8_whatever_the_locale(root):
    found = []
    for path in [*(root / "src").rglob("*.py"), *(root / "workflow").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and opens_text_by_locale(node):
                found.append(f"{path}:{node.lineno}: {ast.unparse(node)}")
    rules = [root / "Snakefile", *(root / "workflow").rglob("*.smk")]
    found += [path for path in rules if re.search(r"\b(open|read_text|write_text)\(", path.read_text(encoding="utf-8"))]
    assert found == []


def test_models_and_training_need_little(root):
    for stage in ("models", "training"):
        for path in (root / "src/cisflow" / stage).glob("*.py"):
            assert third_party(path) <= ALLOWED_ON_A_GPU_NODE, path


def test_importing_the_configuration_is_cheap(root):
    """Every cluster job parses the Snakefile again, so neither torch nor polars may come with it."""
    code = (
        "import sys, cisflow.config.project, cisflow.config.preflight, cisflow.provenance, cisflow.script\n"
        "print([m for m in ('torch', 'polars', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_snakefile_is_short(root):
    assert len((root / "Snakefile").read_text().splitlines()) < 80


def test_the_version_is_one(root):
    text = (root / "pyproject.toml").read_text()
    assert f'version = "{__version__}"' in text
    assert f"version: {__version__}" in (root / "CITATION.cff").read_text()
    assert f"## {__version__}" in (root / "CHANGELOG.md").read_text()


def test_documents_point_to_files_that_exist(root):
    for path in [*root.glob("*.md"), *(root / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
            if not re.match(r"\w+://|mailto:", target):
                assert (path.parent / target).exists(), f"{path.relative_to(root)} points to {target}"
