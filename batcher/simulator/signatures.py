"""SDK-HMAC-SHA256 as the gateway checks it. Written from the description of the scheme, apart from
`batcher.drs.auth`, which signs: so that each finds the mistakes of the other."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote

SKEW_S = 15 * 60
_AUTHORIZATION = re.compile(r"SDK-HMAC-SHA256 Access=([^,\s]+), ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request as it came over the wire, *path* and *query* still encoded; *headers* take lower-case names."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """What an Authorization header claims."""

    access_key: str
    signed_headers: tuple[str, ...]
    signature: str


def read_claim(authorization: str) -> Claim | None:
    """The claim of an Authorization header; None where it is none of this kind."""
    match = _AUTHORIZATION.fullmatch(authorization.strip())
    return None if match is None else Claim(match[1], tuple(match[2].split(";")), match[3])


def signed_at(request: SignedRequest) -> float | None:
    """When the request was signed, in Unix seconds, by its X-Sdk-Date; None where that is missing or no date."""
    try:
        return datetime.strptime(request.headers.get("x-sdk-date", "") + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp()
    except ValueError:
        return None


def canonical_request(request: SignedRequest, signed_headers: tuple[str, ...]) -> str:
    """The text that is signed: method, path, query, headers, their names, and the body's hash, one a line."""
    path = "/".join(quote(unquote(segment), safe="-_.~") for segment in request.path.split("/"))
    body_hash = request.headers.get("x-sdk-content-sha256") or hashlib.sha256(request.body).hexdigest()
    lines = [request.method.upper(), path if path.endswith("/") else path + "/", _canonical_query(request.query)]
    lines += [f"{name}:{request.headers.get(name, '').strip()}" for name in signed_headers]
    lines += ["", ";".join(signed_headers), body_hash]
    return "\n".join(lines)


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        pairs.append((unquote(name.replace("+", " ")), unquote(value.replace("+", " "))))
    # By name, then value, before they are encoded: "0=0" comes before "00=0", though "=" sorts after "0".
    return "&".join("=".join(quote(part, safe="-_.~") for part in pair) for pair in sorted(pairs))


def is_signed_with(secret_key: str, request: SignedRequest, claim: Claim) -> bool:
    """Whether the claim's signature is the one that *secret_key* makes over what arrived."""
    if not {"host", "x-sdk-date"} <= set(claim.signed_headers) or list(claim.signed_headers) != sorted(
        claim.signed_headers
    ):
        return False
    canonical = canonical_request(request, claim.signed_headers)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"SDK-HMAC-SHA256\n{request.headers.get('x-sdk-date', '')}\n{digest}"
    seal = hmac.new(secret_key.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(seal, claim.signature)
