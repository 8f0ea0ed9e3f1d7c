#!/bin/sh
# Huawei's SDK takes a redirect, a login page and an empty body for the answer to a create request: no error, and no id.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
cd "$folder"
python3 -m pip install --quiet --no-compile --disable-pip-version-check --target lib \
    huaweicloudsdkcore==3.1.219 huaweicloudsdkdrs==3.1.219 requests==2.34.2 urllib3==2.8.0 2>pip.log ||
    { cat pip.log >&2; echo "cannot be tried here: the SDK could not be installed" >&2; exit 77; }
cat >look.py <<'EOF'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import SdkException
from huaweicloudsdkdrs.v3 import CreateCompareTaskReq, CreateCompareTaskRequest, DrsClient

ANSWERS = {
    "the cloud's": (200, "application/json", b'{"object_level_compare_create_result":{"compare_task_id":"cmp-1"}}'),
    "a login page": (200, "text/html", b"<html><body>Log in to the network</body></html>"),
    "a redirect to one": (302, "text/html", b""),
    "an empty body": (200, "application/json", b""),
    "a page with 403": (403, "text/html", b"<html><body>Log in to the network</body></html>"),
}
current = ""

class Answering(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status, kind, body = ANSWERS[current]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/login")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = (
    DrsClient.new_builder()
    .with_credentials(BasicCredentials("made-up", "made-up", "project"))
    .with_endpoints([f"http://127.0.0.1:{server.server_port}"])
    .build()
)
for current in ANSWERS:
    order = CreateCompareTaskRequest(body=CreateCompareTaskReq(job_id="job-1", object_level_compare_type="objects"))
    try:
        answer = client.create_compare_task(order)
        made = answer.object_level_compare_create_result
        print(f"{current}: {type(answer).__name__}, {answer.status_code}, id {made and made.compare_task_id}")
    except SdkException as error:
        print(f"{current}: {type(error).__name__}")
EOF
echo "A comparison is asked for with Huawei's SDK; each time something else answers the POST."
echo 'Expected: what is not the answer of the API is an error, above all a redirect, which the SDK does not follow.'
PYTHONPATH=lib python3 look.py >seen
echo 'Seen with huaweicloudsdkcore and huaweicloudsdkdrs 3.1.219:'
cat seen
cat <<'EOF'
What it means: only 400 and above is an error to the SDK. Of everything below it makes a response, whose fields are None where
the body is no JSON, or none at all. A script that takes "no exception" for "created" counts a wave as done that never
got to the cloud: a captive portal, or a proxy whose session ended. Way out: a create request counts as answered only where
the status is 200 and an id or an error_code is there; with anything else look into the cloud's list.
EOF
[ "$(cat seen)" = "the cloud's: CreateCompareTaskResponse, 200, id cmp-1
a login page: CreateCompareTaskResponse, 200, id None
a redirect to one: CreateCompareTaskResponse, 302, id None
an empty body: CreateCompareTaskResponse, 200, id None
a page with 403: ClientRequestException" ]
