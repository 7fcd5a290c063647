// Who gets to see the administrators' page, and what others can do with it.

import assert from "node:assert/strict";

import { ADMIN, administrator, call, done, entryOf, section, signIn } from "../administration.mjs";
import { gpg } from "../gpg.mjs";

const LOGIN = "/auth/capauth/login";

export async function who_may_not_administer_reads_why({ harness, base, facts }) {
  const { alice, ada } = facts.people;
  const stranger = await harness.page(ADMIN);
  assert.equal(new URL(stranger.url()).pathname, LOGIN);
  assert.equal(new URL(stranger.url()).searchParams.get("redirect"), ADMIN);

  await signIn(stranger.context(), base, alice);
  harness.expectStatus(ADMIN, 403);
  const refused = await stranger.goto(base + ADMIN);
  assert.equal(refused.status(), 403);
  await stranger.getByRole("heading", { name: "Your key does not administer here" }).waitFor();
  await harness.axe(stranger);
  await stranger.getByRole("link", { name: "Sign in again" }).click();
  await stranger.waitForURL(`${base}${LOGIN}?redirect=${ADMIN}`);
  await stranger.goBack();
  await stranger.getByRole("button", { name: "Sign out" }).click();
  await stranger.getByText("signed out").first().waitFor();
  assert.equal((await harness.me(stranger)).status, 401);

  await signIn(stranger.context(), base, ada);
  await stranger.goto(base + ADMIN);
  await stranger.getByRole("heading", { name: "Overview" }).waitFor();
  await stranger.getByRole("button", { name: "Sign out" }).click();
  await stranger.getByText("signed out").first().waitFor();
  assert.equal((await harness.me(stranger)).status, 401);
}

export async function a_login_that_grew_old_loses_nothing_that_was_typed({ harness, base, facts }) {
  const { alice, ada } = facts.people;
  await done(facts, "POST", "keys/enroll", { public_key: alice.publicKey });
  const page = await administrator(harness, facts, `#/keys/${alice.fingerprint}`);
  const groups = section(page, "Groups");
  await groups.getByLabel("Add groups").fill("staff");
  await groups.getByRole("button", { name: "Add" }).click();
  await groups.getByLabel("Add groups").fill("half-typed");
  await section(page, "User name").getByLabel("User name").fill("alice");
  await harness.pass(16 * 60, { server: true });

  harness.expectStatus(/.*\/name/, 403);
  harness.expectStatus("/capauth/v1/keys", 403);
  await section(page, "User name").getByRole("button", { name: "Give this name" }).click();
  const again = page.getByRole("link", { name: "Sign in again" });
  await again.waitFor();
  assert.equal(await again.evaluate((link) => link === document.activeElement), true);
  await again.click();
  await page.waitForURL(`${base}${LOGIN}?**`);
  const back = new URL(page.url()).searchParams.get("redirect");
  assert.equal(back, `${ADMIN}#/keys/${alice.fingerprint}`);
  // A page that is asked for anew says so too.
  harness.expectStatus(ADMIN, 403);
  await page.goto(base + ADMIN);
  await page.getByRole("heading", { name: "Sign in again to administer" }).waitFor();

  assert.equal((await signIn(page.context(), base, later(ada, TOO_OLD))).status, 200);
  await page.goto(base + ADMIN);
  await page.waitForURL(base + back);
  await page.getByRole("status").filter({ hasText: "What you typed before is here again." }).waitFor();
  await groups.getByRole("button", { name: "Remove staff" }).waitFor();
  assert.equal(await groups.getByLabel("Add groups").inputValue(), "half-typed");
  assert.equal(await section(page, "User name").getByLabel("User name").inputValue(), "alice");
  assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0, "nothing is kept");
  assert.equal((await entryOf(facts, alice.fingerprint)).user_name, undefined, "nothing was done by itself");
  await section(page, "User name").getByRole("button", { name: "Give this name" }).click();
  await page.getByRole("status").filter({ hasText: "The user name is alice." }).waitFor();
}

/** gpg lives in the server's time: somebody who signs in after these seconds. */
function later(person, seconds) {
  const time = String(Math.floor(Date.now() / 1000) + seconds);
  const sign = (text) =>
    gpg(["--faked-system-time", time, "--armor", "--local-user", person.fingerprint, "--detach-sign"], text);
  return { ...person, sign };
}

/** How long it takes until a login is too old to administer, in seconds. */
const TOO_OLD = 16 * 60;

/**
 * Ada takes "ops" away from Alice, adds "staff", gives a name and saves nothing: her login is too old, and she goes to sign
 * in again. Answers her page, at the login page.
 */
