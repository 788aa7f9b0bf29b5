"""The last part of action.yml: what the gate found as outputs, in the summary, and as one comment.

Runs with nothing but Python's standard library.  Reads the environment of a GitHub job and
FOLDER (gate.json, comment.md and said.txt are in it), EXIT_CODE, COMMENT and TOKEN.
Ends with 0 whatever becomes of the comment: a fork's token may not write one, and GitHub may be
down; the verdict is the gate's, in a step of its own.  What could not be posted is said in the
summary.

One comment is kept: it is found by its first line among those that this token's user wrote
(`viewerDidAuthor`), so that nobody else's comment is ever edited.  GraphQL, as `gh pr comment` does
it: ids of comments have outgrown the integers that REST's were once given as, and
`gh` is not on every runner.
https://docs.github.com/en/graphql/reference/mutations#addcomment, read 2026-11-27
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

MARKER = "<!-- noburn gate -->"
FAILED_TEXT_MAX = 5_000
TIMEOUT_S = 30
#: Reading is tried again; writing is not, or a lost answer would make a second comment.
READ_TRIES = 2
READ_PAUSE_S = 1

COMMENTS = """
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      id
      comments(first: 100, after: $after) {
        nodes { id body url viewerDidAuthor }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}
"""
ADD = """
mutation($subject: ID!, $body: String!) {
  addComment(input: {subjectId: $subject, body: $body}) { commentEdge { node { url } } }
}
"""
UPDATE = """
mutation($id: ID!, $body: String!) {
  updateIssueComment(input: {id: $id, body: $body}) { issueComment { url } }
}
"""


class NotPosted(Exception):
    """Why there is no comment, as a clause."""


def main() -> None:
    folder = Path(os.environ["FOLDER"])
    code = os.environ["EXIT_CODE"]
    result = folder / "gate.json"
    page = folder / "comment.md"
    if page.exists() and result.exists():
        body = page.read_text(encoding="utf-8")
        write_outputs(result)
    else:
        said = (folder / "said.txt").read_text(encoding="utf-8", errors="replace")
        body = failed(code, said)
        summarize(body)
    if os.environ["COMMENT"] != "true":
        return
    try:
        url = post(body)
    except (KeyError, TypeError) as error:
        not_posted(f"GitHub's answer is not what was expected ({error!r})")
    except NotPosted as error:
        not_posted(str(error))
    else:
        output("comment-url", url)


def not_posted(why: str) -> None:
    told = one_line(f"The comment on the pull request could not be brought up to date: {why}.")
    print(f"::warning title=noburn gate::{told.replace('%', '%25')}")
    summarize(f"> {told}\n")


def failed(code: str, said: str) -> str:
    """The comment of a gate that could not be evaluated: old figures must not stand."""
    text = said.strip()[:FAILED_TEXT_MAX] or "It said nothing."
    fence = "```"
    while fence in text:
        fence += "`"
    title = "### The gate could not be evaluated"
    return f"{MARKER}\n{title}\n\n{fence}text\n{text}\n{fence}\n\nExit code {code}.\n"


def write_outputs(result: Path) -> None:
    data = json.loads(result.read_text(encoding="utf-8"))["data"]
    output("passed", "true" if data["passed"] else "false")
    months = [side["month"] for side in (data["before"], data["after"]) if side is not None]
    known = data["difference"] is not None and any(month is not None for month in months)
    output("monthly-difference", data["difference"] if known else "")
    output("json", str(result))


def output(name: str, value: str) -> None:
    append("GITHUB_OUTPUT", f"{name}={one_line(value)}\n")


def summarize(text: str) -> None:
    append("GITHUB_STEP_SUMMARY", text + "\n")


def append(variable: str, text: str) -> None:
    """Add to a file that GitHub names in the environment, where it does."""
    path = os.environ.get(variable)
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)


def one_line(text: str) -> str:
    return " ".join(text.split())


# --- the comment ---------------------------------------------------------------------------------


def post(body: str) -> str:
    """Make or update the comment; its address, or "" where there is no pull request.

    Raises NotPosted.
    """
    number = pull_request()
    if number is None:
        return ""
    subject, mine = find(number)
    if mine is None:
        made = ask(ADD, subject=subject, body=body)
        return str(made["addComment"]["commentEdge"]["node"]["url"])
    if mine["body"].replace("\r\n", "\n").strip() != body.strip():
        ask(UPDATE, id=mine["id"], body=body)
    return str(mine["url"])


def pull_request() -> int | None:
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    number = event.get("pull_request", {}).get("number")
    return number if isinstance(number, int) else None


def find(number: int) -> tuple[str, dict[str, Any] | None]:
    """The pull request's id, and the comment that an earlier run left.  Raises NotPosted."""
    owner, _, name = os.environ["GITHUB_REPOSITORY"].partition("/")
    after = None
    while True:
        asked = {"owner": owner, "name": name, "number": number, "after": after}
        found = ask(COMMENTS, tries=READ_TRIES, **asked)["repository"]["pullRequest"]
        for comment in found["comments"]["nodes"]:
            if comment["viewerDidAuthor"] and comment["body"].startswith(MARKER):
                return found["id"], comment
        if not found["comments"]["pageInfo"]["hasNextPage"]:
            return found["id"], None
        after = found["comments"]["pageInfo"]["endCursor"]


def ask(query: str, *, tries: int = 1, **variables: Any) -> dict[str, Any]:
    """The `data` of GitHub's answer.  Raises NotPosted."""
    request = urllib.request.Request(
        os.environ["GITHUB_GRAPHQL_URL"],
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['TOKEN']}",
            "Content-Type": "application/json",
            "User-Agent": "noburn-gate",
        },
    )
    while True:
        tries -= 1
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                answer = json.load(response)
            break
        except urllib.error.HTTPError as error:
            if tries < 1 or error.code < 500:
                raise NotPosted(refusal(error.code, error.reason)) from error
        except (OSError, ValueError) as error:
            if tries < 1:
                raise NotPosted(f"GitHub did not answer ({error})") from error
        time.sleep(READ_PAUSE_S)
    errors = answer.get("errors")
    if errors:
        forbidden = any(error.get("type") == "FORBIDDEN" for error in errors)
        raise NotPosted(refusal(403 if forbidden else 200, errors[0].get("message", "")))
    data = answer["data"]
    assert isinstance(data, dict)
    return data


def refusal(status: int, message: str) -> str:
    if status in (401, 403):
        return (
            f"GitHub refused it ({message}). A pull request from a fork has a token that may only "
            "read; elsewhere give the job `permissions: pull-requests: write`"
        )
    return f"GitHub answered {status} ({message})"


if __name__ == "__main__":
    main()
