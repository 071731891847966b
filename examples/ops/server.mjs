// A reference for the two wires by which sand-boxer asks where a host is and who it is there: what ops-bridge and ops-warden speak.
// docs/backends/reachability.md has both. Needs nothing but Node and ssh-keygen.
//
//   OPS_TOKEN=... node server.mjs hosts.json USER_CA_KEY PORT
//
// hosts.json: {"box1": {"address": "10.0.0.7", "port": 22, "user": "root", "principals": ["root"], "max_ttl_seconds": 900}}
import { execFile } from "node:child_process";
import { timingSafeEqual } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const [hostsFile = "hosts.json", authority = "user-ca", port = "8722"] = process.argv.slice(2);
const token = process.env.OPS_TOKEN ?? "";
const LARGEST = 16 * 1024;

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function authorized(header = "") {
  const [given, wanted] = [Buffer.from(header), Buffer.from(`Bearer ${token}`)];
  return token !== "" && given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function body(request) {
  let text = "";
  for await (const piece of request) {
    text += piece;
    if (text.length > LARGEST) throw new Refusal(413, "too large");
  }
  return JSON.parse(text);
}

/** POST /reach {"host"} -> {"address", "port", "user", "proxy_jump", "proxy_command"}, all but the first optional. */
async function reach({ host }, hosts) {
  const found = hosts[host];
  if (found === undefined) throw new Refusal(404, `there is no host ${host}`);
  const { address, port, user, proxy_jump, proxy_command } = found;
  return { address, port, user, proxy_jump, proxy_command };
}

/** POST /certify {"principal", "purpose", "ttl_seconds", "public_key"} -> {"certificate", "expires_at"}. The private key stays with who asks. */
async function certify({ principal, purpose, ttl_seconds: asked, public_key: key }, hosts) {
  const allowed = Object.values(hosts).filter(({ principals = [] }) => principals.includes(principal));
  if (allowed.length === 0) throw new Refusal(403, `nobody may be ${principal}`);
  if (!/^ssh-ed25519 [A-Za-z0-9+/=]+( [ -~]*)?$/.test(key)) throw new Refusal(400, "public_key must be an ed25519 key");
  if (!Number.isInteger(asked) || asked < 30) throw new Refusal(400, "ttl_seconds must be a whole number from 30 on");
  const ttl = Math.min(asked, ...allowed.map(({ max_ttl_seconds: most = 900 }) => most));
  const directory = await mkdtemp(join(tmpdir(), "certify-"));
  try {
    await writeFile(join(directory, "key.pub"), `${key}\n`);
    const name = `sand-boxer: ${String(purpose)
      .replaceAll(/[^ -~]/g, " ")
      .slice(0, 100)}`;
    // A minute back, for clocks that differ.
    await run("ssh-keygen", ["-q", "-s", authority, "-I", name, "-n", principal, "-V", `-1m:+${ttl}s`, "-O", "clear", "-O", "permit-port-forwarding", join(directory, "key.pub")]); // prettier-ignore
    const certificate = (await readFile(join(directory, "key-cert.pub"), "utf8")).trim();
    return { certificate, expires_at: new Date(Date.now() + ttl * 1000).toISOString() };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const VERBS = { "/reach": reach, "/certify": certify };

const server = createServer(async (request, response) => {
  const answer = (status, value) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
  try {
    const verb = VERBS[request.url];
    if (request.method !== "POST" || verb === undefined) throw new Refusal(404, "POST /reach or /certify");
    if (!authorized(request.headers.authorization)) throw new Refusal(401, "a bearer token is needed");
    // Read anew each time: hosts come and go.
    answer(200, await verb(await body(request), JSON.parse(await readFile(hostsFile, "utf8"))));
  } catch (thrown) {
    const status = thrown instanceof Refusal ? thrown.status : thrown instanceof SyntaxError ? 400 : 500;
    answer(status, { error: thrown.message });
  }
});
server.listen(Number(port), "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
