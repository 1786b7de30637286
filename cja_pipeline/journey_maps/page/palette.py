"""The colours of the page, as data: the style sheet is filled from here and the contrast test reads it.

Blue is people who go on, orange is loss, green is gain, grey is context; nothing else is coloured.
"""

from __future__ import annotations

LIGHT = {
    "bg": "#f6f6f3",
    "card": "#ffffff",
    "line": "#e2e2dc",
    "ink": "#16191f",
    "body": "#4d5461",
    "mute": "#646b78",
    "go": "#2a56c6",
    "go-mid": "#9db5ee",
    "go-low": "#dfe7fb",
    "loss": "#b3410e",
    "loss-mid": "#dfa78f",
    "loss-low": "#ebcec1",
    "gain": "#0a7468",
    "gain-low": "#d6e8e6",
    "on-gain": "#ffffff",
    "warn": "#8a5a00",
    "track": "#e2e2dc",
    "grey": "#646b78",
    "grey-low": "#e4e5e7",
    "band": "#16191f17",
    "halo": "#ffffffd9",
    "h0": "#f0f0ed",
    "h1": "#dfe7fb",
    "h2": "#bccff6",
    "h3": "#98b4ef",
    "h4": "#7b9ce7",
    "h5": "#4068d0",
    "h6": "#2d56bf",
    "h7": "#1d3f98",
    "on-pale": "#16191f",
    "on-deep": "#ffffff",
}
DARK = {
    "bg": "#111317",
    "card": "#191c22",
    "line": "#2a2e37",
    "ink": "#eceef2",
    "body": "#b4bac6",
    "mute": "#979da8",
    "go": "#8fb0ff",
    "go-mid": "#3f5da6",
    "go-low": "#1f2b4a",
    "loss": "#ff9f6c",
    "loss-mid": "#8a5a43",
    "loss-low": "#543d35",
    "gain": "#5fd0bf",
    "gain-low": "#243a3c",
    "on-gain": "#0e1512",
    "warn": "#f0bf5a",
    "track": "#2a2e37",
    "grey": "#959cab",
    "grey-low": "#2e3138",
    "band": "#eceef21f",
    "halo": "#191c22d9",
    "h0": "#22262e",
    "h1": "#22305a",
    "h2": "#263a6b",
    "h3": "#2f4b8e",
    "h4": "#3d60b3",
    "h5": "#7095ea",
    "h6": "#86a8f2",
    "h7": "#b5cbff",
    "on-pale": "#eceef2",
    "on-deep": "#0e1117",
}

# every pair of text on ground that the page uses; the test asks 4.5:1 of each in both themes
TEXT_PAIRS = (
    ("ink", "bg"),
    ("body", "bg"),
    ("mute", "bg"),
    ("go", "bg"),
    ("ink", "card"),
    ("body", "card"),
    ("mute", "card"),
    ("go", "card"),
    ("loss", "card"),
    ("gain", "card"),
    ("warn", "card"),
    ("loss", "bg"),
    ("on-gain", "gain"),
    ("mute", "h0"),
    ("on-pale", "h1"),
    ("on-pale", "h2"),
    ("on-pale", "h3"),
    ("on-pale", "h4"),
    ("on-deep", "h5"),
    ("on-deep", "h6"),
    ("on-deep", "h7"),
)
RAMP = ("h1", "h2", "h3", "h4", "h5", "h6", "h7")


def variables(theme: dict[str, str]) -> str:
    """The theme as CSS custom properties."""
    return "".join(f"--{name}:{colour};" for name, colour in theme.items())


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two opaque colours (WCAG 2.2), from 1 to 21."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
