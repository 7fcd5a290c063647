// What scenarios of the administrators' page do beside it: signing in, calling the API, changing keys.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

import { detachSign } from "./gpg.mjs";
import { openpgp } from "./modules.mjs";

export const ADMIN = "/capauth/admin";

/** Calls the service with the administrator's token: `{status, body}`. */
export async function call(facts, method, path, body) {
  const headers = { authorization: `Bearer ${facts.service.adminToken}`, accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  const url = `${facts.service.url}/capauth/v1/${path}`;
  const answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
}

/** The same, where nothing but success will do. */
export async function done(facts, method, path, body) {
  const answer = await call(facts, method, path, body);
  assert.equal(answer.status, 200, `${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** What the service says of a key; `undefined` when it knows none. */
export async function entryOf(facts, fingerprint) {
  return (await done(facts, "GET", `keys?prefix=${fingerprint}`))[0];
}

const challengePayload = (it) => [
  "CAPAUTH_NONCE_V2", `nonce=${it.nonce}`, `client_nonce=${it.client_nonce_echo}`, `origin=${it.origin}`,
  `timestamp=${it.timestamp}`, `service=${it.service}`, `expires=${it.expires}`].join("\n");

/**
 * Signs somebody in as the service's login page does, in this context, whose cookie it becomes. Answers
 * `{status, body}`; `more` is sent too, such as `enrollment_code`.
 */
export async function signIn(context, base, person, more = {}) {
  const post = (path, data) =>
    context.request.post(`${base}/auth/capauth/${path}`, { headers: { origin: base }, data });
  const { fingerprint, publicKey } = person;
  const challenge = await (await post("challenge", { fingerprint, origin: base })).json();
  const sign = person.sign ?? ((text) => detachSign(fingerprint, text));
  const answer = await post("verify", {
    fingerprint,
    nonce: challenge.nonce,
    nonce_signature: await sign(challengePayload(challenge)),
    public_key: publicKey,
    ...more,
  });
  return { status: answer.status(), body: await answer.json() };
}

/** Lets Ada in and signs her in; answers a page of hers at this place of the administrators' page, or at none (`null`). */
export async function administrator(harness, facts, place = "", options = {}) {
  const { ada } = facts.people;
  const context = await harness.context(options);
  const known = await entryOf(facts, ada.fingerprint);
  if (!known) await done(facts, "POST", "keys/enroll", { public_key: ada.publicKey });
  const answer = await signIn(context, harness.base, ada);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const page = await context.newPage();
  if (place !== null) await page.goto(harness.url(ADMIN + place));
  return page;
}

/** Somebody with a key that OpenPGP.js made, and a subkey that signs. */
export async function newcomer(name) {
  const { privateKey, publicKey } = await openpgp.generateKey({
    userIDs: [{ name }],
    type: "curve25519",
    subkeys: [{ sign: true }],
    date: new Date(Date.now() - 3600_000),
    format: "object",
  });
  const by = async (text, signingKeyIDs) => openpgp.sign({
    message: await openpgp.createMessage({ binary: Buffer.from(text) }),
    signingKeys: privateKey,
    signingKeyIDs,
    detached: true,
  });
  return {
    fingerprint: publicKey.getFingerprint().toUpperCase(),
    publicKey: publicKey.armor(),
    /** By the subkey. */
    sign: (text) => by(text, [privateKey.subkeys.at(-1).getKeyID()]),
    signByPrimary: (text) => by(text, [privateKey.getKeyID()]),
  };
}

/** Calls the service as a program without any credentials. */
async function post(facts, path, body) {
  const answer = await fetch(`${facts.service.url}/capauth/v1/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: await answer.json() };
}

/** A challenge for a change of somebody's identity. */
async function challengeFor(facts, { fingerprint }) {
  const client_nonce = randomBytes(16).toString("base64");
  return (await post(facts, "challenge", { fingerprint, client_nonce })).body;
}

/** Asks that `next` takes the place of `old`. As it is signed by a subkey, it waits. */
export async function rotate(facts, old, next) {
  const { nonce, service, timestamp } = await challengeFor(facts, old);
  const hash = createHash("sha256").update(next.publicKey).digest("hex");
  const text = ["CAPAUTH_ROTATION_V1", `nonce=${nonce}`, `service=${service}`, `old_fingerprint=${old.fingerprint}`,
    `new_fingerprint=${next.fingerprint}`, `new_public_key_sha256=${hash}`, `timestamp=${timestamp}`].join("\n");
  return post(facts, "rotate", {
    nonce,
    timestamp,
    old_fingerprint: old.fingerprint,
    new_fingerprint: next.fingerprint,
    new_public_key: next.publicKey,
    rotation_signature: await old.sign(text),
    new_signature: await next.sign(text),
  });
}

/** Links a second key to a first one's identity. */
export async function link(facts, primary, secondary) {
  const { nonce, service, timestamp } = await challengeFor(facts, primary);
  const text = ["CAPAUTH_LINK_V1", `nonce=${nonce}`, `service=${service}`, `primary=${primary.fingerprint}`,
    `secondary=${secondary.fingerprint}`, `timestamp=${timestamp}`].join("\n");
  const answer = await post(facts, "link", {
    nonce,
    timestamp,
    primary_fingerprint: primary.fingerprint,
    secondary_fingerprint: secondary.fingerprint,
    primary_signature: await primary.signByPrimary(text),
    secondary_signature: await secondary.signByPrimary(text),
  });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
}

/** The sheet of a page that has this heading. */
export const section = (page, name) =>
  page.locator("section").filter({ has: page.getByRole("heading", { name, exact: true }) });
