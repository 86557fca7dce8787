"""What an answer of the server must look like."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import httpx

#: The status that belongs to each code.
STATUS = {
    "invalid_request": 400,
    "not_signed_in": 401,
    "invalid_credentials": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "too_large": 413,
    "unsupported_media_type": 415,
    "too_many_requests": 429,
    "unavailable": 503,
}

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def problem(response: httpx.Response, code: str) -> dict[str, object]:
    """The problem document of `response`; fails unless it is one, with this code."""
    assert response.status_code == STATUS[code], (response.status_code, response.text)
    kind = response.headers["content-type"].split(";")[0].strip()
    assert kind == "application/problem+json", kind
    body = response.json()
    assert body["code"] == code, body
    assert body["status"] == response.status_code, body
    assert isinstance(body["title"], str) and body["title"], body
    assert isinstance(body["type"], str) and body["type"], body
    if code == "too_many_requests":
        assert 1 <= int(response.headers["retry-after"]) <= 900
    return body


def instant(text: object) -> datetime:
    """A time of the interface; fails unless it is RFC 3339 in UTC, ending in `Z`."""
    assert isinstance(text, str) and _TIME.fullmatch(text), text
    return datetime.fromisoformat(text.removesuffix("Z") + "+00:00").astimezone(UTC)


SESSION_MEMBERS = {
    "id",
    "account",
    "current",
    "status",
    "operating_system",
    "browser",
    "user_agent",
    "ip_address",
    "remembered",
    "created_at",
    "last_updated",
    "expires_at",
    "time_left_seconds",
}


def session(value: object) -> dict[str, object]:
    """`value` as a session; fails unless it reads as the contract says, no member more or less."""
    assert isinstance(value, dict), value
    assert set(value) == SESSION_MEMBERS, sorted(set(value) ^ SESSION_MEMBERS)
    assert isinstance(value["id"], str) and value["id"]
    assert set(value["account"]) == {"id", "name"}
    assert value["current"] in (True, False)
    assert value["status"] in ("active", "expired")
    assert value["remembered"] in (True, False)
    assert isinstance(value["user_agent"], str) and value["user_agent"]
    for product in (value["operating_system"], value["browser"]):
        assert product is None or (set(product) == {"name", "version"} and product["name"])
    created, used, expires = (
        instant(value[name]) for name in ("created_at", "last_updated", "expires_at")
    )
    assert created <= used and created < expires
    left = value["time_left_seconds"]
    assert isinstance(left, int) and left >= 0
    if value["status"] == "expired":
        assert left == 0
    return value


def assert_safe_headers(response: httpx.Response) -> None:
    """What every single response must carry."""
    headers = response.headers
    where = f"{response.request.method} {response.request.url} {response.status_code}"
    assert headers["x-content-type-options"] == "nosniff", where
    assert headers["referrer-policy"] in (
        "no-referrer",
        "same-origin",
        "strict-origin",
        "strict-origin-when-cross-origin",
    ), where
    policy = content_security_policy(response)
    assert policy["default-src"] in (["'none'"], ["'self'"]), where
    assert policy["frame-ancestors"] == ["'none'"], where
    assert policy["base-uri"] == ["'none'"], where
    assert policy.get("object-src", policy["default-src"]) == ["'none'"], where
    for directive, sources in policy.items():
        for source in sources:
            assert source not in ("'unsafe-inline'", "'unsafe-eval'", "*", "data:", "https:", "http:"), (
                where,
                directive,
            )
    assert headers["cross-origin-opener-policy"] == "same-origin", where
    assert headers["cross-origin-resource-policy"] == "same-origin", where
    assert not [name for name in headers if name.startswith("access-control-")], where


def content_security_policy(response: httpx.Response) -> dict[str, list[str]]:
    """The one policy of a response, directive by directive."""
    policies = response.headers.get_list("content-security-policy")
    assert len(policies) == 1, policies
    directives: dict[str, list[str]] = {}
    for part in policies[0].split(";"):
        words = part.split()
        if words:
            assert words[0] not in directives, policies[0]
            directives[words[0]] = words[1:]
    return directives


def assert_not_stored(response: httpx.Response) -> None:
    """That nobody may keep this answer."""
    directives = [part.strip() for part in response.headers["cache-control"].split(",")]
    assert "no-store" in directives, directives
