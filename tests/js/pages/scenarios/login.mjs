// What the login page does, whichever way is chosen.

import assert from "node:assert/strict";

import { execute, gpg, run } from "../gpg.mjs";
import { copyCommand, LOGIN, openWay, paste, say_who, signInByGpg } from "../login_page.mjs";

const alertOf = (page, words) => page.getByRole("alert").filter({ hasText: words });
const sent = (harness, end) => harness.requests.filter(({ url }) => url.endsWith(end));

/** Everything is small, and nothing is loaded that is not needed. */
export async function first_load_is_small({ harness }) {
  const page = await harness.page(LOGIN);
  await page.getByRole("button", { name: "gpg on this computer" }).waitFor();
  await page.waitForLoadState("networkidle");
  // As the bodies passed the relay, compressed: the page's own session does not see what a worker loads.
  const loads = harness.requests.map(({ url, answered }) => `${answered} ${url}`);
  const bytes = harness.requests.reduce((sum, { answered }) => sum + answered, 0);
  assert(bytes <= 60 * 1024 && loads.length <= 34, `${loads.length} requests, ${bytes} bytes:\n${loads.join("\n")}`);
  assert(!loads.some((load) => load.includes("openpgp")), "OpenPGP.js is loaded before it is used");
}

/** A fingerprint is remembered once it signed in, shown short or whole, changed, and forgotten. */
export async function a_fingerprint_is_remembered_and_forgotten({ harness, facts }) {
  const { alice, bob } = facts.people;
  const page = await harness.page(LOGIN);
  const stored = () => page.evaluate(() => JSON.stringify(localStorage));
  await say_who(page, bob);
  await page.reload();
  assert(!(await stored()).includes(bob.fingerprint), "remembered before it signed in");
  await signInByGpg(harness, page, alice);
  await harness.signedIn(page, alice);

  await page.goto(harness.url(LOGIN));
  await page.getByText("CAPAUTH_NONCE_V2").waitFor();
  const grouped = alice.fingerprint.match(/.{4}/g).join(" ");
  const person = page.locator(".person");
  await person.getByText(`${grouped.slice(0, 9)} … ${grouped.slice(-9)}`).waitFor();
  await page.getByRole("button", { name: "Show all" }).click();
  await person.getByText(grouped).waitFor();

  await page.getByRole("button", { name: "Forget it" }).click();
  await page.getByText("Forgotten.").waitFor();
  await page.getByLabel("Your key’s fingerprint").waitFor();
  assert(!(await stored()).includes(alice.fingerprint));

  // Whoever does not want to be remembered is not.
  await page.getByLabel("Remember my fingerprint").uncheck();
  await signInByGpg(harness, page, alice, { isNew: false });
  await harness.signedIn(page, alice);
  await page.goto(harness.url(LOGIN));
  await openWay(page, "gpg on this computer");
  await page.getByLabel("Your key’s fingerprint").waitFor();
  assert(!(await stored()).includes(alice.fingerprint));
  assert.equal(await page.getByLabel("Remember my fingerprint").isChecked(), false);
}

/** Shares a name in a login by gpg, in a browser that knows nobody. */
async function sharesName(harness, page, person, name, { remember }) {
  await page.goto(harness.url(LOGIN));
  await say_who(page, person);
  await page.getByLabel("Remember my fingerprint").setChecked(remember);
  await page.getByText(/receives only your fingerprint/).click();
  await page.getByRole("switch", { name: "Name" }).click();
  await page.getByLabel("Name: what to share").fill(name);
  await paste(page, await run("bash", await copyCommand(harness, page, { isNew: true })));
  await harness.signedIn(page, person);
  assert.equal((await harness.me(page)).body.name, name);
  await page.context().clearCookies();
}

