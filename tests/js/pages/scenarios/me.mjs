// A person's own page at the service: who they are, their keys, their sessions.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

import { detachSign, gpg, run, shells } from "../gpg.mjs";

const ME = "/capauth/me";
const LOGIN = "/auth/capauth/login";

/** Calls the service as a program that has this origin; answers the response. */
function send(base, at, body, headers = {}) {
  const all = { origin: base, "content-type": "application/json", ...headers };
  return fetch(base + at, { method: "POST", headers: all, body: JSON.stringify(body) });
}

async function challenge(base, fingerprint, at = "/capauth/v1/challenge") {
  const body = { fingerprint, client_nonce: randomBytes(32).toString("base64"), origin: base };
  return (await send(base, at, body)).json();
}

/** Signs in over HTTP; answers the session's cookie as `context.addCookies` takes it. `key` is what gpg signs with. */
async function session(base, { fingerprint, publicKey }, key = fingerprint) {
  const told = await challenge(base, fingerprint, "/auth/capauth/challenge");
  const text = ["CAPAUTH_NONCE_V2", `nonce=${told.nonce}`, `client_nonce=${told.client_nonce_echo}`,
    `origin=${told.origin}`, `timestamp=${told.timestamp}`, `service=${told.service}`, `expires=${told.expires}`];
  const signature = await detachSign(key, text.join("\n"));
  const body = { fingerprint, nonce: told.nonce, nonce_signature: signature, public_key: publicKey };
  const answer = await send(base, "/auth/capauth/verify", body);
  assert.equal(answer.status, 200, await answer.clone().text());
  const named = answer.headers.getSetCookie().find((line) => !/^[^=]*device/i.test(line));
  const [, name, value] = /^([^=]+)=([^;]*)/.exec(named);
  return { name, value, url: base };
}

/** The page, for this person, in a browser of its own. */
async function signedIn(harness, base, person, options) {
  const page = await harness.page(undefined, options);
  await page.context().addCookies([await session(base, person)]);
  await page.goto(harness.url(ME));
  await page.getByRole("heading", { name: "Where you are signed in" }).waitFor();
  return page;
}

/** Gives a person's key a subkey that signs; answers the subkey's fingerprint. The certificate is renewed with it. */
async function addSubkey(person) {
  await gpg(["--passphrase", "", "--pinentry-mode", "loopback", "--quick-add-key", person.fingerprint, "ed25519", "sign", "never"]);
  const listing = await gpg(["--with-colons", "--list-keys", person.fingerprint]);
  person.publicKey = await gpg(["--armor", "--export", person.fingerprint]);
  return [...listing.matchAll(/^fpr:+([0-9A-F]+):/gm)].at(-1)[1];
}

/** A subkey asks that another key takes the first one's place: it waits. */
async function startRotation(base, old, subkey, fresh) {
  const { nonce, timestamp, service } = await challenge(base, old.fingerprint);
  const hash = createHash("sha256").update(fresh.publicKey).digest("hex");
  const text = ["CAPAUTH_ROTATION_V1", `nonce=${nonce}`, `service=${service}`, `old_fingerprint=${old.fingerprint}`,
    `new_fingerprint=${fresh.fingerprint}`, `new_public_key_sha256=${hash}`, `timestamp=${timestamp}`].join("\n");
  const answer = await send(base, "/capauth/v1/rotate", {
    nonce, timestamp, old_fingerprint: old.fingerprint, new_fingerprint: fresh.fingerprint,
    new_public_key: fresh.publicKey, rotation_signature: await detachSign(`${subkey}!`, text),
    new_signature: await detachSign(fresh.fingerprint, text),
  });
  assert.equal(answer.status, 202, await answer.clone().text());
}

/** The second key becomes one of the first one's identity. */
async function link(base, primary, secondary) {
  const { nonce, timestamp, service } = await challenge(base, primary.fingerprint);
  const text = ["CAPAUTH_LINK_V1", `nonce=${nonce}`, `service=${service}`, `primary=${primary.fingerprint}`,
    `secondary=${secondary.fingerprint}`, `timestamp=${timestamp}`].join("\n");
  const answer = await send(base, "/capauth/v1/link", {
    nonce, timestamp, primary_fingerprint: primary.fingerprint, secondary_fingerprint: secondary.fingerprint,
    primary_signature: await detachSign(primary.fingerprint, text),
    secondary_signature: await detachSign(secondary.fingerprint, text), secondary_public_key: secondary.publicKey,
  });
  assert.equal(answer.status, 200, await answer.clone().text());
}

