// The real gpg, with the keys of `facts`: `GNUPGHOME` is in the environment.

import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import path from "node:path";

/** Runs a program; answers what it printed, or fails with what it said. */
export function execute(program, args, { input = "", env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { ...process.env, LC_ALL: "C.UTF-8", ...env } });
    const [out, err] = [[], []];
    child.stdout.on("data", (chunk) => out.push(chunk));
    child.stderr.on("data", (chunk) => err.push(chunk));
    child.stdin.on("error", () => {}); // it may end without reading
    child.on("error", reject);
    child.on("close", (code) => {
      const printed = Buffer.concat(out).toString();
      if (code === 0) return resolve(printed);
      const how = `${program} ${args.join(" ")} ended with ${code}`;
      reject(new Error(`${how}\n${Buffer.concat(err)}\n${printed}`));
    });
    child.stdin.end(input);
  });
}

/** `gpg ARGS`, with this input. */
export function gpg(args, input = "") {
  return execute("gpg", args, { input });
}

const signing = (fingerprint, passphrase) => [
  ...(passphrase ? ["--pinentry-mode", "loopback", "--passphrase", passphrase] : []),
  ...["--armor", "--local-user", fingerprint],
];

/** An armoured detached signature over exactly these bytes; the passphrase is for a key that has one. */
export function detachSign(fingerprint, data, passphrase) {
  return gpg([...signing(fingerprint, passphrase), "--detach-sign"], data);
}

/** A cleartext-signed message. */
export function clearSign(fingerprint, data, passphrase) {
  return gpg([...signing(fingerprint, passphrase), "--clear-sign"], data);
}

function installed(program) {
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  return folders.some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** How each shell is given a command line as a person would paste it: without its owner's start files. */
const SHELLS = {
  bash: (line) => ["bash", ["--noprofile", "--norc", "-c", line]],
  // -i would read /etc/zshrc; the line editor's history expansion (!) is not part of a script either way.
  zsh: (line) => ["zsh", ["-f", "-c", line]],
  sh: (line) => ["sh", ["-c", line]],
  powershell: (line) => ["pwsh", ["-NoLogo", "-NoProfile", "-NonInteractive", "-Command", line]],
};

/** The shells of this machine, of bash, zsh, sh and powershell. */
export const shells = Object.keys(SHELLS).filter((name) => installed(SHELLS[name]("")[0]));

/** Runs a command line that was copied from the page in a shell; answers what it prints. */
export function run(shell, line) {
  const [program, args] = SHELLS[shell](line);
  return execute(program, args);
}
