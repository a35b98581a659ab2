"""A receiver of Watchfire's orders: serves a folder, takes files down and puts them back.

    python3 receiver.py --folder ./uploads --key-file webhook.key --listen 127.0.0.1:8001

GET /items/NAME answers a file of the folder, POST /webhook takes orders in the format of Standard
Webhooks. What is taken down goes into FOLDER/.quarantine, which is never served.

Python's standard library alone checks HMAC-SHA-256 (keys `whsec_…`). Ed25519 (keys `whpk_…`) needs
`pip install cryptography`. Name several key files while a key is rotated.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import pathlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

# A message signed longer ago, or by a clock further ahead, is refused: it may be a recording.
REPLAY_WINDOW_S = 300
# An order names its reasons, never content.
MAX_BODY_BYTES = 64 * 1024
# Rotation needs two signatures; each one costs a check.
MAX_SIGNATURES = 8


def checking_key(text):
    """Reads a key; what comes back says whether a signature of a scheme fits some content."""
    if text.startswith("whsec_"):
        secret = base64.b64decode(text.removeprefix("whsec_"), validate=True)
        if not 24 <= len(secret) <= 64:
            raise SystemExit("a shared secret has 24 to 64 bytes")

        def fits(scheme, signature, content):
            right = hmac.new(secret, content, hashlib.sha256).digest()
            return scheme == "v1" and hmac.compare_digest(right, signature)  # in constant time

        return fits
    if text.startswith("whpk_"):
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError:
            raise SystemExit("Ed25519 keys need `pip install cryptography`") from None
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix("whpk_")))

        def fits(scheme, signature, content):
            try:
                key.verify(signature, content)
                return scheme == "v1a"
            except InvalidSignature:
                return False

        return fits
    raise SystemExit("a key begins with whsec_ or whpk_")


def is_believed(keys, headers, body):
    """Whether the webhook is whole, fresh, and signed by one of our keys."""
    message, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    # A full stop in the id could make one message read as another.
    if not message or "." in message or not (stamp.isascii() and stamp.isdigit()):
        return False
    if abs(time.time() - int(stamp[:20])) > REPLAY_WINDOW_S:
        return False
    content = f"{message}.{stamp}.".encode() + body
    for one in headers.get("webhook-signature", "").split(" ")[:MAX_SIGNATURES]:
        scheme, _, text = one.partition(",")
        try:
            signature = base64.b64decode(text, validate=True)
        except ValueError:
            continue
        if any(fits(scheme, signature, content) for fits in keys):
            return True
    return False


class Folder:
    """The files, and the keys of the orders that were carried out."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.quarantine = self.path / ".quarantine"
        self.quarantine.mkdir(mode=0o700, exist_ok=True)
        self.orders = self.quarantine / ".orders"
        self.orders.touch(mode=0o600)
        self.done = set(self.orders.read_text().split("\n"))
        self.one_at_a_time = threading.Lock()

    def served(self, item):
        """The path of an item, if its name is that of a plain file of the folder."""
        if not item or item.startswith(".") or "/" in item or "\0" in item:
            return None
        path = self.path / item
        return path if path.is_file() and not path.is_symlink() else None

    def carry_out(self, order):
        """Does each key once; answers the status and its word."""
        action, item, key = order["action"], order["item"], order["key"]
        if action not in ("remove", "hide", "restore"):
            return 422, "refused"
        with self.one_at_a_time:
            if key in self.done:
                return 200, "already_done"
            name = item if "/" not in item and not item.startswith(".") else ""
            here, away = self.path / name, self.quarantine / name
            source, target = (away, here) if action == "restore" else (here, away)
            if name and source.is_file():
                os.replace(source, target)
            elif not (name and target.is_file()):
                return 404, "gone"
            # Last: a crash before this line repeats a move that changes nothing the second time.
            with self.orders.open("a") as file:
                file.write(f"{key}\n")
                file.flush()
                os.fsync(file.fileno())
            self.done.add(key)
            return 200, "done"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self):
        item = unquote(self.path.removeprefix("/items/")) if self.path.startswith("/items/") else ""
        path = self.server.folder.served(item)
        self.answer(200, path.read_bytes()) if path else self.answer(404, b"")

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if self.path != "/webhook" or not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True  # its body is not read
            return self.answer(404 if self.path != "/webhook" else 413, b"")
        body = self.rfile.read(int(length))
        if not is_believed(self.server.keys, self.headers, body):
            return self.said(401, "refused")
        try:
            order = json.loads(body)
            whole = all(isinstance(order[field], str) for field in ("key", "item", "action"))
        except (ValueError, KeyError, TypeError):
            whole = False
        # The key inside the signed body has to be the message's id.
        if not whole or order["key"] != self.headers["webhook-id"] or "\n" in order["key"]:
            return self.said(400, "refused")
        return self.said(*self.server.folder.carry_out(order))

    def said(self, status, word):
        self.answer(status, json.dumps({"status": word}).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing for each request."""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--key-file", required=True, action="append")
    parser.add_argument("--listen", default="127.0.0.1:8001")
    args = parser.parse_args()
    host, _, port = args.listen.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Handler)
    server.folder = Folder(args.folder)
    server.keys = [checking_key(pathlib.Path(file).read_text().strip()) for file in args.key_file]
    print(f"listening on http://{host}:{server.server_port}", flush=True)
    server.serve_forever()


main()
