#!/bin/sh
# A time-out of Huawei's SDK is no SdkException, and one exception stands for "never sent" and for "sent, answer lost".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
cd "$folder"
python3 -m pip install --quiet --no-compile --disable-pip-version-check --target lib \
    huaweicloudsdkcore==3.1.219 huaweicloudsdkdrs==3.1.219 requests==2.34.2 urllib3==2.8.0 2>pip.log ||
    { cat pip.log >&2; echo "cannot be tried here: the SDK could not be installed" >&2; exit 77; }
cat >look.py <<'EOF'
import logging, re, socket, threading, time

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import CallTimeoutException, SdkException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkdrs.v3 import CreateCompareTaskReq, CreateCompareTaskRequest, DrsClient

logging.disable(logging.CRITICAL)
received = []

def server(silent_s):
    """A server on loopback that takes each POST, is silent for so long, and then closes without a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    def serve(connection):
        stream = connection.makefile("rb")
        while line := stream.readline():
            head = b"".join(iter(stream.readline, b"\r\n"))
            stream.read(int(re.search(rb"(?i)content-length: *(\d+)", head)[1]))
            received.append(line)
            time.sleep(silent_s)
            break
        connection.shutdown(socket.SHUT_RDWR)
    def accept():
        while True:
            threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]

with socket.socket() as bound:
    bound.bind(("127.0.0.1", 0))
    refusing = bound.getsockname()[1]
for name, port in (("nobody listens", refusing), ("the answer is lost", server(0)), ("no answer in time", server(4))):
    received.clear()
    client = (
        DrsClient.new_builder()
        .with_http_config(HttpConfig(timeout=(2, 2)))
        .with_credentials(BasicCredentials("made-up", "made-up", "project"))
        .with_endpoints([f"http://127.0.0.1:{port}"])
        .build()
    )
    order = CreateCompareTaskRequest(body=CreateCompareTaskReq(job_id="job-1", object_level_compare_type="objects"))
    try:
        client.create_compare_task(order)
    except Exception as error:
        print(
            f"{name}: {type(error).__name__}, an SdkException {isinstance(error, SdkException)}, "
            f"a CallTimeoutException {isinstance(error, CallTimeoutException)}, received {len(received)}"
        )
EOF
echo "A comparison is asked for with Huawei's SDK, and no answer comes: for three different causes."
echo 'Expected: each is an SdkException; a time-out is the CallTimeoutException that there is for it; and what was never'
echo 'sent can be told from what was.'
PYTHONPATH=lib python3 look.py >seen
echo 'Seen with huaweicloudsdkcore and huaweicloudsdkdrs 3.1.219:'
cat seen
cat <<'EOF'
What it means: the time-out, of all troubles the one after which the request may well have been taken, passes by every "except
SdkException" as the exception of another library, and ends the loop over a wave between two entries. And a retry on
ConnectionException is safe where nobody listens, and makes a second comparison where the answer was lost: the name is
the same. Way out: catch requests' exceptions as well; after either, look into the cloud's list before anything is sent again.
EOF
[ "$(cat seen)" = "nobody listens: ConnectionException, an SdkException True, a CallTimeoutException False, received 0
the answer is lost: ConnectionException, an SdkException True, a CallTimeoutException False, received 1
no answer in time: ReadTimeout, an SdkException False, a CallTimeoutException False, received 1" ]
