"""SDK-HMAC-SHA256: the signature by which Huawei Cloud's gateway knows an access key.

Equal, byte for byte, to `huaweicloudsdkcore.signer.signer.Signer`; a property test compares the two. What it is
made of is in drs-api.md, 9.3, of the reference, and in the API Gateway guide's "AK/SK signing".
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit

ALGORITHM = "SDK-HMAC-SHA256"
DATE_HEADER = "X-Sdk-Date"
_CONTENT_HASH = "x-sdk-content-sha256"


def sdk_date(at: float) -> str:
    """Unix seconds *at* as X-Sdk-Date wants them. The cloud takes a signature within 15 minutes of its own clock."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def host_of(url: str) -> str:
    """The Host header that a client sends for *url*: with the port, unless it is the scheme's own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return host if parts.port in (None, default) else f"{host}:{parts.port}"


def signature(
    *, method: str, url: str, headers: Mapping[str, str], body: bytes, access_key: str, secret_key: str
) -> str:
    """The Authorization header for a request. All *headers* are signed (but for names with `_`), so they must be
    sent as they are; among them must be Host and X-Sdk-Date."""
    signed = {name.lower(): value.strip() for name, value in headers.items() if "_" not in name}
    names = sorted(signed)
    parts = urlsplit(url)
    canonical = "\n".join(
        (
            method.upper(),
            _canonical_path(parts.path),
            _canonical_query(parts.query),
            "".join(f"{name}:{signed[name]}\n" for name in names),
            ";".join(names),
            _payload_hash(signed, body),
        )
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{ALGORITHM}\n{signed[DATE_HEADER.lower()]}\n{digest}"
    seal = hmac.new(secret_key.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Access={access_key}, SignedHeaders={';'.join(names)}, Signature={seal}"


def _canonical_path(path: str) -> str:
    encoded = "/".join(quote(segment, safe="~") for segment in unquote(path).split("/"))
    return encoded if encoded.endswith("/") else encoded + "/"


def _canonical_query(query: str) -> str:
    pairs = sorted(parse_qsl(query, keep_blank_values=True))
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)


def _payload_hash(signed: Mapping[str, str], body: bytes) -> str:
    """A request may say itself what stands for its body: UNSIGNED-PAYLOAD, for one that is not JSON."""
    said = signed.get(_CONTENT_HASH) if body else None
    return said or hashlib.sha256(body).hexdigest()