/** Whoever has this browser after somebody else neither sees what they shared nor shares it. */
export async function attack_claims_of_the_person_before({ harness, facts }) {
  const { alice, bob } = facts.people;
  const page = await harness.page();
  const stored = () => page.evaluate(() => JSON.stringify(localStorage));
  const nothingShows = async () => {
    await page.getByText(/receives only your fingerprint/).waitFor();
    assert.deepEqual(await page.locator(".claim input[role=switch]").evaluateAll((all) => all.filter((it) => it.checked)), []);
    const values = await page.locator(".claim-value input").evaluateAll((all) => all.map((it) => it.value));
    assert(!values.includes("Alice"), "the name of the person before");
  };

  // Not to be remembered: nothing stays.
  await sharesName(harness, page, alice, "Alice", { remember: false });
  await page.goto(harness.url(LOGIN));
  await nothingShows();
  assert(!(await stored()).includes("Alice") && !(await stored()).includes(alice.fingerprint), await stored());
  await signInByGpg(harness, page, bob);
  await harness.signedIn(page, bob);
  assert.equal((await harness.me(page)).body.name, undefined);
  await page.context().clearCookies();

  // Remembered: it is theirs, and goes to no other key. Who comes back to their own finds it again.
  await sharesName(harness, page, alice, "Alice", { remember: true });
  await page.goto(harness.url(LOGIN));
  await page.getByText(/receives your fingerprint and name/).waitFor();
  await page.locator(".person").getByRole("button", { name: "Change" }).click();
  await nothingShows();
  await signInByGpg(harness, page, bob, { isNew: false });
  await harness.signedIn(page, bob);
  assert.equal((await harness.me(page)).body.name, undefined);
  await page.context().clearCookies();
  await page.goto(harness.url(LOGIN));
  await page.locator(".person").getByRole("button", { name: "Change" }).click();
  await say_who(page, alice);
  await page.getByText(/receives your fingerprint and name/).waitFor();

  // Forgotten: here, and in what is kept.
  await page.getByRole("button", { name: "Forget it" }).click();
  await nothingShows();
  assert(!(await stored()).includes("Alice") && !(await stored()).includes(alice.fingerprint), await stored());
  await say_who(page, alice);
  await nothingShows();
}

/** Whoever is remembered finds again what they share, and what they switched off. */
export async function what_one_shares_is_remembered({ harness, facts }) {
  const { alice } = facts.people;
  const page = await harness.page();
  await sharesName(harness, page, alice, "Alice", { remember: true });
  await page.goto(harness.url(LOGIN));
  await page.getByText(/receives your fingerprint and name/).click();
  assert.equal(await page.getByLabel("Name: what to share").inputValue(), "Alice");
  await paste(page, await run("bash", await copyCommand(harness, page)));
  await harness.signedIn(page, alice);
  assert.equal((await harness.me(page)).body.name, "Alice");
  await page.goto(harness.url(LOGIN));
  await page.getByText(/receives your fingerprint and name/).click();
  await page.getByRole("button", { name: "Share nothing but my fingerprint" }).click();
  await page.reload();
  await page.getByText(/receives only your fingerprint/).waitFor();
}

/** What is no fingerprint is said to be none; every spelling of one is read. */
export async function fingerprints_as_people_write_them({ harness, facts }) {
  const { fingerprint } = facts.people.alice;
  const page = await harness.page(LOGIN);
  await openWay(page, "gpg on this computer");
  const field = page.getByLabel("Your key’s fingerprint");
  for (const [typed, words] of [["", "Say first whose key"], ["ABCD", "A fingerprint has 40 or 64 digits"],
    [`${fingerprint}0`, "A fingerprint has 40 or 64 digits"], [`${fingerprint.slice(1)}G`, "A fingerprint has 40"]]) {
    await field.fill(typed);
    await page.getByRole("button", { name: "Continue" }).click();
    await alertOf(page, words).waitFor();
    assert.equal(await field.inputValue(), typed);
  }
  const printed = await gpg(["--fingerprint", fingerprint]);
  for (const typed of [` 0x${fingerprint.toLowerCase()} `, fingerprint.match(/.{2}/g).join(":"), printed]) {
    await field.fill(typed.replaceAll("\n", " "));
    if (typed === printed) {
      await page.evaluate((it) => navigator.clipboard.writeText(it), typed);
      await field.focus();
      await page.keyboard.press("ControlOrMeta+A");
      await page.keyboard.press("ControlOrMeta+V");
    } else {
      await page.getByRole("button", { name: "Continue" }).click();
    }
    await page.locator("pre").getByText(`--local-user ${fingerprint}`).waitFor();
    await page.locator(".person").getByRole("button", { name: "Change" }).click();
  }
}

