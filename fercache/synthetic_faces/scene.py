"""What every part of a drawing needs, and the two strokes that they share."""

from dataclasses import dataclass

from fercache.synthetic_faces.anatomy import Face
from fercache.synthetic_faces.canvas import Canvas, Colour, blend
from fercache.synthetic_faces.geometry import Curve, Mouth
from fercache.synthetic_faces.styles import Palette, Style


@dataclass(frozen=True)
class Scene:
    """A face with its style, canvas and colours."""

    face: Face
    style: Style
    palette: Palette
    canvas: Canvas
    mouth: Mouth

    def shape(self, points: Curve, colour: Colour, lift: float = 0.0, relief: float = 1.0) -> None:
        """A filled shape, with the style's outline if there is one."""
        self.canvas.fill(points, colour, lift, relief)
        if self.style.outline:
            self.canvas.contour(points, self.palette.line, self.style.outline, lift, relief)

    def crease(self, points: Curve, strength: float, width: float = 0.022) -> None:
        """A fold of the skin: a line and its soft shadow; nothing below a strength of 0.12."""
        if strength < 0.12:
            return
        strength = min(1.0, strength)
        self.canvas.shade_line(points, 0.32 * strength, 0.07)
        self.canvas.stroke(points, self.on_skin(0.2 + 0.8 * strength), width * self.style.line, 0.8)

    def on_skin(self, strength: float) -> Colour:
        """The colour of a crease of this strength."""
        return blend(self.palette.skin, self.palette.crease, strength)
