// Signing with an extension: one of each kind is put into the page, and signs with gpg.

import assert from "node:assert/strict";

import { detachSign } from "../gpg.mjs";
import { LOGIN, openWay } from "../login_page.mjs";

const TITLE = "Browser extension";

/**
 * What the extension is, in the page. `manner` is what it does when it is asked to sign: `signs`, `declines`, `lies` about
 * the origin, signs with an`other` key, answers `nonsense`, stays `silent`, or is `slow` to say that it is there.
 */
function install({ kind, manner, fingerprint, other, late }) {
  const payload = (challenge, origin) => ["CAPAUTH_NONCE_V2", `nonce=${challenge.nonce}`,
    `client_nonce=${challenge.client_nonce_echo}`, `origin=${origin}`, `timestamp=${challenge.timestamp}`,
    `service=${challenge.service}`, `expires=${challenge.expires}`].join("\n");
  async function sign(challenge) {
    if (manner === "declines") throw new Error("<b>not now</b>");
    window.testAsked = true;
    if (manner === "silent") return new Promise(() => {});
    if (manner === "nonsense") return { anything: "else" };
    const origin = manner === "lies" ? "http://evil.test" : location.origin;
    return window.gpgSigns(manner === "other" ? other : fingerprint, payload(challenge, origin));
  }
  const shown = {
    shipped: () => {
      window.capauth = { signChallenge: async (challenge) => ({
        signature: await sign(challenge),
        fingerprint: manner === "other" ? other : fingerprint,
        origin: manner === "lies" ? "http://evil.test" : location.origin,
      }) };
    },
    early: () => {
      window.capAuthExtension = { getFingerprint: async () => fingerprint.toLowerCase(), signChallenge: sign };
    },
    messages: () => addEventListener("message", async ({ source, data }) => {
      if (source !== window || data?.type !== "CAPAUTH_SIGN_REQUEST") return;
      const tell = (answer) => postMessage({ requestId: data.requestId, ...answer }, location.origin);
      if (manner === "slow" && !data.challenge?.nonce) await new Promise((done) => addEventListener("test:answer", done));
      if (!data.challenge?.nonce) return tell({ type: "CAPAUTH_SIGN_ERROR", error: "no nonce" });
      // Others talk on the same channel: that is not for the page to take.
      postMessage({ type: "CAPAUTH_SIGN_RESPONSE", requestId: "another", signature: "-----BEGIN PGP SIGNATURE-----" }, "*");
      postMessage({ type: "SOMETHING_ELSE", requestId: data.requestId }, "*");
      try {
        tell({ type: "CAPAUTH_SIGN_RESPONSE", signature: await sign(data.challenge) });
      } catch (error) {
        tell({ type: "CAPAUTH_SIGN_ERROR", error: error.message });
      }
    }),
  }[kind];
  if (late) addEventListener("test:extension", shown);
  else shown();
}

/** A page with an extension in it. */
async function pageWith(harness, facts, extension) {
  const context = await harness.context();
  await context.exposeFunction("gpgSigns", (fingerprint, text) => detachSign(fingerprint, text));
  const { alice, bob } = facts.people;
  await context.addInitScript(install, { fingerprint: alice.fingerprint, other: bob.fingerprint, ...extension });
  const page = await context.newPage();
  await page.goto(harness.url(LOGIN));
  return page;
}

const button = (page) => page.getByRole("button", { name: "Sign with the extension" });

/** Presses the button; says whose key it is where the extension does not. */
async function sign(page, { kind }, person) {
  await openWay(page, TITLE);
  await button(page).click();
  if (kind === "early") return;
  await page.getByText("does not say whose key it has").waitFor();
  await page.getByLabel("Your key’s fingerprint").fill(person.fingerprint.match(/.{4}/g).join(" ").toLowerCase());
  await page.getByRole("button", { name: "Continue" }).click();
  await button(page).click();
}

/** Each kind signs; a new key is taken up with its public key, and the signature that was made already. */
export async function an_extension_of_each_kind({ harness, facts }) {
  const { alice } = facts.people;
  harness.expectStatus("/auth/capauth/verify", 401);
  for (const kind of ["shipped", "early", "messages"]) {
    const page = await pageWith(harness, facts, { kind });
    await sign(page, { kind }, alice);
    if (kind === "shipped") {
      await page.getByRole("alert").filter({ hasText: "not known here yet" }).waitFor();
      await page.getByLabel("Your public key").fill(alice.publicKey);
      await page.getByRole("button", { name: "Try again" }).click();
    }
    await harness.signedIn(page, alice);
    // Now it is remembered: nothing has to be typed.
    await page.goto(harness.url(LOGIN));
    await openWay(page, TITLE);
    // Whoever the extension does not name, the person may say anew.
    const another = page.locator(".person").getByRole("button", { name: "Change" });
    assert.equal(await another.isVisible(), kind !== "early");
    await button(page).click();
    await harness.signedIn(page, alice);
  }
}