/** A key that is expired by the time that it signs: extended, sent along, and the same signature is good. */
export async function an_expired_key_is_extended({ harness, facts }) {
  harness.expectStatus("/auth/capauth/verify", 401);
  const user = "Carol <carol@example.org>";
  await gpg(["--batch", "--passphrase", "", "--quick-generate-key", user, "ed25519", "default", "seconds=200"]);
  const [, fingerprint] = /fpr:+([0-9A-F]+):/.exec(await gpg(["--with-colons", "-K", user]));
  const carol = { ...facts.people.alice, fingerprint };
  await harness.pass(240, { server: true });
  const page = await harness.page(LOGIN);
  await signInByGpg(harness, page, carol);
  await alertOf(page, "Your key has expired").waitFor();
  await harness.axe(page);
  const extend = page.locator(".trouble-box .command code").filter({ hasText: "--quick-set-expire" });
  await execute("bash", ["-c", await extend.textContent()]);
  await page.getByLabel("Your public key").fill(await gpg(["--armor", "--export", fingerprint]));
  await page.getByRole("button", { name: "Try again" }).click();
  await harness.signedIn(page, carol);
}

/** Where new keys need a code: the page asks for one, and what was typed stays. */
export async function a_one_time_code_lets_a_key_in({ harness, facts }) {
  const { alice } = facts.people;
  harness.expectStatus("/auth/capauth/verify", 403);
  const page = await harness.page(LOGIN);
  await page.getByText("takes new keys only with a one-time code").waitFor();
  await signInByGpg(harness, page, alice);
  await alertOf(page, "New keys need a one-time code").waitFor();
  const code = page.getByLabel("One-time code");
  await code.fill("not-a-good-one");
  await page.getByRole("button", { name: "Try again" }).click();
  await alertOf(page, "New keys need a one-time code").waitFor();
  assert.equal(await code.inputValue(), "not-a-good-one");
  const { url, adminToken } = facts.service;
  const made = await fetch(`${url}/capauth/v1/enrollment-codes`, {
    method: "POST",
    headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
    body: "{}",
  });
  await code.fill((await made.json()).enrollment_code);
  await page.getByRole("button", { name: "Try again" }).click();
  // The signature was used up with the code that was not good: another one is asked for, and the code waits.
  await page.getByRole("status").filter({ hasText: "Sign once more" }).waitFor();
  await paste(page, await run("bash", await copyCommand(harness, page, { isNew: true })));
  await harness.signedIn(page, alice);
}

/** Too often: the seconds are counted down, nothing can be sent meanwhile, and nothing is lost. */
export async function a_wait_that_ends({ harness, facts }) {
  const { alice } = facts.people;
  harness.expectStatus("/auth/capauth/verify", 429);
  const page = await harness.page();
  await harness.holdClock(page);
  await page.goto(harness.url(LOGIN));
  const refusal = { error: "too_many_requests", error_description: "…", ok: false };
  await page.route("**/verify", (route) =>
    route.fulfill({ status: 429, headers: { "retry-after": "7" }, json: refusal }), { times: 1 });
  await signInByGpg(harness, page, alice);
  await alertOf(page, "Too many tries in a short time").waitFor();
  await page.getByRole("timer").filter({ hasText: "You can go on in 7 s." }).waitFor();
  const send = page.getByRole("button", { name: "Sign in", exact: true });
  assert.equal(await send.isDisabled(), true);
  await harness.pass(4, { page });
  await page.getByText(/You can go on in [23] s\./).waitFor();
  await harness.screenshot(page, "wait");
  // axe takes the command, which can be scrolled by keys, for disabled with the buttons around it.
  await harness.axe(page, { disable: ["scrollable-region-focusable"] });
  await harness.pass(4, { page });
  await page.waitForFunction(() => !document.querySelector("fieldset.ways").disabled);
  await send.click();
  await harness.signedIn(page, alice);
}

