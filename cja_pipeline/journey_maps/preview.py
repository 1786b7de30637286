"""The map as a small picture for the Dagster UI, drawn with Pillow alone: finding, key figures, stages.

Pillow's own font has only the letters of English; the few signs that figures need are drawn, other letters
are replaced by their nearest plain ones.
"""

from __future__ import annotations

import io
import unicodedata
from typing import TYPE_CHECKING, Any

from cja_pipeline.journey_maps.labels import load_labels
from cja_pipeline.journey_maps.page.head import head
from cja_pipeline.journey_maps.page.kpis import cards
from cja_pipeline.journey_maps.page.palette import LIGHT
from cja_pipeline.journey_maps.page.river import river
from cja_pipeline.journey_maps.page.stages import opportunities
from cja_pipeline.journey_maps.rows import STAGES, read_map
from cja_pipeline.journey_maps.suppress import SUPPRESS

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image, ImageDraw

WIDTH = 640
SCALE = 2  # drawn twice as large and made smaller, which smooths every edge
EDGE = 20
LIMIT_BYTES = 150_000
PLAIN = {"−": "-", "–": "-", "—": "-", "’": "'", "“": '"', "”": '"', "„": '"', "…": "...", "·": "·", "×": "x"}
PLAIN |= {"ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ä": "ae", "ö": "oe", "ü": "ue", "£": "GBP", "¥": "JPY"}
PLAIN |= {"\u202f": " ", "\u00a0": " ", "✓": "", "△": "", "★": ""}


def preview_png(journey_map: pd.DataFrame, segment: str = "all") -> bytes:
    """A PNG of 640 pixels width and less than 150 kB; equal rows give equal bytes."""
    from PIL import Image

    page = read_map(journey_map, segment)
    words = load_labels(page.text("header", "language", "en"))
    pen = Pen(WIDTH, 470)
    found = head(page, words)
    y = pen.text(EDGE, 16, found["eyebrow"], 11, "mute", room=WIDTH - 2 * EDGE)
    for line in pen.wrapped(found["title"], 24, WIDTH - 2 * EDGE, bold=True)[:2]:
        y = pen.text(EDGE, y + 3, line, 24, "ink", bold=True)
    for line in pen.wrapped(found["lead"].replace("*", ""), 12, WIDTH - 2 * EDGE)[:3]:
        y = pen.text(EDGE, y + 4, line, 12, "body")
    y = _kpis(pen, y + 14, cards(page, words)[:6])
    y = _stages(pen, y + 14, river(page, words, SUPPRESS), opportunities(page, words), words)
    picture = pen.image.crop((0, 0, WIDTH * SCALE, int(min(pen.height, y + 16) * SCALE)))
    small = picture.resize((WIDTH, round(picture.height / SCALE)), Image.Resampling.LANCZOS)
    return _encoded(small)


def _encoded(picture: Image.Image) -> bytes:
    from PIL import Image

    for colours in (256, 128, 64):
        buffer = io.BytesIO()
        reduced = picture.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        reduced.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= LIMIT_BYTES:
            break
    return buffer.getvalue()


def _kpis(pen: Pen, top: float, found: list[dict[str, Any]]) -> float:
    if not found:
        return top
    height, width = 84.0, (WIDTH - 2 * EDGE) / len(found)
    pen.card(EDGE, top, WIDTH - EDGE, top + height)
    colours = {"on": "gain", "near": "warn", "doubtful": "warn", "off": "loss"}
    for place, card in enumerate(found):
        x = EDGE + place * width
        if place:
            pen.line([(x, top), (x, top + height)], "line", 1)
        room = width - 14
        pen.text(x + 8, top + 9, card["name"], 8, "body", room=room)
        pen.text(x + 8, top + 20, card["value"], 17, "ink", bold=True, room=room)
        if card["spark"]:
            pen.spark(card["spark"]["points"], x + 8, top + 44, room, 18)
        pen.text(
            x + 8, top + 67, card["verdict"], 9, colours.get(card["status"], "mute"), bold=True, room=room
        )
    return top + height


def _stages(pen: Pen, top: float, flow: dict[str, Any], chances: list[Any], words: Any) -> float:
    height, width = 190.0, (WIDTH - 2 * EDGE) / len(STAGES)
    pen.card(EDGE, top, WIDTH - EDGE, top + height)
    base = top + 62
    for band in flow["bands"]:
        points = [(EDGE + x / 100 * width, base + y * 0.42) for x, y in band["points"]]
        pen.shape(points, {"go": "go", "leave": "loss-low", "stay": "grey-low"}[band["kind"]])
    for place, (stage, cell) in enumerate(zip(STAGES, flow["cells"], strict=True)):
        x = EDGE + place * width
        if place:
            pen.line([(x, top), (x, top + height)], "line", 1)
        room = width - 14
        pen.text(x + 8, top + 8, words(f"stage.{stage}"), 11, "ink", bold=True, room=room)
        end = pen.text(x + 8, top + 25, cell["reached"], 15, "ink", bold=True, room=room)
        pen.text(x + 8, end + 1, cell["of_first"] or cell["unit"], 9, "mute", room=room)
        if cell["go_share"]:
            pen.text(x + width - 8, top + 28, cell["go_share"], 11, "go", bold=True, right=True)
        if cell["leave"]:
            pen.text(x + 8, base + 70, f"{cell['leave']} {words('map.leave')}", 9, "loss", room=room)
        if chances[place]:
            chance = chances[place][0]
            pen.line([(x + 8, base + 88), (x + width - 8, base + 88)], "line", 1)
            pen.text(x + 8, base + 93, chance["money"], 13, "gain" if chance["proven"] else "body", bold=True)
            pen.text(x + 8, base + 110, chance["owner"], 9, "body", room=room)
    return top + height


