"""Asks a Watchfire node about every upload before Synapse stores it.

A Synapse module (a spam checker for media). In homeserver.yaml:

    modules:
      - module: watchfire_gate.WatchfireGate
        config:
          url: http://127.0.0.1:7001      # the node
          key_file: /etc/watchfire.key    # a key with the scope `scan`, readable by Synapse alone
          # on_failure: refuse            # or accept: what happens to uploads while the node is away
          # max_bytes: 536870912          # larger files are treated like a failure

What the node answers decides: on `block` Synapse answers 400 `Bad content` and deletes what it has
received; `review`, `flag` and `allow` let the upload through. The node remembers what was let through
under its address `mxc://SERVER/MEDIA`, so an alert that comes later finds the copy, and the Synapse
connector quarantines it under that same name. Files that are neither picture nor video are asked
about by their SHA-256 alone.

Limits: files that clients encrypt (encrypted rooms) are random bytes to the server and to us. Media
of other homeservers are asked about when they are fetched, under `mxc-cache://SERVER/FILE`: Synapse
does not tell a module their media id, so a later alert refuses the next fetch but does not find a
copy that is already cached.
"""

import hashlib
import json
import logging
from io import BytesIO
from urllib.parse import quote

from synapse.module_api import NOT_SPAM, ModuleApi
from synapse.module_api.errors import Codes, ConfigError
from twisted.web.client import readBody
from twisted.web.http_headers import Headers

logger = logging.getLogger(__name__)

KNOWN = {"url", "key_file", "on_failure", "max_bytes"}
MAX_BYTES = 512 << 20


class WatchfireGate:
    def __init__(self, config: dict, api: ModuleApi):
        self._api = api
        self._url = config["url"].rstrip("/")
        self._accept_on_failure = config["on_failure"] == "accept"
        self._max_bytes = config["max_bytes"]
        with open(config["key_file"], encoding="ascii") as file:
            self._key = file.read().strip()
        api.register_spam_checker_callbacks(check_media_file_for_spam=self.check)

    @staticmethod
    def parse_config(config: dict) -> dict:
        """Refuses what it does not know, so that a misspelt setting never goes unnoticed."""
        if unknown := set(config) - KNOWN:
            raise ConfigError(f"watchfire_gate does not know {', '.join(sorted(unknown))}")
        for needed in ("url", "key_file"):
            if not isinstance(config.get(needed), str):
                raise ConfigError(f"watchfire_gate needs {needed}")
        config = {"on_failure": "refuse", "max_bytes": MAX_BYTES, **config}
        if config["on_failure"] not in ("refuse", "accept"):
            raise ConfigError("watchfire_gate: on_failure is refuse or accept")
        return config

    async def check(self, file, info):
        """Called by Synapse with the file on disk and not yet in any table."""
        if info.thumbnail:
            return NOT_SPAM  # made by Synapse from a file that was let through
        content = BytesIO()
        await file.write_chunks_to(content.write)
        try:
            verdict = await self._ask(self._item(info), content.getvalue())
        except Exception as error:  # the network, a status, a body that is none: all mean "not asked"
            logger.error("watchfire could not be asked about an upload: %s", error)
            return NOT_SPAM if self._accept_on_failure else Codes.FORBIDDEN
        return Codes.FORBIDDEN if verdict == "block" else NOT_SPAM

    def _item(self, info) -> str:
        if info.server_name and info.server_name != self._api.server_name:
            return f"mxc-cache://{info.server_name}/{info.file_id}"
        return f"mxc://{self._api.server_name}/{info.file_id}"

    async def _ask(self, item: str, content: bytes) -> str:
        if len(content) > self._max_bytes:
            raise ValueError(f"{len(content)} bytes are more than max_bytes")
        status, answer = await self._post(
            f"/v1/scan?item={quote(item, safe='')}", "application/octet-stream", content)
        if answer.get("type", "").endswith("undecodable-media"):
            digest = {"kind": "sha256", "value": hashlib.sha256(content).hexdigest()}
            by_hash = json.dumps({"item": item, "signals": [digest]}).encode()
            status, answer = await self._post("/v1/scan", "application/json", by_hash)
        if status != 200:
            raise ValueError(f"the node answered {status}: {answer}")
        return answer["verdict"]

    async def _post(self, path: str, kind: str, body: bytes) -> tuple[int, dict]:
        headers = Headers({"Authorization": [f"Bearer {self._key}"], "Content-Type": [kind]})
        response = await self._api.http_client.request(
            "POST", self._url + path, data=body, headers=headers)
        return response.code, json.loads(await readBody(response))
