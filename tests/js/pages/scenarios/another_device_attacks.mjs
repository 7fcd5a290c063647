// Logins by another device that somebody else would like to have.

import assert from "node:assert/strict";

import {
  answer, choose, codeOn, desktop, enrol, linkTo, LOGIN, payloadOf, phone, sign, type,
} from "../devices.mjs";

const XSS = `"><img src=x onerror=alert(1)><script>alert(2)</script>`;
const says = (page, words) => page.getByText(words).waitFor();

/** A stranger sees the picture, and even the link, but not the poll token: the login stays the desktop's. */
export async function attack_qr_replayed_by_a_stranger({ harness, facts }) {
  const { alice, bob } = facts.people;
  await enrol(harness, alice);
  const { page, told } = await desktop(harness);
  const stranger = (await harness.context()).request;
  const status = harness.url(`/auth/capauth/qr-status/${told.nonce}`);
  const headers = { "sec-fetch-site": "same-origin" };
  const bearer = (token) => ({ ...headers, authorization: `Bearer ${token}` });
  const tries = async () => {
    const answers = [
      await stranger.get(status, { headers }),
      await stranger.get(`${status}?poll_token=${told.poll_token}`, { headers }),
      await stranger.get(status, { headers: bearer(told.nonce) }),
      await stranger.get(status, { headers: bearer("A".repeat(told.poll_token.length)) }),
      await stranger.get(status, { headers: { ...bearer(told.client_nonce_echo), accept: "text/event-stream" } }),
      await stranger.post(status, { headers: bearer("A"), data: { confirm: true, fingerprint: bob.fingerprint } }),
    ];
    for (const answered of answers) {
      assert.equal(answered.status(), 400);
      assert.equal((await answered.json()).error, "invalid_nonce");
      assert.equal(answered.headers()["set-cookie"], undefined);
    }
  };
  await tries();
  // A key of the stranger's own, without the code, is what the person is asked about, and no more.
  assert.equal((await answer(told.qr_url, bob)).status, 202);
  await says(page, bob.fingerprint.match(/.{4}/g).join(" "));
  await tries();
  assert.equal((await harness.me(page)).status, 401);
  await page.getByRole("button", { name: "No, refuse it" }).click();
  await says(page, "Refused. Still waiting for your own device.");

  await page.route("**/qr-status/*", async (route) => {
    // The moment between the signature and the desktop's coming for it.
    if (route.request().headers().accept === "application/json") await tries();
    await route.continue();
  });
  assert.equal((await answer(told.qr_url, alice, { code: await codeOn(page) })).status, 200);
  await harness.signedIn(page, alice);
  await tries();
  assert.equal((await stranger.get(harness.url("/auth/capauth/me"))).status(), 401);
}

