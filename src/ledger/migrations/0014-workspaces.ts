/** Which host directory a sandbox has at its workspace, for whoever looks and for rules to be tried on it later. */
export const workspaces = [`alter table sandboxes add column workspace text`];
