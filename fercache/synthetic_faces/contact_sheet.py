"""A contact sheet of the dataset: a row per domain, a column per expression."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from fercache.synthetic_faces.anatomy import EXPRESSIONS
from fercache.synthetic_faces.drawing import draw
from fercache.synthetic_faces.sampling import sample_face
from fercache.synthetic_faces.styles import DOMAINS

SEED = 21
CELL, GAP, LEFT, TOP = 96, 6, 76, 28


def make_contact_sheet(path: Path) -> Path:
    """Write the sheet as PNG to `path`, with labels, every face another person; returns `path`."""
    width, height = LEFT + len(EXPRESSIONS) * (CELL + GAP), TOP + len(DOMAINS) * (CELL + GAP)
    sheet = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, expression in enumerate(EXPRESSIONS):
        middle = LEFT + column * (CELL + GAP) + CELL // 2
        pen.text((middle, TOP // 2), expression, "black", font, anchor="mm")
    for row, domain in enumerate(DOMAINS):
        y = TOP + row * (CELL + GAP)
        pen.text((LEFT - 10, y + CELL // 2), domain, "black", font, anchor="rm")
        for column, expression in enumerate(EXPRESSIONS):
            face = sample_face(SEED, row * len(EXPRESSIONS) + column, domain, expression=expression)
            sheet.paste(Image.fromarray(draw(face, CELL)), (LEFT + column * (CELL + GAP), y))
    # Noise compresses badly: coarser steps are invisible and halve the file.
    sheet.point(lambda value: 255 if value == 255 else 6 * (value // 6)).save(path, format="PNG", optimize=True)
    return path
