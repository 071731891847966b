import { Stage, bytesOf, drain, refuses } from "./stage.ts";
import type { CaseDefinition } from "./suite.ts";

/** Credentials that the backend refuses. */
export const CREDENTIAL_CASES: readonly CaseDefinition[] = [
  {
    name: "bad credentials are backend_auth everywhere, never an empty list",
    when: (options) => options.openWithBadCredentials !== undefined,
    async run(good) {
      const ref = await good.sandbox();
      const opened = await good.options.openWithBadCredentials?.();
      if (opened === undefined) return;
      const stage = new Stage(opened.provider, good.options);
      try {
        await refuses(["backend_auth"], "create", () => stage.create());
        await refuses(["backend_auth"], "list", () => drain(stage.provider.list(stage.op())));
        await refuses(["backend_auth"], "exec", () => drain(stage.exec(ref, { run: { shell: "true" } })));
        await refuses(["backend_auth"], "inspect", () => stage.provider.inspect(ref, stage.op()));
        await refuses(["backend_auth"], "destroy", () => stage.provider.destroy(ref, stage.op()));
        const { files } = stage.provider;
        if (files !== undefined) await refuses(["backend_auth"], "files", () => files.write(ref, "f", bytesOf("x"), {}, stage.op()));
      } finally {
        await opened.dispose();
      }
    },
  },
];
