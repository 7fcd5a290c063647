// Command lines that sign, exact to the byte, and what gpg prints, taken apart.

import { claimsPayload, loginPayload } from "./payload.js";

/** What a server may put into a command line: nothing that any shell gives a meaning to. */
const PLAIN = /^[A-Za-z0-9=+/:._[\]-]*$/;

export const SHELLS = ["posix", "powershell"];

/** What this computer's terminal most likely speaks. */
export function likelyShell() {
  const platform = navigator.userAgentData?.platform ?? navigator.platform ?? "";
  return /^win/i.test(platform) ? "powershell" : "posix";
}

/** Text as one word of a POSIX shell. Nothing but the quote itself has a meaning between single quotes. */
const posixWord = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** Text as a PowerShell string. It takes typographic quotes for single ones too; doubled, each stands for itself. */
const powershellWord = (text) => `'${text.replace(/['\u2018-\u201b]/g, "$&$&")}'`;

const PRINTERS = {
  /** `printf` repeats nothing and adds nothing: no line end stands at the end. */
  posix(payload, fingerprint) {
    const lines = payload.split("\n");
    const format = lines.map(() => "%s").join(String.raw`\n`);
    return `printf '${format}' ${lines.map(posixWord).join(" ")} | gpg --armor --local-user ${fingerprint} --detach-sign`;
  },
  /** By way of a file: what goes through a pipe there is encoded anew, and gets another line end. */
  powershell(payload, fingerprint) {
    const lines = payload.split("\n").map(powershellWord).join(",");
    return `$f=[IO.Path]::GetTempFileName(); [IO.File]::WriteAllText($f, (${lines} -join "\`n")); `
      + `gpg --armor --local-user ${fingerprint} --output - --detach-sign $f; Remove-Item $f`;
  },
};

/**
 * The command line that signs a challenge, and the claims if there are some; null where the challenge has something in it
 * that is not to stand in a command line. With `withKey` it prints the public key too.
 */
export function signingCommand(shell, { challenge, fingerprint, claims, withKey }) {
  const theirs = ["nonce", "client_nonce_echo", "origin", "timestamp", "service", "expires"].map((name) => challenge[name]);
  if (!theirs.every((text) => typeof text === "string" && PLAIN.test(text)) || !/^[0-9A-F]+$/.test(fingerprint)) return null;
  const print = PRINTERS[shell];
  const parts = [print(loginPayload(challenge), fingerprint)];
  if (Object.keys(claims).length > 0) {
    parts.push(print(claimsPayload(fingerprint, challenge.nonce, claims), fingerprint));
  }
  if (withKey) parts.push(exportCommand(fingerprint));
  return parts.join("; ");
}

/**
 * The command line that signs each text with the primary key itself, where gpg would rather take a subkey (that is what `!`
 * says); null where there is something in it that is not to stand in a command line.
 * @param {{ text: string, key: string }[]} parts the texts, and the fingerprints of the keys that sign them
 */
export function primaryKeysCommand(shell, parts) {
  const isPlain = ({ text, key }) => text.split("\n").every((line) => PLAIN.test(line)) && /^[0-9A-F]+$/.test(key);
  if (!parts.every(isPlain)) return null;
  return parts.map(({ text, key }) => PRINTERS[shell](text, `'${key}!'`)).join("; ");
}

export const exportCommand = (fingerprint) => `gpg --armor --export ${fingerprint}`;

/**
 * The armored blocks in a text, whatever stands around them. A cleartext-signed message is one block with its signature.
 * @returns {{ signatures: string[], keys: string[], hasSecret: boolean, isWhole: boolean }} `isWhole`: none begins and does
 *   not end
 */
export function armoredBlocks(text) {
  const found = { signatures: [], keys: [], hasSecret: /-----BEGIN PGP PRIVATE KEY BLOCK-----/.test(text), isWhole: true };
  let at = 0;
  for (;;) {
    const begin = text.indexOf("-----BEGIN PGP ", at);
    if (begin === -1) return found;
    const kind = /^-----BEGIN PGP ([A-Z ]{1,30})-----/.exec(text.slice(begin, begin + 60))?.[1];
    const last = kind === "SIGNED MESSAGE" ? "SIGNATURE" : kind;
    const mark = `-----END PGP ${last}-----`;
    const end = kind === undefined ? -1 : text.indexOf(mark, begin);
    if (end === -1) return { ...found, isWhole: false };
    at = end + mark.length;
    const block = text.slice(begin, at);
    if (kind === "PUBLIC KEY BLOCK") found.keys.push(tidied(block));
    if (kind === "SIGNATURE" || kind === "MESSAGE") found.signatures.push(tidied(block));
    if (kind === "SIGNED MESSAGE") found.signatures.push(`${block.replaceAll("\r\n", "\n")}\n`);
  }
}

/** Terminals and mails indent what is copied from them. */
const tidied = (block) => `${block.split(/\r?\n/).map((line) => line.trim()).join("\n")}\n`;
