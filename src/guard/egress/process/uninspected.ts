import { deny } from "../flow/deny.ts";
import type { Inspector } from "../inspect/types.ts";

/** For a build that has no inspection: whatever would have to be looked into is denied, and says so. */
export const uninspected: Inspector = {
  open: (session) => ({
    serve({ client, kind, target, via }) {
      const detail = "this build cannot look into connections";
      deny(client as Parameters<typeof deny>[0], kind, { detail });
      const none = { address: null, method: null, path: null, rule: null, secret: null, bytes_up: 0, bytes_down: 0, ms: 0 };
      const { host, port } = target ?? { host: "", port: 0 };
      session.record({ protocol: kind, via, host, port, verdict: "deny", reason: "error", detail, ...none });
    },
    close() {},
  }),
};