/** No answer at all, and a fault of the server's: what was typed is sent once more. */
export async function a_server_that_fails_for_a_while({ harness, facts }) {
  const { alice } = facts.people;
  harness.expectStatus("/auth/capauth/verify", 500);
  harness.expect(/ERR_(FAILED|CONNECTION)|status of 502/);
  const page = await harness.page(LOGIN);
  let times = 0;
  await page.route("**/verify", (route) => {
    times += 1;
    if (times === 1) return route.abort();
    if (times === 2) return route.fulfill({ status: 500, json: { error: "server_error", error_description: "x" } });
    return route.continue();
  });
  await signInByGpg(harness, page, alice);
  await alertOf(page, "cannot be reached").waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await alertOf(page, "Something is wrong on the server").waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await harness.signedIn(page, alice);
}

/** Going from way to way loses nothing. */
export async function nothing_that_was_typed_is_lost({ harness, facts }) {
  const { alice } = facts.people;
  const page = await harness.page(LOGIN);
  await say_who(page, alice);
  await page.getByLabel("The signature").fill("half a signature");
  await page.getByText(/receives only your fingerprint/).click();
  await page.getByRole("switch", { name: "E-mail" }).click();
  await page.getByLabel("E-mail address: what to share").fill("alice@");
  await page.getByText("This is not complete yet, so it is not shared.").waitFor();
  await page.getByRole("switch", { name: "E-mail" }).click();
  await page.getByRole("switch", { name: "E-mail" }).click();
  assert.equal(await page.getByLabel("E-mail address: what to share").inputValue(), "alice@");
  await page.getByText(/receives only your fingerprint/).waitFor();
  const others = page.locator(".way-title").filter({ hasNotText: "gpg on this computer" });
  await others.first().click();
  assert.equal(await page.getByLabel("The signature").isVisible(), false);
  await openWay(page, "gpg on this computer");
  assert.equal(await page.getByLabel("The signature").inputValue(), "half a signature");
  assert.match(await page.locator("pre").textContent(), new RegExp(alice.fingerprint));
}

/** Without a mouse, from the first Tab to being signed in. */
export async function by_keyboard_alone({ harness, facts }) {
  const { alice } = facts.people;
  const { keyboard } = harness;
  const page = await harness.page(LOGIN);
  const way = page.getByRole("button", { name: "gpg on this computer" });
  await way.waitFor();
  await keyboard.press(page, page.locator("summary").first(), "Enter");
  await keyboard.press(page, page.getByRole("switch", { name: "Name" }), "Space");
  await page.keyboard.insertText("Alice");
  await keyboard.tabTo(page, way);
  if ((await way.getAttribute("aria-expanded")) === "false") await page.keyboard.press("Enter");
  await keyboard.type(page, page.getByLabel("Your key’s fingerprint"), alice.fingerprint);
  await page.keyboard.press("Enter");
  await page.getByText("CAPAUTH_NONCE_V2").waitFor();
  await keyboard.press(page, page.getByLabel("I am new here"), "Space");
  await keyboard.tabTo(page, page.getByRole("button", { name: "Copy the command" }), { back: true });
  await page.keyboard.press("Enter");
  await page.getByText(/^Paste the signature within/).waitFor();
  const printed = await run("bash", await harness.clipboard(page));
  await keyboard.type(page, page.getByLabel("The signature"), printed);
  await harness.signedIn(page, alice);
  assert.equal((await harness.me(page)).body.name, "Alice");
}

