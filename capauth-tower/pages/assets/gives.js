// Taking something away from the page, and giving it something: the clipboard, and files.

import { el } from "./dom.js";
import { say } from "./words.js";

/** The largest file that is read. */
const LARGEST = 256 * 1024;

/**
 * A button that copies a text, which may come a moment later. `done` is called with what was copied.
 * @param {() => string | Promise<string>} text
 * @param {{ done?: () => void, failed?: () => void, class?: string, words?: string }} [more]
 */
export function copyButton(text, { done, failed, words = say("login.copy"), ...attributes } = {}) {
  const label = el("span", { "aria-live": "polite" }, words);
  let timer = 0;
  const tell = (what) => {
    label.textContent = what;
    clearTimeout(timer);
    timer = setTimeout(() => { label.textContent = words; }, 2500);
  };
  return el("button", { type: "button", ...attributes, onclick: async () => {
    try {
      await copy(text);
      tell(say("login.copied"));
      done?.();
    } catch {
      tell(say("login.not_copied"));
      failed?.();
    }
  } }, label);
}

/** What comes later is promised to the clipboard: browsers take a click for leave to write only for a moment. */
async function copy(text) {
  const soon = Promise.resolve(text());
  if (!navigator.clipboard) throw new Error("no clipboard");
  if (globalThis.ClipboardItem && navigator.clipboard.write) {
    const blob = soon.then((it) => new Blob([it], { type: "text/plain" }));
    blob.catch(() => {});
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
  } else {
    await navigator.clipboard.writeText(await soon);
  }
  await soon;
}

/**
 * A button that reads a file of gpg's as text. `wrong` hears in words why there is none.
 * @param {string} words @param {(text: string) => void} got @param {(words: string) => void} [wrong]
 */
export function fileButton(words, got, wrong) {
  const input = el("input", { type: "file", class: "unseen", accept: ".asc,.txt,.sig,.gpg,text/plain,application/pgp-signature" });
  input.addEventListener("change", async () => {
    await readFiles(input.files, got, wrong);
    input.value = "";
  });
  return el("label", { class: "button file" }, input, words);
}

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");

/** Files that are dropped on an element: as for `fileButton`. */
export function takesDrops(element, got, wrong) {
  element.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    element.classList.add("dropping");
  });
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget)) element.classList.remove("dropping");
  });
  element.addEventListener("drop", (event) => {
    element.classList.remove("dropping");
    if (!hasFiles(event)) return;
    event.preventDefault();
    readFiles(event.dataTransfer.files, got, wrong);
  });
}

// A file that misses its place would be opened by the browser: the page would be gone, and what was typed into it.
for (const kind of ["dragover", "drop"]) {
  addEventListener(kind, (event) => {
    if (event.defaultPrevented || !hasFiles(event) || event.target.closest?.('input[type="file"]')) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}

async function readFiles(files, got, wrong = () => {}) {
  if (!files.length) return;
  if ([...files].some((file) => file.size > LARGEST)) return wrong(say("login.file_large"));
  try {
    const read = [...files].slice(0, 4).map(async (file) => asText(new Uint8Array(await file.arrayBuffer())));
    got((await Promise.all(read)).join("\n"));
  } catch {
    wrong(say("login.file_wrong"));
  }
}

/** What is in a file: text of either kind that terminals write, or what gpg writes without `--armor`. Throws for anything else. */
function asText(bytes) {
  const isWide = bytes[0] === 0xff && bytes[1] === 0xfe;
  try {
    return new TextDecoder(isWide ? "utf-16le" : "utf-8", { fatal: true }).decode(bytes);
  } catch {
    return armored(bytes);
  }
}

/** What OpenPGP calls a text with packets of these kinds in it. */
const BLOCKS = { 2: "SIGNATURE", 4: "MESSAGE", 5: "PRIVATE KEY BLOCK", 6: "PUBLIC KEY BLOCK", 8: "MESSAGE" };

/** Packets as text (RFC 9580, sections 4.2 and 6), by the kind of the first. A checksum need not stand there. */
function armored(bytes) {
  const [first] = bytes;
  const kind = first & 0x80 ? BLOCKS[first & 0x40 ? first & 0x3f : (first >> 2) & 0xf] : undefined;
  if (!kind) throw new Error("no packets");
  const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return `-----BEGIN PGP ${kind}-----\n\n${base64.match(/.{1,64}/g).join("\n")}\n-----END PGP ${kind}-----\n`;
}
