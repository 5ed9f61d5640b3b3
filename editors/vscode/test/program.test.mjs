import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";

const { programIn } = createRequire(import.meta.url)("../src/program.js");

test("the environment of a project is used, unless another program is named", () => {
  const folders = ["without", "with"].map((name) => path.join(os.tmpdir(), `dagent-${process.pid}`, name));
  const bin = path.join(folders[1], ".venv", "bin");
  fs.mkdirSync(folders[0], { recursive: true });
  fs.mkdirSync(bin, { recursive: true });
  try {
    assert.equal(programIn(folders, "dagent"), "dagent");
    fs.writeFileSync(path.join(bin, "dagent"), "");
    assert.equal(programIn(folders, "dagent"), path.join(bin, "dagent"));
    assert.equal(programIn(folders.slice(0, 1), "dagent"), "dagent");
    assert.equal(programIn(folders, "/opt/dagent"), "/opt/dagent");
  } finally {
    fs.rmSync(path.dirname(folders[0]), { recursive: true });
  }
});
