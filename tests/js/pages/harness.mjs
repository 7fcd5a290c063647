// A browser that is watched: what goes wrong in it, where it sends something, and what it sends.

import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";

import * as keyboard from "./keyboard.mjs";
import * as looks from "./looks.mjs";
import { chromium } from "./modules.mjs";
import { Relay } from "./relay.mjs";
import { haystacks, secretsOf, spellings } from "./secrets.mjs";
import { startSite } from "./sites.mjs";

/** How long anything in a page may take, in milliseconds. A machine that builds at once is slow. */
const PATIENCE = 20_000;

/** Whom Chromium itself calls, whatever page is open. The relay refuses them all. */
const CHROMIUMS_OWN = /(^|\.)(google|googleapis|gvt1|gstatic|chromium)\.(com|org)$/;

/** A phone, as far as a page can tell. */
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

const FLAGS = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
];

/** The browser's program: `CAPAUTH_TEST_CHROMIUM`, or the first one that is installed. */
function executable() {
  if (process.env.CAPAUTH_TEST_CHROMIUM) return process.env.CAPAUTH_TEST_CHROMIUM;
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  const found = names.flatMap((name) => folders.map((folder) => path.join(folder, name))).find((it) => existsSync(it));
  if (!found) throw new Error("Chromium is missing: run `cargo xtask setup`");
  return found;
}

export class Harness {
  /** What went wrong and nobody expected: `"console error: …"`, `"CSP violation: …"`, … */
  faults = [];
  #allowed;
  #expected = [];
  #forbidden = [["a private key", "PGP PRIVATE KEY BLOCK"]];
  #seen = [];
  #sites = [];
  #watched = new Set();

