// Signing with gpg on this computer.

import assert from "node:assert/strict";

import { clearSign, detachSign, execute, run, shells } from "../gpg.mjs";
import { copyCommand, LOGIN, openWay, paste, say_who, signInByGpg } from "../login_page.mjs";

/** Everything that a shell or JSON might give a meaning to. */
const ODD = String.raw`O'Neill "x" \n $HOME ` + "`id` !! %s ‘q’ é 雪 \u{1F511} <b>&amp; | ; # ~ * {}";

/** The nonce in a command. */
const nonce = (command) => /nonce=([0-9a-f-]+)/.exec(command)[1];

/** Lets time pass until nothing is renewed any more. What is asked for meanwhile is answered: the server's time is not the page's. */
async function untilPaused(harness, page) {
  let open = 0;
  const isChallenge = (request) => request.url().endsWith("/challenge");
  page.on("request", (request) => { open += Number(isChallenge(request)); });
  page.on("requestfinished", (request) => { open -= Number(isChallenge(request)); });
  const paused = page.getByText("This page has waited a while.");
  while (!(await paused.isVisible())) {
    await harness.pass(10, { page });
    while (open > 0) await page.evaluate(() => document.title);
  }
}

/** The command as it is copied, in every shell, and what gpg prints, as it is pasted. */
export async function gpg_paste({ harness, facts }) {
  const { alice } = facts.people;
  assert(shells.includes("bash") && shells.includes("zsh"), `run \`cargo xtask setup\`; there is ${shells}`);
  for (const shell of shells) {
    const page = await harness.page(LOGIN);
    assert.equal((await harness.me(page)).status, 401);
    await say_who(page, alice);
    if (shell === "powershell") await page.getByRole("radio", { name: "PowerShell" }).check();
    await paste(page, await run(shell, await copyCommand(harness, page, { isNew: true })));
    await harness.signedIn(page, alice);
  }
}

/** What is shared is signed by the same command, whatever characters are in it. */
export async function claims_of_odd_characters({ harness, facts }) {
  const { alice } = facts.people;
  const page = await harness.page(LOGIN);
  await page.getByText(/receives only your fingerprint/).click();
  await page.getByRole("switch", { name: "Name" }).click();
  await page.getByLabel("Name: what to share").fill(ODD);
  await page.getByRole("switch", { name: "Time zone" }).click();
  await page.getByText(/receives your fingerprint, name,? and time zone/).waitFor();
  await signInByGpg(harness, page, alice);
  await harness.signedIn(page, alice);
  const { body } = await harness.me(page);
  assert.deepEqual([body.name, body.zoneinfo, body.email], [ODD, "UTC", undefined]);
}

/** What PowerShell would write into the file, told from the command: to the byte what the server will rebuild. */
export async function powershell_signs_the_same_bytes({ harness, facts }) {
  const { alice } = facts.people;
  const page = await harness.page(LOGIN);
  await page.getByText(/receives only your fingerprint/).click();
  await page.getByRole("switch", { name: "Name" }).click();
  await page.getByLabel("Name: what to share").fill(`${ODD} ’‚‛`);
  await say_who(page, alice);
  await page.getByRole("radio", { name: "PowerShell" }).check();
  const command = await copyCommand(harness, page);
  const quote = "['\u2018-\u201b]";
  const array = new RegExp(`WriteAllText\\(\\$f, \\(((?:'(?:[^'\u2018-\u201b]|${quote}{2})*',?)+) -join "\`n"\\)\\)`, "g");
  const payloads = [...command.matchAll(array)].map(([, strings]) =>
    [...strings.matchAll(new RegExp(`'((?:[^'\u2018-\u201b]|${quote}{2})*)'`, "g"))]
      .map(([, text]) => text.replace(new RegExp(`(${quote})${quote}`, "g"), "$1")).join("\n"));
  assert.equal(payloads.length, 2);
  const [login, claims] = await Promise.all(payloads.map((payload) => detachSign(alice.fingerprint, payload)));
  await paste(page, `${login}${claims}${alice.publicKey}`);
  await harness.signedIn(page, alice);
  assert.equal((await harness.me(page)).body.name, `${ODD} ’‚‛`);
}