/** Pictures of every state, none wider than its screen, and what axe says of it. */
export async function looks({ harness, facts }) {
  const { alice } = facts.people;
  harness.expectStatus("/auth/capauth/verify", 401);
  const page = await harness.page();
  await harness.holdClock(page);
  await page.goto(harness.url(LOGIN));
  const state = async (name) => {
    await harness.gallery(page, name);
    await harness.axe(page);
  };
  await openWay(page, "gpg on this computer");
  await state("first-visit");
  await page.getByRole("button", { name: "Continue" }).click();
  await alertOf(page, "Say first whose key").waitFor();
  await state("no-fingerprint");
  await say_who(page, alice);
  await page.getByText(/receives only your fingerprint/).click();
  await page.getByRole("switch", { name: "Name" }).click();
  await page.getByLabel("Name: what to share").fill("Alice");
  await page.getByRole("switch", { name: "E-mail" }).click();
  await state("command-and-claims");
  await page.getByText(/receives your fingerprint/).click();
  const command = await copyCommand(harness, page);
  await paste(page, await run("bash", command));
  await alertOf(page, "not known here yet").waitFor();
  await state("unknown-key");
}

const SCRIPT = `"'><img src=x onerror=alert(1)><script>alert(1)</script>\${alert(1)}javascript:alert(1)`;

/** Whatever stands in the address or in this browser's memory is text, or nothing. */
export async function attack_script_in_every_parameter({ harness, facts }) {
  const { alice } = facts.people;
  const script = encodeURIComponent(SCRIPT);
  const page = await harness.page();
  const isWell = async () => {
    await page.getByRole("button", { name: "gpg on this computer" }).waitFor();
    assert.equal(await page.locator("script:not([src]), img[onerror]").count(), 0);
  };
  for (const address of [`?redirect=${script}`, `?redirect=/${script}`, `?redirect=javascript:alert(1)`, `?${script}=${script}`,
    `#${script}`, `?redirect=%2F%22%20data-settings=%22{}`, `?service=${script}&fingerprint=${script}&error=${script}`,
    `?redirect=/&redirect=${script}`]) {
    await page.goto(harness.url(LOGIN + address));
    await isWell();
  }
  await page.evaluate(([text, fingerprint]) => {
    const kept = { [fingerprint]: { values: { name: text, locale: { a: 1 } }, shared: { localhost: text } }, [text]: text };
    for (const name of ["fingerprint", "way", "shell", "claims", "remember"]) {
      localStorage.setItem(`capauth.${name}`, JSON.stringify(name === "claims" ? kept : text));
    }
    for (const name of ["__proto__", "constructor"]) localStorage.setItem(`capauth.${name}`, "{");
  }, [SCRIPT, alice.fingerprint]);
  await page.goto(harness.url(`${LOGIN}?redirect=${script}`));
  await isWell();
  await say_who(page, alice);
  await page.getByText(/receives only your fingerprint/).click();
  await page.getByRole("switch", { name: "Name" }).click();
  assert.equal(await page.getByLabel("Name: what to share").inputValue(), SCRIPT);
  await paste(page, await run("bash", await copyCommand(harness, page, { isNew: true })));
  await harness.signedIn(page, alice);
  assert.equal((await harness.me(page)).body.name, SCRIPT);
}

/** An answer of the server's that somebody changed on the way. */
async function changed(harness, facts, change) {
  const page = await harness.page(LOGIN);
  await page.route("**/auth/capauth/challenge", async (route) => {
    const answer = await route.fetch();
    const challenge = await answer.json();
    await route.fulfill({ response: answer, json: change(challenge) });
  });
  await openWay(page, "gpg on this computer");
  await page.getByLabel("Your key’s fingerprint").fill(facts.people.alice.fingerprint);
  await page.getByRole("button", { name: "Continue" }).click();
  return page;
}

