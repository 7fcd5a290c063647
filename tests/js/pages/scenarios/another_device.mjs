// Signing in with another device: a desktop that shows a QR code, and a phone whose camera sees it.

import assert from "node:assert/strict";

import { loginPayload } from "../../../../capauth-tower/pages/assets/payload.js";
import { answer, askForDevice, choose, codeOn, desktop, enrol, LOGIN, payloadOf, phone, scan, sign, type, wrong } from "../devices.mjs";
import { detachSign, run } from "../gpg.mjs";
import { copyCommand, paste } from "../login_page.mjs";

/** Nobody is signed in, and the page says why. */
async function isNot(harness, page, words) {
  await page.getByRole("alert").filter({ hasText: words }).waitFor();
  assert.equal((await harness.me(page)).status, 401);
}

const says = (page, words) => page.getByText(words).waitFor();

/** The picture is scanned, the code is typed, the desktop goes on to where the person wanted to go. */
export async function a_code_is_typed_on_the_phone({ harness, facts, base }) {
  const { alice } = facts.people;
  await enrol(harness, alice);
  if (facts.app === "service") harness.expectStatus("/me?at=1", 404);
  const { page: screen, told } = await desktop(harness, { at: `${LOGIN}?redirect=/me?at=1`, colorScheme: "dark" });
  await says(screen, `Signs you in to ${told.service}`);
  const link = await scan(harness, screen);
  assert.equal(link, told.qr_url);
  assert(link.startsWith(`${base}/auth/capauth/qr#`));

  const hand = await phone(harness, alice, link);
  await says(hand, new RegExp(`Sign in to ${told.service} on the other device`));
  await says(hand, /Only go on if you are looking at the other device’s screen yourself/);
  assert.equal(hand.url(), `${base}/auth/capauth/qr`);
  assert(await hand.getByLabel("The six digits").getAttribute("inputmode") === "numeric");
  const code = await codeOn(screen);
  await type(hand, `${code.slice(0, 3)} ${code.slice(3)}`);
  await sign(hand);
  await says(hand, "Signed in, on the device that shows the code");
  await harness.signedIn(screen, alice, "/me?at=1");
  assert.equal(await remembered(screen), alice.fingerprint);
  // Whoever signed is not signed in by it.
  assert.equal((await harness.me(hand)).status, 401);
  assert(!link.includes(code) && !JSON.stringify(payloadOf(link)).includes(code));
  tokenStaysInTheHeader(harness, told.poll_token);
}

/** Whom the browser remembers. */
const remembered = (page) => page.evaluate(() => JSON.parse(localStorage.getItem("capauth.fingerprint")));

/** The poll token is in the one header, in no address, body or other header, and the phone never has it. */
function tokenStaysInTheHeader(harness, token) {
  const carrying = harness.requests.filter(({ headers }) => JSON.stringify(headers).includes(token));
  assert(carrying.length > 0 && carrying.every(({ url }) => /\/auth\/capauth\/qr-status\/[0-9a-f-]+(\?|$)/.test(url)));
  for (const { url, body } of harness.requests) assert(!url.includes(token) && !String(body ?? "").includes(token), url);
}

/** The person says no on the phone, and the desktop hears it. */
export async function declined_on_the_phone({ harness, facts }) {
  const { alice } = facts.people;
  await enrol(harness, alice);
  const { page: screen, told } = await desktop(harness);
  const hand = await phone(harness, alice, told.qr_url);
  await hand.getByRole("button", { name: "I did not ask for this" }).click();
  await says(hand, "Nothing was sent. Simply close this page, and nobody is signed in.");
  await type(hand, await codeOn(screen), "Go on to decline");
  await sign(hand);
  await says(hand, "Declined");
  await isNot(harness, screen, "This sign-in was declined on the other device");
  // And once more, with a code that is not.
  await screen.getByRole("button", { name: "Show a new code" }).click();
  await screen.locator("img.qr").waitFor();
  const again = await phone(harness, alice, await scan(harness, screen));
  await type(again, await codeOn(screen));
  await sign(again);
  await harness.signedIn(screen, alice);
}

