import { SandboxerError } from "../../contract/index.ts";
import type { Answer, ControlCall } from "./call.ts";
import { unsupported } from "./errors.ts";
import { templateProfile } from "./template.ts";

/** GET /templates/aliases/{alias}: whether a sandbox can be made from that name. */
export async function alias(call: ControlCall): Promise<Answer> {
  const profile = await templateProfile(call.ctx, call.who, call.call.id);
  return { status: 200, body: { templateID: `${profile.name}:${profile.version}`, public: profile.shipped } };
}

/** GET /snapshots: none, since none can be made. */
export async function snapshots(): Promise<Answer> {
  return { status: 200, body: [] };
}

/** DELETE /templates/{id}: of a snapshot in E2B's SDK. Profiles are not for this door to remove. */
export async function deleteTemplate(call: ControlCall): Promise<Answer> {
  const { id } = call.call;
  await templateProfile(call.ctx, call.who, id).catch((thrown: unknown) => {
    if (thrown instanceof SandboxerError && thrown.code === "profile_not_found")
      throw new SandboxerError("not_found", `there is no template or snapshot "${id.slice(0, 128)}"`);
    throw thrown;
  });
  throw unsupported("delete", `"${id.slice(0, 128)}" is a profile, and a profile's versions never change`);
}

export async function noTemplateBuilds(): Promise<Answer> {
  throw unsupported(
    "templates",
    "are profiles here; building them over this wire is not in this version. Apply a profile with 'sand-boxer profile apply'",
  );
}
