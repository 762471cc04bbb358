"""An SVG file as part of a page: its names made its own, its text readable to all.

Every SVG that matplotlib writes names its parts alike, and styles all elements there are: side by
side in one page they would take each other's clips and markers, and restyle the page.
"""

import re
from xml.etree import ElementTree

NAMES = re.compile(r'\bid="([^"]+)"')


def svg(text: str, prefix: str, label: str) -> str:
    """The `<svg>` element of a file, to put into HTML.

    Its ids, and all that points to them, begin with `prefix`, its style sheets are confined to it,
    and assistive technology reads `label` in its place. It scales with its container.

    Raises:
        ValueError: `text` is no SVG, has no size, or holds a script or something to fetch.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"not valid XML ({error})") from None
    if root.tag != "{http://www.w3.org/2000/svg}svg" or "viewBox" not in root.attrib:
        raise ValueError("not an SVG with a viewBox")
    for element in root.iter():
        href = element.get("{http://www.w3.org/1999/xlink}href", element.get("href", "#"))
        if element.tag.endswith("}script") or not href.startswith(("#", "data:")):
            raise ValueError("holds a script, or something to fetch")

    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<title>.*?</title>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    names = set(NAMES.findall(body))
    body = NAMES.sub(rf'id="{prefix}-\1"', body)

    def renamed(match: re.Match[str]) -> str:
        before, name, after = match.groups()
        return f"{before}{prefix}-{name}{after}" if name in names else match[0]

    body = re.sub(r'(href="#)([^"]+)(")', renamed, body)
    body = re.sub(r"(url\(#)([^)]+)(\))", renamed, body)
    body = re.sub(
        r'(<style type="text/css">)(.*?)(</style>)',
        lambda match: f"{match[1]}#{prefix} {match[2].strip()}{match[3]}",
        body,
        flags=re.DOTALL,
    )
    head, rest = body[4:].split(">", 1)
    head = re.sub(r'\s(width|height|version|xmlns(:\w+)?)="[^"]*"', "", head)
    return f'<svg id="{prefix}" role="img" aria-label="{_escaped(label)}"{head}>{rest}'.rstrip()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
