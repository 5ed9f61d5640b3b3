"""``dagent export``: the champion and its rows as folders for transformers, datasets and a hub."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from dagent.files import writing


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder to write")
    parser.add_argument(
        "--execution", metavar="ID", help="the first letters of its id; default: the latest"
    )
    parser.add_argument(
        "--adapter", action="store_true", help="the adapter alone, of a student trained with LoRA"
    )
    parser.add_argument(
        "--rejects", action="store_true", help="also the rows that were refused, and why"
    )
    parser.add_argument(
        "--push-to",
        metavar="OWNER/NAME",
        help="also upload, to new private repositories OWNER/NAME and OWNER/NAME-data; the token "
        "comes from HF_TOKEN",
    )
    parser.add_argument(
        "--public", action="store_true", help="with --push-to: upload for everybody to see"
    )


def run(args: argparse.Namespace) -> int:
    from dagent.compiler.quantity import how_many
    from dagent.runtime import exporting
    from dagent.runtime.card_usage import is_local
    from dagent.runtime.history import events_of
    from dagent.runtime.outcome import outcome
    from dagent.runtime.worker import ProcessWorker

    project, folder = Path(), args.folder
    found = outcome(events_of(project, args.execution), project)
    exporting.check(found, folder, adapter=args.adapter, hub=args.push_to)
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    name = (args.push_to or found.start["name"]).rpartition("/")[2]
    with ExitStack() as stack:
        worker = None
        if args.adapter:
            worker = ProcessWorker(project / ".dagent/export.log")
            stack.callback(worker.stop)
        kept, left = exporting.export(
            found,
            folder,
            worker=worker,
            rejects=args.rejects,
            name=name,
            hub=args.push_to or "",
        )
    if args.push_to and args.adapter and is_local(base := found.start["settings"]["student.model"]):
        print(
            f"warning: the adapter belongs on `{base}`, which is no model of a hub: its readers "
            "need that from you. Without --adapter the whole model is pushed",
            file=sys.stderr,
        )
    what = "the adapter" if args.adapter else "the champion"
    who = f"of round {found.round}" if found.round else "which is the untouched student"
    reader = f"peft loads it on {found.base}" if args.adapter else "transformers loads it"
    print(f"{folder}/model  {what}, {who}; {reader}")
    rejected = f" and {left:,} rejected" if args.rejects else ""
    print(f"{folder}/data   {how_many(kept, 'rows')} kept{rejected}; datasets loads them")
    if args.push_to:
        for url in exporting.push(folder, args.push_to, public=args.public):
            print(f"pushed to {url}")
    return 0
