import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { LOCAL_OPERATOR } from "../../src/contract/index.ts";
import { EGRESS_VARIABLES } from "../../src/providers/local/network/inside.ts";
import { type Inside, openStage, type Stage } from "../hostile/egress/stage.ts";
import { workingRuntimes } from "../support/runtimes.ts";
import { type Compiled, goClient, javaClient, lacking, lackingModule } from "./clients/programs.ts";
import { openSite, type Site, SITE_NAMES, TOKEN } from "./clients/site.ts";

const WITHOUT = `unset ${Object.keys(EGRESS_VARIABLES).filter((name) => /proxy$/i.test(name)).join(" ")};`; // prettier-ignore
const VARIABLES = [
  { variables: "with proxy variables", prefix: "" },
  { variables: "without them", prefix: WITHOUT },
];

/** In passthrough the server's own authority is what has to be believed: the test's, which no system knows. */
const OWN_CA = "/home/user/world-ca.pem";

const [go, java] = [goClient(), javaClient()];

function need(context: TestContext, why: string | undefined): void {
  if (why === undefined) return;
  process.stderr.write(`not tried: ${why}\n`);
  context.skip(why);
}

function whyNot(compiled: Compiled): string | undefined {
  return "why" in compiled ? compiled.why : undefined;
}

