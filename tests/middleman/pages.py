"""What software between batcher and the cloud says in its own name: whole answers, as bytes on a connection."""

from collections.abc import Mapping

HTML = "text/html; charset=utf-8"
_REASONS = {200: "OK", 302: "Found", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 502: "Bad Gateway"}
_REASONS |= {400: "Bad Request", 401: "Unauthorized", 407: "Proxy Authentication Required", 503: "Service Unavailable"}


def page(
    status: int,
    body: str = "",
    *,
    content_type: str = HTML,
    server: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A whole answer with *status* and *body*, with `Server` and further *headers* where they are given."""
    raw = body.encode()
    told = {"Content-Length": str(len(raw)), **({"Content-Type": content_type} if raw else {})}
    told |= {"Server": server} if server else {}
    told |= headers or {}
    head = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Told')}", *(f"{name}: {value}" for name, value in told.items())]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + raw


def squid(status: int, error: str, **headers: str) -> bytes:
    """An error page of squid, with its error in `X-Squid-Error`."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    body = f"<!-- Copyright: this page is under some licence --><html><body><h1>ERROR</h1><p>{error}</p></body></html>"
    via = {"Via": "1.1 gate (squid/5.7)", "X-Squid-Error": f"{error} 111"}
    return page(status, body, server="squid/5.7", headers={**via, **names})


BARE_404 = page(404)
NGINX_404 = page(404, "<html><head><title>404 Not Found</title></head><body>nginx</body></html>", server="nginx/1.22.1")
BARE_405 = page(405)
BARE_403 = page(403)
BARE_401 = page(401)
LOGIN_PAGE = page(200, "<!doctype html><html><body><form action='/login'>Please log in</form></body></html>")
LOGIN_REDIRECT = page(302, headers={"Location": "https://login.example.com/?next=/"})
EMPTY_200 = page(200)
INGRESS = page(404, "default backend - 404", content_type="text/plain; charset=utf-8")
BAD_GATEWAY = page(502, "<html><body><h1>502 Bad Gateway</h1></body></html>", server="nginx/1.22.1")
PROXY_LOGIN = squid(407, "ERR_CACHE_ACCESS_DENIED", Proxy_Authenticate='Basic realm="gate"')
PROXY_DENIES = squid(403, "ERR_ACCESS_DENIED")
HANG_UP = b""
"""Closes the connection without a word."""
