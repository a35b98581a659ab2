"""Runs a private Synapse on loopback until standard input ends, and then removes all of it.

Prints one line of JSON when the homeserver answers and its media can be looked up by hash:
url, server (its name), and the access tokens of `moderator` and `warden` (administrators), `alice`
and `viewer`.

    scripts/services.sh run synapse [--gate URL --gate-key-file FILE]

With --gate, uploads are asked about at that Watchfire node first (examples/synapse-gate).
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

SERVER = "zoo.example"
ROOT = pathlib.Path(__file__).resolve().parents[2]
# A loaded machine takes its time; an idle one needs about three seconds.
START_SECONDS = 120


def config(folder, port, secret, args):
    """The smallest homeserver: SQLite, one listener on loopback, no federation, no rate limits."""
    plenty = {"per_second": 1000, "burst_count": 1000}
    settings = {
        "server_name": SERVER,
        "pid_file": f"{folder}/pid",
        "listeners": [{
            "port": port, "bind_addresses": ["127.0.0.1"], "type": "http", "tls": False,
            "resources": [{"names": ["client"]}],
        }],
        "database": {"name": "sqlite3", "args": {"database": f"{folder}/homeserver.db"}},
        "media_store_path": f"{folder}/media",
        "signing_key_path": f"{folder}/signing.key",
        "registration_shared_secret": secret,
        "macaroon_secret_key": secrets.token_urlsafe(32),
        "form_secret": secrets.token_urlsafe(32),
        "report_stats": False,
        "suppress_key_server_warning": True,
        "trusted_key_servers": [],
        "federation_domain_whitelist": [],
        # The index by hash is built in the background; nothing else is going on.
        "background_updates": {"sleep_enabled": False},
        "rc_message": plenty, "rc_registration": plenty, "rc_media_create": plenty,
        "rc_login": {"address": plenty, "account": plenty, "failed_attempts": plenty},
    }
    if args.gate:
        settings["modules"] = [{
            "module": "watchfire_gate.WatchfireGate",
            "config": {"url": args.gate, "key_file": str(pathlib.Path(args.gate_key_file).resolve())},
        }]
    return settings


def ask(url, path, body=None, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url + path, data=data, headers=headers)
    # No proxy of the environment: the homeserver is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return json.load(answer)


def register(url, secret, name, admin):
    nonce = ask(url, "/_synapse/admin/v1/register")["nonce"]
    password = secrets.token_urlsafe(16)
    words = [nonce, name, password, "admin" if admin else "notadmin"]
    mac = hmac.new(secret.encode(), b"\0".join(word.encode() for word in words), hashlib.sha1)
    account = {"nonce": nonce, "username": name, "password": password, "admin": admin,
               "mac": mac.hexdigest()}
    return ask(url, "/_synapse/admin/v1/register", account)["access_token"]


def wait(homeserver, what, look):
    """Waits until `look` gives something; ends loudly when the homeserver has ended."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if homeserver.poll() is not None:
            sys.exit(f"synapse ended with {homeserver.returncode} before {what}")
        try:
            if found := look():
                return found
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f"synapse: {what} took more than {START_SECONDS} s")


def serve(folder, args):
    # Bound and not listened on: the port is given to nobody else, and Synapse may listen there.
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port = held.getsockname()[1]
    secret = secrets.token_urlsafe(32)
    seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    (folder / "signing.key").write_text(f"ed25519 a_test {seed}\n")
    (folder / "homeserver.yaml").write_text(json.dumps(config(folder, port, secret, args)))
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "examples/synapse-gate"))
    command = [sys.executable, "-m", "synapse.app.homeserver", "-c", str(folder / "homeserver.yaml")]
    log = open(args.log, "wb") if args.log else subprocess.DEVNULL
    homeserver = subprocess.Popen(
        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait(homeserver, "it answers", lambda: ask(url, "/_matrix/client/versions"))
        tokens = {name: register(url, secret, name, name in ("moderator", "warden"))
                  for name in ("moderator", "warden", "alice", "viewer")}
        status = "/_synapse/admin/v1/background_updates/status"
        wait(homeserver, "its index by hash is built",
             lambda: not ask(url, status, token=tokens["moderator"])["current_updates"])
        print(json.dumps({"url": url, "server": SERVER, **tokens}), flush=True)
        # Ends when whoever started us ends or says so, however that happens.
        ended = threading.Thread(target=sys.stdin.buffer.read, daemon=True)
        ended.start()
        while ended.is_alive() and homeserver.poll() is None:
            ended.join(0.2)
    finally:
        homeserver.terminate()
        try:
            homeserver.wait(20)
        except subprocess.TimeoutExpired:
            homeserver.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gate")
    parser.add_argument("--gate-key-file")
    parser.add_argument("--log", help="where the homeserver's log goes; nowhere without")
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="watchfire-synapse-"))
    try:
        serve(folder, args)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
