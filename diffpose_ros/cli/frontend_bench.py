"""``diffpose_ros bench --frontend``: from the image to the skeleton."""

from __future__ import annotations

import argparse
from itertools import islice
from typing import Any

from rich.console import Console
from rich.table import Table

from diffpose_ros.bench import frontend, frontend_report
from diffpose_ros.bench.latency import machine
from diffpose_ros.bench.report import people_label
from diffpose_ros.bench.scenes import NobodySeenError, cut_out, follow
from diffpose_ros.cli.wire import open_wire
from diffpose_ros.core import InputError
from diffpose_ros.frontend import make_front_end
from diffpose_ros.media.places import is_live
from diffpose_ros.media.video import open_source
from diffpose_ros.methods.registry import read_spec

DETECTOR_SIZE = 384
MOST_PEOPLE = 12
"""Of more the cut-outs would be too narrow to hold bodies."""
LOOKED_AT = 120
"""Images of the video in which somebody is looked for."""


def measure(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """The numbers, as the command's JSON has them."""
    spec = read_spec(args.model)  # a model that is not there is told before the work
    here = machine()  # before our own load is on it
    people = args.people or frontend.PEOPLE
    size = args.detector_size or DETECTOR_SIZE
    width, height = frontend.SIZE
    not_measured = {}
    with console.status("looking for somebody") as status, open_wire() as (wire, why):
        if wire is None:
            not_measured["read, tell, publish"] = why
        tiles = _tiles(args.video, width // max(people), height)
        measured = frontend.measure(
            tiles, people=people, frames=args.frames, model=args.model, wire=wire, progress=status.update,
            input_size=size,
        )  # fmt: skip
    return {
        "machine": here,
        "model": spec.name,
        "size": [width, height],
        "detector_size": size,
        "front_ends": measured,
        "not_measured": not_measured,
    }


def show(data: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    for name, found in data["front_ends"].items():
        table = Table(title=f"{name}: {found['reason']}")
        table.add_column("p50 / p99, ms")
        for size in found["people"]:
            table.add_column(people_label(size), justify="right")
        for stage, cells in frontend_report.rows(found):
            table.add_row(stage, *cells)
        console.print(table)
    for name, why in data["not_measured"].items():
        console.print(f"not measured: {name}: {why}")


def _tiles(video: str | None, width: int, height: int) -> list[Any]:
    if video is None:
        from diffpose_ros.demo.clip import demo_clip

        video = str(demo_clip())
    if is_live(video):
        raise InputError(f"{video}: bench --frontend takes a video file or a folder of images")
    front_end = make_front_end("movenet")
    try:
        with open_source(video) as source:
            name = source.name
            which, boxes = follow(source, front_end, LOOKED_AT)
            # read again: whole images of some seconds would fill the memory
            images = (rgb for rgb, _ in islice(source, which.start, which.stop))
            return cut_out(images, boxes, width, height)
    except NobodySeenError as error:
        raise InputError(f"{name}: {error}") from None
    finally:
        front_end.close()
