// Signs in with OpenPGP.js as a browser does: sign_in.mjs URL ORIGIN
//
// Every kind of key that OpenPGP.js makes, and every form of signature. Prints a line for each login; ends with an
// error at the first that fails.

import assert from "node:assert/strict";
import path from "node:path";
import { pathToFileURL } from "node:url";

const modules = process.env.CAPAUTH_TEST_NODE_MODULES;
const openpgp = await import(
  modules ? pathToFileURL(path.join(modules, "openpgp/dist/node/openpgp.mjs")).href : "openpgp"
);
const [url, origin] = process.argv.slice(2);

const kinds = {
  "v4 Ed25519, legacy": { type: "ecc", curve: "ed25519Legacy" },
  "v4 Ed25519": { type: "curve25519" },
  "v4 Ed448": { type: "curve448" },
  "v4 NIST P-256": { type: "ecc", curve: "nistP256" },
  "v4 RSA 3072": { type: "rsa", rsaBits: 3072 },
  "v6 Ed25519": { type: "curve25519", config: { v6Keys: true } },
};

const forms = {
  "detached, text": async (text, key) =>
    openpgp.sign({ message: await openpgp.createMessage({ text }), signingKeys: key, detached: true }),
  "detached, binary": async (text, key) =>
    openpgp.sign({
      message: await openpgp.createMessage({ binary: new TextEncoder().encode(text) }),
      signingKeys: key,
      detached: true,
    }),
  "inline": async (text, key) =>
    openpgp.sign({ message: await openpgp.createMessage({ text }), signingKeys: key }),
  "cleartext": async (text, key) =>
    openpgp.sign({ message: await openpgp.createCleartextMessage({ text }), signingKeys: key }),
};

async function post(call, body) {
  const response = await fetch(`${url}/capauth/v1/${call}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  assert.equal(response.status, 200, `${call}: ${JSON.stringify(answer)}`);
  return answer;
}

function noncePayload(challenge) {
  return [
    challenge.origin ? "CAPAUTH_NONCE_V2" : "CAPAUTH_NONCE_V1",
    `nonce=${challenge.nonce}`,
    `client_nonce=${challenge.client_nonce_echo}`,
    ...(challenge.origin ? [`origin=${challenge.origin}`] : []),
    `timestamp=${challenge.timestamp}`,
    `service=${challenge.service}`,
    `expires=${challenge.expires}`,
  ].join("\n");
}

// Members are sorted by hand: JSON.stringify keeps the order that they were put in.
const claims = { email: "zoë@example.org", groups: ["a", "b"], locale: "de", name: "Zoë 🔑" };

async function signIn(key, sign, asks, extra) {
  const fingerprint = key.getFingerprint();
  const challenge = await post("challenge", { fingerprint, client_nonce: "AAECAwQFBgc=", ...asks });
  assert.equal(challenge.origin, asks.origin ?? "");
  const claimsPayload =
    `CAPAUTH_CLAIMS_V1\nfingerprint=${fingerprint}\nnonce=${challenge.nonce}\nclaims=${JSON.stringify(claims)}`;
  const answer = await post("verify", {
    fingerprint,
    nonce: challenge.nonce,
    nonce_signature: await sign(noncePayload(challenge), key),
    claims,
    claims_signature: await sign(claimsPayload, key),
    ...extra,
  });
  assert.equal(answer.fingerprint, fingerprint.toUpperCase());
  assert.equal(answer.oidc_claims.name, "Zoë 🔑");
  return answer;
}

for (const [kind, options] of Object.entries(kinds)) {
  const { privateKey: key, publicKey } = await openpgp.generateKey({
    userIDs: [{ name: "Alice", email: "alice@example.org" }],
    format: "object",
    ...options,
  });
  let public_key = publicKey.armor();
  for (const [form, sign] of Object.entries(forms)) {
    const answer = await signIn(key, sign, {}, { public_key });
    assert.equal(answer.is_new_enrollment, public_key !== undefined);
    public_key = undefined;
    console.log(`${kind}; ${form}`);
  }
  await signIn(key, forms["detached, text"], { origin }, {});
  console.log(`${kind}; with the page's origin`);
}

// The server signs what the person is asked to sign.
const { privateKey: key } = await openpgp.generateKey({ userIDs: [{ name: "Bob" }], format: "object" });
const challenge = await post("challenge", { fingerprint: key.getFingerprint(), client_nonce: "AAECAwQFBgc=" });
const { signatures } = await openpgp.verify({
  message: await openpgp.createMessage({ binary: new TextEncoder().encode(noncePayload(challenge)) }),
  signature: await openpgp.readSignature({ armoredSignature: challenge.server_signature }),
  verificationKeys: await openpgp.readKey({ armoredKey: challenge.server_public_key }),
});
await signatures[0].verified;
console.log("the server's signature verifies");
