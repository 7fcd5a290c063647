// This browser's keys, as a person goes through the panel, and as a script calls what is behind it.

import { gpg } from "./gpg.mjs";
import { LOGIN, openWay } from "./login_page.mjs";

export const PASSPHRASE = "four random words, typed once";

export const button = (page, name) => page.getByRole("button", { name, exact: true });
export const passphrase = (page) => page.getByLabel("Passphrase", { exact: true });

/** Opens the login page, with the panel of this browser's keys. */
export async function open(harness, page) {
  await page.goto(harness.url(LOGIN));
  await openWay(page, "A key in this browser");
}

/** A new browser that has it open. The service has nothing at its root, where one lands. */
export async function start(harness, facts, options) {
  if (facts.app === "service") harness.expectStatus("/", 404, { optional: true });
  const page = await harness.page(undefined, options);
  await open(harness, page);
  return page;
}

/** Makes a key, up to the place where a copy may be saved. */
export async function make(page, name = "My laptop", words = PASSPHRASE) {
  await page.getByLabel("A name for it").fill(name);
  await passphrase(page).fill(words);
  await page.getByLabel("The same passphrase again").fill(words);
  await button(page, "Make the key").click();
  await page.getByRole("heading", { name: "Your key is ready" }).waitFor();
}

export async function signIn(page, harness) {
  await button(page, "Sign in").click();
  await page.waitForURL(harness.home());
}

/** Everything that this site's databases and its other storage hold, as any script of the site can read it. */
export function stored(page) {
  return page.evaluate(async () => {
    const settled = (request) => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const found = {};
    for (const { name } of await indexedDB.databases()) {
      const database = await settled(indexedDB.open(name));
      for (const store of database.objectStoreNames) {
        found[store] = await settled(database.transaction(store).objectStore(store).getAll());
        for (const record of found[store]) {
          if (!(record.key instanceof CryptoKey)) continue;
          const { type, extractable, usages } = record.key;
          const formats = ["jwk", "pkcs8", "raw"].map((format) => crypto.subtle.exportKey(format, record.key));
          const given = (await Promise.allSettled(formats)).map(({ status }) => status);
          record.key = { type, extractable, usages, given };
        }
      }
      database.close();
    }
    const plain = [localStorage, sessionStorage].map((storage) => JSON.stringify({ ...storage }));
    return { ...found, plain, cookies: document.cookie };
  });
}

export const keeperOf = (page) => page.workers().find((worker) => worker.url().endsWith("/keeper.js"));

/** The time goes on in the worker that holds the keys. */
export async function passInKeeper(page, seconds) {
  await keeperOf(page).evaluate((milliseconds) => {
    const now = Date.now.bind(Date);
    Date.now = () => now() + milliseconds;
  }, seconds * 1000);
}

/** The bodies that were sent to an end of the server's. */
export const sent = (harness, end) =>
  harness.requests.filter(({ url }) => url.endsWith(end)).map(({ body }) => JSON.parse(Buffer.from(body).toString()));

/** A page whose script is only what looks after the keys: `keys`, and every message to the worker. */
export async function keysPage(harness, context) {
  const page = await (context ?? await harness.context()).newPage();
  await page.route("**/login.js", (route) => route.fulfill({
    contentType: "text/javascript",
    body: 'import * as keys from "./keys.js"; import { startKeeper } from "./trusted.js"; '
      + "Object.assign(globalThis, { keys, startKeeper });",
  }));
  await page.goto(harness.url(LOGIN));
  await page.waitForFunction(() => globalThis.keys);
  return page;
}

/** Calls one of keys.js's functions: its answer, or `[code, why]` of what it would not do. */
export const call = (page, name, asked) => page.evaluate(
  ([name, asked]) => globalThis.keys[name](asked).catch(({ code, why }) => [code, why]), [name, asked]);

/** Makes a key in gpg; answers its fingerprint. */
export async function generate(userId, { words = "", kind = "ed25519", use = "cert,sign", expires = "never" } = {}) {
  const quiet = ["--batch", "--pinentry-mode", "loopback", "--passphrase", words];
  await gpg([...quiet, "--quick-generate-key", userId, kind, use, expires]);
  const listed = await gpg(["--with-colons", "--list-keys", `=${userId}`]);
  return listed.match(/^fpr:+([0-9A-F]{40}):/m)[1];
}

export const exported = (fingerprint, { words = "", how = "--export-secret-keys" } = {}) =>
  gpg(["--batch", "--pinentry-mode", "loopback", "--passphrase", words, "--armor", how, fingerprint]);

/** A challenge as a server of this origin gives it. */
export const challengeFor = (page) => ({
  nonce: "7d9c5a0e-3d1c-4c43-9a0e-0f6f2c7f1b11", client_nonce_echo: "MDEyMzQ1Njc4OWFiY2RlZg==",
  origin: new URL(page.url()).origin, timestamp: "2026-01-01T00:00:00Z", service: "example.org",
  expires: "2026-01-01T00:01:00Z",
});