/** A wrong code may be corrected without signing again; three of them end it. */
export async function wrong_codes_on_the_phone({ harness, facts }) {
  const { alice } = facts.people;
  await enrol(harness, alice);
  harness.expect(/status of 401 .*qr-verify/);
  const { page: screen, told } = await desktop(harness);
  const code = await codeOn(screen);
  const hand = await phone(harness, alice, told.qr_url);
  await type(hand, "12 34");
  await says(hand, "The code has six digits.");
  await type(hand, wrong(code));
  await sign(hand);
  await says(hand, "The code does not match.");
  await type(hand, code);
  await harness.signedIn(screen, alice);

  harness.expect(/status of 400 .*qr-verify/);
  const { page: another, told: more } = await desktop(harness);
  const bad = wrong(await codeOn(another));
  const guessing = await phone(harness, alice, more.qr_url);
  await type(guessing, bad);
  await sign(guessing);
  for (let tries = 2; tries <= 4; tries += 1) {
    await says(guessing, "The code does not match.");
    await type(guessing, tries === 4 ? await codeOf(more) : bad);
  }
  await says(guessing, "This sign-in is over");
  await isNot(harness, another, "A wrong code was typed three times");
}

const codeOf = ({ code }) => code;

/** Somebody signed and did not say the code: the person looks at the key, and says whether it is theirs. */
export async function a_key_without_the_code_is_confirmed_or_refused({ harness, facts }) {
  const { alice, bob } = facts.people;
  const { page, told } = await desktop(harness);
  const grouped = (person) => person.fingerprint.match(/.{4}/g).join(" ");
  assert.equal((await answer(told.qr_url, bob)).status, 202);
  await says(page, grouped(bob));
  assert.equal((await harness.me(page)).status, 401);
  await harness.axe(page);
  await harness.gallery(page, "confirm");
  await page.getByRole("button", { name: "No, refuse it" }).click();
  await says(page, "Refused. Still waiting for your own device.");
  assert.equal((await answer(told.qr_url, alice)).status, 202);
  await says(page, grouped(alice));
  await harness.keyboard.press(page, page.getByRole("button", { name: "Yes, this is my key" }));
  await harness.signedIn(page, alice);
}

/** Nobody answers: the desktop shows another code by itself, and the phone says that its one is over. */
export async function a_code_that_nobody_used_is_renewed({ harness, facts }) {
  const { alice } = facts.people;
  await enrol(harness, alice);
  harness.expect(/status of 400 .*qr-verify/);
  const screen = await harness.page();
  await harness.holdClock(screen);
  const told = await askForDevice(screen, () => screen.goto(harness.url(LOGIN)));
  const slow = await phone(harness, alice, told.qr_url);
  await type(slow, told.code);
  await harness.pass(121, { server: true });
  // By its own clock the phone is in time; by the server's it is not.
  await sign(slow);
  await says(slow, "This code has expired");
  const renewed = screen.waitForResponse((it) => it.url().endsWith("/qr-challenge"));
  const seen = screen.getByText("Here is a new code");
  while (!(await seen.isVisible())) await harness.pass(5, { page: screen });
  const more = await (await renewed).json();
  assert.notEqual(more.nonce, told.nonce);
  assert.equal(await codeOn(screen), more.code);

  const late = await harness.page();
  await harness.holdClock(late);
  await late.clock.setSystemTime(Date.parse(more.timestamp) + 60_000);
  await late.goto(more.qr_url);
  await says(late, /This code is good for another [01]:\d\d\./);
  await harness.pass(60, { page: late });
  // The server says when a code is over: this device's clock may be ahead. Long after, it says so by itself.
  assert.equal(await late.getByText("This code is good for another").count(), 0);
  await late.getByLabel("The six digits").waitFor();
  await harness.pass(300, { page: late });
  await says(late, "This code has expired");
}

/** Nobody is there: after some codes the page waits for a click. */
export async function codes_are_renewed_a_few_times({ harness }) {
  const page = await harness.page();
  await harness.holdClock(page);
  let asked = 0;
  await page.route("**/qr-status/*", (route) =>
    route.fulfill({ contentType: "application/json", body: `{"status":"expired","completed":false,"reason":"time"}` }));
  page.on("request", (it) => { asked += it.url().endsWith("/qr-challenge"); });
  await askForDevice(page, () => page.goto(harness.url(LOGIN)));
  const button = page.getByRole("button", { name: "Show a new code" });
  while (!(await button.isVisible())) await harness.pass(2, { page });
  assert.equal(asked, 5);
  await says(page, "Show a new one when your other device is at hand");
}

