import { describe, expect, test } from "vitest";
import { remainingRules } from "../../../src/server/e2b/outward.ts";

const GIVEN = [{ host: "api.test" }, { host: "*.wild.test", ports: [443] }, { cidr: "11.22.0.0/16", ports: [5432] }];
const ALL = "0.0.0.0/0";

describe("rules of the E2B wire over a profile's", () => {
  test.each([
    ["nothing said", {}, undefined],
    ["no internet", { internet: false }, []],
    ["no internet, although hosts are listed", { internet: false, allowOut: ["api.test"] }, []],
    ["everything denied", { denyOut: [ALL] }, []],
    ["everything denied but one host", { denyOut: [ALL], allowOut: ["api.test"] }, [{ host: "api.test" }]],
    ["one name below a pattern", { denyOut: [ALL], allowOut: ["A.wild.test"] }, [{ host: "a.wild.test", ports: [443] }]],
    ["the pattern itself, and a narrower one", { denyOut: [ALL], allowOut: ["*.wild.test", "*.b.wild.test"] }, [{ host: "*.wild.test", ports: [443] }, { host: "*.b.wild.test", ports: [443] }]],
    ["an address and a range", { denyOut: [ALL], allowOut: ["11.22.3.4", "11.22.7.0/24"] }, [{ cidr: "11.22.3.4/32", ports: [5432] }, { cidr: "11.22.7.0/24", ports: [5432] }]],
    ["hosts without a denial", { allowOut: ["api.test"] }, undefined],
    ["a denial of IPv6, which there is none of", { denyOut: ["::/0"] }, undefined],
  ])("%s", (_, wish, remaining) => {
    expect(remainingRules(GIVEN, wish, "network.")).toEqual(remaining);
  }); // prettier-ignore

  test.each([
    [{ allowOut: ["other.test"] }, "network.allowOut[0]"],
    [{ denyOut: [ALL], allowOut: ["api.test", "wild.test"] }, "network.allowOut[1]"],
    [{ denyOut: [ALL], allowOut: ["xapi.test"] }, "network.allowOut[0]"],
    [{ denyOut: [ALL], allowOut: ["*.test"] }, "network.allowOut[0]"],
    [{ denyOut: [ALL], allowOut: [".wild.test"] }, "network.allowOut[0]"],
    [{ denyOut: [ALL], allowOut: ["11.0.0.0/8"] }, "network.allowOut[0]"],
    [{ denyOut: [ALL], allowOut: ["11.22.3.4/33"] }, "network.allowOut[0]"],
    [{ denyOut: ["10.0.0.0/8"] }, "network.denyOut"],
  ])("%j is refused by name", (wish, field) => {
    expect(() => remainingRules(GIVEN, wish, "network.")).toThrow(field);
  });
});