/** Bob signs what Alice was asked to sign; then Alice does. */
export async function wrong_key({ harness, facts }) {
  const { alice, bob } = facts.people;
  harness.expectStatus("/auth/capauth/verify", 401);
  const page = await harness.page(LOGIN);
  await say_who(page, alice);
  const command = await copyCommand(harness, page);
  const signature = await run("bash", command.replaceAll(alice.fingerprint, bob.fingerprint));
  await paste(page, signature);
  await page.getByRole("alert").filter({ hasText: /not known here yet, or another key signed|does not fit/ }).waitFor();
  assert.equal(new URL(page.url()).pathname, LOGIN);
  assert.equal((await harness.me(page)).status, 401);
  assert.equal((await page.getByLabel("The signature").inputValue()).trim(), signature.trim());
  await paste(page, await run("bash", await copyCommand(harness, page, { isNew: true })));
  await harness.signedIn(page, alice);
}

/** A key that nobody approved yet: somebody approves it, and the same person comes in. */
export async function pending_approval({ harness, facts }) {
  const { alice } = facts.people;
  harness.expectStatus("/auth/capauth/verify", 403);
  const page = await harness.page(LOGIN);
  await signInByGpg(harness, page, alice);
  await page.getByRole("alert").filter({ hasText: "An administrator has to let your key in" }).waitFor();
  assert.equal((await harness.me(page)).status, 401);
  await harness.axe(page);
  const { url, adminToken } = facts.service;
  const approved = await fetch(`${url}/capauth/v1/keys/approve`, {
    method: "POST",
    headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
    body: JSON.stringify({ fingerprint: alice.fingerprint }),
  });
  assert.equal(approved.status, 200);
  await page.getByRole("button", { name: "Try again" }).click();
  await paste(page, await run("bash", await copyCommand(harness, page)));
  await harness.signedIn(page, alice);
}

/** The server's clock says that it took too long: the next signature counts. */
export async function expired_challenge({ harness, facts }) {
  const { alice } = facts.people;
  harness.expectStatus("/auth/capauth/verify", 400);
  const page = await harness.page(LOGIN);
  await say_who(page, alice);
  const signature = await run("bash", await copyCommand(harness, page, { isNew: true }));
  await harness.pass(90, { server: true });
  await paste(page, signature);
  await page.getByRole("alert").filter({ hasText: "took more than a minute" }).waitFor();
  assert.equal((await harness.me(page)).status, 401);
  await paste(page, await run("bash", await copyCommand(harness, page, { isNew: true })));
  await harness.signedIn(page, alice);
}

/** A signature over the challenge before still counts when the page shows the next. */
export async function the_challenge_before_still_counts({ harness, facts }) {
  const { alice } = facts.people;
  const page = await harness.page();
  await harness.holdClock(page);
  await page.goto(harness.url(LOGIN));
  await say_who(page, alice);
  const copied = await copyCommand(harness, page, { isNew: true });
  await harness.pass(32, { page });
  await page.waitForFunction((old) => !document.querySelector("pre").textContent.includes(old), nonce(copied));
  await page.getByText(/^Paste the signature within 2\d s/).waitFor();
  await paste(page, await run("bash", copied));
  await harness.signedIn(page, alice);
}

/** One that is over is not sent, and said to be so; and nobody renews for ever. */
export async function a_command_that_was_copied_long_ago({ harness, facts }) {
  const { alice } = facts.people;
  const page = await harness.page();
  await harness.holdClock(page);
  await page.goto(harness.url(LOGIN));
  await say_who(page, alice);
  const signature = await run("bash", await copyCommand(harness, page, { isNew: true }));
  await harness.pass(62, { page });
  await page.getByText("too old by now").waitFor();
  await paste(page, signature);
  await page.getByRole("alert").filter({ hasText: "more than a minute old" }).waitFor();
  assert(!harness.requests.some(({ url }) => url.endsWith("/verify")));

  await untilPaused(harness, page);
  const asked = () => harness.requests.filter(({ url }) => url.endsWith("/challenge")).length;
  const before = asked();
  assert(before <= 14, `${before} challenges in eight minutes`);
  await harness.pass(600, { page });
  assert.equal(asked(), before);
  await page.getByRole("button", { name: "Go on with a fresh command" }).click();
  await page.getByRole("button", { name: "Copy the command" }).waitFor();
  await paste(page, await run("bash", await copyCommand(harness, page, { isNew: true })));
  await harness.signedIn(page, alice);
}