/** Codes that say something else than a login to this very page: each is refused in words, and nothing is sent. */
export async function attack_qr_of_another_site({ harness, base }) {
  const { told } = await desktop(harness);
  const good = payloadOf(told.qr_url);
  const { nonce } = good;
  const other = "01234567-89ab-4cde-8f01-23456789abcd";
  const here = `${base}/auth/capauth/qr-verify/${nonce}`;
  const changed = (change) => linkTo(base, { ...good, ...change });
  const elsewhere = [
    { origin: "http://evil.test", callback: here.replace(base, "http://evil.test") },
    { origin: "http://evil.test" },
    { origin: `${base}/` },
    { origin: "null" },
    { service: "evil.test" },
    { service: `${good.service}.evil.test` },
    { service: good.service.toUpperCase() },
    ...[
      "javascript:alert(1)", `javascript:alert(1)//${here}`, "data:text/html,x", "//evil.test/", `http://evil.test/${here}`,
      here.replace("http://", "http://x@"), here.replace("://", "://evil.test@"), here.replace(base, `${base}.evil.test`),
      here.replace("http:", "https:"), here.replace("http:", "HTTP:"), here.replace(base, `${base}/`),
      here.replace("/auth/", "/other/auth/"), here.replace("/auth/", "/x/../auth/"), here.replace("/auth/", "/%61uth/"),
      here.replace(nonce, other), here.replace(nonce, `${nonce}/`), here.replace(nonce, `../logout`), `${here}?x`, `${here}#x`,
      `${base}/auth/capauth/verify`, `${base}/auth/capauth/logout`, `${base}/capauth/v1/qr-verify/${other}`,
      `${base}/capauth/v1/verify`, ` ${here}`, `${here}\n`, here.replaceAll("/", "\\"), "/auth/capauth/qr-verify/x", XSS,
    ].map((callback) => ({ callback })),
  ].map(changed);
  const broken = [
    ...Object.keys(good).map((name) => ({ [name]: undefined })),
    ...Object.keys(good).map((name) => ({ [name]: [good[name]] })),
    ...["capauth_qr", "nonce", "client_nonce_echo", "timestamp", "expires"].map((name) => ({ [name]: XSS })),
    { capauth_qr: "2.0" }, { capauth_qr: 1 }, { nonce: "../logout" }, { nonce: nonce.toUpperCase() }, { nonce: `${nonce}\nservice=x` },
    { client_nonce_echo: `${good.client_nonce_echo}\norigin=http://evil.test` }, { client_nonce_echo: "" },
    { expires: "9999-01-01T00:00:00Z" }, { expires: "2026-99-99T00:00:00Z" }, { expires: good.timestamp }, { timestamp: "yesterday" },
    { origin: base.padEnd(5000, "x") }, { callback: `${here}${"x".repeat(2000)}` },
  ].map(changed);
  const noise = ["null", "[]", "1", `"${XSS}"`, "{}", "{", "", `{"__proto__":${JSON.stringify(good)}}`, "[".repeat(3000)];
  broken.push(...noise.map((text) => linkTo(base, text || " ")));
  const raw = ["%3Cscript%3E", "!!!", "a", "gICA", "A".repeat(100_000), told.qr_url.split("#")[1].padEnd(200_000, "A"), encodeURIComponent(XSS)];
  broken.push(...raw.map((text) => `${base}/auth/capauth/qr#${text}`));
  const past = (date) => new Date(Date.parse(date) - 3_600_000).toISOString();
  const expired = [changed({ timestamp: past(good.timestamp), expires: past(good.expires) })];

  // All of them as the page's script reads them, and one of each kind as a person sees it.
  const read = await reader(harness);
  const expected = [["elsewhere", elsewhere], ["broken", broken], ["expired", expired], ["none", [`${base}/auth/capauth/qr#`]]];
  for (const [wrong, links] of expected) {
    for (const link of links) assert.deepEqual(await read(link, good.service), { wrong }, link.slice(0, 1500));
  }
  const { asked } = await read(changed({ more: XSS }), good.service);
  assert.deepEqual(asked, good);

  const page = await harness.page();
  const before = harness.requests.length;
  for (const [link, words] of [
    [elsewhere[0], "This code belongs to another site"], [changed({ callback: "javascript:alert(1)" }), "This code belongs to another site"],
    [changed({ nonce: XSS }), "This code is not complete"], [broken.at(-1), "This code is not complete"], [expired[0], "This code has expired"],
  ]) {
    await page.goto("about:blank");
    await page.goto(link);
    await page.getByRole("heading", { name: words }).waitFor();
    assert.equal(await page.locator("#app input, #app form, #app button").count(), 0);
  }
  const sent = harness.requests.slice(before).filter(({ method, url }) => method !== "GET" || !url.startsWith(`${base}/auth/capauth/`));
  assert.deepEqual(sent, []);
  // The same without any change is asked about.
  await page.goto("about:blank");
  await page.goto(changed({ more: XSS }));
  await page.getByLabel("The six digits").waitFor();
}

