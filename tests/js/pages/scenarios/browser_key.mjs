// Signing with a key that the browser holds.

import assert from "node:assert/strict";

import {
  button, make, open, passInKeeper, PASSPHRASE, passphrase, sent, signIn, start, stored,
} from "../browser_keys.mjs";
import { openWay } from "../login_page.mjs";

export async function browser_key_made_in_the_page({ harness, facts }) {
  harness.secret(PASSPHRASE, "the passphrase");
  const page = await start(harness, facts);
  await button(page, "Make the key").waitFor();
  await make(page);
  await button(page, "Continue").click();
  await button(page, "Sign in").waitFor();
  assert(await page.getByText("There is no copy of this key yet").isVisible());
  assert.equal(await passphrase(page).inputValue(), PASSPHRASE, "who just typed it types it again");
  await signIn(page, harness);
  const { keys: [{ fingerprint, secret }] } = await stored(page);
  await harness.privateKey(secret, PASSPHRASE);
  const me = await harness.me(page);
  assert.deepEqual([me.status, me.body.sub], [200, fingerprint]);

  // Another day: the key is still there, and still locked.
  await page.context().clearCookies();
  await open(harness, page);
  await passphrase(page).fill(PASSPHRASE);
  await signIn(page, harness);
  assert.equal((await harness.me(page)).body.sub, fingerprint);
  const certificates = sent(harness, "/verify").map((body) => Boolean(body.public_key));
  assert.deepEqual(certificates, [true, false], "the certificate goes along once");
}

/** The server knows the key no longer, although the browser takes it for known: it hears the certificate again. */
export async function browser_key_erased_on_the_server({ harness, facts }) {
  harness.expectStatus("/auth/capauth/verify", 401);
  const page = await start(harness, facts);
  await make(page);
  await button(page, "Continue").click();
  await button(page, "Sign in").waitFor();
  await signIn(page, harness);
  const { body: { sub: fingerprint } } = await harness.me(page);
  const erased = await fetch(`${facts.service.url}/capauth/v1/keys/erase`, {
    method: "POST",
    headers: { authorization: `Bearer ${facts.service.adminToken}`, "content-type": "application/json" },
    body: JSON.stringify({ fingerprint }),
  });
  assert.equal(erased.status, 200, await erased.text());
  await page.context().clearCookies();
  await open(harness, page);
  await passphrase(page).fill(PASSPHRASE);
  await signIn(page, harness);
  assert.equal((await harness.me(page)).body.sub, fingerprint);
  assert.deepEqual(sent(harness, "/verify").map((body) => Boolean(body.public_key)), [true, false, true]);
}

export async function browser_key_stays_unlocked_for_its_time({ harness, facts }) {
  const page = await start(harness, facts);
  await make(page);
  await button(page, "Continue").click();
  await page.getByLabel("Keep the key unlocked").selectOption("5 minutes");
  await signIn(page, harness);

  await open(harness, page);
  await page.getByText("Unlocked until").waitFor();
  await signIn(page, harness);
  assert.equal((await harness.me(page)).status, 200);

  await open(harness, page);
  await page.getByText("Unlocked until").waitFor();
  await passInKeeper(page, 301);
  await button(page, "Sign in").click();
  await page.getByText("This key is locked. Type its passphrase.").waitFor();
  assert.deepEqual((await stored(page)).unlocked, [], "what has had its time is gone");

  await open(harness, page);
  await passphrase(page).fill(PASSPHRASE);
  await page.getByLabel("Keep the key unlocked").selectOption("1 hour");
  await signIn(page, harness);
  await open(harness, page);
  await button(page, "Lock now").click();
  await page.getByText("The key is locked.").waitFor();
  assert.deepEqual((await stored(page)).unlocked, []);
  await passphrase(page).waitFor();
}

export async function browser_key_wrong_passphrase({ harness, facts }) {
  const page = await start(harness, facts);
  await make(page);
  await button(page, "Continue").click();
  await button(page, "Sign in").waitFor();
  await passphrase(page).fill("four random words, typed twice");
  await button(page, "Sign in").click();
  await page.getByText("That passphrase does not open this key.").waitFor();
  assert.equal(await passphrase(page).inputValue(), "four random words, typed twice");
  assert(await passphrase(page).evaluate((element) => element === document.activeElement));
  assert.equal((await harness.me(page)).status, 401);
  assert.deepEqual(sent(harness, "/verify"), []);

  await passphrase(page).fill(PASSPHRASE);
  await signIn(page, harness);
  assert.equal((await harness.me(page)).status, 200);
}

