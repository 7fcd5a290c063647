// How the administrators' page looks, and how it is used without a mouse.

import assert from "node:assert/strict";

import { ADMIN, administrator, done, entryOf, newcomer, rotate, section, signIn } from "../administration.mjs";

/** A state is looked at: pictures, and axe. */
async function look(harness, page, name) {
  await harness.gallery(page, name);
  await harness.axe(page);
}

export async function administration_without_a_mouse({ harness, base, facts }) {
  const { alice } = facts.people;
  const { keyboard } = harness;
  await signIn(await harness.context(), base, alice);
  const page = await administrator(harness, facts);
  await page.getByText("One key waits for approval.").waitFor();
  await keyboard.press(page, page.getByRole("link", { name: "Skip to the content" }));
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await keyboard.press(page, section(page, "Waiting for you").getByRole("link").first());
  await page.getByText("It has proved itself").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.localName), "h1", "one goes on at the beginning");
  await keyboard.press(page, page.getByRole("button", { name: "Approve" }));
  await page.getByText("It may sign in.", { exact: true }).waitFor();
  await page.waitForFunction(() => document.activeElement.textContent === "State");
  await keyboard.press(page, page.getByRole("button", { name: "Erase" }));
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  await page.keyboard.insertText("00000000");
  await page.keyboard.press("Enter");
  await dialog.getByRole("alert").filter({ hasText: "Nothing was erased." }).waitFor();
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement.textContent === "Erase");
  await page.keyboard.press("Enter");
  await keyboard.type(page, dialog.getByRole("textbox"), alice.fingerprint.slice(-16));
  await keyboard.press(page, dialog.getByRole("button", { name: "Erase for good" }));
  await page.waitForURL("**#/keys");
  await page.getByRole("status").filter({ hasText: "is erased." }).waitFor();
  assert.equal(await entryOf(facts, alice.fingerprint), undefined);
}

export async function how_the_lists_look({ harness, facts }) {
  const page = await administrator(harness, facts);
  await page.getByText("More than 20 keys wait for approval.").waitFor();
  await page.getByText("5,001").waitFor();
  await look(harness, page, "overview");
  await page.goto(harness.url(`${ADMIN}#/keys?search=0`));
  await page.getByText("50 keys on this page").waitFor();
  // Few rows show as much as many, in a smaller picture.
  await page.locator("tbody").evaluate((body) => body.replaceChildren(...[...body.children].slice(0, 6)));
  await look(harness, page, "keys");
  await page.goto(harness.url(`${ADMIN}#/audit`));
  await page.getByText("The administrator’s token").first().waitFor();
  await page.locator("tbody").evaluate((body) => body.replaceChildren(...[...body.children].slice(0, 6)));
  await look(harness, page, "audit");
}

export async function how_a_key_looks({ harness, base, facts }) {
  const { alice } = facts.people;
  const [carol, dave] = [await newcomer("Carol"), await newcomer("Dave")];
  await done(facts, "POST", "keys/enroll", { public_key: carol.publicKey });
  assert.equal((await rotate(facts, carol, dave)).status, 202);
  const groups = ["staff", "ops:prod", `team/${"long-".repeat(10)}`];
  await done(facts, "PUT", `keys/${carol.fingerprint}/groups`, { groups });
  await signIn(await harness.context(), base, alice);
  const page = await administrator(harness, facts, `#/keys/${carol.fingerprint}`);
  await page.getByText("A new key is to take this one’s place").waitFor();
  await look(harness, page, "key");
  await page.getByRole("button", { name: "Erase" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Erase for good" }).click();
  await look(harness, page, "erase");
  await page.keyboard.press("Escape");
  await page.goto(harness.url(`${ADMIN}#/enrol`));
  await section(page, "A code for somebody").getByLabel("Add groups").fill("staff");
  await page.getByRole("button", { name: "Make a code" }).click();
  await page.getByText("Copy this code now").waitFor();
  await look(harness, page, "enrolment");
}

export async function how_refusals_look({ harness, base, facts }) {
  const { alice } = facts.people;
  const page = await administrator(harness, facts, `#/keys/${alice.fingerprint}`);
  await page.getByText("There is no such key here.").waitFor();
  await harness.axe(page);
  // The session ends while the page is open.
  await page.context().clearCookies();
  harness.expectStatus("/capauth/v1/enrollment-codes", 401);
  harness.expectStatus("/capauth/v1/keys", 401);
  await page.goto(harness.url(`${ADMIN}#/enrol`));
  await page.getByRole("button", { name: "Make a code" }).click();
  await page.getByRole("heading", { name: "Sign in again to go on" }).waitFor();
  await look(harness, page, "sign-in-again");
  await signIn(page.context(), base, alice);
  harness.expectStatus(ADMIN, 403);
  await page.goto(base + ADMIN);
  await page.reload();
  await page.getByRole("heading", { name: "Your key does not administer here" }).waitFor();
  await look(harness, page, "refused");
}
