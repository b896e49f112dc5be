"""A substitute for the W&B service on this machine: the part of its API that runs use, and ways to fail."""

import gzip
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0123456789" * 4


@dataclass
class Service:
    """The requests that the service received, and the data of each run."""

    url: str
    requests: list[str] = field(default_factory=list)
    files: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # run id -> file -> lines
    exit_codes: dict[str, int] = field(default_factory=dict)
    uploaded: list[str] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    lives: int | None = None  # number of requests that it still answers; None: all
    hanging: bool = False  # takes connections and never answers
    hangs_at: str = ""  # the operation from which on it hangs
    released: threading.Event = field(default_factory=threading.Event)

    def history(self, run: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files[run].get("wandb-history.jsonl", [])]

    def summary(self, run: str) -> dict[str, Any]:
        return json.loads(self.files[run]["wandb-summary.json"][-1])

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        match = re.search(r"(?:query|mutation)\s+(\w+)", query)
        operation = match.group(1) if match else ""
        self.requests.append(operation)
        if operation == self.hangs_at:
            self.hanging = True
            self.released.wait()
        if operation == "UpsertBucket":
            lines = len(self.files.setdefault(variables["name"], {}).get("wandb-history.jsonl", []))
            return {"upsertBucket": {"bucket": self._bucket(variables, lines), "inserted": lines == 0}}
        if operation == "CreateRunFiles":
            files = [{"name": name, "uploadUrl": f"{self.url}/upload/{name}"} for name in variables["files"]]
            return {"createRunFiles": {"runID": "R", "uploadHeaders": [], "files": files}}
        if operation == "CreateArtifact":  # "COMMITTED": the service has its files already
            self.uploaded.append(variables["input"]["artifactCollectionName"])
            artifact = {"id": "A", "state": "COMMITTED", "artifactSequence": {"latestArtifact": {"id": "A"}}}
            return {"createArtifact": {"artifact": artifact}}
        if operation in BROWSING:
            answer = BROWSING[operation](self, variables)
            return _without_heavy(answer) if "LightweightRunFragment" in query else answer
        if operation == "Viewer":
            return {"viewer": {"id": "V", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}}
        return {"project": {"artifact": None}} if operation == "ArtifactType" else {}

    @staticmethod
    def _bucket(variables: dict[str, Any], lines: int) -> dict[str, Any]:
        entity = {"id": "E", "name": variables.get("entity") or "me"}
        project = {"id": "P", "name": variables["project"], "entity": entity}
        name = variables["name"]
        return {
            "id": "R",
            "name": name,
            "displayName": variables.get("displayName") or name,
            "config": variables.get("config") or "{}",
            "project": project,
            "historyLineCount": lines,
        }

    def stream(self, run: str, body: dict[str, Any]) -> None:
        """Lines of a run's files: appended at an offset, or the whole summary again."""
        files = self.files.setdefault(run, {})
        for name, part in (body.get("files") or {}).items():
            lines = files.setdefault(name, [])
            lines[part["offset"] :] = part["content"]
        if body.get("complete"):
            self.exit_codes[run] = body.get("exitcode") or 0


def _upsert_view(service: Service, variables: dict[str, Any]) -> dict[str, Any]:
    service.views.append({"id": None, **variables})
    kind = variables["type"]
    view = {"id": f"{kind}-id", "name": variables["name"], "displayName": variables["displayName"]}
    extra = {"type": kind, "description": "", "spec": variables["spec"], "project": PROJECT, "user": None}
    return {"upsertView": {"view": {**view, **extra}, "inserted": variables.get("id") is None}}


def _views(service: Service, variables: dict[str, Any]) -> dict[str, Any]:
    kind = variables.get("viewType") or "runs"
    views = [view for view in service.views if view["type"] == kind][-1:]
    nodes = [{"node": {**view, "id": f"{kind}-id"}, "cursor": "c"} for view in views]
    return {"project": {"allViews": {"edges": nodes, "pageInfo": {"endCursor": "c", "hasNextPage": False}}}}


def _runs(service: Service, variables: dict[str, Any]) -> dict[str, Any]:
    shared = {"id": "R", "displayName": "n", "state": "finished", "tags": [], "group": None, "jobType": "train"}
    shared |= {"config": json.dumps({"loss": {"value": {"name": "ce"}}}), "createdAt": "2026-01-01T00:00:00Z"}
    shared |= {"systemMetrics": "{}", "sweepName": None, "user": {}, "heartbeatAt": "2026-01-01T00:00:00Z"}
    shared |= {
        "historyKeys": None,
        "projectId": "1",
        "readOnly": False,
        "commit": None,
        "description": None,
        "notes": None,
    }
    scores = {"a": 0.95, "b": 0.96, "c": 0.97}
    edges = [
        {"node": {**shared, "name": name, "summaryMetrics": json.dumps({"test/accuracy": score})}, "cursor": name}
        for name, score in scores.items()
    ]
    page = {"endCursor": "c", "hasNextPage": False}
    return {
        "project": {"internalId": "1", "runCount": 3, "readOnly": False, "runs": {"edges": edges, "pageInfo": page}}
    }


def _without_heavy(answer: dict[str, Any]) -> dict[str, Any]:
    """Runs as W&B lists them in a lazy query, without configs and summaries."""
    for edge in answer["project"]["runs"]["edges"]:
        for key in ("config", "summaryMetrics", "systemMetrics"):
            del edge["node"][key]
    return answer


PROJECT = {"id": "P", "name": "p", "entityName": "me", "internalId": "P", "createdAt": "2026-01-01T00:00:00Z"}
PROJECT |= {"isBenchmark": False, "user": None}
BROWSING: dict[str, Callable[[Service, dict[str, Any]], dict[str, Any]]] = {
    "UpsertView2": _upsert_view,
    "upsertView": _upsert_view,
    "View": _views,
    "ProjectViews": _views,
    "Runs": _runs,
    "GetProjects": lambda *_: {
        "models": {"pageInfo": {"endCursor": "c", "hasNextPage": False}, "edges": [{"node": PROJECT}]}
    },
    "GetDefaultEntity": lambda *_: {"viewer": {"id": "V", "entity": "me", "defaultEntity": {"name": "me"}}},
}


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """The output would hide that of the tests."""

        def do_GET(self) -> None:
            self._serve(b"")

        def do_PUT(self) -> None:
            self._serve(self.rfile.read(int(self.headers["Content-Length"])))

        def do_POST(self) -> None:
            self.do_PUT()

        def _serve(self, body: bytes) -> None:
            if "/otel/" in self.path:  # W&B's telemetry about itself is not tested, and not always sent
                self.send_error(404)
                return
            if service.lives is not None:
                service.lives -= 1
            if service.hanging:
                service.requests.append(self.path)
                service.released.wait()
            if service.hanging or (service.lives is not None and service.lives < 0):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self._reply(self._take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body))

        def _take(self, body: bytes) -> dict[str, Any]:
            if self.path.endswith("graphql"):
                request = json.loads(body)
                return {"data": service.answer(request["query"], request.get("variables") or {})}
            service.requests.append(self.path)
            if self.path.endswith("/file_stream"):
                service.stream(self.path.split("/")[-2], json.loads(body))
            elif self.path.startswith("/upload/"):
                service.uploaded.append(self.path.removeprefix("/upload/"))
            return {}

        def _reply(self, content: dict[str, Any]) -> None:
            data = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


@contextmanager
def serving() -> Iterator[Service]:
    """A service on a free port, during the block."""
    service = Service("")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield service
    finally:
        service.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def unused_address() -> str:
    """An address of this machine that refuses every connection."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"
