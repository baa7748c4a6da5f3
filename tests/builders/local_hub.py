"""A hub on this machine: the few endpoints that a push of small files and a download need.

Commits are kept in memory. Nothing is checked that the real hub would check, but the requests are
those of the real client.
"""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class LocalHub(ThreadingHTTPServer):
    """Repositories by kind and name; each is a list of commits, each a dict of path to bytes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.created: list[dict[str, Any]] = []
        self.commits: dict[tuple[str, str], dict[str, dict[str, bytes]]] = {}
        self.messages: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def files(self, kind: str, repo: str, revision: str = "main") -> dict[str, bytes] | None:
        made = self.commits.get((kind, repo), {})
        return made[list(made)[-1]] if revision == "main" and made else made.get(revision)


class Requests(BaseHTTPRequestHandler):
    server: LocalHub

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        answer: dict[str, Any] = {}
        if parts[:3] == ["api", "repos", "create"]:
            asked = json.loads(body)
            self.server.created.append(asked)
            answer = {"url": f"{self.server.endpoint}/{asked['organization']}/{asked['name']}"}
        elif parts[:2] == ["api", "validate-yaml"]:
            answer = {"errors": [], "warnings": []}
        elif "preupload" in parts:
            answer = {
                "files": [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for file in json.loads(body)["files"]
                ]
            }
        elif "commit" in parts:
            answer = self.commit(parts[1].removesuffix("s"), "/".join(parts[2:4]), body)
        self.answer(200, json.dumps(answer).encode(), Content_Type="application/json")

    def commit(self, kind: str, repo: str, body: bytes) -> dict[str, Any]:
        files = dict(self.server.files(kind, repo) or {})
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "header":
                self.server.messages.append(line["value"]["summary"])
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        oid = hashlib.sha1(body).hexdigest()
        self.server.commits.setdefault((kind, repo), {})[oid] = files
        url = f"{self.server.endpoint}/{repo}/commit/{oid}"
        return {"success": True, "commitOid": oid, "commitUrl": url}

    def do_GET(self) -> None:
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        repo, revision, path = "/".join(parts[:2]), parts[3:4], "/".join(parts[4:])
        if len(parts) < 5 or parts[2] != "resolve" or ("model", repo) not in self.server.commits:
            return self.answer(404, X_Error_Code="RepoNotFound")
        files = self.server.files("model", repo, revision[0])
        if files is None:
            return self.answer(404, X_Error_Code="RevisionNotFound")
        if path not in files:
            return self.answer(404, X_Error_Code="EntryNotFound")
        made = self.server.commits["model", repo]
        oid = list(made)[-1] if revision[0] == "main" else revision[0]
        etag = f'"{hashlib.sha1(files[path]).hexdigest()}"'
        return self.answer(200, files[path], ETag=etag, X_Repo_Commit=oid)

    do_HEAD = do_GET