/** Nothing of a challenge gets into a command line or into the page but what belongs there. */
export async function attack_script_and_shell_in_a_challenge({ harness, facts }) {
  const bad = ["'; touch /tmp/owned; '", "$(id)", "`id`", "a\nservice=b", "\u001b[2J", SCRIPT, "", 7, null, {}, ["x"]];
  const fields = ["nonce", "timestamp", "expires", "client_nonce_echo"];
  // Ten challenges a minute are given out for a key. So what the page judges with is asked about all of these, and the page
  // itself about some.
  const judge = await harness.page(LOGIN);
  const { service } = JSON.parse(await judge.locator("body").getAttribute("data-settings"));
  const wrong = await judge.evaluate(async ([cases, name]) => {
    const modules = [...document.querySelectorAll("link[rel=modulepreload]")].map((it) => it.href);
    const { isForThisPage } = await import(modules.find((it) => it.endsWith("/payload.js")));
    const time = "2026-01-01T00:00:00Z";
    const good = { origin: location.origin, service: name, nonce: "a-b", client_nonce_echo: "AA==", timestamp: time, expires: time };
    if (!isForThisPage(good, name)) return ["the good one"];
    return cases.filter(([field, value]) => isForThisPage({ ...good, [field]: value }, name));
  }, [fields.flatMap((field) => bad.map((value) => [field, value])), service]);
  assert.deepEqual(wrong, []);

  for (const [field, value] of [["nonce", bad[0]], ["timestamp", SCRIPT], ["expires", 7]]) {
    const page = await changed(harness, facts, (challenge) => ({ ...challenge, [field]: value }));
    await alertOf(page, "asked for a signature for another site").waitFor();
    assert.equal(await page.getByText("CAPAUTH_NONCE_V2").count(), 0);
  }
}

/** A challenge that was made for another site, another service, or another page: nobody gets to sign it here. */
export async function attack_challenge_for_somebody_else({ harness, facts }) {
  const changes = [
    (challenge) => ({ ...challenge, origin: "https://bank.example.com" }),
    (challenge) => ({ ...challenge, origin: "" }),
    (challenge) => ({ ...challenge, service: "bank.example.com" }),
    // One that the attacker got for a login of their own: it does not have what this page sent.
    (challenge) => ({ ...challenge, client_nonce_echo: "AAAAAAAAAAAAAAAAAAAAAA==" }),
    () => [],
  ];
  for (const change of changes) {
    const page = await changed(harness, facts, change);
    await alertOf(page, "asked for a signature for another site").waitFor();
    assert.equal(await page.getByText("CAPAUTH_NONCE_V2").count(), 0);
  }
  assert.equal(sent(harness, "/verify").length, 0);
}

/** Where the server has a key, nobody signs what it did not sign itself. */
export async function attack_challenge_that_the_server_did_not_sign({ harness, facts }) {
  const { alice, bob } = facts.people;
  const forged = await gpg(["--armor", "--local-user", bob.fingerprint, "--detach-sign"], "anything");
  const changes = [
    (challenge) => ({ ...challenge, server_signature: "", server_public_key: "" }),
    (challenge) => ({ ...challenge, server_signature: forged }),
    (challenge) => ({ ...challenge, server_signature: forged, server_public_key: bob.publicKey }),
    (challenge) => ({ ...challenge, nonce: "00000000-0000-4000-8000-000000000000" }),
  ];
  for (const change of changes) {
    const page = await changed(harness, facts, change);
    await alertOf(page, "did not prove that it is the one").waitFor();
    assert.equal(await page.getByText("CAPAUTH_NONCE_V2").count(), 0);
  }
  const page = await harness.page(LOGIN);
  await signInByGpg(harness, page, alice);
  await harness.signedIn(page, alice);
}

