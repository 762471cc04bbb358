"""An SVG file as part of a page: its names made its own, its text readable to all.

Every SVG that matplotlib writes names its parts alike, and gives looks to all elements there are:
side by side in one page they would take each other's clips and markers, and restyle the page.
"""

import re
from dataclasses import dataclass, field
from xml.etree import ElementTree

SVG, HREF = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
WHOLE = "figure_1"  # what matplotlib calls all that it draws


@dataclass
class Drawings:
    """Drawings of one page, and the looks that they share: declarations, and the class of each."""

    looks: dict[str, str] = field(default_factory=dict)

    @property
    def css(self) -> str:
        """What the page's style sheet says of them."""
        return "\n".join(f".{name}{{{look}}}" for look, name in self.looks.items())

    def add(self, text: str, prefix: str, label: str) -> tuple[str, str]:
        """A file as an `<svg>` element to put into HTML, and as its panels, each alone.

        Its ids, and all that points to them, begin with `prefix`; assistive technology reads
        `label`. It scales with its container. Ink is the page's own, and names in a line's colour
        lean half to it, to be read on light and on dark. The panels, one for each view of the file,
        are for where there is no room for them side by side; empty where there are less than two.

        Raises:
            ValueError: `text` is no SVG, has no size, or holds a script or something to fetch.
        """
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise ValueError(f"not valid XML ({error})") from None
        if root.tag != f"{SVG}svg" or "viewBox" not in root.attrib:
            raise ValueError("not an SVG with a viewBox")
        if any(element.tag == f"{SVG}script" for element in root.iter()):
            raise ValueError("holds a script")
        looks = dict(re.findall(r"\.(\w+)\{([^}]*)\}", root.findtext(f"{SVG}style", "")))
        views = [view.get("viewBox") for view in root.iter(f"{SVG}view")]
        root.attrib = {"role": "img", "aria-label": label, "viewBox": root.attrib["viewBox"]}
        root[:] = [child for child in root if child.tag in (f"{SVG}g", f"{SVG}defs")]
        for element in root.iter():
            element.tag = element.tag.removeprefix(SVG)
            href = element.attrib.pop(HREF, element.get("href", "#"))
            if not href.startswith(("#", "data:")):
                raise ValueError(f"holds something to fetch ({href})")
            if href != "#":
                element.set("href", href)
            if element.tag not in ("text", "tspan"):
                element.text = None
                for child in element:
                    child.tail = None
            look = looks.get(element.attrib.pop("class", ""), "") + element.attrib.pop("style", "")
            if element.tag in ("text", "tspan"):  # in a colour that is not ink
                mixed = r"fill:color-mix(in srgb,\1 50%,currentColor)"
                look = re.sub(r"fill: ?(#(?!808080)\w{6})", mixed, look)
            if look := look.replace("#808080", "currentColor"):
                element.set("class", self.looks.setdefault(look, f"s{len(self.looks)}"))
            for name, value in element.items():
                value = re.sub(r"^#|(?<=url\()#", f"#{prefix}-", value)
                element.set(name, f"{prefix}-{value}" if name == "id" else value)
        width = float(root.attrib["viewBox"].split()[2])
        root.attrib |= {"id": prefix, "style": f"max-width:{1.7 * width:.0f}px"}
        body = ElementTree.tostring(root, "unicode").replace(" />", "/>")
        of = f'<use href="#{prefix}-{WHOLE}"/>'
        panels = [f'<svg viewBox="{view}">{of}</svg>' for view in views]
        return body, "\n".join(panels) if len(panels) > 1 else ""