/** What the page's script makes of a link: `(link, service)`. */
async function reader(harness) {
  const page = await harness.page();
  await page.route("**/phone.js", (route) => route.fulfill({
    contentType: "text/javascript",
    body: 'import { scanned } from "./scanned.js"; globalThis.scanned = scanned;',
  }));
  await page.goto(harness.url("/auth/capauth/qr"));
  await page.waitForFunction(() => globalThis.scanned);
  return (link, service) => page.evaluate(([text, name]) => globalThis.scanned(text, name), [new URL(link).hash.slice(1), service]);
}

/** What was asked stays in no history, and comes to nobody on the way. */
export async function the_link_leaves_no_trace({ harness, facts, base }) {
  const { alice } = facts.people;
  await enrol(harness, alice);
  const { page: screen, told } = await desktop(harness);
  const secret = told.qr_url.split("#")[1];
  harness.secret(secret, "what the QR code says");
  const hand = await phone(harness, alice, told.qr_url);
  await hand.getByLabel("The six digits").waitFor();
  const traces = () => hand.evaluate(() => [location.href, history.length, JSON.stringify(history.state), document.referrer, { ...localStorage }]);
  assert.deepEqual(await traces(), [`${base}/auth/capauth/qr`, 2, "null", "", {}]);
  await hand.reload();
  await says(hand, "Scan the code first");
  await hand.goBack();
  await hand.goForward();
  await says(hand, "Scan the code first");
  // Another code that comes to the same page takes its place.
  await hand.evaluate((link) => location.assign(link), told.qr_url);
  await type(hand, told.code);
  await sign(hand);
  await harness.signedIn(screen, alice);
}

/** What the server says is only ever text, and leads nowhere else: should it be another's, or have been told so. */
export async function attack_answers_of_the_server_that_are_not_its_own({ harness, base }) {
  const { page } = await desktop(harness);
  let change = {};
  await page.route("**/qr-challenge", async (route) => {
    const answered = await route.fetch();
    await route.fulfill({ response: answered, json: { ...(await answered.json()), ...change } });
  });
  const status = (told) => page.route("**/qr-status/*", (route) => route.fulfill({ json: told }));
  const again = () => page.getByRole("button", { name: "Show a new code" }).click();
  await status({ status: "expired", completed: false, reason: XSS });
  await page.goto(harness.url(LOGIN));
  await choose(page);
  for (const bad of [
    { origin: "http://evil.test" }, { service: "evil.test" }, { nonce: XSS }, { code: XSS }, { code: "12345" },
    { qr_url: "http://evil.test/auth/capauth/qr#x" }, { qr_url: "javascript:alert(1)" }, { qr_url: `${base}/elsewhere#x` },
    { qr_data_url: "http://evil.test/x.png" }, { qr_data_url: "data:text/html,x" }, { qr_data_url: `data:image/svg+xml,${XSS}` },
  ]) {
    change = bad;
    await Promise.all([page.waitForResponse("**/qr-challenge"), again()]);
    const words = "The server answered with a code for another page, so it is not shown.";
    await page.getByRole("alert").filter({ hasText: words }).waitFor();
    assert.equal(await page.locator("img.qr, p.digits").count(), 0);
  }
  change = {};
  await page.unroute("**/qr-status/*");
  await status({ status: "pending", completed: false, fingerprint: XSS });
  await again();
  await says(page, "Is this your key?");
  assert.equal(await page.locator("#app img:not(.asks img), script:not([src])").count(), 0);
  await page.unroute("**/qr-status/*");
  for (const redirect of ["//evil.test/", "\\\\evil.test", "javascript:alert(1)", 7]) {
    await status({ status: "authenticated", completed: true, ok: true, redirect });
    await page.goto(harness.url(LOGIN));
    await choose(page);
    // To a place of this site, which sends whoever is not signed in back here.
    await page.waitForURL((url) => url.pathname !== LOGIN || url.searchParams.has("redirect"));
    assert.equal(new URL(page.url()).origin, base, String(redirect));
  }
}
