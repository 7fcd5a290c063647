// Runs one scenario: run.mjs FILE/NAME. It is the function NAME that scenarios/FILE.mjs exports.
//
// What stands around it is said by CAPAUTH_TEST_FACTS (see pages.rs). Ends with 0, or with 1 and what went wrong.

import { readFile } from "node:fs/promises";

import { Harness } from "./harness.mjs";
import { screenshot } from "./looks.mjs";

const [file, name] = process.argv[2].split("/");
const facts = JSON.parse(await readFile(process.env.CAPAUTH_TEST_FACTS, "utf8"));
const { base } = facts;

/** How long a scenario may take, in seconds. */
const LIMIT = Number(process.env.CAPAUTH_TEST_LIMIT ?? 90);

/** What one would see, had one sat in front of it. */
async function describe(page, at) {
  const text = await page.evaluate(() => document.body?.innerText ?? "").catch((e) => `(${e.message})`);
  const picture = await screenshot(page, `FAILED-${name}-${at}`).catch((e) => `none: ${e.message}`);
  return `\npage ${at + 1}: ${page.url()}\npicture: ${picture}\n  ${text.slice(0, 3000).replaceAll("\n", "\n  ")}`;
}

async function report(error, harness) {
  console.error(`${file}/${name} at ${base} (${facts.app}) failed: ${error.stack ?? error}`);
  if (!harness) return;
  const pages = harness.browser.contexts().flatMap((context) => context.pages());
  for (const [at, page] of pages.entries()) console.error(await describe(page, at));
  if (harness.faults.length) console.error(`\nfaults:\n  ${harness.faults.join("\n  ")}`);
  const last = harness.requests.slice(-20).map((it) => `${it.method} ${it.url}`);
  console.error(`\nthe last requests:\n  ${last.join("\n  ")}`);
}

let harness;
try {
  const scenario = (await import(`./scenarios/${file}.mjs`))[name];
  if (typeof scenario !== "function") throw new Error(`scenarios/${file}.mjs exports no function ${name}`);
  harness = await Harness.open({ base, facts });
  const { browser } = harness;
  const failure = new Promise((_, reject) => {
    process.on("unhandledRejection", reject);
    setTimeout(() => reject(new Error(`not done after ${LIMIT} s`)), LIMIT * 1000).unref();
  });
  await Promise.race([scenario({ browser, harness, base, facts }), failure]);
  await Promise.race([harness.finish(), failure]);
  process.exit(0);
} catch (error) {
  await report(error, harness).catch((e) => console.error(e));
  await harness?.close().catch(() => {});
  process.exit(1);
}
