import { SandboxerError, type TelemetryConfig } from "./contract/index.ts";
import type * as Otlp from "./telemetry/otlp.ts";
import type { OtlpOptions, OtlpTelemetry } from "./telemetry/otlp.ts";

const DEFAULT_METRICS_SECONDS = 60;

/**
 * Opens what the configuration or OpenTelemetry's own environment asks for; undefined, and nothing loaded, where neither does.
 *
 * @throws SandboxerError `provider_missing_dependency` where the packages are not installed.
 */
export async function telemetryFrom(
  { endpoint, metrics_every = DEFAULT_METRICS_SECONDS }: TelemetryConfig = {},
  { version, instance }: Pick<OtlpOptions, "version" | "instance">,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<OtlpTelemetry | undefined> {
  const fromEnvironment = env["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "";
  if ((endpoint === undefined && fromEnvironment === "") || env["OTEL_SDK_DISABLED"] === "true") return undefined;
  const to = fromEnvironment === "" ? endpoint : undefined;
  const { openOtlp } = await load();
  return openOtlp({ ...(to === undefined ? {} : { endpoint: to }), metricsEverySeconds: metrics_every, version, instance });
}

async function load(): Promise<typeof Otlp> {
  try {
    return await import("./telemetry/otlp.ts");
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND")) throw cause;
    throw new SandboxerError("provider_missing_dependency", "telemetry needs OpenTelemetry's packages, which are not installed", {
      phase: "open",
      hint: "Install the optional packages that docs/telemetry.md lists, or take telemetry out of the configuration.",
      cause,
    });
  }
}
