// Tokenises with VS Code's own engine what users see first, and the forms that could be confused.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

const require = createRequire(import.meta.url);
const textmate = require("vscode-textmate");
const oniguruma = require("vscode-oniguruma");

const wasm = readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm"));
await oniguruma.loadWASM(wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength));
const path = new URL("../syntaxes/dagent.tmLanguage.json", import.meta.url);
const registry = new textmate.Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
    createOnigString: (text) => new oniguruma.OnigString(text),
  }),
  loadGrammar: async () => textmate.parseRawGrammar(readFileSync(path, "utf8"), path.pathname),
});
const grammar = await registry.loadGrammar("source.dagent");

/** Every token that is not blank, as [text, innermost scope without its last part]. */
function tokens(text) {
  const found = [];
  let stack = textmate.INITIAL;
  for (const line of text.split("\n")) {
    const result = grammar.tokenizeLine(line, stack);
    stack = result.ruleStack;
    for (const token of result.tokens) {
      const piece = line.slice(token.startIndex, token.endIndex);
      if (piece.trim()) found.push([piece, token.scopes.at(-1).replace(/\.dagent$/, "")]);
    }
  }
  return { found, depth: stack.depth };
}

const scope = (text, piece) => tokens(text).found.find(([t]) => t.trim() === piece)?.[1];

test("the quickstart has a colour everywhere, and every bracket closes", () => {
  const url = new URL("../../../examples/quickstart/quickstart.dagent", import.meta.url);
  const { found, depth } = tokens(readFileSync(url, "utf8"));
  assert.ok(found.length > 100);
  assert.deepEqual(found.filter(([, scope]) => scope === "source"), []);
  assert.equal(depth, 1);
});

test("blocks, names and keys", () => {
  assert.equal(scope("data dev { role = test }", "data"), "storage.type");
  assert.equal(scope("data dev { role = test }", "dev"), "entity.name.type");
  assert.equal(scope("data dev { role = test }", "role"), "variable.other.property");
  assert.equal(scope("data dev { role = test }", "test"), "string.unquoted");
  assert.equal(scope("data = 3", "data"), "variable.other.property");
  assert.equal(scope("budget { rounds <= 5 }", "<="), "keyword.operator.assignment");
});

test("amounts", () => {
  assert.equal(scope("rows <= 2k rows", "2"), "constant.numeric");
  assert.equal(scope("rows <= 2k rows", "k rows"), "keyword.other.unit");
  assert.equal(scope("wall <= 3h", "h"), "keyword.other.unit");
  assert.equal(scope("wall <= 3 days", "days"), "keyword.other.unit");
  assert.equal(scope("learning_rate = 1.5e-3", "1.5e-3"), "constant.numeric");
  assert.equal(scope("device = 1x24GB", "1x24GB"), undefined);
});

test("goals end with their line", () => {
  const text = "require accuracy >= 60% on test for each skill\nrequire = 3";
  assert.equal(scope(text, ">="), "keyword.operator.comparison");
  assert.equal(scope(text, "60"), "constant.numeric");
  assert.equal(scope(text, "%"), "keyword.other.unit");
  assert.equal(tokens(text).found.at(-1)[1], "constant.numeric");
  assert.equal(scope("criteria { require a >= 1 on test }\nseed = 1", "seed"), "variable.other.property");
});

test("texts, references, comments", () => {
  assert.equal(scope('goal = "say { # no"\nseed = 1', "seed"), "variable.other.property");
  assert.equal(scope('goal = """\n  student {\n  """\nseed = 1', "student {"), "string.quoted.triple");
  assert.equal(scope('path = "${base}/x"', "${base}"), "variable.language.reference");
  assert.equal(scope("rows <= $size", "$size"), "variable.language.reference");
  assert.equal(scope("seed = 1 # why", "# why"), "comment.line.number-sign");
  assert.equal(scope('goal = "never closed\nseed = 1', "seed"), "variable.other.property");
});