/** Passphrases and secret keys are in no field of a view that was left; what is refused is not lost. */
export async function browser_key_fields_are_emptied({ harness, facts }) {
  const page = await start(harness, facts);
  const everyField = async () => (await page.locator(".browser-key input, .browser-key textarea").elementHandles());
  const isLeft = async (fields, leave, secret) => {
    const values = () => Promise.all(fields.map((it) => it.evaluate(({ value }) => value)));
    assert((await values()).some((value) => value.includes(secret)), "it was typed");
    await leave();
    await page.waitForFunction((it) => !it.isConnected || it.closest(".way-panel[hidden]"), fields[0]);
    assert(!(await values()).some((value) => value.includes(secret)), "it is still there");
  };
  const elsewhere = () => openWay(page, "gpg on this computer");
  const back = () => openWay(page, "A key in this browser");

  await page.getByLabel("A name for it").fill("My laptop");
  await passphrase(page).fill(PASSPHRASE);
  await page.getByLabel("The same passphrase again").fill("another one");
  await button(page, "Make the key").click();
  await page.getByText("The two are not the same.").waitFor();
  assert.equal(await passphrase(page).inputValue(), PASSPHRASE);
  await isLeft(await everyField(), elsewhere, PASSPHRASE);
  await back();
  assert.equal(await page.getByLabel("A name for it").inputValue(), "My laptop");

  await button(page, "I have a key already").click();
  await page.getByLabel("Paste the key").fill(facts.people.alice.secretKey);
  await page.getByText("Found:").waitFor();
  await passphrase(page).fill("short");
  await button(page, "Keep it in this browser").click();
  await page.getByText("Choose a passphrase of at least 8 characters.").waitFor();
  assert.equal(await page.getByLabel("Paste the key").inputValue(), facts.people.alice.secretKey);
  await isLeft(await everyField(), () => button(page, "Back").click(), "PRIVATE KEY");

  await make(page);
  await isLeft(await everyField(), () => button(page, "Continue").click(), PASSPHRASE);
  // It goes on to where the same person signs in, and not further.
  assert.equal(await passphrase(page).inputValue(), PASSPHRASE);
  await isLeft(await everyField(), () => button(page, "Look after this key").click(), PASSPHRASE);
  await button(page, "Save a copy").click();
  await passphrase(page).fill("not this one");
  await button(page, "Save a copy").click();
  await page.getByText("That passphrase does not open this key.").waitFor();
  await isLeft(await everyField(), elsewhere, "not this one");
  await back();
  await passphrase(page).fill(PASSPHRASE);
  await Promise.all([page.waitForEvent("download"), button(page, "Save a copy").click()]);
}

/** Whoever is not to be remembered, and deletes their key, leaves nothing in this browser. */
export async function browser_key_deleted_leaves_nothing({ harness, facts }) {
  const page = await start(harness, facts);
  await make(page);
  await button(page, "Continue").click();
  await page.getByLabel("Remember my fingerprint").uncheck();
  await signIn(page, harness);
  const { body: { sub: fingerprint } } = await harness.me(page);
  const before = await stored(page);
  assert.equal(before.keys[0].fingerprint, fingerprint);
  assert(!before.plain.join().includes(fingerprint), before.plain.join());
  await page.context().clearCookies();
  await open(harness, page);
  await button(page, "Look after this key").click();
  await button(page, "Delete from this browser").click();
  await button(page, "Delete for good").click();
  await button(page, "Make the key").waitFor();
  assert(!JSON.stringify(await stored(page)).includes(fingerprint), JSON.stringify(await stored(page)));
}

/** Each key of a browser's has a choice of its own: what one of them shares, another does not. */
export async function attack_claims_of_another_browser_key({ harness, facts }) {
  const page = await start(harness, facts);
  await make(page, "First");
  await button(page, "Continue").click();
  await button(page, "Sign in").waitFor();
  await page.getByText(/receives only your fingerprint/).click();
  await page.getByRole("switch", { name: "Name" }).click();
  await page.getByLabel("Name: what to share").fill("Alice");
  await button(page, "Make a new key").click();
  await make(page, "Second");
  await button(page, "Continue").click();
  await page.getByText("Which key?").waitFor();
  await page.getByText(/receives only your fingerprint/).waitFor();
  await page.getByLabel(/First/).check();
  await page.getByText(/receives your fingerprint and name/).waitFor();
  await page.getByLabel(/Second/).check();
  await page.getByText(/receives only your fingerprint/).waitFor();
  // Choosing what to share leaves the key alone.
  await page.getByRole("switch", { name: "E-mail" }).click();
  assert(await page.getByLabel(/Second/).isChecked());
  await page.getByRole("switch", { name: "E-mail" }).click();
  await passphrase(page).fill(PASSPHRASE);
  await signIn(page, harness);
  const [second] = sent(harness, "/verify");
  assert.equal(second.claims, undefined);
  assert.equal((await harness.me(page)).body.name, undefined);

  // Its twin: the one that shares.
  await page.context().clearCookies();
  await open(harness, page);
  await page.getByLabel(/First/).check();
  await page.getByText(/receives only your fingerprint/).click();
  await page.getByRole("switch", { name: "Name" }).click();
  await page.getByLabel("Name: what to share").fill("Alice");
  await passphrase(page).fill(PASSPHRASE);
  await signIn(page, harness);
  assert.equal((await harness.me(page)).body.name, "Alice");
}

