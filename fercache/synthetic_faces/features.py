"""The parts of a face that move: cheeks, nose, eyes, brows, mouth and the folds between them."""

import numpy as np

from fercache.synthetic_faces import geometry
from fercache.synthetic_faces.canvas import blend
from fercache.synthetic_faces.geometry import DOME, EYE_LINE, SIDES, Curve, Eye, band, curve, ellipse
from fercache.synthetic_faces.scene import Scene


def cheeks(scene: Scene) -> None:
    """Eye sockets, the bulge of raised cheeks and the blush on them."""
    units, palette, canvas = scene.face.action_units, scene.palette, scene.canvas
    bulge = max(units.cheek_raiser, 0.8 * units.lip_corner_puller)
    for side in SIDES:
        x, y = side * 0.43 * scene.face.eye_distance, 0.2 - 0.04 * bulge
        for ring, share in ((1.0, 0.12), (0.75, 0.25), (0.45, 0.4)):
            colour = blend(palette.skin, palette.blush, share * (0.6 + bulge))
            canvas.fill(ellipse((x, y), (0.19 * ring, 0.15 * ring)), colour)
        canvas.shade(ellipse((side * 0.31, EYE_LINE - 0.03), (0.22, 0.13)), 0.13)
        canvas.shade(ellipse((x, y - 0.02), (0.13, 0.09)), -0.06 - 0.09 * bulge)
        canvas.shade(curve((side * 0.74, 0.1), (side * 0.52, 0.6), (side * 0.2, 0.9)), 0.14)


def nose(scene: Scene) -> None:
    """Bridge, wings and nostrils, with folds on the bridge of a wrinkled nose."""
    face, units, canvas = scene.face, scene.face.action_units, scene.canvas
    wrinkled = units.nose_wrinkler
    wide = 0.115 * face.nose_width * (1 + 0.25 * wrinkled + 0.1 * units.lip_corner_puller)
    raised = 0.05 * wrinkled + 0.02 * units.upper_lip_raiser
    tip = 0.06 + 0.16 * face.nose_length
    away = -1 if face.light[0] > 0 else 1
    canvas.shade(np.array([(away * 0.03, -0.2), (away * 0.13, tip), (0.0, tip + 0.06)]), 0.18)
    canvas.shade(ellipse((0.0, tip - 0.03), (0.05, 0.06)), -0.12)
    canvas.shade(ellipse((0.0, tip + 0.1), (0.1, 0.03)), 0.14)
    bridge = curve((away * 0.075, -0.22), (away * 0.06, -0.05), (away * 0.075, tip - 0.08))
    canvas.stroke(bridge, scene.on_skin(0.35), 0.02 * scene.style.line)
    for side in SIDES:
        wing = curve(
            (side * wide * 0.85, tip - 0.07 - raised),
            (side * wide * 1.12, tip - raised),
            (side * wide * 0.75, tip + 0.05 - raised),
        )
        canvas.stroke(wing, scene.on_skin(0.8), 0.026 * scene.style.line, lift=0.04)
        canvas.fill(
            ellipse((side * wide * 0.45, tip + 0.045 - 0.5 * raised), (0.036, 0.019)), scene.palette.crease, 0.06
        )
        for rise in (0.0, 0.07):
            gathered = curve((side * 0.045, -0.06 + rise), (side * 0.085, -0.085 + rise), (side * 0.13, -0.13 + rise))
            scene.crease(gathered, wrinkled, 0.022)
    under = curve((-wide * 0.5, tip + 0.055), (0.0, tip + 0.085), (wide * 0.5, tip + 0.055))
    canvas.stroke(under, scene.on_skin(0.8), 0.018 * scene.style.line, lift=0.08)
    for y in (-0.2, -0.13):
        scene.crease(curve((-0.07, y - 0.01), (0.0, y + 0.02), (0.07, y - 0.01)), wrinkled, 0.024)


def eyes(scene: Scene) -> None:
    """Both eyes, their lids and the folds around them."""
    for side in SIDES:
        eye = geometry.eye(scene.face, side)
        eyeball(scene, eye)
        lids(scene, eye, side)
        crows_feet(scene, eye, side)


def eyeball(scene: Scene, eye: Eye) -> None:
    palette, canvas = scene.palette, scene.canvas
    canvas.fill(band(eye.x, eye.upper, eye.lower), palette.sclera)
    (x, y), radius = eye.iris_centre, eye.iris_radius
    canvas.fill(eye.between_lids(ellipse((x, y), (radius, radius))), blend(palette.iris, palette.pupil, 0.7))
    canvas.fill(eye.between_lids(ellipse((x, y), (radius - 0.012, radius - 0.012))), palette.iris)
    canvas.fill(eye.between_lids(ellipse((x, y), (0.5 * radius, 0.5 * radius))), palette.pupil)
    if eye.opening > 0.07:
        canvas.fill(eye.between_lids(ellipse((x - 0.02, y - 0.028), (0.018, 0.018))), palette.glint)