/** A page that nobody sees asks for nothing. */
export async function a_hidden_page_renews_nothing({ harness, facts }) {
  const page = await harness.page();
  await harness.holdClock(page);
  await page.goto(harness.url(LOGIN));
  await say_who(page, facts.people.alice);
  const hide = (hidden) => page.evaluate((isHidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  const asked = () => harness.requests.filter(({ url }) => url.endsWith("/challenge")).length;
  await hide(true);
  await harness.pass(120, { page });
  assert.equal(asked(), 1);
  await hide(false);
  await page.getByText(/^Good for 5\d s/).waitFor();
  assert.equal(asked(), 2);
}

/** What gpg wrote into a file: chosen, and dropped; and other forms of signature that gpg knows. */
export async function files_and_other_forms({ harness, facts }) {
  const { alice } = facts.people;
  const payload = (command) => [...command.matchAll(/'((?:CAPAUTH|[a-z_]+=)[^']*)'/g)].map(([, line]) => line).join("\n");
  const asked = async () => {
    const page = await harness.page(LOGIN);
    await say_who(page, alice);
    return { page, command: await copyCommand(harness, page, { isNew: true }) };
  };

  const chosen = await asked();
  const file = { name: "answer.asc", mimeType: "text/plain", buffer: Buffer.from(await run("bash", chosen.command)) };
  await chosen.page.locator(".gpg input[type=file]").setInputFiles(file);
  await harness.signedIn(chosen.page, alice);

  const dropped = await asked();
  await dropped.page.locator(".gpg").evaluate((target, text) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([text], "answer.asc"));
    for (const type of ["dragover", "drop"]) {
      target.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    }
  }, await detachSign(alice.fingerprint, payload(dropped.command)));
  await harness.signedIn(dropped.page, alice);

  const clear = await asked();
  await paste(clear.page, await clearSign(alice.fingerprint, payload(clear.command)));
  await harness.signedIn(clear.page, alice);

  // As a terminal shows it, in two pieces, with other things around it.
  const indented = await asked();
  const signature = await run("bash", indented.command);
  const text = `$ printf …\r\n${signature.split("\n").map((line) => `   ${line} `).join("\r\n")}gpg: done\r\n$ `;
  await indented.page.getByLabel("The signature").pressSequentially("so: ");
  await paste(indented.page, text.slice(0, 80));
  assert.equal(new URL(indented.page.url()).pathname, LOGIN);
  await paste(indented.page, text.slice(80));
  await harness.signedIn(indented.page, alice);
}

/** A secret key has no business here, wherever it is pasted. */
export async function attack_secret_key_pasted({ harness, facts }) {
  const { alice } = facts.people;
  harness.expectStatus("/auth/capauth/verify", 401);
  const page = await harness.page(LOGIN);
  await say_who(page, alice);
  await paste(page, alice.secretKey);
  await page.getByText("That is your secret key. It was not sent").waitFor();
  assert.equal(await page.getByLabel("The signature").inputValue(), "");
  await paste(page, await run("bash", await copyCommand(harness, page)));
  const field = page.getByLabel("Your public key");
  await field.fill(alice.secretKey);
  await page.getByText("That is your secret key. It was not sent").waitFor();
  assert.equal(await field.inputValue(), "");
  await field.fill(alice.publicKey);
  await page.getByRole("button", { name: "Try again" }).click();
  await harness.signedIn(page, alice);
}

