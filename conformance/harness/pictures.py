"""Pictures and their labels, made on the spot. No two are equal unless a test wants it."""

import json
import random
import struct
import zlib
from pathlib import Path

from PIL import Image, ImageDraw

SIZE = (96, 64)


def draw(path, size=SIZE, seed=None):
    """Writes a picture of coloured rectangles; its format is that of the name. The same seed gives the same bytes."""
    dice = random.Random(seed)
    picture = Image.new("RGB", size, tuple(dice.randrange(256) for _ in range(3)))
    pen = ImageDraw.Draw(picture)
    for _ in range(8):
        x, y = dice.randrange(size[0]), dice.randrange(size[1])
        box = (x, y, x + 1 + dice.randrange(30), y + 1 + dice.randrange(20))
        pen.rectangle(box, fill=tuple(dice.randrange(256) for _ in range(3)))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path


def coco(path, image_name, boxes, size=SIZE):
    """Writes COCO for one image. boxes: [(class, x, y, width, height)] in pixels, from the top left corner.

    No boxes: an image that shows nothing, as the SDK sends it from a dataset, with one annotation that is none.
    """
    classes = sorted({label for label, *_ in boxes})
    document = {
        "info": {},
        "licenses": [],
        "categories": [{"id": n, "name": name, "supercategory": "none"} for n, name in enumerate(classes, start=1)],
        "images": [{"id": 7, "file_name": image_name, "width": size[0], "height": size[1]}],
        "annotations": [
            {
                "id": n,
                "image_id": 7,
                "category_id": classes.index(label) + 1,
                "bbox": [x, y, width, height],
                "area": width * height,
                "segmentation": [],
                "iscrowd": 0,
            }
            for n, (label, x, y, width, height) in enumerate(boxes)
        ]
        or [{"id": 999999999, "image_id": 999999999, "category_id": 0, "area": 1, "segmentation": [], "iscrowd": 0}],
    }
    Path(path).write_text(json.dumps(document))
    return Path(path)


def yolo(path, boxes, classes, size=SIZE):
    """Writes YOLO lines. boxes as in coco(); classes gives the index of each name."""
    lines = []
    for label, x, y, width, height in boxes:
        centre = ((x + width / 2) / size[0], (y + height / 2) / size[1])
        lines.append(f"{classes.index(label)} {centre[0]} {centre[1]} {width / size[0]} {height / size[1]}")
    Path(path).write_text("\n".join(lines) + "\n")
    return Path(path)


def bomb(path, side=30_000):
    """Writes a correct PNG of about 100 kB that decodes to side × side pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    Path(path).write_bytes(content)
    return Path(path)