  static async open({ base, facts }) {
    const harness = new Harness();
    Object.assign(harness, { base, facts });
    harness.#allowed = new Set([new URL(base).origin]);
    harness.relay = await Relay.open((origin) => harness.#allowed.has(origin));
    const headed = Boolean(process.env.CAPAUTH_TEST_HEADED);
    harness.browser = await chromium.launch({
      executablePath: executable(),
      args: FLAGS,
      chromiumSandbox: process.getuid() !== 0,
      headless: !headed,
      slowMo: headed ? 300 : 0,
      proxy: { server: harness.relay.address },
    });
    const people = Object.values(facts.people ?? {});
    for (const { secretKey, passphrase } of people) await harness.privateKey(secretKey, passphrase);
    return harness;
  }

  /**
   * A new browser as far as cookies and storage go, in English and UTC; `options` are Playwright's. The clipboard may be
   * used.
   */
  async context(options = {}) {
    const context = await this.browser.newContext({ locale: "en-GB", timezoneId: "UTC", ...options });
    this.#watched.add(context);
    context.setDefaultTimeout(PATIENCE);
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(this.base).origin });
    await this.#watch(context);
    return context;
  }

  /** A page in a context of its own; at a path of the server's if one is given. */
  async page(at, options = {}) {
    const page = await (await this.context(options)).newPage();
    if (at !== undefined) await page.goto(this.url(at));
    return page;
  }

  /** Another person's device, or the same person's other one: a phone with storage of its own, at this URL or path. */
  async phone(at, options = {}) {
    const page = await this.page(undefined, { ...PHONE, ...options });
    if (at !== undefined) await page.goto(new URL(at, this.base).href);
    return page;
  }

  /** A path of the server's as a URL. */
  url(at) {
    return this.base + at;
  }

  async #watch(context) {
    const fault = (words) => this.faults.push(words.replace(/\s+/g, " "));
    context.on("console", (said) => {
      const { url } = said.location();
      // The browser asks for an icon by itself, of an application that need not have one.
      if (said.type() === "error" && !url.endsWith("/favicon.ico")) fault(`console error: ${said.text()} [${url}]`);
    });
    context.on("weberror", (event) => fault(`page error: ${event.error().stack ?? event.error()}`));
    context.on("dialog", (dialog) => {
      fault(`dialog: ${dialog.type()}: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
    context.on("page", (page) => page.on("crash", () => fault(`crash: ${page.url()}`)));
    context.on("request", (request) => this.#note(request));
    await context.exposeBinding("capauthTestViolation", (_, words) => fault(`CSP violation: ${words}`));
    await context.addInitScript(() => {
      const report = window.capauthTestViolation;
      document.addEventListener("securitypolicyviolation", (event) => {
        report(`${event.violatedDirective}: ${event.blockedURI} [${event.documentURI}] ${event.sample}`);
      });
    });
  }

  #note(request) {
    const url = request.url();
    if (!/^(https?|wss?):/.test(url)) return;
    const headers = Object.entries(request.headers()).map(([name, value]) => `${name}: ${value}\n`).join("");
    this.#seen.push({ method: request.method(), url, headers, body: request.postDataBuffer() ?? Buffer.alloc(0) });
    const { origin } = new URL(url);
    if (!this.#allowed.has(origin)) this.faults.push(`foreign request: ${request.method()} ${url}`);
  }

  /** Every request that the pages sent up to now, as it left the browser: `{method, url, headers, body}`. */
  get requests() {
    return this.relay.requests.filter((request) => request.method !== "CONNECT" && !this.#isChromiums(request));
  }

  /**
   * Names a fault that belongs to the scenario: a part of its words, or a pattern. It must come, at least once, unless
   * `optional`.
   */
  expect(pattern, { optional = false } = {}) {
    this.#expected.push({ pattern, optional, came: false });
  }

  /** Expects that a request for this path (text, or a pattern of it) is refused with this status: browsers report it. */
  expectStatus(path, status, options) {
    const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const url = escape(this.base) + (path instanceof RegExp ? path.source : escape(path));
    this.expect(new RegExp(`^console error: .*status of ${status} .*\\[${url}(\\?[^\\]]*)?\\]$`), options);
  }

  /** Lets pages call this origin as well. */
  allow(origin) {
    this.#allowed.add(new URL(origin).origin);
  }

  /** Another site, that pages may call: `{origin, requests, close}`; see sites.mjs for `pages`. */
  async site(pages, { host } = {}) {
    const site = await startSite(pages, host);
    this.#sites.push(site);
    this.allow(site.origin);
    return site;
  }

  /** Something that no request of this run may contain, in whatever spelling. At least 8 characters or bytes. */
  secret(secret, name = "a secret") {
    if (secret.length < 8) throw new Error(`${name} is so short that it would be found by chance`);
    for (const form of spellings(secret)) this.#forbidden.push([name, form]);
  }

  /** The same for a private key: its secret numbers, locked and unlocked. */
  async privateKey(armored, passphrase) {
    for (const bytes of await secretsOf(armored, passphrase)) this.secret(bytes, "a private key's secret");
    if (passphrase) this.secret(passphrase, "a passphrase");
  }

  /** Where a login leads that came from nowhere: the service has no front page, and leads to the person's own. */
  home() {
    return this.url(this.facts.app === "service" ? "/capauth/me" : "/");
  }

  /** Who is signed in, as the server sees it: `{status, body}` of `GET /auth/capauth/me`. */
  async me(page) {
    const answer = await page.context().request.get(this.url("/auth/capauth/me"));
    return { status: answer.status(), body: await answer.json().catch(() => undefined) };
  }

  /** Waits until the page is where a login leads, and fails unless this person is signed in there. */
  async signedIn(page, person, path = "/") {
    await page.waitForURL(path === "/" ? this.home() : this.url(path));
    const { status, body } = await this.me(page);
    assert.deepEqual([status, body?.sub], [200, person.fingerprint]);
  }

  /** What is in the clipboard. Our own pages may not read it. */
  async clipboard(page) {
    const reader = await page.context().newPage();
    await reader.route("**/clipboard", (route) => route.fulfill({ contentType: "text/html", body: "<title>Clipboard</title>" }));
    await reader.goto(this.url("/clipboard"));
    const text = await reader.evaluate(() => navigator.clipboard.readText());
    await reader.close();
    await page.bringToFront();
    return text;
  }

  screenshot(page, name) {
    return looks.screenshot(page, name);
  }

  /** Pictures of a state: once for all frameworks, which show the same page. */
  gallery(page, name) {
    return looks.gallery(page, name, { pictures: !["actix", "rocket"].includes(this.facts.app) });
  }

  /** What a camera reads in this element's QR code. */
  readQr(locator) {
    return looks.readQr(locator);
  }

  axe(page, options) {
    return looks.axe(page, options);
  }

  budget(page) {
    return looks.budget(page);
  }

  keyboard = keyboard;

  /** Takes the page's clock into the scenario's hands. Before the page is opened. */
  async holdClock(page) {
    await page.clock.install();
  }

  /** Lets time pass at once: in the page if its clock is held, and on the server if it was started with `clock()`. */
  async pass(seconds, { page, server = false } = {}) {
    if (server) {
      if (!this.facts.clock) throw new Error("the server's clock is its own: start it with Setup::clock()");
      this.passed = (this.passed ?? 0) + seconds;
      writeFileSync(this.facts.clock, `+${this.passed}\n`);
    }
    if (page) await page.clock.runFor(seconds * 1000);
  }

  /** Ends the run, and fails when something went wrong in it that was not expected, or was expected and did not. */
  async finish() {
    for (const context of this.browser.contexts()) {
      if (!this.#watched.has(context)) this.faults.push("a context that nobody watched: use harness.context()");
      await context.close();
    }
    await this.close();
    const wrong = this.#unexpected();
    if (wrong.length) throw new Error(`the scenario went through, but:\n  ${wrong.join("\n  ")}`);
  }

  /** Ends the browser and what stands around it. */
  async close() {
    await this.browser.close();
    for (const site of this.#sites) await site.close();
    await this.relay.close();
  }

  #unexpected() {
    const isExpected = (words) => {
      const matching = this.#expected.filter(({ pattern }) =>
        typeof pattern === "string" ? words.includes(pattern) : pattern.test(words));
      for (const expected of matching) expected.came = true;
      return matching.length > 0;
    };
    const foreign = this.relay.requests.filter((request) => request.refused && !this.#isChromiums(request));
    const faults = [...this.faults, ...foreign.map((it) => `refused by the relay: ${it.method} ${it.url}`)];
    const unexpected = [...new Set(faults)].filter((words) => !isExpected(words));
    const missing = this.#expected.filter((it) => !it.came && !it.optional).map((it) => `never came: ${it.pattern}`);
    return [...unexpected, ...missing, ...this.leaks()];
  }

  #isChromiums({ method, url }) {
    const { hostname } = new URL(method === "CONNECT" ? `https://${url}` : url);
    const byAPage = this.#seen.some((seen) => new URL(seen.url).hostname === hostname);
    return !byAPage && CHROMIUMS_OWN.test(hostname);
  }

  /** Where a secret was sent to, in words. */
  leaks() {
    const found = new Set();
    for (const request of [...this.relay.requests, ...this.#seen]) {
      const texts = haystacks(request);
      for (const [name, form] of this.#forbidden) {
        if (texts.some((text) => text.includes(form))) found.add(`${name} was sent: ${request.method} ${request.url}`);
      }
    }
    return [...found];
  }
}