/** Every state, as people see it and as axe does. */
export async function browser_key_looks({ harness, facts }) {
  const look = async (page, name) => {
    await harness.gallery(page, name);
    await harness.axe(page);
  };
  const page = await start(harness, facts);
  await button(page, "Make the key").waitFor();
  await look(page, "make");
  await page.getByLabel("A name for it").fill("My laptop");
  await passphrase(page).fill(PASSPHRASE);
  await button(page, "Make the key").click();
  await page.getByText("The two are not the same.").waitFor();
  await look(page, "make-differs");
  await page.getByLabel("The same passphrase again").fill(PASSPHRASE);
  await button(page, "Make the key").click();
  await page.getByRole("heading", { name: "Your key is ready" }).waitFor();
  await look(page, "made");
  await Promise.all([page.waitForEvent("download"), button(page, "Save a copy").click()]);
  await page.getByText("Saved as").waitFor();
  await look(page, "saved");
  await button(page, "Continue").click();
  await button(page, "Sign in").waitFor();
  await passphrase(page).fill("not this one");
  await button(page, "Sign in").click();
  await page.getByText("That passphrase does not open this key.").waitFor();
  await look(page, "wrong-passphrase");
  await button(page, "Look after this key").click();
  await button(page, "Delete from this browser").click();
  await look(page, "care");
  await button(page, "Back").click();
  await button(page, "Bring another key").click();
  await page.getByLabel("Paste the key").fill(facts.people.alice.publicKey);
  await page.getByText("This is the public half of a key.").waitFor();
  await look(page, "bring-refused");
  await page.getByLabel("Paste the key").fill(facts.people.alice.secretKey);
  await page.getByText("Found:").waitFor();
  await look(page, "bring");
  await passphrase(page).fill(PASSPHRASE);
  await page.getByLabel("The same passphrase again").fill(PASSPHRASE);
  await button(page, "Keep it in this browser").click();
  await page.getByText("Which key?").waitFor();
  await look(page, "several");
  await page.getByLabel("Keep the key unlocked").selectOption("1 hour");
  await signIn(page, harness);
  await open(harness, page);
  await page.getByText("Unlocked until").waitFor();
  await look(page, "unlocked");
}

/** Everything without a mouse, from nothing to being signed in. */
export async function browser_key_by_keyboard({ harness, facts }) {
  const { keyboard } = harness;
  const page = await start(harness, facts);
  await keyboard.type(page, page.getByLabel("A name for it"), "Typed");
  await keyboard.press(page, button(page, "Suggest one"));
  const suggested = await passphrase(page).inputValue();
  assert.match(suggested, /^([a-z2-9]{4}-){3}[a-z2-9]{4}$/);
  await page.keyboard.press("Enter");
  const ready = page.getByRole("heading", { name: "Your key is ready" });
  await ready.waitFor();
  assert(await ready.evaluate((element) => element === document.activeElement));
  const [download] = await Promise.all([page.waitForEvent("download"), keyboard.press(page, button(page, "Save a copy"))]);
  assert.match(download.suggestedFilename(), /^key-[0-9a-f]{8}-secret\.asc$/);
  await page.getByText("Saved as").waitFor();
  await page.keyboard.press("Enter");
  await button(page, "Sign in").waitFor();
  assert.equal(await passphrase(page).inputValue(), suggested);
  await keyboard.tabTo(page, page.getByLabel("Keep the key unlocked"));
  await page.keyboard.press("ArrowDown");
  await keyboard.press(page, button(page, "Sign in"));
  await page.waitForURL(harness.home());

  await open(harness, page);
  await keyboard.press(page, button(page, "Lock now"));
  await passphrase(page).waitFor();
  await page.keyboard.insertText(suggested);
  await page.keyboard.press("Enter");
  await page.waitForURL(harness.home());
  assert.equal((await harness.me(page)).status, 200);
}