/** One that comes after the page has loaded is found, and none is made up. */
export async function an_extension_that_comes_late({ harness, facts }) {
  for (const kind of ["shipped", "early", "messages"]) {
    const page = await pageWith(harness, facts, { kind, late: true });
    await page.locator(".way-title").first().waitFor();
    await page.evaluate(() => dispatchEvent(new Event("test:extension")));
    await page.getByRole("button", { name: TITLE, exact: true }).waitFor();
    const titles = await page.locator(".way-title").allTextContents();
    assert.equal(titles[0], TITLE);
  }
  // One that was asked in time, and answers when the page has shown the other ways long since.
  const slow = await pageWith(harness, facts, { kind: "messages", manner: "slow" });
  await slow.locator(".way-title").first().waitFor();
  assert.equal(await slow.getByRole("button", { name: TITLE, exact: true }).count(), 0);
  await slow.evaluate(() => dispatchEvent(new Event("test:answer")));
  await slow.getByRole("button", { name: TITLE, exact: true }).waitFor();

  const page = await harness.page();
  await harness.holdClock(page);
  await page.goto(harness.url(LOGIN));
  await page.getByRole("button", { name: "gpg on this computer" }).waitFor();
  await harness.pass(10, { page });
  assert.equal(await page.getByRole("button", { name: TITLE, exact: true }).count(), 0);
}

/** How it looks: as the first of the ways, and when it does not sign. */
export async function looks_with_an_extension({ harness, facts }) {
  const page = await pageWith(harness, facts, { kind: "early", manner: "declines" });
  await button(page).waitFor();
  await harness.gallery(page, "extension");
  await harness.axe(page);
  await button(page).click();
  await page.getByRole("alert").filter({ hasText: "did not sign" }).waitFor();
  await harness.gallery(page, "declined");
  await harness.axe(page);
}

/** It says no, says nothing, or says something else: the person is told, and may try again. */
export async function an_extension_that_does_not_sign({ harness, facts }) {
  const { alice } = facts.people;
  for (const kind of ["shipped", "early", "messages"]) {
    const declines = await pageWith(harness, facts, { kind, manner: "declines" });
    await sign(declines, { kind }, alice);
    await declines.getByRole("alert").filter({ hasText: "It says: <b>not now</b>" }).waitFor();
    assert(await button(declines).isEnabled());

    const nonsense = await pageWith(harness, facts, { kind, manner: "nonsense" });
    await sign(nonsense, { kind }, alice);
    await nonsense.getByRole("alert").filter({ hasText: "is not a signature" }).waitFor();
  }
  const silent = await (await harness.context()).newPage();
  await harness.holdClock(silent);
  await silent.addInitScript(install, { kind: "early", manner: "silent", fingerprint: alice.fingerprint });
  await silent.goto(harness.url(LOGIN));
  await sign(silent, { kind: "early" }, alice);
  await silent.getByText("Waiting for the extension").waitFor();
  await silent.waitForFunction(() => window.testAsked);
  await harness.pass(61, { page: silent });
  await silent.getByRole("alert").filter({ hasText: "did not answer in time" }).waitFor();
  assert(!harness.requests.some(({ url }) => url.endsWith("/verify")));
}

/** It signs for another site: where it says so nothing is sent, and where it does not the server refuses. */
export async function attack_extension_that_signs_for_another_site({ harness, facts }) {
  const { alice } = facts.people;
  harness.expectStatus("/auth/capauth/verify", 401);
  const shipped = await pageWith(harness, facts, { kind: "shipped", manner: "lies" });
  await sign(shipped, { kind: "shipped" }, alice);
  await shipped.getByRole("alert").filter({ hasText: "signed for another site" }).waitFor();
  assert(!harness.requests.some(({ url }) => url.endsWith("/verify")));

  for (const kind of ["early", "messages"]) {
    const page = await pageWith(harness, facts, { kind, manner: "lies" });
    await sign(page, { kind }, alice);
    await page.getByRole("alert").filter({ hasText: "another key signed" }).waitFor();
    assert.equal((await harness.me(page)).status, 401);
  }
}

/** It signs with another key than the one that was asked for. */
export async function an_extension_with_another_key({ harness, facts }) {
  const { alice, bob } = facts.people;
  harness.expectStatus("/auth/capauth/verify", 401);
  const early = await pageWith(harness, facts, { kind: "early", manner: "other" });
  await sign(early, { kind: "early" }, alice);
  await early.getByRole("alert").filter({ hasText: "another key signed" }).waitFor();
  assert.equal((await harness.me(early)).status, 401);

  const shipped = await pageWith(harness, facts, { kind: "shipped", manner: "other" });
  await sign(shipped, { kind: "shipped" }, alice);
  await shipped.getByRole("alert").filter({ hasText: "signed with another key" }).waitFor();
  await button(shipped).click();
  await shipped.getByLabel("Your public key").fill(bob.publicKey);
  await shipped.getByRole("button", { name: "Try again" }).click();
  await harness.signedIn(shipped, bob);
}
