import { array, assert, constantFrom, property } from "fast-check";
import { expect, it } from "vitest";
import { requestPath } from "../../../../src/guard/egress/inspect/request-path.ts";

it.each([
  ["/a/./b/../c?x=/../y", "/a/c", "?x=/../y"],
  ["/%61/%2e%2E/b", "/b", ""],
  ["/../../x", "/x", ""],
  ["/a//../b", "/a/b", ""],
  ["/a%2fb%3f", "/a%2Fb%3F", ""],
  ["/a/..", "/", ""],
  ["*", "*", ""],
])("%s is checked and sent as %s", (target, path, query) => {
  expect(requestPath(target)).toEqual({ path, query });
});

it.each([
  "/repos/..%2Fadmin", "/repos/%2e%2e%2fadmin", "/repos/%252e%252e/admin", "/repos/%252e%252e%252fadmin", "/repos/..\\admin", "/repos/..%5Cadmin",
  "/repos/..;/admin", "/repos/..;x=1/admin", "/a%00b", "/a%2500b", "/a%zz", "/a%2", "/a b", "/a\u00e9", "/a#b", "a", "",
])("%j is refused, since two servers could read it in two ways", (target) => {
  expect(() => requestPath(target)).toThrow("The request's path");
}); // prettier-ignore

it("what was normalised stays as it is, and has no dot segments", () => {
  const piece = constantFrom("/", ".", "..", "a", "%2e", "%2F", "%41", "%25", ";", "\\", "b?");
  assert(
    property(array(piece, { maxLength: 12 }), (pieces) => {
      let read;
      try {
        read = requestPath(`/${pieces.join("")}`);
      } catch (thrown) {
        expect((thrown as Error).message).toContain("The request's path");
        return;
      }
      expect(read.path.split("/")).not.toContain("..");
      expect(requestPath(read.path + read.query)).toEqual(read);
    }),
    { numRuns: 2000 },
  );
});
