"""A study as a page by itself: the search, each trial's curve, trials over their hyperparameters, and the table.

No script, no request; every text is escaped, and the page's policy allows its one style sheet by digest.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from outcrop.evaluation.statistics.comparing import Significance
from outcrop.evaluation.studies import pictures
from outcrop.evaluation.studies.gain import gain_of

_TONES = {Significance.BETTER.value: "good", Significance.WORSE.value: "bad"}


def study_page(study: Mapping[str, Any], *, title: str, about: str = "") -> str:
    """The whole page of a study as study.json has it; `about` says whose search it is."""
    style = _read("outcrop.datasets.report", "page.css") + _read("outcrop.evaluation.studies", "page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    gain = gain_of(study)
    names = sorted({name for trial in study["trials"] for name in trial["values"]})
    return _template().render(
        title=title,
        about=about,
        study=study,
        ends=_ends(study),
        gain=gain,
        tone=_TONES.get(gain.get("significance", ""), "plain"),
        names=names,
        search=pictures.search_picture(study),
        curves=pictures.curves_picture(study),
        coordinates=pictures.coordinates_picture(study),
        size=pictures,
        style=Markup(style),
        style_hash=Markup(f"sha256-{digest}"),
    )


def _ends(study: Mapping[str, Any]) -> str:
    """How many trials ended in which way."""
    ends = [str(trial["end"] or "under way") for trial in study["trials"]]
    told = ", ".join(f"{ends.count(end)} {end}" for end in dict.fromkeys(ends))
    return f"{len(ends)} trials: {told}" if ends else "no trials yet"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"short_name": pictures.short_name, "loss_of": pictures.loss_of, "kind_of": pictures.kind_of}
    return environment.from_string(_read("outcrop.evaluation.studies", "page.html"))


def _read(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
