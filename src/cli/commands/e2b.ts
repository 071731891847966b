import { nearest } from "../../contract/nearest.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { nodeFetch } from "../http.ts";
import { expect } from "../parse.ts";
import { json, line, note } from "../print.ts";

const VERBS = ["env"] as const;
const DEFAULT_URL = "http://127.0.0.1:8420";
/** What the certificate authority of a development certificate is named by, for Node and for Python. */
const TRUST = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"] as const;

export const command: Command = {
  usage: "e2b env [OPTIONS]",
  about: `Prints the variables that point programs on the official E2B SDK (JavaScript and Python) at a sand-boxer server, as
lines for a shell, with a key that is made for it. The server must listen (sand-boxer serve); the key is printed once.`,
  options: {
    url: { type: "string", value: "URL", about: `Where programs reach the server; default: SANDBOXER_URL, else ${DEFAULT_URL}` },
    domain: {
      type: "string",
      value: "DOMAIN",
      about: "Use host names and TLS instead, below this domain of the server's (e2b.domain), with its port",
    },
    authority: { type: "string", value: "FILE", about: "With --domain: what serve named as the authority of its development certificate" },
    name: { type: "string", value: "NAME", about: 'Of the key; default: "e2b"' },
    tenant: { type: "string", value: "TENANT", about: "Whom the key is for; your own unless given" },
  },
  positionals: [VERBS],
  examples: [
    ["e2b env", 'for eval "$(sand-boxer e2b env)", then the program'],
    ["e2b env --domain sbx.test:8443", "for a server with TLS and wildcard names"],
  ],
  async run(args) {
    const [verb = "env"] = args.positionals;
    if (!VERBS.some((known) => known === verb))
      throw usageError("e2b", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "env"}"?`);
    expect("e2b", args, "VERB?");
    const domain = args.text("domain");
    const authority = args.text("authority");
    const { SANDBOXER_URL: own = "" } = process.env;
    const url = (args.text("url") ?? (own === "" ? DEFAULT_URL : own)).replace(/\/+$/, "");
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
      throw usageError("e2b", `--url must be an http address; got "${url}"`);
    if (domain !== undefined && !/^[a-z0-9.-]+(:\d{1,5})?$/.test(domain))
      throw usageError("e2b", `--domain must be a host name, with a port if any; got "${domain}"`);
    if (authority !== undefined && domain === undefined) throw usageError("e2b", "--authority goes with --domain");

    const tenant = args.text("tenant");
    await using connection = await connect();
    const { secret } = await connection.client.keys.create({
      name: args.text("name") ?? "e2b",
      ...(tenant === undefined ? {} : { tenant }),
    });
    const variables: Record<string, string> = {
      E2B_API_KEY: secret.replace(/^sbx_/, "e2b_"),
      ...(domain === undefined ? { E2B_API_URL: url, E2B_SANDBOX_URL: url } : { E2B_DOMAIN: domain }),
      ...(authority === undefined ? {} : Object.fromEntries(TRUST.map((name) => [name, authority]))),
    };
    if (args.json) await json(variables);
    else for (const [name, value] of Object.entries(variables)) await line(`export ${name}=${quoted(value)}`);
    if (domain === undefined && !(await answers(url)))
      note(`nothing answers at ${url} now: start it with 'sand-boxer serve', or name its address with --url`);
    return 0;
  },
};

/** For a shell: a text of plain characters as it is. */
function quoted(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await nodeFetch()(`${url}/health`, { method: "GET", headers: {}, signal: AbortSignal.timeout(2000) })).status > 0;
  } catch (thrown) {
    // Whatever the reason, it is for the note: the variables are right all the same.
    if (thrown instanceof Error) return false;
    throw thrown;
  }
}
