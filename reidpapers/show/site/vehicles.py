"""The picture of the embedded vehicles that the site begins with."""

from __future__ import annotations

import io

from PIL import Image

from reidpapers.vehicles import rendered

COLUMNS, SIDE = 10, 96


def picture() -> bytes:
    """Ten vehicles of the ``small`` world, each by two cameras, one above the other; a WebP file."""
    world = rendered.world(rendered.PRESETS["small"], 0)
    table = world.table[world.table["split"] == "gallery"]
    sheet = Image.new("RGB", (COLUMNS * SIDE, 2 * SIDE), "white")
    for column, (_, vehicle) in enumerate(list(table.groupby("vehicle_id"))[:COLUMNS]):
        images = vehicle.drop_duplicates("camera_id")["image"].iloc[:2]
        for line, image in enumerate(images):
            pixels = Image.fromarray(world.read(image)).resize((SIDE - 4, SIDE - 4), Image.Resampling.LANCZOS)
            sheet.paste(pixels, (column * SIDE + 2, line * SIDE + 2))
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=80)
    return file.getvalue()