async function leftWithADraft(harness, facts, options) {
  const { alice } = facts.people;
  await done(facts, "POST", "keys/enroll", { public_key: alice.publicKey });
  await done(facts, "PUT", `keys/${alice.fingerprint}/groups`, { groups: ["ops", "root"] });
  const page = await administrator(harness, facts, null, options);
  await harness.holdClock(page);
  await page.goto(harness.url(`${ADMIN}#/keys/${alice.fingerprint}`));
  const groups = section(page, "Groups");
  await groups.getByRole("button", { name: "Remove ops" }).click();
  await groups.getByLabel("Add groups").fill("staff");
  await groups.getByRole("button", { name: "Add" }).click();
  await groups.getByLabel("Add groups").fill("half-typed");
  await section(page, "User name").getByLabel("User name").fill("alice");
  await harness.pass(TOO_OLD, { server: true });
  harness.expectStatus(/.*\/name/, 403);
  harness.expectStatus("/capauth/v1/keys", 403);
  await section(page, "User name").getByRole("button", { name: "Give this name" }).click();
  await page.getByRole("link", { name: "Sign in again" }).click();
  await page.waitForURL(`${harness.base}${LOGIN}?**`);
  return page;
}

/** What is in this tab's storage. */
const stored = (page) => page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }));

/** What Ada typed is a change of groups which another administrator changed meanwhile: theirs stands, and she hears of it. */
export async function a_draft_does_not_grant_again_what_somebody_took_away({ harness, base, facts }) {
  const { alice, ada } = facts.people;
  const page = await leftWithADraft(harness, facts);
  await done(facts, "PUT", `keys/${alice.fingerprint}/groups`, { groups: ["ops"] });
  assert.equal((await signIn(page.context(), base, later(ada, TOO_OLD))).status, 200);
  await page.goto(base + ADMIN);
  const news = page.getByRole("status");
  await news.filter({ hasText: "Somebody changed something here meanwhile." }).waitFor();
  await news.filter({ hasText: "What you typed before is here again." }).waitFor();
  await harness.axe(page);
  await harness.gallery(page, "overtaken");
  // Nobody touched the name.
  assert.equal(await section(page, "User name").getByLabel("User name").inputValue(), "alice");
  const groups = section(page, "Groups");
  await groups.getByRole("button", { name: "Remove ops" }).waitFor();
  for (const name of ["root", "staff"]) {
    assert.equal(await groups.getByRole("button", { name: `Remove ${name}` }).count(), 0, name);
  }
  assert.equal(await groups.getByLabel("Add groups").inputValue(), "");
  assert.equal(await stored(page), "{}");
  await groups.getByRole("button", { name: "Save groups" }).click();
  await news.filter({ hasText: "Saved. Groups: ops." }).waitFor();
  assert.deepEqual((await entryOf(facts, alice.fingerprint)).groups, ["ops"]);
}

/** Whoever comes back much later begins anew. */
export async function a_draft_is_kept_for_some_minutes({ harness, base, facts }) {
  const { ada } = facts.people;
  const page = await leftWithADraft(harness, facts);
  const draft = await page.evaluate(() => sessionStorage.getItem("capauth.admin.typed"));
  await harness.pass(14 * 60, { page });
  assert.equal((await signIn(page.context(), base, later(ada, TOO_OLD))).status, 200);
  await page.goto(base + ADMIN);
  await page.getByRole("status").filter({ hasText: "What you typed before is here again." }).waitFor();
  await section(page, "Groups").getByRole("button", { name: "Remove staff" }).waitFor();

  await page.evaluate((text) => sessionStorage.setItem("capauth.admin.typed", text), draft);
  await harness.pass(60, { page });
  await page.reload();
  await section(page, "Groups").getByRole("button", { name: "Remove ops" }).waitFor();
  assert.equal(await section(page, "User name").getByLabel("User name").inputValue(), "");
  assert.equal(await page.getByText("What you typed before").count(), 0);
  assert.equal(await stored(page), "{}");
}

/** Ada leaves; in her tab another administrator signs in, who would save what she typed under their own name. */
export async function attack_draft_of_another_administrator({ harness, base, facts }) {
  const { alice, bob } = facts.people;
  const page = await leftWithADraft(harness, facts);
  await done(facts, "POST", "keys/enroll", { public_key: bob.publicKey });
  assert.equal((await signIn(page.context(), base, later(bob, TOO_OLD))).status, 200);
  await page.goto(base + ADMIN);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  assert.equal(await stored(page), "{}", "nor is he led to where she was");
  await page.goto(`${base}${ADMIN}#/keys/${alice.fingerprint}`);
  await section(page, "Groups").getByRole("button", { name: "Remove ops" }).waitFor();
  assert.equal(await section(page, "Groups").getByRole("button", { name: "Remove staff" }).count(), 0);
  assert.equal(await section(page, "User name").getByLabel("User name").inputValue(), "");
  assert.equal(await page.getByText("What you typed before").count(), 0);

  // Nor does anything of it stay when he signs out, whatever waits there.
  await page.evaluate((key) => {
    const kept = { key, since: Date.now(), hash: "#/enrol", typed: {} };
    sessionStorage.setItem("capauth.admin.typed", JSON.stringify(kept));
  }, bob.fingerprint);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("signed out").first().waitFor();
  assert.equal(await stored(page), "{}");
}

