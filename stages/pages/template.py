"""How templates are filled in. It needs jinja2 alone: a review in CI has no pandas."""

from pathlib import Path

import jinja2

TEMPLATES = Path(__file__).with_name("templates")


def environment(template: str) -> jinja2.Environment:
    """What loads a template of `templates/`; a name that it lacks is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=template.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