/** After a login one is at this site, whatever the address or the server's answer says. */
export async function attack_open_redirect({ harness, facts }) {
  const { alice } = facts.people;
  const site = await harness.site({ "/": "evil" });
  const page = await harness.page();
  const wanted = [site.origin, `//${site.origin.slice(7)}/`, `/\\${site.origin.slice(7)}`, "javascript:alert(1)", `/%2F${site.origin.slice(7)}`];
  for (const redirect of wanted) {
    await page.goto(harness.url(`${LOGIN}?redirect=${encodeURIComponent(redirect)}`));
    assert.equal(JSON.parse(await page.locator("body").getAttribute("data-settings")).redirect, "/");
  }
  await page.route("**/verify", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ok: true, redirect: `${site.origin}/` } });
  });
  await signInByGpg(harness, page, alice);
  await harness.signedIn(page, alice);
  await page.unroute("**/verify");
  await page.goto(harness.url(`${LOGIN}?redirect=${encodeURIComponent("/auth/capauth/me?a=b&c#d")}`));
  await paste(page, await run("bash", await copyCommand(harness, page)));
  await page.waitForURL(harness.url("/auth/capauth/me?a=b&c#d"));
  assert.equal(site.requests.length, 0);
}

/** Nobody puts the page into a frame of theirs. */
export async function attack_framing({ harness }) {
  const site = await harness.site(() => `<!doctype html><title>Frame</title><iframe src="${harness.url(LOGIN)}"></iframe>`);
  harness.expect(/frame-ancestors|X-Frame-Options|Refused to (frame|display)|ERR_BLOCKED/i);
  const page = await harness.page();
  await page.goto(`${site.origin}/`);
  const frame = page.frames().find((it) => it.parentFrame());
  await frame.waitForLoadState().catch(() => {});
  assert.equal(await frame.locator("#app").count().catch(() => 0), 0);
}

/** A part of the page that does not come, as after the server was renewed: the page says so, and reloading it helps. */
export async function a_part_that_cannot_be_loaded({ harness, facts }) {
  const { alice } = facts.people;
  harness.expect("status of 404");
  const page = await harness.page();
  let isGone = true;
  await page.route("**/gpg.js", (route) => (isGone ? route.fulfill({ status: 404, body: "" }) : route.continue()));
  await page.goto(harness.url(LOGIN));
  await openWay(page, "gpg on this computer");
  await alertOf(page, "A part of this page could not be loaded").waitFor();
  assert.equal(await page.locator("[aria-busy=true]").count(), 0);
  await harness.axe(page);
  isGone = false;
  await page.getByRole("button", { name: "Reload the page" }).click();
  await signInByGpg(harness, page, alice);
  await harness.signedIn(page, alice);
}

/** A browser that stores nothing for this site, as in some private windows: a key in it is not offered, and gpg signs in. */
export async function storage_that_is_forbidden({ harness, facts }) {
  const { alice } = facts.people;
  const forbid = {
    throws: () => { IDBFactory.prototype.open = () => { throw new DOMException("no", "SecurityError"); }; },
    fails: () => {
      IDBFactory.prototype.open = () => {
        const request = new EventTarget();
        setTimeout(() => request.onerror?.(new Event("error")));
        return request;
      };
    },
  };
  for (const script of Object.values(forbid)) {
    const page = await harness.page();
    await page.addInitScript(script);
    await page.goto(harness.url(LOGIN));
    await page.locator(".way-title").first().waitFor();
    assert.equal(await page.getByRole("button", { name: "A key in this browser" }).count(), 0);
    assert.equal(await page.getByRole("button", { name: "Make one in this browser" }).isVisible(), false);
    await signInByGpg(harness, page, alice);
    await harness.signedIn(page, alice);
  }
  const page = await harness.page(LOGIN);
  await page.getByRole("button", { name: "A key in this browser" }).waitFor();
  assert.deepEqual(await page.evaluate(async () => (await indexedDB.databases()).filter(({ name }) => name.includes("probe"))), []);
}
