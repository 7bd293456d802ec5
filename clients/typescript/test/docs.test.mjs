import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import ts from "typescript";
import { BINARY, startJobs, startService } from "../../../service/tests/harness.mjs";

const run = promisify(execFile);
let service;
let jobs;

before(async () => {
  service = await startService();
  jobs = await startJobs((path, number, { request }) => {
    if (path === "/version") return [200, JSON.stringify({ commit: number < 2 ? "old" : "abc123" })];
    if (path.startsWith("/v1/deployments/")) return [request.headers.authorization === "Bearer secret-token" ? 200 : 401, '{"status":"ready"}'];
    if (path.startsWith("/repos/")) return [200, '{"check_runs":[{"name":"build","conclusion":"success"}]}'];
    return [200, '{"status":"SUCCESS","download_url":"https://files.example.com/42"}'];
  });
});
after(async () => {
  jobs.stop();
  await service.remove();
});

test("the examples of the README run", async () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const examples = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, text]) => text);
  assert.equal(examples.length, 2);
  for (const [number, example] of examples.entries()) {
    const { outputText, diagnostics } = ts.transpileModule(example, { compilerOptions: { target: "ES2022", module: "ESNext" }, reportDiagnostics: true });
    assert.deepEqual(diagnostics, []);
    const file = new URL(`./build/readme-${number}.mjs`, import.meta.url);
    writeFileSync(file, outputText.replaceAll("https://api.example.com", jobs.url));
    const { stdout } = await run(process.execPath, [file.pathname], { env: { ...process.env, POLL_SERVER: service.server }, timeout: 20000 });
    assert.equal(stdout, "https://files.example.com/42\n");
  }
});

test("the commands of docs/ci.md run", async () => {
  const page = readFileSync(new URL("../../../docs/ci.md", import.meta.url), "utf8");
  const commands = [...page.matchAll(/```sh\n(.*?)```/gs)].map(([, text]) => text);
  assert.ok(commands.length >= 5);
  const folder = mkdtempSync(join(tmpdir(), "poll-ci-"));
  const spec = { cacheKey: "export", url: `${jobs.url}/export`, responseFilter: { body: { status: ["SUCCESS"] } } };
  writeFileSync(join(folder, "export.json"), JSON.stringify(spec));
  const env = {
    ...process.env, CI_COMMIT_SHA: "abc123", DEPLOYMENT: "7", DEPLOY_TOKEN: "secret-token", GITHUB_TOKEN: "secret-token",
    OWNER: "octo", REPO: "cat", SHA: "abc123", CI_CACHE_DIR: folder,
  };
  for (const command of commands) {
    const local = command.replace(/https?:\/\/(shop\.example\.com|api\.example\.com|api\.github\.com|127\.0\.0\.1:8080)/g, jobs.url).replace(/--every \d+s/, "--every 100ms").replace(/^poll /gm, `"${BINARY}" `);
    const { stdout } = await run("bash", ["-ec", local], { cwd: folder, env, timeout: 20000 });
    assert.ok(command.includes("> deployment.json") || stdout.startsWith("{"), `${command}\n${stdout}`);
  }
  assert.equal(readFileSync(join(folder, "deployment.json"), "utf8"), '{"status":"ready"}');
  rmSync(folder, { recursive: true });
});
