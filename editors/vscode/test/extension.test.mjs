// The bundle holds all it needs but VS Code itself. What it does there, only VS Code can show.
import assert from "node:assert/strict";
import Module, { createRequire } from "node:module";
import { test } from "node:test";

test("the bundle loads, and asks for nothing but vscode", () => {
  const anything = new Proxy(function () {}, {
    get: (target, name) => (name in target ? target[name] : anything),
  });
  const load = Module._load;
  Module._load = function (name, ...rest) {
    if (name === "vscode") return anything;
    assert.ok(Module.isBuiltin(name) || name.startsWith("/") || name.startsWith("."), name);
    return load.call(this, name, ...rest);
  };
  try {
    const extension = createRequire(import.meta.url)("../dist/extension.js");
    assert.equal(typeof extension.activate, "function");
    assert.equal(typeof extension.deactivate, "function");
  } finally {
    Module._load = load;
  }
});