async function identity(page, base) {
  const answer = await page.context().request.get(`${base}/capauth/v1/identity`);
  return answer.json();
}

/** What the page copies for this kind of shell. */
async function copied(page, harness, shell = /^bash/) {
  await page.getByRole("radio", { name: shell }).check();
  await page.getByRole("button", { name: "Copy the command" }).click();
  await page.getByText("Copied", { exact: true }).waitFor();
  // This page may not read it; a plain answer of the same server may.
  const other = await page.context().newPage();
  await other.goto(harness.url("/health"));
  const text = await harness.clipboard(other);
  await other.close();
  return text;
}

const spaced = (fingerprint) => fingerprint.replace(/(.{4})(?=.)/g, "$1 ");
const itemOf = (page, fingerprint) => page.getByRole("listitem").filter({ has: page.locator("> .digits-of-key", { hasText: spaced(fingerprint) }) });
const command = (page) => page.getByRole("group", { name: "The command" }).locator("code");
const news = (page) => page.locator(".note[role=status]:visible");
const alert = (page) => page.locator("[role=alert]:visible");

async function admin(base, facts, method, at, body) {
  const headers = { authorization: `Bearer ${facts.service.adminToken}`, "content-type": "application/json" };
  const answer = await fetch(`${base}/capauth/v1${at}`, { method, headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.clone().text());
}

/** Who one is, as administrators made it, and that nobody else gets to see the page. */
export async function who_one_is({ harness, base, facts }) {
  const { alice, ada } = facts.people;
  const nobody = await harness.page(ME);
  assert.equal(new URL(nobody.url()).pathname, LOGIN);
  assert.equal(new URL(nobody.url()).searchParams.get("redirect"), ME);

  await session(base, alice);
  await admin(base, facts, "PUT", `/keys/${alice.fingerprint}/groups`, { groups: ["humans", "staff"] });
  await admin(base, facts, "PUT", `/keys/${alice.fingerprint}/name`, { user_name: "alice" });
  const page = await signedIn(harness, base, alice);
  for (const text of ["alice", "humans, staff", spaced(alice.fingerprint)]) {
    await page.getByText(text, { exact: true }).first().waitFor();
  }
  const item = itemOf(page, alice.fingerprint);
  await item.getByRole("heading", { name: "Primary key" }).waitFor();
  await item.getByText("You signed in with it").waitFor();
  assert.equal(await page.getByRole("link", { name: "Administration" }).count(), 0);
  await harness.axe(page);
  await harness.gallery(page, "me");

  const administrator = await signedIn(harness, base, ada);
  const way = administrator.getByRole("link", { name: "Administration" });
  assert.equal(new URL(await way.evaluate((link) => link.href)).pathname, "/capauth/admin");
}

/** Sessions are listed, and end one by one, the others together, and all of them. */
export async function sessions_are_ended({ harness, base, facts }) {
  const { alice } = facts.people;
  const browsers = [];
  for (let i = 0; i < 5; i += 1) browsers.push(await signedIn(harness, base, alice));
  const [last, ended] = [browsers[4], browsers[0]];
  const listed = last.locator(".session");
  assert.equal(await listed.count(), 5);
  assert.equal(await listed.filter({ hasText: "This one" }).count(), 1);
  assert.equal(await listed.filter({ hasText: "This one" }).getByRole("button").count(), 0);

  // The oldest stands last.
  await listed.last().getByRole("button", { name: /^End the session: localhost/ }).click();
  await news(last).filter({ hasText: "The session has ended." }).waitFor();
  assert.equal(await listed.count(), 4);
  assert.equal((await harness.me(ended)).status, 401);
  await ended.goto(harness.url(ME));
  assert.equal(new URL(ended.url()).pathname, LOGIN);
  for (const kept of browsers.slice(1)) assert.equal((await harness.me(kept)).status, 200);

  // What is asked first is not done when the answer is no.
  await last.getByRole("button", { name: "End all others" }).click();
  await last.getByRole("dialog").waitFor();
  await harness.axe(last);
  await harness.gallery(last, "ask");
  await last.getByRole("button", { name: "Leave it as it is" }).click();
  assert.equal((await harness.me(browsers[1])).status, 200);
  await last.getByRole("button", { name: "End all others" }).click();
  await last.getByRole("dialog").getByRole("button", { name: "End all others" }).click();
  await news(last).filter({ hasText: "The others have ended." }).waitFor();
  assert.equal(await listed.count(), 1);
  assert.equal((await harness.me(last)).status, 200);
  for (const gone of browsers.slice(1, 4)) assert.equal((await harness.me(gone)).status, 401);

  const other = await signedIn(harness, base, alice);
  await last.getByRole("button", { name: "End all sessions" }).click();
  await last.getByRole("dialog").getByRole("button", { name: "End all sessions" }).click();
  await last.getByRole("heading", { name: "You are signed out" }).waitFor();
  await harness.axe(last);
  await harness.gallery(last, "signed-out");
  for (const gone of [last, other]) assert.equal((await harness.me(gone)).status, 401);
  await last.getByRole("link", { name: "Sign in again" }).click();
  await last.waitForURL((url) => url.pathname === LOGIN && url.searchParams.get("redirect") === ME);

  // A page that was left open hears of it when it is used.
  harness.expectStatus("/capauth/v1/sessions", 401);
  await other.getByRole("button", { name: "End all sessions" }).click();
  await other.getByRole("dialog").getByRole("button", { name: "End all sessions" }).click();
  await other.getByText("This session has ended.").waitFor();
}

/** Signing out ends the session and nothing else. A link to it asks first. */
export async function signing_out({ harness, base, facts }) {
  const { alice } = facts.people;
  const [page, kept] = [await signedIn(harness, base, alice), await signedIn(harness, base, alice)];
  const [cookie] = await page.context().cookies();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "You are signed out." }).waitFor();
  await harness.axe(page);
  await harness.gallery(page, "done");
  assert.equal((await harness.me(page)).status, 401);
  assert.equal((await harness.me(kept)).status, 200);
  // Whoever kept a copy of the cookie has nothing.
  await page.context().addCookies([cookie]);
  assert.equal((await harness.me(page)).status, 401);
  await page.getByRole("link", { name: "Sign in again" }).click();
  await page.waitForURL((url) => url.pathname === LOGIN && url.searchParams.get("redirect") === ME);

  await kept.goto(harness.url("/capauth/v1/logout"));
  await kept.getByRole("heading", { name: "Sign out?" }).waitFor();
  await harness.axe(kept);
  await harness.gallery(kept, "ask");
  assert.equal((await harness.me(kept)).status, 200);
  await kept.getByRole("button", { name: "Sign out" }).click();
  await kept.getByRole("heading", { name: "You are signed out." }).waitFor();
  assert.equal((await harness.me(kept)).status, 401);
}

