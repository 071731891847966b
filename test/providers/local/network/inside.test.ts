import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Provider, Ref } from "../../../../src/contract/index.ts";
import { certificatesOf, javaStore } from "../../../../src/providers/local/network/java-store.ts";
import { sandbox, say, specOf } from "../inside.ts";
import { op, Scratch } from "../scratch.ts";
import { TEST_CA, TEST_CA_NAME } from "./ca.ts";
import { egressRuntimes } from "./runtimes.ts";

const BUNDLE = "/etc/ssl/certs/ca-certificates.crt";

describe.each(await egressRuntimes())("what a sandbox with egress has inside, by %s", (runtime) => {
  const scratch = new Scratch();
  let provider: Provider;
  let ref: Ref;
  const inside = async (command: string, where = ref): Promise<string> => (await say(provider, where, command)).stdout;
  beforeAll(async () => {
    provider = await scratch.open({ runtimes: [runtime] });
    ref = await sandbox(provider, { egress: { caPem: TEST_CA }, env: { HTTPS_PROXY: "http://mine:1" } });
  });
  afterAll(() => scratch.remove());

  test("names are asked of the boundary, and proxies are the boundary's unless the user says others", async () => {
    expect(await inside("cat /etc/resolv.conf")).toBe("nameserver 127.0.0.1\n");
    expect(await inside('echo "$HTTP_PROXY $http_proxy $HTTPS_PROXY $https_proxy $no_proxy"')).toBe(
      "http://127.0.0.1:808 http://127.0.0.1:808 http://mine:1 http://127.0.0.1:808 localhost,127.0.0.1,::1\n",
    );
    const own = { run: { shell: "echo $http_proxy" }, env: { http_proxy: "http://other:2" } };
    expect((await say(provider, ref, own)).stdout).toBe("http://other:2\n");
  });

  test("its CA is believed beside the system's, where each library looks", async () => {
    const bundle = await inside(`cat ${BUNDLE}`);
    expect(bundle).toContain(TEST_CA.trim());
    expect(certificatesOf(bundle).length).toBeGreaterThan(20);
    for (const name of ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "PIP_CERT"])
      expect(await inside(`echo $${name}`)).toBe(`${BUNDLE}\n`);
    const names =
      "import ssl; print([dict(x[0] for x in c['subject']).get('commonName') for c in ssl.create_default_context().get_ca_certs()])";
    expect(await inside(`python3 -c "${names}"`)).toContain(TEST_CA_NAME);
    expect(await inside("cat /etc/ssl/cert.pem /etc/pki/tls/certs/ca-bundle.crt | grep -c BEGIN")).toBe(
      `${2 * certificatesOf(bundle).length}\n`,
    );
  });

  test("Java's trust store is whole, and holds it first", async () => {
    const store = Buffer.from(await inside("base64 -w0 /etc/ssl/certs/java/cacerts"), "base64");
    expect([store.readUInt32BE(0), store.readUInt32BE(4)]).toEqual([0xfeedfeed, 2]);
    const [own = Buffer.alloc(0)] = certificatesOf(TEST_CA);
    expect(store.indexOf(own)).toBeGreaterThan(0);
    expect(store.readUInt32BE(8)).toBe(certificatesOf(await inside(`cat ${BUNDLE}`)).length);
    // The digest over "changeit" in UTF-16, the format's own words, and everything before it.
    const before = Buffer.concat([Buffer.from("\0c\0h\0a\0n\0g\0e\0i\0t"), Buffer.from("Mighty Aphrodite"), store.subarray(0, -20)]);
    expect(store.subarray(-20)).toEqual(createHash("sha1").update(before).digest());
    expect(javaStore([own]).length).toBe(12 + 4 + 5 + 8 + 7 + 4 + own.length + 20);
  });

  test("a JDK of Debian's, where the host has one, reads it", async () => {
    const said = await say(
      provider,
      ref,
      "command -v keytool && keytool -J-Xmx64m -list -v -alias ca0 -keystore /etc/ssl/certs/java/cacerts",
    );
    if (said.stdout === "") return;
    expect(said.stdout).toContain(`Owner: CN=${TEST_CA_NAME}`);
  });

  test("all of it is read-only", async () => {
    for (const path of [BUNDLE, "/etc/ssl/certs/java/cacerts", "/etc/ssl/certs/more.pem", "/etc/resolv.conf"])
      expect((await say(provider, ref, `echo x >>${path}`)).end.exitCode).not.toBe(0);
  });

  test("a sandbox without egress has none of it, and a network namespace of its own", async () => {
    const plain = await sandbox(provider);
    expect(await inside(`cat /etc/resolv.conf; env | grep -i proxy; cat ${BUNDLE}`, plain)).toBe(readFileSync(BUNDLE, "utf8"));
    await expect(provider.network?.namespace(plain, op())).rejects.toMatchObject({ code: "sandbox_not_found" });
  });

  test("what is no certificate is refused, and leaves nothing", async () => {
    const spec = specOf({ egress: { caPem: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" } });
    await expect(provider.create(spec, op())).rejects.toMatchObject({ code: "invalid_request" });
    const left = [];
    for await (const { id } of provider.list(op())) left.push(id);
    expect(left).not.toContain(spec.id);
  });
});
