"""Figures of papers: the notebook that draws each, and the tables it reads."""

from pydantic import Field, model_validator

from cisflow.config.strict import KeyProblem, Name, Strict, did_you_mean


class Figure(Strict):
    """A figure. Tables are paths below results/tasks, as 'task1/motifs/matches.tsv'."""

    title: str
    paper: str
    tables: dict[Name, str] = Field(min_length=1, description="Tables that are needed, by the name the notebook uses.")
    optional: dict[Name, str] = Field({}, description="Tables whose panel joins when they exist.")
    settings: dict[str, str | int | float | list[str]] = Field({}, description="What the notebook lets one choose.")


# The settings that the notebooks of these figures read, all of them; of other notebooks nothing is known.
SETTINGS = {
    "fig1": ("activations", "logos_model", "logos_activations", "logos_trial"),
    "fig2": ("activations", "method", "logos_model", "logos_activations"),
    "ed2": ("activations", "logos_model"),
}


class Figures(Strict):
    """The content of config/figures.yaml."""

    figures: dict[Name, Figure]

    @model_validator(mode="after")
    def _settings_that_are_read(self):
        for name, figure in self.figures.items():
            known = SETTINGS.get(name, tuple(figure.settings))
            for key in figure.settings:
                if key not in known:
                    raise KeyProblem(("figures", name, "settings", key), f"unknown key.{did_you_mean(key, known)}")
            if missing := [key for key in known if key not in figure.settings]:
                raise KeyProblem(("figures", name, "settings"), f"{', '.join(missing)}: needed and not given")
        return self
