#!/bin/sh
# curl sends a POST a second time by itself if a kept connection ends without an answer; its exit code is 0.
set -eu
PATH=$PATH:/usr/sbin
command -v curl >/dev/null || { echo "cannot be tried here: curl is not installed" >&2; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
chmod 755 "$folder"
cd "$folder"
cat >look.py <<'EOF'
import re, socket, subprocess, threading

received = []  # by the server, for all requests that arrived whole

def server(lost):
    """A server on loopback that answers {} to each POST, but closes without a word where *lost* says so."""
    listener = socket.create_server(("127.0.0.1", 0))
    def serve(connection):
        stream = connection.makefile("rb")
        while line := stream.readline():
            head = b"".join(iter(stream.readline, b"\r\n"))
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            stream.read(int(length[1]) if length else 0)
            path = line.split()[1].decode()
            received.append(path)
            if lost(path):
                break
            connection.sendall(b"HTTP/1.1 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nContent-Length: 2\r\n\r\n{}")
        connection.shutdown(socket.SHUT_RDWR)
    def accept():
        while True:
            threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]

port = server(lost=lambda path: path == "/alone" or (path == "/second" and received.count("/second") == 1))
url = f"http://127.0.0.1:{port}"
alone = subprocess.run(["curl", "-s", "-d", "{}", f"{url}/alone"], timeout=60)
print("on a fresh connection: exit code", alone.returncode)
ended = subprocess.run(["curl", "-s", "-d", "{}", f"{url}/first", "--next", "-s", "-d", "{}", f"{url}/second"],
                       capture_output=True, text=True, timeout=60)
print("on a kept one: exit code", ended.returncode, "output", ended.stdout)
print("received", *received)
EOF
echo 'Two POSTs by one curl to one server, which takes the second, does what it asks, and closes without an answer.'
echo 'Expected: the second fails ("Empty reply from server", exit code 52), as it does on a fresh connection.'
python3 look.py >seen
echo "Seen with $(curl --version | head -n 1 | cut -d ' ' -f 1,2), from Debian or whoever made it:"
cat seen
cat <<'EOF'
What it means: nobody asked for a retry (no --retry), and nothing tells of it. A loop of POSTs over one connection, in curl
or in what is built on libcurl, can do a thing twice and report it once. Gateways close kept connections just like that.
Way out: a connection for each request (--no-keepalive does not do that; one curl each, or Connection: close, does).
EOF
[ "$(cat seen)" = 'on a fresh connection: exit code 52
on a kept one: exit code 0 output {}{}
received /alone /first /second /second' ]
