// Runs a private atproto network on loopback until standard input ends, and then removes all of it:
// PLC directory, PDS, AppView and Ozone from @atproto/dev-env, with their own PostgreSQL and Redis.
//
// Prints one line of JSON when all of it answers: pds, appview, ozone (addresses), ozoneDid, and of the
// accounts `alice` and `moderator` handle, password and did.
//
//     scripts/services.sh run atproto
"use strict";

const { execFileSync, spawn } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "watchfire-atproto-"));
const running = [];

// Everything that the network writes lands in our folder.
process.env.TMPDIR = folder;
process.env.LOG_ENABLED = "false";

function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// Debian keeps the programs of each version of PostgreSQL apart and off the PATH.
function postgresPrograms() {
  const base = "/usr/lib/postgresql";
  const versions = fs.existsSync(base) ? fs.readdirSync(base).sort((a, b) => b - a) : [];
  const bin = versions.map((version) => path.join(base, version, "bin"));
  return bin.find((candidate) => fs.existsSync(path.join(candidate, "initdb"))) ?? "";
}

// PostgreSQL refuses to run as root; its own user is there with its package.
function unprivileged() {
  if (process.getuid() !== 0) return {};
  const id = (kind) => Number(execFileSync("id", [kind, "postgres"]));
  return { uid: id("-u"), gid: id("-g") };
}

function start(program, args, options = {}) {
  const child = spawn(program, args, { stdio: "ignore", cwd: folder, ...options });
  running.push(child);
  return child;
}

async function answers(port, child) {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode}`);
    const open = await new Promise((resolve) => {
      const socket = net.connect(port, "127.0.0.1");
      socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
      socket.on("connect", () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function postgres() {
  const user = unprivileged();
  const data = path.join(folder, "postgres");
  fs.mkdirSync(data);
  if (user.uid !== undefined) {
    fs.chmodSync(folder, 0o755);
    fs.chownSync(data, user.uid, user.gid);
  }
  const bin = postgresPrograms();
  const init = ["-D", data, "-A", "trust", "-U", "pg", "--no-sync", "-E", "UTF8", "--locale=C"];
  execFileSync(path.join(bin, "initdb"), init, { stdio: "ignore", ...user });
  const port = await freePort();
  const args = ["-D", data, "-h", "127.0.0.1", "-p", String(port), "-k", "", "-c", "fsync=off"];
  await answers(port, start(path.join(bin, "postgres"), [...args, "-c", "max_connections=200"], user));
  return `postgresql://pg@127.0.0.1:${port}/postgres`;
}

async function redis() {
  const port = await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  await answers(port, start("redis-server", args));
  return `127.0.0.1:${port}`;
}

async function account(pds, name) {
  const agent = pds.getClient();
  const handle = `${name}.test`;
  const password = `${name}-password`;
  await agent.createAccount({ email: `${name}@zoo.example`, handle, password });
  return { handle, password, did: agent.session.did };
}

// Ozone says what it took down in its stream of labels. The AppView of dev-env, unlike the one that
// people use, does not follow any stream, so this does: whatever Ozone says goes into its table.
async function followLabels(network) {
  const { Subscription } = require("@atproto/xrpc-server");
  const labels = new Subscription({
    service: network.ozone.url.replace("http", "ws"),
    method: "com.atproto.label.subscribeLabels",
    getState: () => ({ cursor: 0 }),
    validate: (message) => message,
  });
  for await (const message of labels) {
    for (const { src, uri, cid = "", val, neg = false, cts, exp = null } of message.labels ?? []) {
      await network.bsky.db.db
        .insertInto("label")
        .values({ src, uri, cid, val, neg, cts, exp })
        .onConflict((row) => row.columns(["src", "uri", "cid", "val"]).doUpdateSet({ neg, cts, exp }))
        .execute();
    }
  }
}

async function main() {
  process.env.REDIS_HOST = await redis();
  const dbPostgresUrl = await postgres();
  // What the packages print is no answer of ours.
  process.stdout.write = process.stderr.write.bind(process.stderr);
  const { TestNetwork, mockMailer } = require("@atproto/dev-env");
  const network = await TestNetwork.create({ dbPostgresUrl, dbPostgresSchema: "watchfire" });
  mockMailer(network.pds);
  followLabels(network).catch((error) => console.error(error));
  const alice = await account(network.pds, "alice");
  const moderator = await account(network.pds, "moderator");
  await network.ozone.addModeratorDid(moderator.did);
  await network.processAll();
  const ready = {
    pds: network.pds.url, appview: network.bsky.url, ozone: network.ozone.url,
    ozoneDid: network.ozone.ctx.cfg.service.did, alice, moderator,
  };
  fs.writeSync(1, `${JSON.stringify(ready)}\n`);
}

// The network lives in this process; the databases end by signal and are waited for.
async function end(code) {
  const ended = running.filter((child) => child.exitCode === null).map((child) => new Promise((resolve) => {
    child.on("exit", resolve);
    child.kill("SIGINT");
  }));
  await Promise.all(ended);
  fs.rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}

process.on("SIGTERM", () => end(1));
process.stdin.resume().on("end", () => end(0));
main().catch((error) => {
  console.error(error);
  end(1);
});