def lids(scene: Scene, eye: Eye, side: int) -> None:
    face, units, canvas, line = scene.face, scene.face.action_units, scene.canvas, scene.style.line
    canvas.stroke(np.stack([eye.x, eye.lower], axis=1), scene.on_skin(0.75), 0.017 * line, 0.7)
    lash = (0.028 + 0.016 * face.lashes) * line
    canvas.stroke(np.stack([eye.x, eye.upper], axis=1), scene.palette.lash, lash, 0.55)
    if face.lashes > 0.5:
        x, y = eye.outer_corner(side)
        canvas.stroke(curve((x, y), (x + side * 0.035, y - 0.03)), scene.palette.lash, 0.02 * line, 0.5)
    # The fold above the lid disappears when the lid is raised, and hangs when the brow is lowered.
    fold = np.stack([eye.x, eye.upper - 0.035 - 0.02 * DOME + 0.018 * units.upper_lid_raiser], axis=1)[2:-2]
    scene.crease(fold, 0.45 + 0.3 * units.brow_lowerer, 0.018)
    pouch = np.stack([eye.x, eye.lower + 0.045 + 0.02 * DOME], axis=1)[2:-2]
    scene.crease(pouch, max(0.8 * units.cheek_raiser, 0.7 * units.lid_tightener, 0.5 * (face.age - 0.4)), 0.02)


def crows_feet(scene: Scene, eye: Eye, side: int) -> None:
    units = scene.face.action_units
    strength = max(units.cheek_raiser * units.lip_corner_puller, 0.5 * (scene.face.age - 0.6))
    x, y = eye.outer_corner(side)
    x += side * 0.04
    for rise in (-0.07, 0.0, 0.07):
        ray = curve((x, y + 0.35 * rise), (x + side * 0.05, y + 0.75 * rise), (x + side * 0.1, y + 1.1 * rise))
        scene.crease(ray, strength, 0.017)


def forehead(scene: Scene) -> None:
    """Long furrows under a raised brow, short ones where only its inner ends are raised, upright ones in a frown."""
    units = scene.face.action_units
    long = max(0.85 * min(units.inner_brow_raiser, 1.6 * units.outer_brow_raiser), 0.5 * (scene.face.age - 0.55))
    covered = scene.face.hair == "fringe"
    for y, half in ((-0.72, 0.33), (-0.64, 0.36), (-0.56, 0.33))[2 * covered :]:
        scene.crease(curve((-half, y + 0.015), (0.0, y - 0.025), (half, y + 0.015)), long)
    short = units.inner_brow_raiser * (1 - 1.6 * units.outer_brow_raiser)
    for y in (-0.66, -0.59)[covered:]:
        scene.crease(curve((-0.15, y + 0.02), (0.0, y - 0.03), (0.15, y + 0.02)), short)
    lean = 0.03 - 0.05 * units.inner_brow_raiser
    for side in SIDES:
        upright = curve((side * (0.055 + lean), -0.45), (side * 0.045, -0.36), (side * 0.05, -0.27))
        scene.crease(upright, units.brow_lowerer, 0.028)


def brows(scene: Scene) -> None:
    """The brows: full near the inner end, pointed at the outer one."""
    face = scene.face
    along = geometry.ALONG
    width = 0.078 * face.brow_thickness * (1.0 + 0.2 * face.action_units.brow_lowerer)
    half = 0.5 * width * np.minimum(1.0, 0.65 + 2.0 * along) * (1.0 - along**2.5) + 0.006
    for side in SIDES:
        line = geometry.brow(face, side)
        scene.canvas.fill(band(line[:, 0], line[:, 1] - half, line[:, 1] + half), scene.palette.brow, 0.03)


def lips(scene: Scene) -> None:
    """The lips, and the inside of an open mouth."""
    mouth, palette, canvas = scene.mouth, scene.palette, scene.canvas
    scene.shape(band(mouth.x, mouth.top, mouth.bottom), palette.lip)
    canvas.fill(band(mouth.x, mouth.top, mouth.upper), blend(palette.lip, palette.mouth, 0.22))
    if mouth.opening > 0.02:
        canvas.fill(band(mouth.x, mouth.upper, mouth.lower), palette.mouth)
        teeth(scene)
    canvas.stroke(np.stack([mouth.x, mouth.upper], axis=1), palette.mouth, 0.03 * scene.style.line, 0.6)
    canvas.shade_line(np.stack([0.7 * mouth.x, mouth.bottom + 0.05], axis=1), 0.2, 0.05)
    if scene.face.action_units.tongue_show > 0.2:
        tongue_out(scene)