/** Proxies that pass on no streams, and a server that is away for a moment. */
export async function without_streams_it_is_asked_now_and_then({ harness, facts }) {
  const { alice } = facts.people;
  await enrol(harness, alice);
  const page = await harness.page();
  await page.route("**/qr-status/*", (route) => {
    const isStream = route.request().headers().accept === "text/event-stream";
    return isStream ? route.fulfill({ contentType: "text/html", body: "no" }) : route.continue();
  });
  const told = await askForDevice(page, () => page.goto(harness.url(LOGIN)));
  harness.expect(/console error: .*ERR_FAILED/);
  const away = (route) => route.abort();
  await page.route("**/qr-status/*peek*", away);
  await says(page, "The server cannot be reached right now.");
  await page.unroute("**/qr-status/*peek*", away);
  await says(page, "Waiting for your other device.");
  // An answer that is lost at the very end is asked for again.
  let times = 0;
  await page.route("**/qr-status/*redirect=*", (route) => ((times += 1) === 1 ? route.abort() : route.continue()));
  assert.equal((await answer(told.qr_url, alice, { code: told.code })).status, 200);
  await harness.signedIn(page, alice);
  assert.equal(times, 2);
}

/** The panel is left: nothing of it goes on, and the person is not taken anywhere. */
export async function leaving_the_panel_ends_it({ harness, facts }) {
  const { alice } = facts.people;
  await enrol(harness, alice);
  const { page, told } = await desktop(harness);
  const streams = page.waitForEvent("requestfailed", (it) => it.url().includes(`/qr-status/${told.nonce}`));
  await page.getByRole("button", { name: /gpg/, expanded: false }).click();
  await streams;
  const before = harness.requests.length;
  assert.equal((await answer(told.qr_url, alice, { code: told.code })).status, 200);
  const next = await askForDevice(page);
  assert.notEqual(next.nonce, told.nonce);
  const since = harness.requests.slice(before).filter(({ url }) => url.includes(told.nonce));
  assert.deepEqual(since, []);
  assert.equal((await harness.me(page)).status, 401);
}

const PASSPHRASE = "four random words, typed once";

/** Whoever has no key yet makes one on the phone: it signs the desktop in, and the phone shares nothing else. */
export async function a_key_made_on_the_phone({ harness }) {
  harness.secret(PASSPHRASE, "the passphrase");
  const { page: screen, told } = await desktop(harness);
  const hand = await harness.phone(told.qr_url);
  const go = (name) => hand.getByRole("button", { name, exact: true }).click();
  await type(hand, told.code);
  await hand.getByLabel("A name for it").fill("My phone");
  await hand.getByLabel("Passphrase", { exact: true }).fill(PASSPHRASE);
  await hand.getByLabel("The same passphrase again").fill(PASSPHRASE);
  await go("Make the key");
  await hand.getByRole("heading", { name: "Your key is ready" }).waitFor();
  await go("Continue");
  await go("Sign in");
  await says(hand, "Signed in, on the device that shows the code");
  const fingerprint = await remembered(hand);
  await harness.signedIn(screen, { fingerprint });
  const { claims, public_key } = sentBy(harness, told.nonce).at(-1);
  assert.equal(claims, undefined);
  assert.match(public_key, /BEGIN PGP PUBLIC KEY/);

  // The next time it is known here; a wrong code asks for no second passphrase, and what is shared is chosen there.
  harness.expect(/status of 401 .*qr-verify/);
  const { page: another, told: more } = await desktop(harness);
  await hand.goto("about:blank");
  await hand.goto(more.qr_url);
  await type(hand, wrong(more.code));
  await go("Share more");
  await hand.getByRole("switch", { name: "Name" }).check();
  await hand.getByRole("textbox", { name: "Name" }).fill("Alice of the phone");
  await hand.getByLabel("Passphrase", { exact: true }).fill(PASSPHRASE);
  await go("Sign in");
  await says(hand, "The code does not match.");
  await type(hand, more.code);
  await harness.signedIn(another, { fingerprint });
  assert.equal((await harness.me(another)).body.name, "Alice of the phone");
  const [first, second] = sentBy(harness, more.nonce);
  assert.equal(first.nonce_signature, second.nonce_signature);
  assert.equal(first.public_key, undefined, "the certificate goes along once");
}

