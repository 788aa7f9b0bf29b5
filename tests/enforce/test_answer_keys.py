"""When two requests are the same, and what of a request is a secret."""

from __future__ import annotations

from noburn_cli.enforce.answer_keys import plain_url, request_key, secrets_of, without

URL = "https://generativelanguage.googleapis.com/v1beta/models/gemini:generate?alt=sse"
JSON = "application/json"


def key(url=URL, body=b'{"a": 1, "b": [2]}', content_type=JSON, method="POST"):
    return request_key(method, url, body, content_type)


def test_what_makes_no_difference():
    assert key(body=b'{"b":[2],"a":1}') == key()
    assert key(method="post") == key()
    assert key(url=URL + "&key=AIza-one") == key(url=URL + "&key=AIza-other") == key()
    assert key(url=URL.replace("https://", "https://me:secret@")) == key()
    assert key(url=URL.replace("?", "?x=1&")) == key(url=URL + "&x=1")
    forms = [
        key(
            body=b"--%b\r\nfile\r\n--%b--" % (one, one),
            content_type=f"multipart/form-data; boundary={one.decode()}",
        )
        for one in (b"abc123", b"xyz")
    ]
    assert len(set(forms)) == 1


def test_what_makes_one():
    others = [
        key(body=b'{"a": 1, "b": [3]}'),
        key(body=b""),
        key(method="GET"),
        key(url=URL + "&x=1"),
        key(url=URL.replace("googleapis", "example")),
        key(url=URL.replace("https", "http")),
        key(body=b"--abc\r\nother\r\n", content_type="multipart/form-data; boundary=abc"),
    ]
    assert len({key(), *others}) == len(others) + 1


def test_keys_are_taken_out_wherever_they_stand():
    headers = {"authorization": "Bearer sk-program", "x-api-key": "sk-ant-123"}
    url = URL + "&Key=AIza-query"
    found = secrets_of(headers, url, ("sk-noburn-vk-1", "sk-the-real-one"))
    said = b"Incorrect API key provided: sk-the-real-one (sk-program, sk-ant-123, AIza-query)"
    assert b"sk-" not in without(found, said)
    assert b"AIza" not in without(found, said)
    assert "AIza" not in plain_url(url)
    assert plain_url("https://u:p@host/x?sig=1&a=2") == "https://host/x?a=2"
    # A word that is shorter than any key is none: it may stand in every answer.
    assert secrets_of({"authorization": "Bearer test"}, URL, ()) == ()
