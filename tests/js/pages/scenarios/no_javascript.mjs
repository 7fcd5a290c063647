// Signing in where no script runs: forms, a command to copy, a signature to paste.

import assert from "node:assert/strict";

import { run, shells } from "../gpg.mjs";

const LOGIN = "/auth/capauth/login";
const WITHOUT = { javaScriptEnabled: false };

/** The first page: who one is, with the public key of somebody new. */
async function ask(page, person, { isNew = true } = {}) {
  await page.getByLabel("Your key’s fingerprint").fill(person.fingerprint);
  if (isNew) {
    if (!(await page.getByLabel("Your public key").isVisible())) await page.getByText("First time here").click();
    await page.getByLabel("Your public key").fill(person.publicKey);
  }
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByLabel("The signature").waitFor();
}

/** The commands of the second page, as somebody copies them: for a POSIX shell, and for PowerShell. */
const commands = (page) => page.locator("pre", { hasText: "--detach-sign" }).allTextContents();

async function answer(page, signature) {
  await page.getByLabel("The signature").fill(signature);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** In each shell of this machine; the second time the key is known. */
export async function no_javascript({ harness, facts }) {
  const { alice } = facts.people;
  for (const [place, shell] of shells.entries()) {
    const page = await harness.page(`${LOGIN}?redirect=/auth/capauth/me`, WITHOUT);
    assert.equal((await harness.me(page)).status, 401);
    await ask(page, alice, { isNew: place === 0 });
    await page.getByText(`This sign-in is for ${harness.url("")}`).waitFor();
    await page.getByText(/until \d\d:\d\d:\d\d UTC/).waitFor();
    const [posix, powershell] = await commands(page);
    await answer(page, await run(shell, shell === "powershell" ? powershell : posix));
    await harness.signedIn(page, alice, "/auth/capauth/me");
  }
}

/** Bob signs in Alice's place: a page with words and everything typed; and Alice signs after all. */
export async function no_javascript_wrong_key({ harness, facts }) {
  const { alice, bob } = facts.people;
  harness.expectStatus(LOGIN, 401);
  const page = await harness.page(LOGIN, WITHOUT);
  await ask(page, alice);
  const [wrong] = await commands(page);
  await answer(page, await run("bash", wrong.replaceAll(alice.fingerprint, bob.fingerprint)));
  const words = await page.getByRole("alert").textContent();
  assert(words.length > 20, words);
  assert.match(await page.title(), /^Not signed in yet/);
  assert.equal((await harness.me(page)).status, 401);
  assert.equal((await page.getByLabel("Your public key").inputValue()).trim(), alice.publicKey.trim());
  const [right] = await commands(page);
  assert.notEqual(right, wrong);
  await answer(page, await run("bash", right));
  await harness.signedIn(page, alice);
}

/** After an hour: another challenge at once, and the old signature is no use. */
export async function no_javascript_expired_challenge({ harness, facts }) {
  const { alice } = facts.people;
  harness.expectStatus(LOGIN, 400);
  const page = await harness.page(LOGIN, WITHOUT);
  await ask(page, alice);
  const [old] = await commands(page);
  const signature = await run("bash", old);
  await harness.pass(3600, { server: true });
  await answer(page, signature);
  await page.getByRole("alert").waitFor();
  assert.equal((await harness.me(page)).status, 401);
  assert.equal(await page.getByLabel("The signature").inputValue(), "");
  const [fresh] = await commands(page);
  assert.notEqual(fresh, old);
}

/** The keyboard alone. */
export async function no_javascript_keyboard({ harness, facts }) {
  const { alice } = facts.people;
  const { keyboard } = harness;
  const page = await harness.page(LOGIN, WITHOUT);
  await keyboard.type(page, page.getByLabel("Your key’s fingerprint"), alice.fingerprint);
  await keyboard.press(page, page.getByText("First time here"));
  await keyboard.type(page, page.getByLabel("Your public key"), alice.publicKey);
  await keyboard.press(page, page.getByRole("button", { name: "Continue" }));
  await page.getByLabel("The signature").waitFor();
  const [posix] = await commands(page);
  await keyboard.type(page, page.getByLabel("The signature"), await run("bash", posix));
  await keyboard.press(page, page.getByRole("button", { name: "Sign in" }));
  await harness.signedIn(page, alice);
}

/** How its pages look, and what axe says of them: by way of the answers to forms, which no script takes away. */
export async function no_javascript_looks({ harness, facts }) {
  const { alice } = facts.people;
  harness.expectStatus(LOGIN, 400);
  harness.expectStatus(LOGIN, 401);
  harness.expectStatus(LOGIN, 403);
  const plain = await harness.page(LOGIN, WITHOUT);
  await harness.screenshot(plain, "first-without-javascript");

  // The same form, sent where scripts run: the pages that answer it have none.
  const page = await harness.page();
  await page.route("**/login.js", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
  await page.goto(harness.url(LOGIN));
  await page.getByLabel("Your key’s fingerprint").waitFor();
  await state(harness, page, "first");
  await page.getByLabel("Your key’s fingerprint").fill("0123");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("alert").waitFor();
  await state(harness, page, "first-refused");
  await ask(page, alice, { isNew: false });
  await state(harness, page, "second");
  const [posix] = await commands(page);
  await answer(page, await run("bash", posix));
  await page.getByRole("alert").waitFor();
  await state(harness, page, "second-unknown");
  await page.context().clearCookies();
  await page.getByRole("button", { name: "Back" }).click();
  await page.getByRole("alert").waitFor();
  await state(harness, page, "stale");
}

async function state(harness, page, name) {
  await harness.gallery(page, name);
  await harness.axe(page);
}

const quoted = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** Mallory's form with Mallory's signature, on a page of somebody else's. It is sent by a click, for no script is needed. */
const trap = (harness, fields) => {
  const inputs = Object.entries(fields).map(([name, value]) => `<input type="hidden" name="${name}" value="${quoted(value)}">`);
  return `<form method="post" action="${harness.url(LOGIN)}">${inputs.join("")}<button>Win a prize</button></form>`;
};

async function fieldsOf(page) {
  const names = ["token", "state", "fingerprint", "signature"];
  const values = await Promise.all(names.map((name) => page.locator(`[name="${name}"]`).inputValue()));
  return Object.fromEntries(names.map((name, place) => [name, values[place]]));
}

/** From another site, and from another port of this host, which may plant cookies here where there is no TLS. */
export async function attack_login_csrf({ harness, facts }) {
  const { alice, bob } = facts.people;
  harness.expectStatus(LOGIN, 403);
  const mallory = await harness.page(LOGIN, WITHOUT);
  await ask(mallory, bob);
  const [posix] = await commands(mallory);
  await mallory.getByLabel("The signature").fill(await run("bash", posix));
  const fields = await fieldsOf(mallory);
  const cookies = await mallory.context().cookies();
  for (const host of ["evil.test", "localhost"]) {
    const site = await harness.site({ "/": trap(harness, fields) }, { host });
    for (const planted of [[], cookies]) {
      const victim = await harness.page(LOGIN, WITHOUT);
      if (planted.length) await victim.context().addCookies(planted);
      await victim.goto(site.origin);
      await victim.getByRole("button", { name: "Win a prize" }).click();
      await victim.getByRole("heading", { name: "This did not work" }).waitFor();
      assert.equal((await harness.me(victim)).status, 401, `${host}, ${planted.length} cookies`);
    }
  }
  // Nothing of it was used: on the page itself it is a login.
  await mallory.getByRole("button", { name: "Sign in" }).click();
  await harness.signedIn(mallory, bob);
}