/** The bodies that came from phones for this login. */
const sentBy = (harness, nonce) => harness.requests
  .filter(({ method, url }) => method === "POST" && url.endsWith(`/qr-verify/${nonce}`))
  .map(({ body }) => JSON.parse(Buffer.from(body).toString()));

/** The other device may be another computer, with gpg. */
export async function signed_by_gpg_on_the_other_device({ harness, facts }) {
  const { alice } = facts.people;
  await enrol(harness, alice);
  const { page: screen, told } = await desktop(harness);
  const other = await harness.page();
  await other.goto(told.qr_url);
  await type(other, told.code);
  await other.getByRole("button", { name: "gpg on this computer" }).click();
  await other.getByLabel("Your key’s fingerprint").fill(alice.fingerprint);
  await other.getByRole("button", { name: "Continue" }).click();
  await paste(other, await run("bash", await copyCommand(harness, other)));
  await says(other, "Signed in, on the device that shows the code");
  await harness.signedIn(screen, alice);
}

/** A key that is new here, by an extension that says no public key: the person adds it, and what was signed still counts. */
export async function a_new_key_is_let_in_by_a_code_of_the_administrators({ harness, facts }) {
  const { alice } = facts.people;
  harness.expect(/status of 401 .*qr-verify/);
  harness.expect(/status of 403 .*qr-verify/);
  const { url, adminToken } = facts.service;
  const headers = { authorization: `Bearer ${adminToken}`, "content-type": "application/json" };
  const made = await fetch(`${url}/capauth/v1/enrollment-codes`, { method: "POST", headers, body: "{}" });
  const { enrollment_code } = await made.json();
  const { page: screen, told } = await desktop(harness);
  const hand = await phone(harness, alice, told.qr_url);
  await type(hand, told.code);
  await sign(hand);
  await hand.getByRole("alert").filter({ hasText: "This key is not known here yet" }).waitFor();
  await hand.getByLabel("Your public key").fill(alice.publicKey);
  await hand.getByRole("button", { name: "Try again" }).click();
  await hand.getByRole("alert").filter({ hasText: "New keys need a one-time code here" }).waitFor();
  await hand.getByLabel("One-time code").fill(enrollment_code);
  await hand.getByRole("button", { name: "Try again" }).click();
  await says(hand, "Signed in, on the device that shows the code");
  await harness.signedIn(screen, alice);
  assert.equal(new Set(sentBy(harness, told.nonce).map((body) => body.nonce_signature)).size, 1);
}

/** A server with a key signs what it shows: the page looks at that before it shows it. */
export async function attack_code_that_the_server_did_not_sign({ harness, facts }) {
  const { alice } = facts.people;
  await enrol(harness, alice);
  const { page, told } = await desktop(harness);
  assert.match(told.server_signature, /BEGIN PGP SIGNATURE/);
  assert.equal((await answer(told.qr_url, alice, { code: told.code })).status, 200);
  await harness.signedIn(page, alice);

  let change = (it) => it;
  await page.route("**/qr-challenge", async (route) => {
    const answered = await route.fetch();
    await route.fulfill({ response: answered, json: await change(await answered.json()) });
  });
  const changes = [
    (it) => ({ ...it, server_signature: told.server_signature }),
    (it) => ({ ...it, server_signature: "x" }),
    (it) => ({ ...it, client_nonce_echo: told.client_nonce_echo }),
    (it) => ({ ...it, server_public_key: alice.publicKey }),
  ];
  // Where keys are kept, the page knows which key signs, and that one does.
  if (facts.app === "service") {
    changes.push((it) => ({ ...it, server_signature: "", server_public_key: "" }));
    const { fingerprint, publicKey: server_public_key } = alice;
    changes.push(async (it) => ({ ...it, server_public_key, server_signature: await detachSign(fingerprint, loginPayload(it)) }));
  }
  for (const [place, next] of changes.entries()) {
    change = next;
    await page.goto("about:blank");
    await page.goto(harness.url(LOGIN));
    await choose(page);
    await page.getByRole("alert").filter({ hasText: "The server could not show that this code is its own" }).waitFor();
    assert.equal(await page.locator("img.qr, p.digits").count(), 0, String(place));
  }
}
