// Keys go from gpg into the browser, and from the browser into gpg.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import {
  button, exported, generate, keeperOf, make, open, PASSPHRASE, passphrase, sent, signIn, start, stored,
} from "../browser_keys.mjs";
import { gpg } from "../gpg.mjs";
import { openpgp } from "../modules.mjs";

/** Brings a key that is pasted, and signs in with it. */
async function bringAndSignIn(harness, facts, armored, fingerprint, { words, isNew }) {
  await harness.privateKey(armored, isNew ? undefined : words);
  harness.secret(words, "the passphrase");
  const page = await start(harness, facts);
  await button(page, "I have a key already").click();
  await page.getByLabel("Paste the key").fill(armored);
  await page.getByText(fingerprint.match(/.{4}/g).join(" ")).waitFor();
  if (isNew) {
    await passphrase(page).fill(words);
    await page.getByLabel("The same passphrase again").fill(words);
  } else {
    await page.getByLabel("Passphrase of the key").fill("not this one");
    await button(page, "Keep it in this browser").click();
    await page.getByText("That passphrase does not open this key.").waitFor();
    await page.getByLabel("Passphrase of the key").fill(words);
  }
  await button(page, "Keep it in this browser").click();
  await page.getByText("The key is in this browser now.").waitFor();
  await signIn(page, harness);
  const me = await harness.me(page);
  assert.deepEqual([me.status, me.body.sub], [200, fingerprint]);
  return page;
}

export async function browser_key_from_gpg({ harness, facts }) {
  const words = "the passphrase that it had";
  const fingerprint = await generate("Dora <dora@example.org>", { words });
  const others = ["Dora at work <dora@work.example>", "Dora at home <dora@home.example>"];
  const quiet = ["--batch", "--pinentry-mode", "loopback", "--passphrase", words];
  for (const other of others) await gpg([...quiet, "--quick-add-uid", fingerprint, other]);
  await gpg([...quiet, "--quick-set-primary-uid", fingerprint, "Dora <dora@example.org>"]);
  const armored = await exported(fingerprint, { words });
  const page = await bringAndSignIn(harness, facts, armored, fingerprint, { words });
  // Of the names and addresses in it, one goes along.
  const [{ public_key: armoredKey }] = sent(harness, "/verify");
  assert.deepEqual((await openpgp.readKey({ armoredKey })).getUserIDs(), ["Dora <dora@example.org>"]);
  // What lies here now is locked again: by Argon2, under the same passphrase.
  const { keys: [{ secret }] } = await stored(page);
  const key = await openpgp.readPrivateKey({ armoredKey: secret });
  assert.deepEqual([key.isDecrypted(), key.keyPacket.s2k.type], [false, "argon2"]);
  assert((await openpgp.decryptKey({ privateKey: key, passphrase: words })).isDecrypted());
}

/** A key without a passphrase gets one; a file is chosen that is not armored. */
export async function browser_key_from_gpg_without_a_passphrase({ harness, facts }) {
  const { alice } = facts.people;
  const page = await bringAndSignIn(harness, facts, alice.secretKey, alice.fingerprint, { words: PASSPHRASE, isNew: true });
  const { keys: [{ secret }] } = await stored(page);
  assert.equal((await openpgp.readPrivateKey({ armoredKey: secret })).isDecrypted(), false);

  const other = await start(harness, facts);
  await button(other, "I have a key already").click();
  const { data } = await openpgp.unarmor(facts.people.bob.secretKey);
  const file = { name: "bob.gpg", mimeType: "application/pgp-keys", buffer: Buffer.from(data) };
  await other.getByLabel("Or choose a file").setInputFiles(file);
  await other.getByText("Found:").waitFor();
}

export async function browser_key_with_a_signing_subkey({ harness, facts }) {
  const fingerprint = await generate("Emil <emil@example.org>", { use: "cert" });
  for (const [kind, use] of [["nistp256/ecdsa", "sign"], ["cv25519", "encr"]]) {
    const quiet = ["--batch", "--pinentry-mode", "loopback", "--passphrase", ""];
    await gpg([...quiet, "--quick-add-key", fingerprint, kind, use, "never"]);
  }
  const whole = await exported(fingerprint);
  const page = await bringAndSignIn(harness, facts, whole, fingerprint, { words: PASSPHRASE, isNew: true });

  // With an ECDSA subkey too it signs on without its passphrase.
  await open(harness, page);
  await passphrase(page).fill(PASSPHRASE);
  await page.getByLabel("Keep the key unlocked").selectOption("5 minutes");
  await signIn(page, harness);
  await open(harness, page);
  await page.getByText("Unlocked until").waitFor();
  await signIn(page, harness);
  assert.equal((await harness.me(page)).status, 200);

  // The primary key may be elsewhere, as people keep it who have such subkeys.
  const subkeys = await exported(fingerprint, { how: "--export-secret-subkeys" });
  await bringAndSignIn(harness, facts, subkeys, fingerprint, { words: PASSPHRASE, isNew: true });
}

export async function browser_key_of_rsa({ harness, facts }) {
  const fingerprint = await generate("Frida <frida@example.org>", { kind: "rsa2048" });
  const armored = await exported(fingerprint);
  const page = await bringAndSignIn(harness, facts, armored, fingerprint, { words: PASSPHRASE, isNew: true });
  await open(harness, page);
  await passphrase(page).fill(PASSPHRASE);
  await page.getByLabel("Keep the key unlocked").selectOption("5 minutes");
  await signIn(page, harness);
  await open(harness, page);
  await page.getByText("Unlocked until").waitFor();
  await signIn(page, harness);
  assert.equal((await harness.me(page)).body.sub, fingerprint);
}

