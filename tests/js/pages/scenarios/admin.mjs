// What administrators do, on their page.

import assert from "node:assert/strict";

import { ADMIN, administrator, done, entryOf, link, newcomer, rotate, section, signIn } from "../administration.mjs";

const at = (person) => `#/keys/${person.fingerprint}`;

/** Somebody whose key is enrolled, and Ada's page about it. */
async function about(harness, facts, person) {
  await done(facts, "POST", "keys/enroll", { public_key: person.publicKey });
  const page = await administrator(harness, facts, at(person));
  await page.getByText("It may sign in.").waitFor();
  return page;
}

const news = (page, words) => page.getByRole("status").filter({ hasText: words }).waitFor();
const alert = (page, words) => page.getByRole("alert").filter({ hasText: words }).waitFor();

export async function a_key_is_approved_and_signs_in({ harness, base, facts }) {
  const { alice } = facts.people;
  const hers = await harness.context();
  assert.equal((await signIn(hers, base, alice)).body.error, "enrollment_pending");
  const page = await administrator(harness, facts);
  await page.getByText("One key waits for approval.").waitFor();
  await section(page, "Waiting for you").getByRole("link").first().click();
  await page.waitForURL(`**${at(alice)}`);
  await page.getByText("It has proved itself and waits for approval.").waitFor();
  await page.getByRole("button", { name: "Approve" }).click();
  await news(page, "Approved. This key may sign in.");
  await page.getByText("It may sign in.", { exact: true }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Approve" }).count(), 0);
  assert.equal((await signIn(hers, base, alice)).status, 200);
  await page.goBack();
  await page.getByText("No key waits for approval.").waitFor();
  await page.getByRole("link", { name: "Audit log" }).click();
  const line = page.getByRole("row").filter({ hasText: "Approved" });
  assert.equal(await line.getByRole("link").last().getAttribute("href"), at(alice));
}

export async function groups_are_edited_as_a_list({ harness, facts }) {
  const { alice } = facts.people;
  const page = await about(harness, facts, alice);
  const groups = section(page, "Groups");
  const field = groups.getByLabel("Add groups");
  await field.fill("staff, ops:prod");
  await field.press("Enter");
  await field.fill("no<group>");
  await groups.getByRole("button", { name: "Add" }).click();
  await alert(page, "“no<group>” is not a group’s name.");
  await field.fill("late");
  await groups.getByRole("button", { name: "Save groups" }).click();
  await news(page, "Saved. Groups: staff, ops:prod, late.");
  assert.deepEqual((await entryOf(facts, alice.fingerprint)).groups, ["late", "ops:prod", "staff"]);
  await groups.getByRole("button", { name: "Remove ops:prod" }).click();
  await groups.getByRole("button", { name: "Save groups" }).click();
  await news(page, "Saved. Groups: late, staff.");
  assert.deepEqual((await entryOf(facts, alice.fingerprint)).groups, ["late", "staff"]);

  // Somebody else decides meanwhile: their decision is not lost.
  await done(facts, "PUT", `keys/${alice.fingerprint}/groups`, { groups: ["others"] });
  await groups.getByRole("button", { name: "Remove late" }).click();
  await groups.getByRole("button", { name: "Save groups" }).click();
  await alert(page, "Somebody else changed these groups meanwhile.");
  assert.deepEqual((await entryOf(facts, alice.fingerprint)).groups, ["others"]);
}

export async function a_name_is_given_and_taken_away({ harness, facts }) {
  const { alice, bob } = facts.people;
  await done(facts, "POST", "keys/enroll", { public_key: bob.publicKey });
  await done(facts, "PUT", `keys/${bob.fingerprint}/name`, { user_name: "bob" });
  const page = await about(harness, facts, alice);
  const name = section(page, "User name");
  const give = async (text) => {
    await name.getByLabel("User name").fill(text);
    await name.getByRole("button", { name: "Give this name" }).click();
  };
  await give("Alice");
  await alert(page, "1 to 40 small letters");
  harness.expectStatus(/.*\/name/, 400);
  await give("admin");
  await alert(page, "This name is reserved");
  harness.expectStatus(/.*\/name/, 409);
  await give("bob");
  await alert(page, "Names are not given twice.");
  assert.equal((await entryOf(facts, alice.fingerprint)).user_name, undefined);
  await give("alice");
  await news(page, "The user name is alice.");
  assert.equal((await entryOf(facts, alice.fingerprint)).user_name, "alice");
  await name.getByRole("button", { name: "Take the name away" }).click();
  await news(page, "The name is taken away.");
  assert.equal((await entryOf(facts, alice.fingerprint)).user_name, undefined);
}

export async function an_address_is_confirmed_and_withdrawn({ harness, facts }) {
  const { alice, bob } = facts.people;
  await done(facts, "POST", "keys/enroll", { public_key: bob.publicKey });
  await done(facts, "PUT", `keys/${bob.fingerprint}/email`, { email: "bob@example.org" });
  const page = await about(harness, facts, alice);
  const email = section(page, "E-mail");
  const enter = async (text, button) => {
    await email.getByLabel("E-mail address").fill(text);
    await email.getByRole("button", { name: button }).click();
  };
  await enter("alice", "Confirm");
  await alert(page, "Enter a whole e-mail address");
  harness.expectStatus(/.*\/email/, 409);
  await enter("bob@example.org", "Confirm");
  await alert(page, "This address is another identity’s.");
  await enter("alice@example.org", "Confirm");
  await news(page, "Confirmed.");
  assert.equal(await email.getByLabel("E-mail address").inputValue(), "", "it is not shown any more");
  await enter("alice@example.org", "Withdraw");
  await news(page, "Withdrawn.");
  // It is nobody's now.
  await done(facts, "PUT", `keys/${bob.fingerprint}/email`, { email: "alice@example.org" });
}

export async function an_administrator_ends_sessions({ harness, base, facts }) {
  const { alice } = facts.people;
  const page = await about(harness, facts, alice);
  const hers = await harness.page();
  assert.equal((await signIn(hers.context(), base, alice)).status, 200);
  const end = section(page, "Sessions").getByRole("button", { name: "End all sessions" });
  await end.click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  assert.equal((await harness.me(hers)).status, 200);
  await end.click();
  await page.getByRole("dialog").getByRole("button", { name: "End all sessions" }).click();
  await news(page, "All sessions have ended.");
  assert.equal((await harness.me(hers)).status, 401);
  assert.equal((await signIn(hers.context(), base, alice)).status, 200, "and may sign in again");
}

export async function an_administrator_revokes_a_key({ harness, base, facts }) {
  const { alice } = facts.people;
  const page = await about(harness, facts, alice);
  const hers = await harness.context();
  const revoke = page.getByRole("button", { name: "Revoke" });
  await revoke.click();
  await page.keyboard.press("Escape");
  assert.equal((await signIn(hers, base, alice)).status, 200);
  await revoke.click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await news(page, "Revoked. This key never signs in again.");
  await page.getByText("It never signs in again. Revoked").waitFor();
  assert.equal(await revoke.count(), 0);
  assert.equal((await signIn(hers, base, alice)).body.error, "key_revoked");
}

export async function erasing_takes_the_end_of_the_fingerprint({ harness, facts }) {
  const { alice } = facts.people;
  const page = await about(harness, facts, alice);
  await page.getByRole("button", { name: "Erase" }).click();
  const dialog = page.getByRole("dialog");
  const field = dialog.getByLabel("type the last 16 characters of the fingerprint");
  for (const wrong of ["", "12345678", alice.fingerprint.slice(0, 16), alice.fingerprint.slice(-15), alice.fingerprint.slice(-8)]) {
    await field.fill(wrong);
    await dialog.getByRole("button", { name: "Erase for good" }).click();
    await alert(dialog, "Nothing was erased.");
  }
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.equal((await entryOf(facts, alice.fingerprint)).fingerprint, alice.fingerprint);
  assert(!harness.requests.some((it) => it.url.endsWith("/keys/erase")));

  await page.getByRole("button", { name: "Erase" }).click();
  await field.fill(` ${alice.fingerprint.slice(-16).toLowerCase()} `);
  await field.press("Enter");
  await page.waitForURL("**#/keys");
  await news(page, `The key that ends with ${alice.fingerprint.slice(-16)} is erased.`);
  assert.equal(await entryOf(facts, alice.fingerprint), undefined);
  await page.goto(harness.url(ADMIN + at(alice)));
  await page.getByText("There is no such key here.").waitFor();
}

export async function a_rotation_is_cancelled({ harness, facts }) {
  const [carol, dave] = [await newcomer("Carol"), await newcomer("Dave")];
  await done(facts, "POST", "keys/enroll", { public_key: carol.publicKey });
  assert.equal((await rotate(facts, carol, dave)).status, 202);
  const page = await administrator(harness, facts, "#/keys");
  await page.getByRole("row").filter({ hasText: "To be replaced" }).getByRole("link").click();
  await page.getByText("A new key is to take this one’s place").waitFor();
  await page.getByRole("button", { name: "Cancel the replacement" }).click();
  await news(page, "Cancelled. This key stays.");
  await page.getByText("A new key is to take this one’s place").waitFor({ state: "detached" });
  assert.equal((await entryOf(facts, carol.fingerprint)).replaced_soon, undefined);
}

export async function keys_of_an_identity_lead_to_each_other({ harness, base, facts }) {
  const [carol, dave] = [await newcomer("Carol"), await newcomer("Dave")];
  for (const { publicKey } of [carol, dave]) await done(facts, "POST", "keys/enroll", { public_key: publicKey });
  await link(facts, carol, dave);
  const page = await administrator(harness, facts, at(dave));
  await page.getByText("as the identity of the key that it is linked to").waitFor();
  await section(page, "Keys of this identity").getByRole("link").click();
  await page.waitForURL(`**${at(carol)}`);
  const siblings = section(page, "Keys of this identity");
  assert.equal(await siblings.getByRole("link").getAttribute("href"), at(dave));
  await siblings.getByRole("button", { name: `Unlink the key that ends with ${dave.fingerprint.slice(-8)}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Unlink" }).click();
  await news(page, "Unlinked.");
  await page.getByText("It is the only key of its identity.").waitFor();
  assert.equal((await entryOf(facts, dave.fingerprint)).linked_to, null);
  await page.goBack();
  await page.waitForURL(`**${at(dave)}`);
  await page.getByText("It may sign in.", { exact: true }).waitFor();
  assert.equal((await signIn(await harness.context(), base, dave)).body.ok, true);
}

export async function a_code_is_made_once_and_used_once({ harness, base, facts }) {
  const { alice, bob } = facts.people;
  assert.equal((await signIn(await harness.context(), base, alice)).body.error, "enrollment_closed");
  const page = await administrator(harness, facts, "#/enrol");
  const form = section(page, "A code for somebody");
  await form.getByLabel("Add groups").fill("staff");
  await form.getByLabel("It can be used for").selectOption({ label: "One day" });
  await form.getByRole("button", { name: "Make a code" }).click();
  await news(page, "The code is made.");
  await form.getByRole("button", { name: "Copy the code" }).click();
  const code = await harness.clipboard(page);
  assert.equal(await form.locator("code").textContent(), code);
  assert.equal((await signIn(await harness.context(), base, alice, { enrollment_code: code })).status, 200);
  assert.deepEqual((await entryOf(facts, alice.fingerprint)).groups, ["staff"]);
  const again = await signIn(await harness.context(), base, bob, { enrollment_code: code });
  assert.equal(again.body.error, "enrollment_closed");
  await page.reload();
  await form.getByRole("button", { name: "Make a code" }).waitFor();
  assert.equal(await page.getByText(code).count(), 0, "it is shown once");
}

export async function a_public_key_is_enrolled_and_a_secret_one_is_not_sent({ harness, base, facts }) {
  const { alice } = facts.people;
  const page = await administrator(harness, facts, "#/enrol");
  const form = section(page, "A public key");
  const enrol = async (text) => {
    await form.getByLabel("Public key").fill(text);
    await form.getByRole("button", { name: "Enrol this key" }).click();
  };
  // The harness fails, should any of it be sent.
  await form.getByLabel("Public key").fill(alice.secretKey);
  await alert(page, "That was a secret key. It was not sent");
  assert.equal(await form.getByLabel("Public key").inputValue(), "");
  harness.expectStatus("/capauth/v1/keys/enroll", 400);
  await enrol("nonsense");
  await alert(form, /./);
  await enrol(alice.publicKey);
  await news(page, "Enrolled.");
  assert.equal((await signIn(await harness.context(), base, alice)).status, 200);
  harness.expectStatus("/capauth/v1/keys/enroll", 409);
  await enrol(alice.publicKey);
  await alert(page, "This key is known here already");
}