/** Signing and choosing anew what to share, in every order. */
export async function what_is_shared_is_what_was_signed({ harness, facts }) {
  const { alice } = facts.people;
  const page = await harness.page(LOGIN);
  await page.getByText(/receives only your fingerprint/).click();
  const name = page.getByRole("switch", { name: "Name" });
  await name.click();
  await page.getByLabel("Name: what to share").fill("Alice");
  await say_who(page, alice);
  const signatures = await run("bash", await copyCommand(harness, page, { isNew: true }));
  await page.getByLabel("Name: what to share").fill("Mallory");
  await paste(page, signatures);
  await page.getByRole("alert").filter({ hasText: "You chose to share something else" }).waitFor();
  assert(!harness.requests.some(({ url }) => url.endsWith("/verify")));
  // Less may be shared than was signed: nothing.
  await page.getByRole("button", { name: "Share nothing but my fingerprint" }).click();
  await page.getByText(/receives only your fingerprint/).waitFor();
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await harness.signedIn(page, alice);
  assert(!JSON.stringify(harness.requests.map(({ body }) => String(body))).includes("Mallory"));

  // The choice is this browser's, for this service; the words stay for another time.
  await page.goto(harness.url(LOGIN));
  await page.getByText(/receives only your fingerprint/).click();
  assert.equal(await name.isChecked(), false);
  await name.click();
  assert.equal(await page.getByLabel("Name: what to share").inputValue(), "Mallory");
  await openWay(page, "gpg on this computer");
  const one = await run("bash", await copyCommand(harness, page));
  await paste(page, `${one.split("-----END PGP SIGNATURE-----")[0]}-----END PGP SIGNATURE-----\n`);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByText("Two signatures are needed here").waitFor();
  await paste(page, one);
  await harness.signedIn(page, alice);
  assert.equal((await harness.me(page)).body.name, "Mallory");
}

/** After a long pause the command comes back alive, whatever the person changes about it. */
export async function a_command_after_a_pause({ harness, facts }) {
  const { alice } = facts.people;
  const page = await harness.page();
  await harness.holdClock(page);
  await page.goto(harness.url(LOGIN));
  await say_who(page, alice);
  const changes = [
    () => page.getByRole("radio", { name: "PowerShell" }).check(),
    () => page.getByLabel("I am new here").check(),
    async () => {
      await page.getByText(/receives only your fingerprint/).click();
      await page.getByRole("switch", { name: "Time zone" }).click();
    },
  ];
  for (const change of changes) {
    await untilPaused(harness, page);
    const dead = nonce(await page.locator("pre").textContent());
    await change();
    await page.waitForFunction((old) => !document.querySelector("pre").textContent.includes(old), dead);
    await page.getByText(/^Good for \d+ s\./).waitFor();
  }
  await page.getByRole("radio", { name: "bash" }).check();
  await paste(page, await run("bash", await copyCommand(harness, page, { isNew: true })));
  await harness.signedIn(page, alice);
}

/** Drops files on an element; answers whether the browser would open them in the page's place. */
function drop(locator, ...files) {
  return locator.evaluate((target, encoded) => {
    const dataTransfer = new DataTransfer();
    for (const base64 of encoded) dataTransfer.items.add(new File([Uint8Array.from(atob(base64), (it) => it.charCodeAt(0))], "file"));
    const told = ["dragover", "drop"].map((type) => {
      const event = new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true });
      target.dispatchEvent(event);
      return event.defaultPrevented;
    });
    return told.includes(false);
  }, files.map((file) => file.toString("base64")));
}

