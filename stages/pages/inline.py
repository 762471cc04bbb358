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
    and assistive technology reads `label` in its place. It scales with its container. Ink is the
    page's own, and names in a line's colour lean half to it, so that they can be read on light and
    on dark.

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
    body = re.sub(r" font-family: [^;]+;| transform=\"rotate\(-0 [^\"]*\"", "", body)
    body = re.sub(
        r"(<text [^>]*fill: )#(?!808080)(\w{6})",
        r"\1color-mix(in srgb, #\2 50%, currentColor)",
        body,
    )
    body = re.sub("#808080", "currentColor", body, flags=re.IGNORECASE)
    body = re.sub(r"<view [^>]*>\s*", "", body)
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<title>.*?</title>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"\s*\n\s*", " ", re.sub(r">\s+<", "><", body))
    used = {"figure_1", *re.findall(r'(?:href="|url\()#([^")]+)', body)}
    body = NAMES.sub(lambda name: name[0] if name[1] in used else "", body)
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
    body = re.sub(r' style="[^"]*"', lambda style: re.sub(r"([:;]) ", r"\1", style[0]), body)
    head, rest = body[4:].split(">", 1)
    head = re.sub(r'\s(width|height|version|xmlns(:\w+)?)="[^"]*"', "", head)
    return f'<svg id="{prefix}" role="img" aria-label="{_escaped(label)}"{head}>{rest}'.rstrip()


def panels(text: str, prefix: str) -> str:
    """Its views, each as an `<svg>` of its own that shows a part of the one that `svg` gave; for
    where there is no room for them side by side. Empty where there are less than two.
    """
    views = re.findall(r'<view [^>]*viewBox="([-.\d ]+)"', text)
    drawn = [f'<svg viewBox="{view}"><use href="#{prefix}-figure_1"/></svg>' for view in views]
    return "\n".join(drawn) if len(drawn) > 1 else ""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