/** Without JavaScript the page says what is missing, and one can sign out. */
export async function own_page_without_javascript({ harness, base, facts }) {
  const page = await harness.page(undefined, { javaScriptEnabled: false });
  await page.context().addCookies([await session(base, facts.people.alice)]);
  await page.goto(harness.url(ME));
  await page.locator("noscript p", { hasText: "This page needs JavaScript" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "You are signed out." }).waitFor();
  assert.equal((await harness.me(page)).status, 401);
}

/** Somebody asked with a subkey; whoever has the primary key says no, by gpg, from every shell. */
export async function a_waiting_rotation_is_cancelled_by_gpg({ harness, base, facts }) {
  const { alice, bob, ada } = facts.people;
  const subkey = await addSubkey(alice);
  await session(base, alice);
  const page = await harness.page();
  await page.context().addCookies([await session(base, alice)]);
  harness.expectStatus("/capauth/v1/rotate/cancel", 401);
  harness.expectStatus("/capauth/v1/rotate/cancel", 403);
  for (const shell of shells.filter((name) => name !== "powershell")) {
    await startRotation(base, alice, subkey, bob);
    await page.goto(harness.url(ME));
    const item = itemOf(page, alice.fingerprint);
    await item.getByText(/another key takes this one’s place/).waitFor();
    await item.getByText(spaced(bob.fingerprint)).waitFor();
    assert.equal(await item.getByRole("button", { name: "Replace" }).count(), 0);
    await item.getByRole("button", { name: "Keep the old key" }).click();
    await page.getByText(/^Good for \d+ s/).waitFor();
    if (shell === shells[0]) {
      await harness.axe(page);
      await harness.gallery(page, "waiting");
      await refusals(page, [[ada.fingerprint, "not that key’s signature"], [subkey, "A subkey signed"]], alice);
    }
    const line = await copied(page, harness);
    const field = page.getByLabel("The signature");
    await field.fill("");
    await field.fill(await run(shell, line));
    await news(page).filter({ hasText: "The old key stays." }).waitFor();
    assert.equal((await identity(page, base)).keys[0].replaced_soon, undefined, shell);
    assert.equal(await item.getByText(/another key takes/).count(), 0);
  }
}

