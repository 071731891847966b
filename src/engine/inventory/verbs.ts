import type { HostChange, HostChanged, HostCheck, HostInfo, HostRequest, Principal } from "../../contract/index.ts";

/** Hosts that become backends while servers run. For an admin. */
export interface HostVerbs {
  /**
   * Writes it down and opens it; one that cannot be reached now is there all the same, and tried again by the sweep.
   *
   * @throws SandboxerError `invalid_request` for options that the provider does not take, `conflict` where the name is taken.
   */
  add(who: Principal, request: HostRequest): Promise<HostInfo>;
  list(who: Principal): Promise<HostInfo[]>;
  /** Capacity is replaced whole. Draining moves nothing: what lives there lives on, and is named. Throws `not_found`. */
  change(who: Principal, name: string, change: HostChange): Promise<HostChanged>;
  /** Asks the host itself. That it does not answer is the result, not an error. Throws `not_found`. */
  check(who: Principal, name: string): Promise<HostCheck>;
  /** @throws SandboxerError `not_found`, `conflict` while sandboxes there have not ended. */
  remove(who: Principal, name: string): Promise<void>;
}