/** Files that hold no text, too much of it, or something else; and those that miss their place. */
export async function files_that_are_no_text({ harness, facts }) {
  const { alice } = facts.people;
  const page = await harness.page(LOGIN);
  await say_who(page, alice);
  const command = await copyCommand(harness, page, { isNew: true });
  const choose = (name, buffer) =>
    page.locator(".gpg input[type=file]").setInputFiles({ name, mimeType: "application/octet-stream", buffer });
  const says = (words) => page.getByRole("alert").filter({ hasText: words }).waitFor();
  await choose("large.sig", Buffer.alloc(300_000, 0x20));
  await says("larger than 256 KB");
  await choose("picture.gpg", Buffer.from([0x89, 0x50, 0x4e, 0x47].map((byte) => byte | 0xe0)));
  await says("holds no signature and no key");
  await choose("notes.txt", Buffer.from("nothing of the kind"));
  await says("There is no whole signature here yet");
  assert.equal(await drop(page.locator("h1"), Buffer.from("a file")), false);
  assert.equal(await page.getByLabel("The signature").inputValue(), "nothing of the kind");
  const dearmored = async (input) => Buffer.from(await execute("bash", ["-c", "gpg --dearmor | base64"], { input }), "base64");
  await choose("secret.gpg", await dearmored(alice.secretKey));
  await says("That is your secret key");

  const [signature] = (await run("bash", command)).split("-----BEGIN PGP PUBLIC");
  assert.equal(await drop(page.locator(".gpg"), await dearmored(signature), await dearmored(alice.publicKey)), false);
  await harness.signedIn(page, alice);

  // What PowerShell redirects into a file.
  const other = await harness.page(LOGIN);
  await say_who(other, alice);
  const wide = Buffer.from(`\uFEFF${await run("bash", await copyCommand(harness, other))}`, "utf16le");
  assert.equal(await drop(other.locator(".gpg"), wide), false);
  await harness.signedIn(other, alice);
}

/** The server is slow, and then away: the seconds go on, and the command stays for as long as it is good. */
export async function a_command_that_cannot_be_renewed({ harness, facts }) {
  const { alice } = facts.people;
  harness.expect(/ERR_FAILED/);
  const page = await harness.page();
  await harness.holdClock(page);
  await page.goto(harness.url(LOGIN));
  await say_who(page, alice);
  const held = [];
  let isAway = false;
  await page.route("**/challenge", (route) => (isAway ? route.abort() : held.push(route)));
  const timer = page.getByRole("timer").filter({ hasText: "Good for" });
  const seconds = async () => Number(/\d+/.exec(await timer.textContent())[0]);
  while (!held.length) await harness.pass(1, { page });
  const before = await seconds();
  await harness.pass(5, { page });
  assert(await seconds() <= before - 5, "it stands still while the server thinks");
  isAway = true;
  await held[0].abort();
  await harness.pass(3, { page });
  const copy = page.getByRole("button", { name: "Copy the command" });
  assert.equal(await copy.isVisible(), true);
  assert(await seconds() > 0);

  const ended = page.getByText("No fresh command came from the server.");
  while (!(await ended.isVisible())) await harness.pass(5, { page });
  await page.getByRole("alert").filter({ hasText: "cannot be reached" }).waitFor();
  assert.equal(await copy.isVisible(), false);
  await harness.axe(page);
  await page.unroute("**/challenge");
  await page.getByRole("button", { name: "Go on with a fresh command" }).click();
  await timer.waitFor();
  await paste(page, await run("bash", await copyCommand(harness, page, { isNew: true })));
  await harness.signedIn(page, alice);
}

/** Whose command was copied by hand did not say which one: with the public key each of them is tried anew. */
export async function trying_again_tries_every_command({ harness, facts }) {
  const { alice, bob } = facts.people;
  harness.expectStatus("/auth/capauth/verify", 401);
  for (const isOlder of [false, true]) {
    const page = await harness.page();
    await harness.holdClock(page);
    await page.goto(harness.url(LOGIN));
    const person = isOlder ? alice : bob;
    await say_who(page, person);
    const shown = () => page.locator("pre").textContent();
    const first = await shown();
    while (await shown() === first) await harness.pass(1, { page });
    await paste(page, await run("bash", isOlder ? first : await shown()));
    await page.getByRole("alert").filter({ hasText: "not known here yet" }).waitFor();
    await page.getByLabel("Your public key").fill(person.publicKey);
    await page.getByRole("button", { name: "Try again" }).click();
    await harness.signedIn(page, person);
  }
}
