// What must never leave the browser, in all the spellings that a request may give it.

import { openpgp } from "./modules.mjs";

/** Every form in which these bytes could stand in a request. */
export function spellings(secret) {
  const bytes = Buffer.from(secret);
  const forms = new Set([bytes.toString("latin1"), bytes.toString("hex"), bytes.toString("hex").toUpperCase()]);
  for (const offset of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes]);
    // Without the digits that depend on what stands before and behind.
    const digits = shifted.toString("base64").replaceAll("=", "");
    const whole = digits.slice(Math.ceil((offset * 8) / 6), digits.length - (shifted.length % 3 ? 1 : 0));
    forms.add(whole);
    forms.add(whole.replaceAll("+", "-").replaceAll("/", "_"));
    forms.add(encodeURIComponent(whole));
  }
  if (typeof secret === "string") {
    const url = encodeURIComponent(secret);
    forms.add(JSON.stringify(secret).slice(1, -1)).add(url).add(url.replaceAll("%20", "+"));
    forms.add(Buffer.from(secret, "utf16le").toString("latin1"));
    forms.add(encodeURIComponent(url));
  }
  return [...forms].filter((form) => form.length >= 8);
}

/** The bytes of a private key that only its owner may have: its secret numbers, and what encrypts them. */
export async function secretsOf(armored, passphrase) {
  const key = await openpgp.readPrivateKey({ armoredKey: armored });
  const found = [];
  const collect = (packets) => {
    for (const packet of packets) {
      if (packet.keyMaterial) found.push(packet.keyMaterial);
      const numbers = Object.values(packet.privateParams ?? {});
      found.push(...numbers.filter((number) => number instanceof Uint8Array && number.length >= 16));
    }
  };
  const packetsOf = (it) => [it.keyPacket, ...it.subkeys.map((subkey) => subkey.keyPacket)];
  collect(packetsOf(key));
  if (passphrase) collect(packetsOf(await openpgp.decryptKey({ privateKey: key, passphrase })));
  if (!found.length) throw new Error("no secret was found in this private key: is it one?");
  return found;
}

/** What runs of base64 digits say, wherever among them the first group begins. */
function inBase64(text) {
  const runs = text.match(/[\w+/-]{16,}/g) ?? [];
  const decode = (digits) => Buffer.from(digits, "base64").toString("latin1");
  return runs.flatMap((run) => [0, 1, 2, 3].map((at) => decode(run.slice(at)))).join("\n");
}

/** The texts that a request could hide something in: itself, decoded once, and all of that in one line. */
export function haystacks({ url, headers, body }) {
  const text = `${url}\n${headers}\n${Buffer.from(body ?? "").toString("latin1")}`;
  const decode = (it) => it.replace(/%([0-9a-f]{2})/gi, (_, digits) => String.fromCharCode(parseInt(digits, 16)));
  // A form's spaces are plus signs, and base64 has plus signs of its own.
  const read = [text, decode(text), decode(text.replaceAll("+", " ")), inBase64(text)];
  return [...read, ...read.map((it) => it.replace(/\\[rn]|[\r\n]/g, ""))];
}
