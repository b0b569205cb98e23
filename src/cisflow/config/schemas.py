"""JSON schemas of the configuration files, for editors; generated from the models and committed."""

from pathlib import Path
from typing import Any

from cisflow.config.claims import Claims
from cisflow.config.figures import Figures
from cisflow.config.project import Settings
from cisflow.config.sources import Sources
from cisflow.config.tasks import Tasks
from cisflow.io import write_json

MODELS = {"config": Settings, "tasks": Tasks, "sources": Sources, "figures": Figures, "claims": Claims}

# Parts of the tasks' schema whose keys take a value or a list of values; none named: all.
ONE_OR_MORE = {
    "Model": (),
    "Heads": (),
    "Sweep": (),
    "Query": (
        "assay", "biosample", "target", "file_type", "require_empty", "group_by", "replicates", "output_type",
        "accessions",
    ),
    "Splitting": ("valid", "test", "train", "leave_out"),
    "Peaks": ("encode", "blacklist"),
    "Windows": ("blacklist",),
}  # fmt: skip


def write(folder: str | Path) -> list[Path]:
    """Write `<name>.schema.json` for each kind of configuration file, and return the paths."""
    paths = []
    for name, model in MODELS.items():
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
        if name == "tasks":
            # Defaults, and the partial tasks of an overriding file, are checked after they have been merged.
            schema["properties"]["defaults"] = {"type": "object", "description": "Laid below every task."}
            for part in (schema, *schema["$defs"].values()):
                part.pop("required", None)
            for part, keys in ONE_OR_MORE.items():
                grid = schema["$defs"][part]["properties"]
                grid.update({key: _or_one(grid[key]) for key in keys or grid})
            # A text is a path or the like, and in place of a query an accession.
            for part in ("Place", "Genome", "Query"):
                schema["$defs"][part] = {"anyOf": [{"type": "string"}, schema["$defs"][part]]}
        if name == "claims":
            claim = schema["$defs"]["Claim"]["properties"]
            claim["task"] = _or_one(claim["task"])
        if name == "config":
            # Another scale overrides some keys of config/config.yaml.
            schema.pop("required")
        paths.append(Path(folder) / f"{name}.schema.json")
        write_json(paths[-1], schema)
    return paths


def _or_one(grid: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a grid's key: a list, or a single value; null, where it may be."""
    about = {key: value for key, value in grid.items() if key in ("description", "default", "title")}
    lists = grid.get("anyOf", [{key: value for key, value in grid.items() if key not in about}])
    return {**about, "anyOf": [part["items"] for part in lists if "items" in part] + lists}