/** The same by a key that the browser holds, whose passphrase is asked for. */
export async function a_waiting_rotation_is_cancelled_by_a_browser_key({ harness, base, facts }) {
  const { alice, bob } = facts.people;
  const passphrase = "four random words, typed once";
  harness.secret(passphrase, "the passphrase");
  const subkey = await addSubkey(alice);
  const page = await harness.page();
  await page.context().addCookies([await session(base, alice)]);
  await startRotation(base, alice, subkey, bob);
  await page.goto(harness.url(ME));
  const open = async () => {
    await page.getByRole("button", { name: "Keep the old key" }).click();
    await page.getByRole("button", { name: "Look for it in this browser" }).click();
  };
  const loaded = () => harness.requests.filter(({ url }) => /keeper|openpgp/.test(url)).length;
  assert.equal(loaded(), 0);
  await open();
  await alert(page).filter({ hasText: "This browser does not hold that key." }).waitFor();

  await hold(page, harness, alice, passphrase);
  await page.goto(harness.url(ME));
  await open();
  const field = page.getByLabel("The key’s passphrase");
  await field.fill("another passphrase");
  await page.getByRole("button", { name: "Sign", exact: true }).click();
  await alert(page).filter({ hasText: "passphrase" }).waitFor();
  await harness.axe(page);
  await harness.gallery(page, "browser-key");
  assert.notEqual((await identity(page, base)).keys[0].replaced_soon, undefined);
  await field.fill(passphrase);
  await page.getByRole("button", { name: "Sign", exact: true }).click();
  await news(page).filter({ hasText: "The old key stays." }).waitFor();
  assert.equal((await identity(page, base)).keys[0].replaced_soon, undefined);
}

/** Lets the browser hold somebody's key from now on. */
async function hold(page, harness, { secretKey }, newPassphrase) {
  const other = await page.context().newPage();
  const body = 'import { importKey } from "./keys.js"; globalThis.importKey = importKey;';
  await other.route("**/login.js", (route) => route.fulfill({ contentType: "text/javascript", body }));
  await other.goto(harness.url(LOGIN));
  await other.waitForFunction(() => globalThis.importKey);
  await other.evaluate((asked) => globalThis.importKey(asked), { armored: secretKey, newPassphrase, label: "Mine" });
  await other.close();
}

/** Signatures that are refused, in words, with what was typed where it was. */
async function refusals(page, wrong, right) {
  const field = page.getByLabel("The signature");
  for (const [signer, words] of wrong) {
    const line = await command(page).textContent();
    const signature = await run("bash", line.replace(`--local-user '${right.fingerprint}!'`, `--local-user '${signer}!'`));
    await field.fill(signature);
    await alert(page).filter({ hasText: words }).waitFor();
    assert.equal(await field.inputValue(), signature);
  }
  await field.fill("not a signature");
  await page.getByRole("button", { name: "Send" }).click();
  await alert(page).filter({ hasText: "no whole signature here" }).waitFor();
}

/** The command is renewed before it ends, and what the one before printed still counts while it lives. */
export async function a_command_is_renewed({ harness, base, facts }) {
  const { alice, bob } = facts.people;
  const subkey = await addSubkey(alice);
  const page = await harness.page();
  await page.context().addCookies([await session(base, alice)]);
  await startRotation(base, alice, subkey, bob);
  await harness.holdClock(page);
  await page.goto(harness.url(ME));
  await page.getByRole("button", { name: "Keep the old key" }).click();
  await page.getByText(/^Good for \d+ s/).waitFor();
  const first = await command(page).textContent();
  await harness.pass(35, { page });
  await page.waitForFunction((text) => document.querySelector(".task pre code").textContent !== text, first);
  await page.getByLabel("The signature").fill(await run("bash", first));
  harness.expectStatus("/capauth/v1/rotate/cancel", 401); // it is held against the newer one first
  await news(page).filter({ hasText: "The old key stays." }).waitFor();
}

