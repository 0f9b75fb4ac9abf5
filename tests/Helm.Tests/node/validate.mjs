// Holds objects against the Kubernetes API: each by its model's validate(), and all as literals of their types by TypeScript, which also
// refuses the fields that the API does not know. Usage: validate.mjs FILE, an array of {name, object} in JSON. Prints a line a problem.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const groups = {
  "gateway.networking.k8s.io": "@kubernetes-models/gateway-api/",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator/",
  "cert-manager.io": "@kubernetes-models/cert-manager/",
};
const moduleOf = (apiVersion) => (groups[apiVersion.split("/")[0]] ?? "kubernetes-models/") + apiVersion;

const objects = JSON.parse(readFileSync(process.argv[2], "utf8"));
const problems = [];
const imports = new Map();
const literals = [];
for (const { name, object } of objects) {
  const { apiVersion, kind } = object;
  const model = (await import(moduleOf(apiVersion)).catch(() => ({})))[kind];
  if (!model) {
    problems.push(`${name}: the API has no ${kind} in ${apiVersion}`);
    continue;
  }
  try {
    new model(object).validate();
  } catch (e) {
    problems.push(`${name}: ${e.message}`);
  }
  const alias = `${kind}_${apiVersion.replace(/\W/g, "_")}`;
  imports.set(alias, `import { ${kind} as ${alias} } from ${JSON.stringify(moduleOf(apiVersion))};`);
  // The constructor sets these two itself, and its type has not got them.
  const fields = JSON.stringify({ ...object, apiVersion: undefined, kind: undefined }, null, 1);
  literals.push({ name, text: `new ${alias}(${fields});` });
}

// Within node_modules, where the types are found.
const modules = new URL("node_modules", import.meta.url).pathname;
mkdirSync(join(modules, ".rendered"), { recursive: true });
const folder = mkdtempSync(join(modules, ".rendered", "objects-"));
try {
  const lines = [...imports.values()];
  const starts = literals.map(({ name, text }) => {
    const start = { line: lines.length + 1, name };
    lines.push(...text.split("\n"));
    return start;
  });
  const file = join(folder, "objects.ts");
  writeFileSync(file, lines.join("\n"));
  try {
    execFileSync(process.execPath, [
      join(modules, "typescript", "bin", "tsc"),
      ...["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022", "--pretty", "false", file],
    ], { encoding: "utf8", stdio: "pipe" });
  } catch (e) {
    for (const [, line, message] of e.stdout.matchAll(/\((\d+),\d+\): error (.*)/g)) {
      const { name } = starts.findLast((start) => start.line <= line) ?? { name: "types" };
      problems.push(`${name}: ${message} at ${lines[line - 1].trim()}`);
    }
    if (problems.length === 0) {
      problems.push(e.stdout || e.message);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

console.log(problems.join("\n"));
process.exitCode = problems.length === 0 ? 0 : 1;
