import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import type { Ref } from "../contract/index.ts";
import { drain, refuses } from "./stage.ts";
import type { Stage } from "./stage.ts";
import type { CaseDefinition } from "./suite.ts";

const PORT = 18_080;
const SILENT_PORT = 18_081;

/** Answers each connection with the file that its first line names; by perl's core alone. */
const serveByPerl = (port: number): string => `exec perl -MSocket -e 'socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
  setsockopt $s, SOL_SOCKET, SO_REUSEADDR, 1; bind $s, pack_sockaddr_in(${port}, INADDR_LOOPBACK) or die; listen $s, 50;
  while (accept my $c, $s) { my $asked = <$c>; my ($name) = $asked =~ m{^GET /(\\w+) }; open my $f, "<", $name; print {$c} "HTTP/1.0 200 OK\\r\\n\\r\\n", <$f>; close $c }'`;

function connect(stage: Stage, ref: Ref, port: number): Promise<Duplex> {
  assert.ok(stage.provider.ports, "a provider that declares ports.http has the group ports");
  return stage.provider.ports.connect(ref, port, stage.op());
}

/** What the server there answers, to its end. */
async function ask(stage: Stage, ref: Ref, name: string): Promise<string> {
  const socket = await connect(stage, ref, PORT);
  socket.write(`GET /${name} HTTP/1.0\r\n\r\n`);
  return Buffer.concat(await socket.toArray()).toString();
}

/** Runs the work while a server runs in the sandbox. */
async function whileServing(stage: Stage, ref: Ref, work: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const shell = (stage.options.server ?? serveByPerl)(PORT);
  let ended = "";
  const server = drain(stage.exec(ref, { run: { shell } }, { signal: stop.signal })).then(
    () => (ended = "the server ended"),
    (thrown: unknown) => (ended = String(thrown)),
  );
  try {
    await stage.eventually("the server listens", async () => {
      assert.equal(ended, "", `${shell}: it ended before it listened`);
      return connect(stage, ref, PORT).then(
        (socket) => (socket.destroy(), true),
        () => false,
      );
    });
    await work();
  } finally {
    stop.abort();
    await server;
  }
}

/** Connections to servers inside. */
export const PORT_CASES: readonly CaseDefinition[] = [
  {
    name: "a port leads to the server that listens there in that very sandbox, and to nothing where none does",
    capability: "ports.http",
    async run(stage) {
      const [one, other] = [await stage.sandbox(), await stage.sandbox()];
      await refuses(["not_found"], "a port where nothing listens", () => connect(stage, one, PORT));
      await stage.sh(one, "echo number one > whose");
      await whileServing(stage, one, async () => {
        const answers = await Promise.all(Array.from({ length: 5 }, () => ask(stage, one, "whose")));
        for (const answer of answers) assert.match(answer, /^HTTP\/1\.[01] 200 [^]*\r\n\r\nnumber one\n$/);
        await refuses(["not_found"], "another port of the sandbox", () => connect(stage, one, SILENT_PORT));
        await refuses(["not_found"], "the same port of another sandbox", () => connect(stage, other, PORT));
      });
      await stage.provider.destroy(one, stage.op());
      await refuses(["sandbox_not_found", "wrong_state"], "a port of a destroyed sandbox", () => connect(stage, one, PORT));
    },
  },
];
