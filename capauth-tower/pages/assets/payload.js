// The texts that are signed, to the byte as the server will rebuild them.

/** The payload of a login's challenge. Pages only ever sign the second version, which names their origin. */
export function loginPayload({ nonce, client_nonce_echo, origin, timestamp, service, expires }) {
  const lines = ["CAPAUTH_NONCE_V2", `nonce=${nonce}`, `client_nonce=${client_nonce_echo}`, `origin=${origin}`,
    `timestamp=${timestamp}`, `service=${service}`, `expires=${expires}`];
  return lines.join("\n");
}

/** The payload of the claims that go with a login. `fingerprint` is spelled as in the request that carries them. */
export function claimsPayload(fingerprint, nonce, claims) {
  return ["CAPAUTH_CLAIMS_V1", `fingerprint=${fingerprint}`, `nonce=${nonce}`, `claims=${canonical(claims)}`].join("\n");
}

/** The payload by which a key's owner says that a waiting rotation of it does not happen. */
export function cancellationPayload({ nonce, service, old_fingerprint, timestamp }) {
  return ["CAPAUTH_ROTATION_CANCEL_V1", `nonce=${nonce}`, `service=${service}`, `old_fingerprint=${old_fingerprint}`,
    `timestamp=${timestamp}`].join("\n");
}

/** JSON, compact, with the names of every object in the order of their code points. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const points = (text) => Array.from(text, (character) => character.codePointAt(0));
  const order = ([a], [b]) => {
    const [left, right] = [points(a), points(b)];
    const different = left.findIndex((point, i) => point !== right[i]);
    return different === -1 ? left.length - right.length : left[different] - (right[different] ?? -1);
  };
  const members = Object.entries(value).sort(order);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(",")}}`;
}

/** Whether a challenge is for this very page: its origin, its service, the second version of the payload. */
export function isForThisPage(challenge, service) {
  return challenge.origin === location.origin && challenge.service === service
    && [challenge.nonce, challenge.client_nonce_echo, challenge.timestamp, challenge.expires]
      .every((text) => typeof text === "string" && /^[A-Za-z0-9=+/:._-]+$/.test(text));
}