/** A linked key is parted from the identity, on the primary key's word. */
export async function a_linked_key_is_unlinked({ harness, base, facts }) {
  const { alice, bob, ada } = facts.people;
  for (const person of [alice, bob]) await session(base, person);
  await link(base, alice, bob);
  const bobs = await harness.page();
  await bobs.context().addCookies([await session(base, bob)]);
  await bobs.goto(harness.url(ME));
  assert.equal((await harness.me(bobs)).body.sub, alice.fingerprint);
  await bobs.getByText("The key you signed in with").waitFor();

  const page = await signedIn(harness, base, alice);
  const item = itemOf(page, bob.fingerprint);
  await item.getByRole("heading", { name: "Linked key" }).waitFor();
  await item.getByRole("button", { name: "Unlink" }).click();
  await page.getByText(/^Good for \d+ s/).waitFor();
  await harness.axe(page);
  await harness.gallery(page, "unlink");
  harness.expectStatus("/capauth/v1/unlink", 401);
  harness.expectStatus("/capauth/v1/identity", 401);
  // The linked key itself has no say in it.
  await refusals(page, [[bob.fingerprint, "not that key’s signature"], [ada.fingerprint, "not that key’s signature"]], alice);
  await page.getByLabel("The signature").fill(await run("bash", await command(page).textContent()));
  // Every session of the identity ends with it.
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  await page.getByText("The key is unlinked.").waitFor();
  await bobs.goto(harness.url(ME));
  assert.equal(new URL(bobs.url()).pathname, LOGIN);
  const again = await signedIn(harness, base, alice);
  await itemOf(again, alice.fingerprint).waitFor();
  assert.equal(await itemOf(again, bob.fingerprint).count(), 0);
  assert.equal((await harness.me(await signedIn(harness, base, bob))).body.sub, bob.fingerprint);
}