class Pen:
    """Draws in page units on a picture of twice the size."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self.height = height
        self.image: Image.Image = Image.new("RGB", (width * SCALE, height * SCALE), LIGHT["bg"])
        self.draw: ImageDraw.ImageDraw = ImageDraw.Draw(self.image)
        self.fonts: dict[int, Any] = {}

    def font(self, size: int) -> Any:
        from PIL import ImageFont

        if size not in self.fonts:
            self.fonts[size] = ImageFont.load_default(size * SCALE)
        return self.fonts[size]

    def width_of(self, text: str, size: int) -> float:
        """Width of a text in page units, the drawn euro sign included."""
        return self.font(size).getlength(plain(text).replace("€", "C")) / SCALE

    def wrapped(self, text: str, size: int, room: float, *, bold: bool = False) -> list[str]:
        """Lines of whole words that fit the room."""
        lines = [""]
        for word in plain(text)[:600].split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self.width_of(longer, size) > room - (4 if bold else 0):
                lines.append(word)
            else:
                lines[-1] = longer
        return lines

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: int,
        colour: str,
        *,
        bold: bool = False,
        room: float | None = None,
        right: bool = False,
    ) -> float:
        """Write one line, cut to the room; returns the y below it."""
        shown = plain(text)[:200]
        if room is not None and self.width_of(shown, size) > room:
            while shown and self.width_of(shown + "..", size) > room:
                shown = shown[:-1]
            shown = shown.rstrip() + ".."
        if right:
            x -= self.width_of(shown, size)
        stroke = size * SCALE * 0.022 if bold else 0
        font, fill = self.font(size), LIGHT[colour]
        for part, sign in _signs(shown):
            at = (x * SCALE, y * SCALE)
            self.draw.text(at, part, font=font, fill=fill, stroke_width=stroke, stroke_fill=fill)
            x += font.getlength(part) / SCALE
            if sign:
                x = self._euro(x, y, size, fill, stroke)
        return y + size * 1.25

    def _euro(self, x: float, y: float, size: int, fill: str, stroke: float) -> float:
        """A C with two bars."""
        font = self.font(size)
        x += size * 0.1
        self.draw.text(
            (x * SCALE, y * SCALE), "C", font=font, fill=fill, stroke_width=stroke, stroke_fill=fill
        )
        left, top, right, bottom = font.getbbox("C")
        middle, gap = y * SCALE + (top + bottom) / 2, (bottom - top) * 0.1
        for offset in (-gap, gap):
            start, end = x * SCALE + left - size * 0.12, x * SCALE + right * 0.62
            self.draw.line(
                [(start, middle + offset), (end, middle + offset)], fill, max(2, round(size * 0.16))
            )
        return x + font.getlength("C") / SCALE

    def card(self, left: float, top: float, right: float, bottom: float) -> None:
        """A white card with a thin line."""
        box = tuple(value * SCALE for value in (left, top, right, bottom))
        self.draw.rounded_rectangle(box, 8 * SCALE, fill=LIGHT["card"], outline=LIGHT["line"], width=SCALE)

    def line(self, points: list[tuple[float, float]], colour: str, width: float) -> None:
        """A line through points."""
        self.draw.line(
            [(x * SCALE, y * SCALE) for x, y in points], LIGHT[colour], round(width * SCALE), "curve"
        )

    def shape(self, points: list[tuple[float, float]], colour: str) -> None:
        """A filled outline."""
        if len(points) > 2:
            self.draw.polygon([(x * SCALE, y * SCALE) for x, y in points], LIGHT[colour])

    def spark(
        self, points: list[tuple[float, float]], x: float, y: float, width: float, height: float
    ) -> None:
        """A course; `points` are shares of width and height."""
        placed = [(x + a * width, y + b * height) for a, b in points]
        self.shape([*placed, (placed[-1][0], y + height + 2), (placed[0][0], y + height + 2)], "go-low")
        self.line(placed, "go", 1.2)


def plain(text: str) -> str:
    """Text in the letters that the font has."""
    text = "".join(PLAIN.get(char, char) for char in text)
    parts = unicodedata.normalize("NFKD", text)
    return "".join(char for char in parts if char in "€·" or 32 <= ord(char) < 127)


def _signs(text: str) -> list[tuple[str, bool]]:
    """Stretches of plain text, each followed (True) or not by a euro sign."""
    parts = text.split("€")
    return [(part, place < len(parts) - 1) for place, part in enumerate(parts)]
