import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { LOCAL_OPERATOR } from "../../src/contract/index.ts";
import { openSandboxer, serverOver } from "../../src/main.ts";
import { telemetryFrom } from "../../src/telemetry-from-config.ts";
import { openCollector, type Span } from "./collector.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";

async function served(endpoint: string) {
  const dataDir = await mkdtemp(join(tmpdir(), "sbx-otlp-"));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const opened = await openSandboxer({
    dataDir,
    config: {
      backends: [{ name: "memory", provider: "fake", options: { isolation: "container" } }],
      log_level: "silent",
      telemetry: { endpoint, metrics_every: 3600 },
    },
  });
  const server = await serverOver(opened);
  const { url } = await server.listen({ port: 0 });
  const { secret } = await opened.engine.keys.create(LOCAL_OPERATOR, { name: "test", tenant: "acme", scopes: ["read", "write"] });
  const call = (path: string, method: string, body: unknown) =>
    fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${secret}`, "content-type": "application/json", traceparent: `00-${TRACE}-${PARENT}-01` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const close = async () => {
    await server.close();
    await opened.close();
  };
  return { call, close };
}

it("sends a create, an exec and an end as spans below the caller's own, and the metrics of the metrics page", async () => {
  const collector = await openCollector();
  const { call, close } = await served(collector.url);
  const { id } = (await (await call("/v1/sandboxes", "POST", {})).json()) as { id: string };
  expect((await call(`/v1/sandboxes/${id}/exec`, "POST", { argv: ["echo", "hunter2"] })).status).toBe(200);
  expect((await call(`/v1/sandboxes/${id}`, "DELETE", undefined)).status).toBe(200);
  expect((await call("/v1/sandboxes", "POST", { profile: "nowhere" })).status).toBe(404);
  await close();

  const { spans } = collector;
  expect(new Set(spans.map(({ trace }) => trace))).toEqual(new Set([TRACE]));
  const byId = new Map(spans.map((span) => [span.id, span]));
  const way = (span: Span | undefined): string[] => (span === undefined ? [] : [...way(byId.get(span.parent)), span.name]);
  const named = (name: string) => spans.find((span) => span.name === name);
  expect(way(named("provider.create"))).toEqual(["POST /v1/sandboxes", "sandbox.create", "provider.create"]);
  expect(way(named("sandbox.plan"))).toEqual(["POST /v1/sandboxes", "sandbox.create", "sandbox.plan"]);
  expect(way(named("sandbox.policy"))).toEqual(["POST /v1/sandboxes", "sandbox.create", "sandbox.policy"]);
  expect(way(named("sandbox.exec"))).toEqual(["POST /v1/sandboxes/{id}/exec", "sandbox.exec"]);
  expect(way(named("provider.destroy"))).toEqual(["DELETE /v1/sandboxes/{id}", "sandbox.destroy", "provider.destroy"]);
  expect(named("POST /v1/sandboxes")?.parent).toBe(PARENT);
  expect(named("sandbox.exec")?.attributes).toMatchObject({ "sandbox.id": id, outcome: "exited" });
  const failed = spans.filter((span) => span.failed);
  expect(new Set(failed.map(({ attributes }) => attributes["error.type"]))).toEqual(new Set(["profile_not_found"]));
  expect(JSON.stringify(spans)).not.toContain("hunter2");
  expect(collector.services).toEqual(new Set(["sand-boxer"]));
  expect(collector.metrics).toEqual(
    expect.arrayContaining([
      { name: "sandboxer_creates_total", kind: 7 },
      { name: "sandboxer_backend_up", kind: 5 },
      { name: "sandboxer_backend_seconds", kind: 9 },
    ]),
  );
});

it("does its work, and ends in time, where the collector is away", async () => {
  const { call, close } = await served("http://127.0.0.1:9");
  expect((await call("/v1/sandboxes", "POST", {})).status).toBe(201);
  await close();
});

it("opens nothing where nobody asks for it, and nothing where OTEL_SDK_DISABLED says so", async () => {
  const about = { version: "1", instance: "in1" };
  expect(await telemetryFrom({}, about, {})).toBeUndefined();
  expect(await telemetryFrom({ endpoint: "http://127.0.0.1:9" }, about, { OTEL_SDK_DISABLED: "true" })).toBeUndefined();
});