/** An owner revokes a key here with what gpg makes. */
export async function a_key_is_revoked({ harness, base, facts }) {
  const { alice, bob } = facts.people;
  for (const person of [alice, bob]) await session(base, person);
  await link(base, alice, bob);
  const page = await signedIn(harness, base, alice);
  const bobs = itemOf(page, bob.fingerprint);
  await bobs.getByRole("button", { name: "Revoke" }).click();
  const commands = page.locator(".task .command code");
  await commands.last().waitFor();
  assert.match((await commands.allTextContents())[0], /^gpg --output revocation.asc --gen-revoke [0-9A-F]{40}$/);
  await harness.axe(page);
  await harness.gallery(page, "revoke");
  const submit = async (person) => {
    const field = page.getByLabel("The certificate, with the revocation in it");
    await field.fill(await run("bash", (await commands.last().textContent()).replace(/[0-9A-F]{40}/, person.fingerprint)));
    await page.locator(".task").getByRole("button", { name: "Revoke this key" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke this key" }).click();
  };
  harness.expectStatus("/capauth/v1/verify", 401);
  // A secret key does not even stay in the field.
  await page.getByLabel("The certificate, with the revocation in it").fill(bob.secretKey);
  await alert(page).filter({ hasText: "That is your secret key." }).waitFor();
  assert.equal(await page.getByLabel("The certificate, with the revocation in it").inputValue(), "");
  // Without a revocation in it, and another key's: nothing happens.
  await submit(bob);
  await alert(page).filter({ hasText: "no final revocation" }).waitFor();
  await submit(alice);
  await alert(page).waitFor();
  assert.equal((await identity(page, base)).keys.filter((key) => key.revoked_at).length, 0);

  await revokeInGpg(bob.fingerprint);
  await submit(bob);
  await news(page).filter({ hasText: "The key is revoked" }).waitFor();
  await bobs.getByText(/^Revoked on/).waitFor();
  assert.equal(await bobs.getByRole("button").count(), 0);
  await harness.gallery(page, "revoked");

  // One's own: nobody is signed in any longer.
  await revokeInGpg(alice.fingerprint);
  harness.expectStatus("/capauth/v1/identity", 401);
  await itemOf(page, alice.fingerprint).getByRole("button", { name: "Revoke" }).click();
  await submit(alice);
  // That they are out proves nothing, and the page does not say so.
  await alert(page).filter({ hasText: "Whether the key was revoked is not known: sign in and look." }).waitFor();
  assert.equal(await news(page).count(), 0, "what became of the other key is over");
  await harness.axe(page);
  await harness.gallery(page, "not-known");
  assert.equal((await harness.me(page)).status, 401);
  assert(await isRevoked(base, facts, alice));
  await page.locator(".task").getByRole("link", { name: "Sign in again" }).click();
  await page.waitForURL((url) => url.pathname === LOGIN && url.searchParams.get("redirect") === ME);
}

/** Whether a key is revoked, as administrators see it. */
async function isRevoked(base, facts, { fingerprint }) {
  const headers = { authorization: `Bearer ${facts.service.adminToken}` };
  const [entry] = await (await fetch(`${base}/capauth/v1/keys?prefix=${fingerprint}`, { headers })).json();
  return Boolean(entry.revoked_at);
}

/** gpg made a revocation together with the key. */
async function revokeInGpg(fingerprint) {
  const file = `"$GNUPGHOME/openpgp-revocs.d/${fingerprint}.rev"`;
  await run("bash", `sed 's/^:-----BEGIN/-----BEGIN/' ${file} | gpg --import`);
}

/** A new key takes the old one's place, and its holder stays who they are. */
export async function a_key_is_replaced({ harness, base, facts }) {
  const { alice, bob } = facts.people;
  const page = await signedIn(harness, base, alice);
  await page.getByRole("button", { name: "Replace" }).click();
  await page.getByLabel("The new key’s fingerprint").fill("1234");
  await page.getByLabel("The new public key").fill(bob.publicKey);
  await page.getByRole("button", { name: "Continue" }).click();
  await alert(page).filter({ hasText: "40 or 64 digits" }).waitFor();
  await page.getByLabel("The new key’s fingerprint").fill(spaced(bob.fingerprint).toLowerCase());
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText(/^Good for \d+ s/).waitFor();
  await harness.axe(page);
  await harness.gallery(page, "replace");
  harness.expectStatus("/capauth/v1/rotate", 401);
  harness.expectStatus("/capauth/v1/identity", 401);
  const line = await command(page).textContent();
  // The old key cannot speak for the new one.
  await page.getByLabel("The signature").fill(await run("bash", line.replaceAll(`'${bob.fingerprint}!'`, `'${alice.fingerprint}!'`)));
  await alert(page).filter({ hasText: "not that key’s signature" }).waitFor();
  await page.getByLabel("The signature").fill(await run("bash", await command(page).textContent()));
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  const again = await signedIn(harness, base, bob);
  assert.equal((await harness.me(again)).body.sub, alice.fingerprint);
  await itemOf(again, alice.fingerprint).getByText(/^Another key took its place on/).waitFor();
  assert.equal(await itemOf(again, alice.fingerprint).getByRole("button").count(), 0);
}

/** All of it without a mouse. */
export async function own_page_by_keyboard({ harness, base, facts }) {
  const { alice, bob } = facts.people;
  const subkey = await addSubkey(alice);
  await session(base, alice);
  await startRotation(base, alice, subkey, bob);
  const [page, other, third] = [await signedIn(harness, base, alice), await signedIn(harness, base, alice), await signedIn(harness, base, alice)];
  await page.reload();
  const { keyboard } = harness;
  const hasFocus = (locator) => locator.evaluate((element) => element === document.activeElement);
  await keyboard.press(page, page.getByRole("button", { name: "Keep the old key" }));
  assert(await hasFocus(page.getByRole("heading", { name: "Keep the old key" })));
  await page.getByText(/^Good for \d+ s/).waitFor();
  await keyboard.press(page, page.getByRole("button", { name: "Copy the command" }));
  await page.getByText("Copied", { exact: true }).waitFor();
  const signature = await run("bash", await command(page).textContent());
  await keyboard.type(page, page.getByLabel("The signature"), signature);
  await news(page).filter({ hasText: "The old key stays." }).waitFor();
  assert(await hasFocus(page.getByRole("heading", { name: "Your keys", exact: true })));

  await keyboard.press(page, page.locator(".session").last().getByRole("button"));
  await news(page).filter({ hasText: "The session has ended." }).waitFor();
  assert(await hasFocus(page.getByRole("heading", { name: "Where you are signed in" })));
  await keyboard.press(page, page.getByRole("button", { name: "End all sessions" }), "Space");
  // Escape says no, and one is where one was.
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert(await hasFocus(page.getByRole("button", { name: "End all sessions" })));
  assert.equal((await harness.me(third)).status, 200);
  await page.keyboard.press("Enter");
  await keyboard.press(page, page.getByRole("dialog").getByRole("button", { name: "End all sessions" }));
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  assert(await hasFocus(page.getByRole("heading", { name: "You are signed out" })));
  assert.equal((await harness.me(other)).status, 401);
}

/** The name of somebody else's session opens and ends nothing. */
export async function attack_session_of_somebody_else({ harness, base, facts }) {
  const { alice, bob } = facts.people;
  const [alices, bobs] = [await signedIn(harness, base, alice), await signedIn(harness, base, bob)];
  const [theirs] = await (await alices.context().request.get(`${base}/capauth/v1/sessions`)).json();
  assert.equal(await bobs.locator(".session").count(), 1);
  harness.expectStatus(`/capauth/v1/sessions/${theirs.id}`, 404);
  const status = await bobs.evaluate(async (id) => (await fetch(`v1/sessions/${id}`, { method: "DELETE" })).status, theirs.id);
  assert.equal(status, 404);
  assert.equal((await harness.me(alices)).status, 200);
  const own = await alices.evaluate(async (id) => (await fetch(`v1/sessions/${id}`, { method: "DELETE" })).status, theirs.id);
  assert.equal(own, 200);
  assert.equal((await harness.me(alices)).status, 401);
}

/** Should a name, a group or a service ever hold markup, it is shown as it is. */
export async function attack_markup_in_names_groups_and_services({ harness, base, facts }) {
  const { alice } = facts.people;
  const evil = `"><img src=x onerror="window.stolen=1"><script>window.stolen=1</script>{day}$&`;
  const page = await harness.page();
  await page.context().addCookies([await session(base, alice)]);
  const poisoned = async (route) => {
    const told = await (await route.fetch()).json();
    const poison = (value) => {
      if (Array.isArray(value)) return value.map(poison);
      if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, poison(v)]));
      return typeof value === "string" && !/^\d{4}-/.test(value) ? evil : value;
    };
    const changed = poison(told);
    if (changed.sub) changed.keys[0].replaced_soon = { fingerprint: evil, effective_at: "2030-01-01T00:00:00Z" };
    if (changed.groups) changed.groups = [evil];
    await route.fulfill({ json: changed });
  };
  await page.route("**/capauth/v1/identity", poisoned);
  await page.route("**/capauth/v1/sessions", poisoned);
  await page.goto(harness.url(ME));
  await page.locator("dd", { hasText: "onerror" }).first().waitFor();
  await page.locator(".session", { hasText: "onerror" }).waitFor();
  assert.equal(await page.locator("main img, main script").count(), 0);
  assert.equal(await page.evaluate(() => window.stolen), undefined);
  await harness.gallery(page, "markup");
}