describe.each(await workingRuntimes("crun"))("real clients in a sandbox of $runtime", ({ runtime }) => {
  let stage: Stage;
  let site: Site;
  const sandboxes = new Map<string, Inside>();

  beforeAll(async () => {
    stage = await openStage(runtime);
    site = await openSite(stage.world);
    await stage.local.engine.secrets.set(LOCAL_OPERATOR, "GIT", { value: TOKEN });
    for (const tls of ["inspect", "passthrough"]) {
      const allow = SITE_NAMES.map((host) => ({ host, tls }));
      const names = [
        "SSL_CERT_FILE",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "NODE_EXTRA_CA_CERTS",
        "REQUESTS_CA_BUNDLE",
        "PIP_CERT",
        "npm_config_cafile",
      ];
      const env = tls === "inspect" ? {} : Object.fromEntries(names.map((name) => [name, OWN_CA]));
      const secrets =
        tls === "inspect"
          ? [{ name: "GIT_TOKEN", source: { vault: "GIT" }, inject: { type: "basic", hosts: ["git.test"] }, expose: { env: "GIT_TOKEN" } }]
          : [];
      const inside = await stage.sandbox({ allow }, { secrets, request: { env, resources: { memory: "1GiB", pids: 256 } } });
      sandboxes.set(tls, inside);
      await put(inside, OWN_CA, readFileSync(stage.world.caFile));
      if ("file" in go) await put(inside, "client", go.file);
      if ("file" in java) await put(inside, "Fetch.class", java.file);
      await inside.sh("chmod +x client");
    }
  }, 180_000);

  afterAll(async () => {
    await site?.[Symbol.asyncDispose]();
    await stage?.[Symbol.asyncDispose]();
  });

  async function put(inside: Inside, path: string, content: Buffer): Promise<void> {
    const pieces = async function* () {
      yield content;
    };
    await stage.local.engine.files.write(LOCAL_OPERATOR, inside.id, path, pieces(), {});
  }

  describe.each([{ tls: "inspect" }, { tls: "passthrough" }])("with tls: $tls", ({ tls }) => {
    describe.each(VARIABLES)("$variables", ({ prefix }) => {
      const places = { inspect: "i", passthrough: "p" } as Record<string, string>;
      const directory = `${places[tls] ?? ""}${prefix === "" ? "v" : "n"}`;

      /** Standard output of a command that has to succeed. */
      async function output(command: string): Promise<string> {
        const inside = sandboxes.get(tls);
        if (inside === undefined) throw new Error(`no sandbox for ${tls}`);
        const { stdout, stderr, exitCode } = await inside.sh(`${prefix} mkdir -p ${directory} && { ${command}; }`);
        expect(exitCode, `${command}\n${stdout}\n${stderr}`).toBe(0);
        return stdout;
      }

      it.each([["--http1.1", "1.1"], ["--http2", "2"]])("curl %s gets what it asks for in HTTP/%s", async (flag, version) => {
        expect(await output(`curl -sS --fail -o /dev/null -w '%{http_version}' ${flag} https://web.test/hello`)).toBe(version);
      }); // prettier-ignore

      it("curl sends a body of 4 MiB and gets the same back", async () => {
        const same = "head -c 4194304 /dev/urandom >b && curl -sS --fail --data-binary @b https://web.test/post | cmp - b && echo same";
        expect(await output(`cd ${directory}; ${same}`)).toBe("same\n");
      });

      it("git clones and pushes", async () => {
        const name = tls === "inspect" ? "private" : "public";
        const subject = `from ${directory}`;
        const who = "-c user.name=x -c user.email=x@example.test";
        await output(
          `cd ${directory}; git clone -q https://git.test/${name}.git work && cd work && echo ${directory} >>README && git ${who} commit -qam '${subject}' && git push -q origin HEAD:main`,
        );
        expect(site.commits(name)[0]).toBe(subject);
      });

      it("pip installs from an index", async (context) => {
        need(context, lackingModule("pip"));
        const install = "/usr/bin/python3 -m pip install -q --no-input --disable-pip-version-check --index-url https://pypi.test/simple --target t tiny-thing"; // prettier-ignore
        const said = await output(`cd ${directory}; ${install} && PYTHONPATH=t /usr/bin/python3 -c 'import tiny_thing; print(tiny_thing.ANSWER)'`); // prettier-ignore
        expect(said).toBe("42\n");
      });

      it("npm installs from a registry", async (context) => {
        need(context, lacking("/usr/bin/npm"));
        const install = "npm install --fetch-retries=0 --no-audit --no-fund --loglevel=error --registry https://npm.test/ tiny-thing";
        expect(await output(`cd ${directory}; ${install} >&2 && node -p 'require("tiny-thing")'`)).toBe("42\n");
      });

      it("node's fetch gets an answer", async (context) => {
        need(context, lacking("/usr/bin/node"));
        expect(await output(`node -e 'fetch("https://web.test/hello").then((a) => a.text()).then(console.log)'`)).toBe("hello\n");
      });

      it("python's urllib gets an answer", async () => {
        const program = 'import urllib.request as u; print(u.urlopen("https://web.test/hello").read().decode())';
        expect(await output(`/usr/bin/python3 -c '${program}'`)).toBe("hello\n");
      });

      it("python's requests gets an answer", async (context) => {
        need(context, lackingModule("requests"));
        expect(await output(`/usr/bin/python3 -c 'import requests; print(requests.get("https://web.test/hello").text)'`)).toBe("hello\n");
      });

      it("a Go program gets an answer", async (context) => {
        need(context, whyNot(go));
        expect(await output("./client https://web.test/hello")).toBe("hello");
      });

      it("a Java program gets an answer", async (context) => {
        need(context, whyNot(java));
        const trust = `rm -f ks && keytool -importcert -noprompt -keystore ks -storepass changeit -file ${OWN_CA} >&2 &&`;
        const [before, flag] =
          tls === "inspect" ? ["", ""] : [trust, "-Djavax.net.ssl.trustStore=ks -Djavax.net.ssl.trustStorePassword=changeit"];
        expect(await output(`${before} java -Xshare:auto -Xmx128m ${flag} Fetch https://web.test/hello`)).toBe("hello");
      });
    });
  });

  it("what inspection put in was never seen inside", async () => {
    const { stdout } = (await sandboxes.get("inspect")?.sh(`env; cat /proc/*/environ; grep -rao '${TOKEN.slice(0, 12)}' /home /tmp | head`)) ?? { stdout: TOKEN };
    expect(stdout).toContain("GIT_TOKEN=sbx_secret_");
    expect(stdout).not.toContain(TOKEN);
    expect(site.commits("private").length).toBeGreaterThan(1);
  }); // prettier-ignore
});