/** Somebody got markup into the store: names, groups, lines of the log. */
export async function attack_markup_in_stored_names({ harness, facts }) {
  const page = await administrator(harness, facts, "#/keys");
  const names = ["<img src=x onerror=alert(1)>", "<script>alert(2)</script>", "\"><svg/onload=alert(3)>"];
  const shown = async (texts) => {
    for (const text of texts) await page.getByText(text, { exact: true }).first().waitFor();
    const made = await page.locator("main").locator("img, script, svg, iframe, b").count();
    assert.equal(made, 0, "text became elements");
  };
  await shown(names);
  await page.getByRole("link", { name: "0000 0000" }).or(page.locator("a.key").first()).first().click();
  await shown(names);
  await page.goto(harness.url(`${ADMIN}#/audit`));
  await shown(["<iframe srcdoc=x></iframe>", "<b>192.0.2.0</b>"]);
  // What stands in the address is text as well.
  await page.goto(harness.url(`${ADMIN}#/keys?by=name&search=${encodeURIComponent(names[0])}`));
  await page.getByText(names[0], { exact: true }).first().waitFor();
  await page.goto(harness.url(`${ADMIN}#/keys/${encodeURIComponent(names[1])}`));
  await page.getByText("There is no such key here.").waitFor();
  await shown([]);
  await page.goto(harness.url(`${ADMIN}#/__proto__/constructor`));
  await page.getByRole("heading", { name: "Nothing here" }).waitFor();
}

/** Another site shows the page in a frame of its own, to have an administrator press its buttons. */
export async function attack_administration_in_a_frame({ harness, base, facts }) {
  const page = await administrator(harness, facts);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const frame = { "/": `<title>A game</title><iframe src="${base}${ADMIN}"></iframe>` };
  harness.expect(/frame/i);
  harness.expect(/^CSP violation: frame-ancestors/, { optional: true });
  harness.expect(/^console error: .*chrome-error/, { optional: true });
  // localhost is the same site, whose frames the browser sends the cookie to; the other is not.
  for (const host of ["localhost", "evil.test"]) {
    const site = await harness.site(frame, { host });
    const answered = page.waitForResponse((answer) => answer.url().includes(ADMIN));
    await page.goto(`${site.origin}/`);
    const { status } = { status: (await answered).status() };
    assert.equal(status, host === "localhost" ? 200 : 303);
    const framed = page.frames().find((it) => it.parentFrame());
    await framed.waitForLoadState().catch(() => {});
    assert.equal(await framed.locator("nav").count().catch(() => 0), 0);
    assert(!framed.url().startsWith(base), framed.url());
  }
}

/** Another site has an administrator's browser ask for something. */
export async function attack_request_from_another_site({ harness, base, facts }) {
  const { alice } = facts.people;
  await done(facts, "POST", "keys/enroll", { public_key: alice.publicKey });
  const page = await administrator(harness, facts);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const { fingerprint } = alice;
  const body = JSON.stringify({ fingerprint });
  const form = `<form method=post enctype=text/plain action="${base}/capauth/v1/keys/erase">
    <input name='{"fingerprint":"${fingerprint}","x":"' value='"}'><button>Win a prize</button></form>`;
  harness.expect(/CORS policy|Failed to load resource/);
  for (const host of ["localhost", "evil.test"]) {
    const site = await harness.site({ "/": form }, { host });
    await page.goto(`${site.origin}/`);
    await page.evaluate(async ([base, body, fingerprint]) => {
      const tries = [
        ["POST", "keys/erase", "text/plain", "no-cors"], ["POST", "keys/revoke", "application/json", "cors"],
        ["POST", "keys/revoke", "text/plain", "no-cors"], ["DELETE", `keys/${fingerprint}/sessions`, "text/plain", "cors"],
      ];
      for (const [method, path, type, mode] of tries) {
        const wish = { method, mode, credentials: "include", headers: { "content-type": type }, body };
        await fetch(`${base}/capauth/v1/${path}`, wish).catch(() => {});
      }
    }, [base, body, fingerprint]);
    await page.getByRole("button").click();
    await page.waitForURL(`${base}/**`);
    const entry = await entryOf(facts, fingerprint);
    assert.deepEqual([entry.approved, entry.revoked_at], [true, null], host);
  }
  const log = (await call(facts, "GET", "audit?newest_first=true&limit=1")).body.entries;
  assert.equal(log[0].what, "enrolled", "nothing was done");
  // The page itself may.
  await page.goto(`${base}${ADMIN}#/keys/${fingerprint}`);
  await page.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("status").filter({ hasText: "Revoked." }).waitFor();
}
