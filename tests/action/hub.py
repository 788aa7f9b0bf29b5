"""What the action asks of GitHub's GraphQL, answered on 127.0.0.1: comments of one pull request.

A small server with GitHub's shapes of answers, errors included.
https://docs.github.com/en/graphql/reference/objects#issuecomment, read 2026-11-27
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PAGE = 2


class Hub:
    """Comments, who asked for what, and how it answers.

    writable: whether the token may write; a fork's may not.  broken: HTTP status of every answer.
    """

    def __init__(self, token: str = "a-token") -> None:
        self.comments: list[dict[str, Any]] = []
        self.writable = True
        self.broken = 0
        self.asked: list[str] = []
        self.token = token
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                right = self.headers["Authorization"] == f"Bearer {hub.token}"
                status = hub.broken or (200 if right else 401)
                answer = hub.answer(body["query"], body["variables"]) if status == 200 else {}
                raw = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/graphql"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def said(self, body: str, *, mine: bool) -> None:
        """A comment that is there before."""
        number = len(self.comments)
        url = f"https://github.example/pull/7#issuecomment-{number}"
        self.comments.append(
            {"id": f"IC_{number}", "body": body, "url": url, "viewerDidAuthor": mine}
        )

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        for name in ("addComment", "updateIssueComment"):
            if name in query:
                self.asked.append(name)
                if not self.writable:
                    refused = "Resource not accessible by integration"
                    error = {"type": "FORBIDDEN", "path": [name], "message": refused}
                    return {"data": {name: None}, "errors": [error]}
                return {"data": {name: self._write(name, variables)}}
        self.asked.append("comments")
        assert (variables["owner"], variables["name"], variables["number"]) == ("acme", "desk", 7)
        start = int(variables["after"] or 0)
        end = start + PAGE
        page = {"hasNextPage": end < len(self.comments), "endCursor": str(end)}
        comments = {"nodes": self.comments[start:end], "pageInfo": page}
        return {"data": {"repository": {"pullRequest": {"id": "PR_7", "comments": comments}}}}

    def _write(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        if name == "addComment":
            assert variables["subject"] == "PR_7"
            self.said(variables["body"], mine=True)
            return {"commentEdge": {"node": {"url": self.comments[-1]["url"]}}}
        (found,) = [one for one in self.comments if one["id"] == variables["id"]]
        assert found["viewerDidAuthor"], "nobody else's comment is edited"
        found["body"] = variables["body"]
        return {"issueComment": {"url": found["url"]}}
