// Lists of the administrators' page: keys by the thousand, the log, the overview.

import assert from "node:assert/strict";

import { ADMIN, administrator, done, section, signIn } from "../administration.mjs";

const rows = (page) => page.locator("tbody tr");
const first = (page) => rows(page).first().getByRole("link").getAttribute("href");
const count = (page, words) => page.getByRole("main").getByRole("status").filter({ hasText: words }).waitFor();

/** Requests for keys since the last call. */
function counter(harness) {
  let seen = harness.requests.length;
  return () => {
    const fresh = harness.requests.slice(seen).filter((it) => it.url.includes("/v1/keys"));
    seen = harness.requests.length;
    return fresh.map((it) => new URL(it.url).search);
  };
}

export async function thousands_of_keys_are_paged_and_searched({ harness, facts }) {
  const page = await administrator(harness, facts, null);
  const budget = await harness.budget(page);
  await page.goto(harness.url(ADMIN));
  await page.getByText("5,001").waitFor();
  await budget.within({ bytes: 64 * 1024, requests: 30 });
  const asked = counter(harness);
  await page.getByRole("navigation", { name: "Parts of this page" }).getByRole("link", { name: "Keys" }).click();
  await count(page, "50 keys on this page");
  assert.deepEqual(asked(), ["?limit=51"], "a page, and one more to know whether there is another");
  assert.equal(await rows(page).count(), 50);
  const [next, previous] = ["Next", "Previous"].map((name) => page.getByRole("button", { name }));
  const firsts = [await first(page)];
  for (let turn = 1; turn <= 3; turn += 1) {
    await next.click();
    await page.waitForFunction((before) => document.querySelector("tbody a").hash !== before, firsts.at(-1));
    firsts.push(await first(page));
    assert.equal(await rows(page).count(), 50);
    assert.equal(asked().length, 1);
  }
  assert.deepEqual(firsts, firsts.toSorted(), "by fingerprint");
  const shows = (place) =>
    page.waitForFunction((hash) => document.querySelector("tbody a")?.hash === hash, firsts[place]);
  await previous.click();
  await shows(2);
  await page.goBack();
  await shows(3);
  await rows(page).first().getByRole("link").click();
  await page.getByText("It is the only key of its identity.").waitFor();
  await page.goBack();
  await shows(3);
  await page.reload();
  await shows(3);
  await previous.click();
  await shows(2);

  await page.getByLabel("Waiting", { exact: true }).check();
  await count(page, "50 keys on this page");
  await page.waitForFunction(() => document.querySelectorAll(".mark.warn").length === 50);
  await next.click();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 10);
  assert.equal(await next.getAttribute("aria-disabled"), "true");
  await page.getByLabel("All", { exact: true }).check();
  await count(page, "50 keys on this page");

  asked();
  const whole = firsts[2].split("/").at(-1);
  const search = page.getByRole("searchbox");
  await search.pressSequentially(`0x${whole.slice(0, 4)} ${whole.slice(4, 9)}`.toLowerCase());
  await page.waitForFunction((hash) => document.querySelectorAll("tbody tr").length === 1
    && document.querySelector("tbody a").hash === hash, firsts[2]);
  assert(asked().length <= 4, "who types is waited for");
  await search.fill("xyz");
  await page.getByRole("alert").filter({ hasText: "A fingerprint has the digits" }).waitFor();
  await page.getByLabel("Search by").selectOption({ label: "User name" });
  await count(page, "No key fits.");
  await search.fill("name4711");
  await count(page, "One key.");
  await rows(page).getByText("name4711").waitFor();
}

export async function a_late_answer_changes_nothing({ harness, facts }) {
  const page = await administrator(harness, facts, "#/keys");
  await count(page, "50 keys on this page");
  let release;
  const held = new Promise((go) => { release = go; });
  let came;
  const asked = new Promise((yes) => { came = yes; });
  await page.route("**/v1/keys?prefix=A&**", async (route) => {
    came();
    await held;
    await route.continue().catch(() => {}); // the page gave it up
  });
  const search = page.getByRole("searchbox");
  await search.fill("A");
  await asked;
  await search.fill("FFFFFF");
  await count(page, "No key fits.");
  release();
  await page.unrouteAll({ behavior: "wait" });
  await count(page, "No key fits.");
  assert.equal(await rows(page).count(), 0);
  await search.fill("A");
  await count(page, "50 keys on this page");
}

export async function the_log_is_read_from_its_end({ harness, facts }) {
  const { alice } = facts.people;
  await done(facts, "POST", "keys/enroll", { public_key: alice.publicKey });
  await done(facts, "PUT", `keys/${alice.fingerprint}/groups`, { groups: ["staff"] });
  const page = await administrator(harness, facts, "#/audit");
  const newest = rows(page).filter({ hasText: "Changed the groups" });
  await newest.getByText("The administrator’s token").waitFor();
  assert.equal(await newest.getByRole("link").getAttribute("href"), `#/keys/${alice.fingerprint}`);
  assert.equal(await rows(page).count(), 50);
  const older = page.getByRole("link", { name: "Older" });
  const times = () => rows(page).locator("time").evaluateAll((all) => all.map((it) => it.dateTime));
  const all = await times();
  for (let turn = 0; turn < 2; turn += 1) {
    await older.click();
    await page.waitForFunction((last) => document.querySelector("tbody time")?.dateTime < last, all.at(-1));
    all.push(...await times());
  }
  assert.equal(all.length, 150);
  assert.deepEqual(all, all.toSorted().toReversed(), "the newest first");
  const logs = harness.requests.filter((it) => it.url.includes("/v1/audit"));
  assert.equal(logs.length, 3);
  await page.getByRole("link", { name: "Newest" }).click();
  await newest.waitFor();
  await done(facts, "POST", "keys/erase", { fingerprint: alice.fingerprint });
  await page.reload();
  await rows(page).filter({ hasText: "Erased" }).first().getByText("An erased identity").waitFor();
  assert.equal(await page.locator(`[href="#/keys/${alice.fingerprint}"]`).count(), 0);
}

export async function an_overview_says_what_waits_and_what_is_open({ harness, base, facts }) {
  const { alice, bob, ada } = facts.people;
  for (const person of [alice, bob]) await signIn(await harness.context(), base, person);
  const page = await administrator(harness, facts);
  const waiting = section(page, "Waiting for you");
  await waiting.getByText("2 keys wait for approval.").waitFor();
  assert.equal(await waiting.getByRole("listitem").count(), 2);
  const service = section(page, "This service");
  await service.getByText("Wait for approval").waitFor();
  assert.equal(await service.locator("dd").first().textContent(), "3");
  await section(page, "What the configuration leaves open").getByText("Rate limits are OFF").waitFor();
  const own = section(page, "You").getByRole("link").first();
  assert.equal(await own.getAttribute("href"), `#/keys/${ada.fingerprint}`);
  await own.click();
  await page.getByText("This is the key that you are signed in with.").waitFor();
  await page.goBack();
  await waiting.getByRole("link", { name: "See all that wait" }).click();
  await count(page, "2 keys.");
  await page.goto(`${base}/capauth/admin#/nowhere`);
  await page.getByRole("heading", { name: "Nothing here" }).waitFor();
}
