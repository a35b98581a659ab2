// A receiver of Watchfire's orders: serves a folder, takes files down and puts them back.
//
//     node receiver.mjs --folder ./uploads --key-file webhook.key --listen 127.0.0.1:8001
//
// GET /items/NAME answers a file of the folder, POST /webhook takes orders in the format of Standard
// Webhooks. What is taken down goes into FOLDER/.quarantine, which is never served.
//
// Node alone checks both HMAC-SHA-256 (keys `whsec_…`) and Ed25519 (keys `whpk_…`). Name several key
// files while a key is rotated.

import { createHmac, createPublicKey, timingSafeEqual, verify } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { parseArgs } from "node:util";

// A message signed longer ago, or by a clock further ahead, is refused: it may be a recording.
const REPLAY_WINDOW_S = 300;
// An order names its reasons, never content.
const MAX_BODY_BYTES = 64 * 1024;
// Rotation needs two signatures; each one costs a check.
const MAX_SIGNATURES = 8;

// Reads a key; what comes back says whether a signature of a scheme fits some content.
function checkingKey(text) {
  if (text.startsWith("whsec_")) {
    const secret = Buffer.from(text.slice("whsec_".length), "base64");
    if (secret.length < 24 || secret.length > 64) throw new Error("a shared secret has 24 to 64 bytes");
    return (scheme, signature, content) => {
      const right = createHmac("sha256", secret).update(content).digest();
      return scheme === "v1" && right.length === signature.length && timingSafeEqual(right, signature);
    };
  }
  if (text.startsWith("whpk_")) {
    const x = Buffer.from(text.slice("whpk_".length), "base64").toString("base64url");
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    return (scheme, signature, content) => scheme === "v1a" && verify(null, content, key, signature);
  }
  throw new Error("a key begins with whsec_ or whpk_");
}

// Whether the webhook is whole, fresh, and signed by one of our keys.
function isBelieved(keys, headers, body) {
  const id = headers["webhook-id"] ?? "";
  const stamp = headers["webhook-timestamp"] ?? "";
  // A full stop in the id could make one message read as another.
  if (!/^[^.\n]{1,256}$/.test(id) || !/^[0-9]{1,15}$/.test(stamp)) return false;
  if (Math.abs(Date.now() / 1000 - Number(stamp)) > REPLAY_WINDOW_S) return false;
  const content = Buffer.concat([Buffer.from(`${id}.${stamp}.`), body]);
  const signatures = (headers["webhook-signature"] ?? "").split(" ").slice(0, MAX_SIGNATURES);
  return signatures.some((one) => {
    const [scheme, text = ""] = one.split(",");
    const signature = Buffer.from(text, "base64");
    return keys.some((fits) => fits(scheme, signature, content));
  });
}

// The files, and the keys of the orders that were carried out.
class Folder {
  constructor(folder) {
    this.folder = folder;
    this.quarantine = path.join(folder, ".quarantine");
    fs.mkdirSync(this.quarantine, { recursive: true, mode: 0o700 });
    this.orders = path.join(this.quarantine, ".orders");
    fs.appendFileSync(this.orders, "", { mode: 0o600 });
    this.done = new Set(fs.readFileSync(this.orders, "utf8").split("\n"));
  }

  // The path of an item, if its name is that of a plain file of the folder.
  plain(folder, item) {
    if (!item || item.startsWith(".") || /[/\0]/.test(item)) return undefined;
    const file = path.join(folder, item);
    return fs.lstatSync(file, { throwIfNoEntry: false })?.isFile() ? file : undefined;
  }

  // Does each key once; answers the status and its word. Nothing else runs in between.
  carryOut({ action, item, key }) {
    if (!["remove", "hide", "restore"].includes(action)) return [422, "refused"];
    if (this.done.has(key)) return [200, "already_done"];
    const restore = action === "restore";
    const from = restore ? this.quarantine : this.folder;
    const to = restore ? this.folder : this.quarantine;
    const source = this.plain(from, item);
    if (source) fs.renameSync(source, path.join(to, item));
    else if (!this.plain(to, item)) return [404, "gone"];
    // Last: a crash before this line repeats a move that changes nothing the second time.
    const file = fs.openSync(this.orders, "a");
    fs.writeSync(file, `${key}\n`);
    fs.fsyncSync(file);
    fs.closeSync(file);
    this.done.add(key);
    return [200, "done"];
  }
}

async function readBody(request) {
  const pieces = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > MAX_BODY_BYTES) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function orderOf(body) {
  try {
    const order = JSON.parse(body.toString("utf8"));
    const whole = ["key", "item", "action"].every((field) => typeof order[field] === "string");
    return whole ? order : undefined;
  } catch {
    return undefined;
  }
}

async function answer(request, folder, keys) {
  const place = new URL(request.url, "http://localhost").pathname;
  if (request.method === "GET" && place.startsWith("/items/")) {
    const file = folder.plain(folder.folder, decodeURIComponent(place.slice("/items/".length)));
    return file ? [200, fs.readFileSync(file)] : [404, ""];
  }
  if (request.method !== "POST" || place !== "/webhook") return [404, ""];
  const body = await readBody(request);
  if (!body) return [413, ""];
  const said = ([status, word]) => [status, JSON.stringify({ status: word })];
  if (!isBelieved(keys, request.headers, body)) return said([401, "refused"]);
  const order = orderOf(body);
  // The key inside the signed body has to be the message's id.
  if (!order || order.key !== request.headers["webhook-id"]) return said([400, "refused"]);
  return said(folder.carryOut(order));
}

const { values } = parseArgs({
  options: {
    folder: { type: "string" },
    "key-file": { type: "string", multiple: true },
    listen: { type: "string", default: "127.0.0.1:8001" },
  },
});
const folder = new Folder(values.folder);
const keys = values["key-file"].map((file) => checkingKey(fs.readFileSync(file, "utf8").trim()));
const [host, port] = values.listen.split(":");
const server = http.createServer((request, response) => {
  answer(request, folder, keys)
    .catch(() => [400, ""]) // an address that cannot be decoded, a body that breaks off
    .then(([status, body]) => response.writeHead(status, { "cache-control": "no-store" }).end(body));
});
server.listen(Number(port), host, () => {
  console.log(`listening on http://${host}:${server.address().port}`);
});