/** Another site's frame shows nothing of the page. */
export async function attack_page_in_a_frame({ harness, base, facts }) {
  const page = await signedIn(harness, base, facts.people.alice);
  const paths = [ME, "/capauth/v1/logout"];
  for (const at of paths) {
    const headers = (await page.context().request.get(harness.url(at))).headers();
    assert.match(headers["content-security-policy"], /frame-ancestors 'none'/);
    assert.equal(headers["x-frame-options"], "DENY");
  }
  harness.expect(/frame-ancestors|X-Frame-Options|ERR_BLOCKED_BY_RESPONSE/i);
  for (const host of ["evil.test", "localhost"]) {
    const frames = paths.map((at) => `<iframe src="${harness.url(at)}" title="${at}"></iframe>`).join("");
    const site = await harness.site({ "/": `<!doctype html><html lang="en"><title>Frames</title>${frames}` }, { host });
    await page.goto(`${site.origin}/`);
    for (const frame of page.frames().slice(1)) {
      assert.equal(await frame.getByRole("button").count(), 0);
    }
  }
}

/** Another site signs nobody out: neither by a picture nor a form nor a script; a link to it only asks. */
export async function attack_logout_by_another_site({ harness, base, facts }) {
  const page = await signedIn(harness, base, facts.people.alice);
  const logout = harness.url("/capauth/v1/logout");
  const html = `<!doctype html><html lang="en"><title>Elsewhere</title><img alt="" src="${logout}">
    <form method="post" action="${logout}"><button>Win a prize</button></form><a href="${logout}">Look</a>`;
  const script = `<!doctype html><html lang="en"><title>Script</title><script>
    fetch("${logout}", { method: "POST", mode: "no-cors", credentials: "include" }).catch(() => {}).then(() => { document.title = "sent"; });
    </script>`;
  const site = await harness.site({ "/": html, "/script": script });
  harness.expect(/ERR_BLOCKED_BY_(RESPONSE|ORB)|status of 403/, { optional: true });
  await page.goto(`${site.origin}/script`);
  await page.waitForFunction(() => document.title === "sent");
  assert.equal((await harness.me(page)).status, 200);
  await page.goto(`${site.origin}/`);
  await page.getByRole("button", { name: "Win a prize" }).click();
  await page.waitForURL(logout);
  assert.equal((await harness.me(page)).status, 200);
  await page.goto(`${site.origin}/`);
  await page.getByRole("link", { name: "Look" }).click();
  await page.getByRole("heading", { name: "Sign out?" }).waitFor();
  assert.equal((await harness.me(page)).status, 200);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "You are signed out." }).waitFor();
  assert.equal((await harness.me(page)).status, 401);
}