def teeth(scene: Scene) -> None:
    """The tongue of an open mouth, and the visible rows of teeth."""
    units, mouth, palette, canvas = scene.face.action_units, scene.mouth, scene.palette, scene.canvas
    x, gap = mouth.x, mouth.lower - mouth.upper
    if units.mouth_stretch > 0.3 or units.jaw_drop > 0.2:
        root = np.interp(0.7 * x, x, mouth.lower)
        back = np.maximum(root - 0.1 * DOME, np.interp(0.7 * x, x, mouth.upper))
        canvas.fill(band(0.7 * x, back, root), palette.tongue)
    bared = max(units.lip_corner_puller, units.lip_stretcher, units.lower_lip_depressor, 0.6 * units.upper_lip_raiser)
    if bared > 0.15:
        canvas.fill(band(x, mouth.upper, mouth.upper + np.minimum(gap, 0.1 * bared)), palette.teeth)
    if units.lower_lip_depressor > 0.2:
        canvas.fill(
            band(x, mouth.lower - np.minimum(gap, 0.085 * units.lower_lip_depressor), mouth.lower), palette.teeth
        )
        between = np.stack([x, 0.5 * (mouth.upper + mouth.lower)], axis=1)[1:-1]
        canvas.stroke(between, palette.mouth, 0.022 * scene.style.line, 0.3)
        gaps = blend(palette.teeth, palette.mouth, 0.5)
        for column in (3, 5, 7, 9, 11):
            edge = curve((x[column], mouth.upper[column]), (x[column], mouth.lower[column]))
            canvas.stroke(edge, gaps, 0.01, 0.0)


def tongue_out(scene: Scene) -> None:
    """The tongue over the lower lip, as in strong disgust."""
    mouth, palette = scene.mouth, scene.palette
    top, half = float(mouth.upper[7]) + 0.3 * mouth.opening, 0.12
    bottom = float(mouth.bottom[7]) + 0.08 * scene.face.action_units.tongue_show
    tip = ellipse((0.0, bottom - 0.05), (half, 0.08))[:10]
    scene.shape(np.concatenate([[(-half, top), (half, top)], tip]), palette.tongue, 0.04)
    groove = curve((0.0, top + 0.03), (0.0, bottom - 0.02))
    scene.canvas.stroke(groove, blend(palette.tongue, palette.mouth, 0.5), 0.018, lift=0.04)


def folds(scene: Scene) -> None:
    """From the nose to the corners of the mouth, beside and below the corners, and on the chin."""
    face, units, mouth = scene.face, scene.face.action_units, scene.mouth
    smile, frown = units.lip_corner_puller, units.lip_corner_depressor
    sneer = max(units.upper_lip_raiser, units.nose_wrinkler)
    strength = max(0.85 * smile, sneer, 0.35 * frown, 0.5 * units.lip_stretcher, 0.5 * (face.age - 0.4))
    for side, (x, y) in zip(SIDES, mouth.corners, strict=True):
        start = (side * (0.15 + 0.03 * smile), 0.17 - 0.05 * sneer)
        end = (x + side * 0.07, y - 0.01 + 0.1 * sneer * (1 - smile))
        bend = (side * (abs(start[0] + end[0]) / 2 + 0.045), (start[1] + end[1]) / 2 - 0.03)
        scene.crease(curve(start, bend, end), strength, 0.028)
        beside = curve((x + side * 0.03, y - 0.06), (x + side * 0.055, y), (x + side * 0.03, y + 0.06))
        scene.crease(beside, max(smile, units.lip_stretcher))
        below = curve((x + side * 0.02, y - 0.02), (x + side * 0.05, y + 0.05), (x + side * 0.04, y + 0.13))
        scene.crease(below, frown)
    chin(scene)


def chin(scene: Scene) -> None:
    units = scene.face.action_units
    low = float(scene.mouth.bottom[7])
    boss: Curve = curve((-0.12, low + 0.06), (0.0, low + 0.035), (0.12, low + 0.06))
    scene.crease(boss, max(units.chin_raiser, units.lip_pressor))
    if units.chin_raiser > 0.25 and scene.face.beard in ("none", "stubble", "moustache"):
        for x, y in ((-0.07, 0.12), (0.06, 0.11), (-0.01, 0.15)):
            scene.canvas.fill(ellipse((x, low + y), (0.016, 0.012)), scene.on_skin(0.4 * units.chin_raiser))
