"""Error texts in the language that `X-Language` asks for. Whoever branches on a text finds out here."""

from typing import Any

import orjson

from batcher.simulator.replies import Reply

ENGLISH, CHINESE = "en-us", "zh-cn"
LANGUAGES = frozenset({ENGLISH, CHINESE})

_CHINESE = {
    "DRS.M00102": "权限不足。",
    "DRS.M00201": "参数不能为空。",
    "DRS.M00202": "参数取值无效。",
    "DRS.M00289": "任务不存在。",
    "DRS.M00304": "当前任务状态不允许该操作。",
    "DRS.M00307": "仅子任务可以调用该接口。",
    "DRS.M01503": "操作过于频繁，请稍后重试。",  # noqa: RUF001 - Chinese takes a full-width comma
    "DRS.M01504": "任务正在执行其他操作，或任务异常。",  # noqa: RUF001 - Chinese takes a full-width comma
    "DRS.M05003": "任务信息不存在。",
    "DRS.M05004": "任务已删除或已释放。",
}
_OTHER = "请求失败。"


def in_language(reply: Reply, language: str) -> Reply:
    """*reply* with its error texts in *language*; the gateway's own stay English, as in the cloud."""
    if language != CHINESE or b"error_code" not in reply.body:
        return reply
    answer = orjson.loads(reply.body)
    _translate(answer)
    return Reply(
        status=reply.status,
        body=orjson.dumps(answer),
        request_id=reply.request_id,
        error_code=reply.error_code,
        retry_after_s=reply.retry_after_s,
    )


def _translate(part: Any) -> None:
    if isinstance(part, dict):
        code = part.get("error_code")
        if isinstance(code, str) and code.startswith("DRS.") and "error_msg" in part:
            part["error_msg"] = _CHINESE.get(code, _OTHER)
        for inner in part.values():
            _translate(inner)
    elif isinstance(part, list):
        for inner in part:
            _translate(inner)