/**
 * A thief of the key ends the owner's sessions just while the owner sends a certificate that was exported too early. The
 * owner must not believe that the key is revoked, and go.
 */
export async function attack_revocation_that_did_not_happen({ harness, base, facts }) {
  const { alice, bob } = facts.people;
  for (const person of [alice, bob]) await session(base, person);
  await link(base, alice, bob);
  const page = await harness.page();
  const told = (words) => alert(page).filter({ hasText: words }).waitFor();
  const certificate = page.getByLabel("The certificate, with the revocation in it");
  const open = async (key) => {
    await page.context().addCookies([await session(base, alice)]);
    await page.goto(harness.url(ME));
    await itemOf(page, key.fingerprint).getByRole("button", { name: "Revoke" }).click();
  };
  const submit = async (text, meanwhile = () => {}) => {
    await certificate.fill(text);
    await page.locator(".task").getByRole("button", { name: "Revoke this key" }).click();
    await meanwhile();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke this key" }).click();
  };
  harness.expectStatus("/capauth/v1/verify", 401);
  harness.expectStatus("/capauth/v1/identity", 401);
  for (const key of [alice, bob]) {
    await open(key);
    await submit(key.publicKey, () => endAll(base, alice));
    await told("You are signed out. Whether the key was revoked is not known: sign in and look.");
    assert.equal(await page.getByText("The key is revoked").count(), 0);
    assert.equal(await isRevoked(base, facts, key), false);
  }

  // The thief parts the key from the identity instead: it is not among the owner's any more, and no less alive.
  const unlink = { primary_fingerprint: alice.fingerprint, secondary_fingerprint: bob.fingerprint };
  await open(bob);
  await submit(bob.publicKey, async () => {
    await admin(base, facts, "POST", "/unlink", unlink);
    await page.context().addCookies([await session(base, alice)]);
  });
  await told("Whether it was revoked is not known.");
  assert.equal(await isRevoked(base, facts, bob), false);

  // The owner stays, out as they are, and sends what counts: no login is asked for.
  await open(alice);
  await submit(alice.publicKey, () => endAll(base, alice));
  await told("export the certificate anew and send that");
  await revokeInGpg(alice.fingerprint);
  await submit(await gpg(["--armor", "--export", alice.fingerprint]));
  await told("You are signed out.");
  assert(await isRevoked(base, facts, alice));
}

/** Somebody who has the key ends every session of its identity. */
async function endAll(base, person) {
  const { name, value } = await session(base, person);
  const headers = { origin: base, cookie: `${name}=${value}` };
  const answer = await fetch(`${base}/capauth/v1/sessions`, { method: "DELETE", headers });
  assert.equal(answer.status, 200, await answer.clone().text());
}
