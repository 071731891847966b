import { createHash } from "node:crypto";
import { expect, test, describe } from "vitest";
import { LOCAL, STAGES, titled, withSandbox } from "./data-door.ts";

describe.each(titled(STAGES))("addresses of files of %s", (_, stage) => {
  test("a signed address reads and writes without a key, and nothing else does", () =>
    withSandbox(stage, async (sandbox) => {
      await sandbox.files.write("f", "signed");
      const url = await sandbox.downloadUrl("f", { useSignatureExpiration: 60 });
      expect(await (await fetch(url)).text()).toBe("signed");
      expect((await fetch(url.replace("path=f", "path=g"))).status).toBe(401);
      const over = await sandbox.downloadUrl("f", { useSignatureExpiration: -5 });
      expect(await (await fetch(over)).json()).toMatchObject({
        code: 401,
        message: expect.stringContaining("signature is already expired"),
      });
      const form = new FormData();
      form.append("file", new Blob(["sent"]), "name");
      expect((await fetch(await sandbox.uploadUrl("up"), { method: "POST", body: form })).status).toBe(200);
      expect(await sandbox.files.read("up")).toBe("sent");
      expect((await fetch(await sandbox.uploadUrl(), { method: "POST", body: form })).status).toBe(200);
      expect(await sandbox.files.read("name")).toBe("sent");
    }));

  test("a range is answered as one", () =>
    withSandbox(stage, async (sandbox) => {
      await sandbox.files.write("f", "0123456789");
      const url = await sandbox.downloadUrl("f");
      const get = async (range: string) => {
        const response = await fetch(url, { headers: { range } });
        return [response.status, await response.text(), response.headers.get("content-range")];
      };
      expect(await get("bytes=2-4")).toEqual([206, "234", "bytes 2-4/10"]);
      expect(await get("bytes=7-")).toEqual([206, "789", "bytes 7-9/10"]);
      expect(await get("bytes=-3")).toEqual([206, "789", "bytes 7-9/10"]);
      expect(await get("bytes=5-100")).toEqual([206, "56789", "bytes 5-9/10"]);
      expect(await get("bytes=-100")).toEqual([206, "0123456789", "bytes 0-9/10"]);
      expect((await get("bytes=10-"))[0]).toBe(416);
      expect(await get("bytes=0-1,3-4")).toEqual([200, "0123456789", null]);
      const head = await fetch(url, { method: "HEAD" });
      expect([head.status, head.headers.get("content-length"), head.headers.get("accept-ranges")]).toEqual([200, "10", "bytes"]);
    }));
});

describe.each(titled(LOCAL.length > 0 ? LOCAL : STAGES.slice(0, 1)))("large files of %s", (_, stage) => {
  test(
    "100 MB go up in each form and come down the same",
    () =>
      withSandbox(stage, async ({ files }) => {
        const bytes = new Uint8Array(100_000_000);
        for (let at = 0; at < bytes.length; at += 1000) bytes[at] = at / 1000;
        const digest = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
        const whole = digest(bytes);
        for (const options of [{}, { useOctetStream: true }]) {
          await files.write("big", bytes.buffer, options);
          expect((await files.getInfo("big")).size).toBe(bytes.length);
          expect(digest(await files.read("big", { format: "bytes" }))).toBe(whole);
        }
      }),
    60_000,
  );
});
