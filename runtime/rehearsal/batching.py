"""OpenAI's ``/files`` and ``/batches`` in memory, for stand-ins of a model's server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

Body = dict[str, Any]
# The HTTP status and the body that a request of a batch gets, or None: it gets no line at all.
Reply = Callable[[Body], tuple[int, Body] | None]


class Batches:
    """Every batch has ended as soon as it is begun. ``files`` are by id, ``begun`` in order."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.files: dict[str, bytes] = {}
        self.begun: list[Body] = []

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/files", self.upload),
            web.get("/v1/files/{id}/content", self.content),
            web.post("/v1/batches", self.begin),
            web.get("/v1/batches", self.listed),
            web.get("/v1/batches/{id}", self.look),
        ]

    async def upload(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        return web.json_response({"id": self._keep(file.file.read()), "purpose": form["purpose"]})

    async def content(self, request: web.Request) -> web.StreamResponse:
        file = self.files.get(request.match_info["id"])
        return web.Response(status=404) if file is None else web.Response(body=file)

    async def begin(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        batch = {**asked, "id": f"batch_{len(self.begun) + 1}", "object": "batch"}
        batch |= {"status": "validating", "output_file_id": None, "error_file_id": None}
        self.begun.append(batch)
        self.proceed(batch)
        return web.json_response(batch)

    async def listed(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"data": self.begun[::-1], "has_more": False})

    async def look(self, request: web.Request) -> web.StreamResponse:
        batch = next(b for b in self.begun if b["id"] == request.match_info["id"])
        self.proceed(batch)
        return web.json_response(batch)

    def proceed(self, batch: Body) -> None:
        """What becomes of a batch, each time that it is looked at."""
        if batch["status"] == "validating":
            self.end(batch, "completed")

    def end(self, batch: Body, status: str, answered: int | None = None) -> None:
        """``answered`` of the calls get an answer, the others none before the batch ended."""
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        good: list[Body] = []
        bad: list[Body] = []
        for line in lines[:answered]:
            said = self._reply(line["body"])
            if said is None:
                continue
            response = {"status_code": said[0], "request_id": "r", "body": said[1]}
            out = {"custom_id": line["custom_id"], "response": response, "error": None}
            (good if said[0] == 200 else bad).append(out)
        for line in lines[len(lines) if answered is None else answered :]:
            error = {
                "code": f"batch_{status}",
                "message": f"Not answered: {status}",
            }
            bad.append({"custom_id": line["custom_id"], "response": None, "error": error})
        for name, found in (("output_file_id", good), ("error_file_id", bad)):
            text = "".join(json.dumps(line) + "\n" for line in reversed(found))  # in any order
            batch[name] = self._keep(text.encode()) if found else None
        batch["status"] = status

    def _keep(self, content: bytes) -> str:
        name = f"file-{len(self.files) + 1}"
        self.files[name] = content
        return name
