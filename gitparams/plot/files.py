"""Files: a figure as a page, a picture or JSON on disk, or before somebody's eyes."""

from __future__ import annotations

import html
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitparams.errors import UsageError
from gitparams.integrations import library
from gitparams.plot import look

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_IMAGES = ("png", "svg", "pdf", "jpg", "jpeg", "webp")
SUFFIXES = ("html", "json", *_IMAGES)
"""What a figure can be written as."""

_SHARPNESS = 2  # pixels of a picture per pixel of the page
# A page that may load nothing, whatever a param is called: plotly.js builds functions of text and keeps pictures as data.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; worker-src blob:; base-uri 'none'; form-action 'none'"
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>html, body {{ margin: 0; height: 100%; background: {ground}; }}</style>
</head>
<body>
{figure}
</body>
</html>
"""


def write(figure: Figure, path: Path | str) -> None:
    """Write a figure into a file, as the end of its name says; a file that is there is replaced once all is well.

    ``.html`` is one page that needs no network, ``.json`` plotly's own JSON; ``.png``, ``.svg``, ``.pdf``, ``.jpg`` and
    ``.webp`` are drawn by kaleido, with the Chrome or Chromium that it finds.

    Raises:
        UsageError: the name ends otherwise, there is no Chrome, or the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{path}: a picture cannot be written as {path.suffix or 'a file without a suffix'}.",
            hint=f"name it {path.with_suffix('').name or 'picture'}.html, or one of {', '.join(SUFFIXES[1:])}",
        )
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}.", hint=f"mkdir -p {path.parent}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", hint="name a file")
    _replace(path, _content(figure, suffix))


def page(figure: Figure) -> str:
    """Return a figure as a page of HTML that needs nothing else."""
    title = html.unescape(figure.layout.title.text or "gitparams")
    drawn = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        include_mathjax=False,
        default_height=f"{figure.layout.height}px" if figure.layout.height else "100vh",
        config={"responsive": True, "displaylogo": False},
    )
    ground = html.escape(figure.layout.template.layout.paper_bgcolor or "#ffffff")
    return _PAGE.format(policy=_POLICY, title=html.escape(title), ground=ground, figure=drawn)


def can_show() -> bool:
    """Tell whether this process has a display on which a browser could be opened."""
    environ = os.environ
    if environ.get("BROWSER"):
        return True
    if sys.platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in environ
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def show(figure: Figure) -> Path:
    """Open a figure in the default browser, from a temporary file; return the file.

    Raises:
        UsageError: no browser could be opened.
    """
    import tempfile
    import webbrowser

    handle, name = tempfile.mkstemp(prefix="gitparams-plot-", suffix=".html")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(page(figure))
    path = Path(name)
    if not webbrowser.open(path.as_uri()):
        raise UsageError(f"No browser could be opened; the picture is in {path}", hint="gitparams plot … -o picture.html")
    return path


def _content(figure: Figure, suffix: str) -> bytes:
    if suffix == "html":
        return page(figure).encode("utf-8")
    if suffix == "json":
        text: str = figure.to_json()
        return text.encode("utf-8")
    return _image(figure, suffix)


def _image(figure: Figure, suffix: str) -> bytes:
    errors = library("kaleido.errors", "viz")
    drawn: Callable[..., Any] = figure.to_image
    try:
        picture: bytes = drawn(
            format=suffix,
            width=figure.layout.width or look.WIDTH,
            height=figure.layout.height or look.HEIGHT,
            scale=1 if suffix in ("svg", "pdf") else _SHARPNESS,
        )
    except (RuntimeError, TimeoutError, errors.KaleidoError) as error:
        if isinstance(error.__context__, errors.ChromeNotFoundError):
            raise UsageError(
                f"A .{suffix} is drawn by Chrome or Chromium, and none was found: install one, or write an .html file.",
                hint="plotly_get_chrome",
            ) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        hint = "gitparams plot … -o picture.html"
        raise UsageError(f"The Chrome that was found did not draw the .{suffix}: {reason}", hint=hint) from error
    return picture


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            beside.write_bytes(content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
