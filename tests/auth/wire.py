"""A transport that keeps what it is given and answers from a list, the last answer again and again."""

from batcher.drs.answer import Answer, RequestStage
from batcher.drs.cloud import HttpRequest


class Wire:
    def __init__(self, *answers: Answer) -> None:
        self.requests: list[HttpRequest] = []
        self._answers = answers or (ok(),)

    async def send(self, request: HttpRequest) -> Answer:
        self.requests.append(request)
        return self._answers[min(len(self.requests), len(self._answers)) - 1]


def ok(body: bytes = b"{}") -> Answer:
    return Answer(stage=RequestStage.SENT, sent_at=0.0, answered_at=0.0, http_status=200, body=body)