/** What gpg writes for a key whose secret half is on a card: in the place of the secret, the card's number. */
async function onACard(armored) {
  const { data } = await openpgp.unarmor(armored);
  const bytes = Buffer.from(data);
  const [length, head] = bytes[0] === 0x94 ? [bytes[1], 2] : [bytes.readUInt16BE(1), 3];
  const body = bytes.subarray(head, head + length);
  // The public half of Ed25519: version, time, algorithm, the curve's name, the point.
  const open = body.subarray(0, 1 + 4 + 1 + 1 + body[6] + 2 + 33);
  const elsewhere = [Buffer.from([255, 0, 101, 0]), Buffer.from("GNU"), Buffer.from([2, 16]), Buffer.alloc(16, 7)];
  const stub = Buffer.concat([open, ...elsewhere]);
  const packets = Buffer.concat([Buffer.from([0x94, stub.length]), stub, bytes.subarray(head + length)]);
  return openpgp.armor(openpgp.enums.armor.privateKey, packets);
}

export async function browser_key_that_cannot_sign_is_refused({ harness, facts }) {
  const { alice, bob } = facts.people;
  const expired = await generate("Gerd <gerd@example.org>", { expires: "seconds=1" });
  const armored = await exported(expired);
  const encrypts = await generate("Hans <hans@example.org>", { kind: "ed25519", use: "cert" });
  const { privateKey } = await openpgp.generateKey({ userIDs: [{ name: "Ida" }], format: "object", type: "ecc" });
  const gone = (await openpgp.revokeKey({ key: privateKey, format: "object" })).privateKey.armor();

  const page = await start(harness, facts);
  await button(page, "I have a key already").click();
  const cases = [
    [alice.publicKey, "This is the public half of a key."],
    [`${alice.secretKey}\n${bob.secretKey}`, "There is more than one key in this."],
    [alice.secretKey.replace(/\n[^-]{200}/, "\nnothing at all\n"), "No key can be read from this."],
    ["<script>alert(1)</script>", "No key can be read from this."],
    [await onACard(alice.secretKey), "The secret half of this key is not in the file"],
    [await exported(encrypts), "This key cannot sign here."],
    [gone, "This key has been revoked"],
    ["x".repeat(300_000), "This is larger than a key needs to be."],
  ];
  for (const [text, words] of cases) {
    await page.getByLabel("Paste the key").fill(text);
    await page.getByText(words).waitFor();
    assert.equal(await page.getByLabel("Paste the key").inputValue(), text, "what was pasted stays");
    assert(await button(page, "Keep it in this browser").isHidden());
  }

  // One that was good for a second.
  await page.getByLabel("Paste the key").fill("");
  await keeperOf(page).evaluate(() => {
    const Real = Date;
    globalThis.Date = class extends Real {
      constructor(...given) { super(...(given.length ? given : [Real.now() + 60_000])); }
      static now() { return Real.now() + 60_000; }
    };
  });
  await page.getByLabel("Paste the key").fill(armored);
  await page.getByText("This key has expired.").waitFor();
  assert.deepEqual((await stored(page)).keys, []);

  await page.getByLabel("Paste the key").fill(alice.secretKey);
  await page.getByText("Found:").waitFor();
}

/** A copy is saved, gpg takes it and signs with it; the key is deleted here, and comes back from the copy. */
export async function browser_key_copy_opens_in_gpg({ harness, facts }) {
  const page = await start(harness, facts);
  await make(page);
  const [download] = await Promise.all([page.waitForEvent("download"), button(page, "Save a copy").click()]);
  await page.getByText("Saved as").waitFor();
  const copy = await readFile(await download.path(), "utf8");
  await harness.privateKey(copy, PASSPHRASE);
  const { keys: [{ fingerprint }] } = await stored(page);

  const quiet = ["--batch", "--pinentry-mode", "loopback", "--passphrase", PASSPHRASE];
  await gpg([...quiet, "--import"], copy);
  const signature = await gpg([...quiet, "--armor", "--local-user", fingerprint, "--detach-sign"], "some text");
  const { signatures } = await openpgp.verify({
    message: await openpgp.createMessage({ text: "some text" }),
    signature: await openpgp.readSignature({ armoredSignature: signature }),
    verificationKeys: await openpgp.readKey({ armoredKey: await gpg(["--armor", "--export", fingerprint]) }),
  });
  assert(await signatures[0].verified);

  await button(page, "Continue").click();
  await button(page, "Sign in").waitFor();
  assert(await page.getByText("There is no copy of this key yet").isHidden());
  await button(page, "Look after this key").click();
  await button(page, "Delete from this browser").click();
  await button(page, "Keep it").click();
  assert.equal((await stored(page)).keys.length, 1);
  await button(page, "Delete from this browser").click();
  await button(page, "Delete for good").click();
  await page.getByText("My laptop was deleted from this browser.").waitFor();
  assert.deepEqual(await stored(page).then(({ keys, unlocked }) => [keys, unlocked]), [[], []]);

  await button(page, "I have a key already").click();
  await page.getByLabel("Paste the key").fill(copy);
  await page.getByLabel("Passphrase of the key").fill(PASSPHRASE);
  await button(page, "Keep it in this browser").click();
  await signIn(page, harness);
  assert.equal((await harness.me(page)).body.sub, fingerprint);
}
