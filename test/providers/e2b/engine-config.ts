import type { Config } from "../../../src/contract/index.ts";

export const KEY_VARIABLE = "E2B_ENGINE_TEST_KEY";

/** An engine whose only backend is E2B's provider, pointed at an address. */
export function e2bConfig(url: string): Config {
  const options = {
    api_key_env: KEY_VARIABLE,
    api_url: url,
    sandbox_url: url,
    isolation: "container",
    plan: { max_seconds: 86_400, create_rate_per_s: 1000 },
    request_timeout_seconds: 5,
  };
  return { log_level: "silent", backends: [{ name: "e2b", provider: "e2b", options }] };
}
