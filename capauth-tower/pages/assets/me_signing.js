// Signing something about one's keys: by gpg, as on the login page, or by a key that this browser holds.

import { challengePool, renewal } from "./challenge.js";
import { el, settings } from "./dom.js";
import { takesDrops } from "./gives.js";
import { answerField, commandBox } from "./gpg_fields.js";
import { inBrowser } from "./me_browser_key.js";
import { API, trouble } from "./me_parts.js";
import { armoredBlocks, primaryKeysCommand } from "./shell.js";
import { say, say_with } from "./words.js";

/**
 * @typedef {object} Task
 * @property {string} signer the key whose challenge is answered
 * @property {(challenge: object) => { text: string, key: string }[]} texts what is signed, and by which key's primary
 * @property {(proof: { nonce: string, timestamp: string, signatures: string[] }) => Promise<void>} send
 * @property {(challenge: object, passphrase: string) => Promise<string>} [inBrowser] the signature of a key of this browser's
 * @property {Record<string, string>} [words] what a refusal means here, by its code
 */

/** The panel in which something is signed; a page shows one at a time. */
export class Signing {
  #task;
  #shown = null;
  #tried = "";
  #sending = false;
  #trouble = trouble();

  /** @param {Task} task */
  constructor(task) {
    this.#task = task;
    this.pool = challengePool({ ...settings, path: `${API}/challenge` });
    this.command = commandBox({
      onShell: () => {
        // What was paused comes back alive.
        this.renewal.go();
        this.#draw();
      },
      text: () => this.#copy(),
      onTaken: () => this.#taken(),
      onGo: () => this.renewal.go(),
    });
    this.field = answerField({
      onText: () => this.#read(false),
      onSend: () => this.#read(true),
      onFile: (text) => this.#take(text),
      send: say("me.sign.send"),
      sending: say("me.sign.sending"),
    });
    const steps = el("ol", { class: "steps" },
      el("li", {}, el("h5", {}, say("gpg.run")), this.command.element),
      el("li", {}, el("h5", {}, say("gpg.paste")), this.field.element));
    this.element = el("div", {},
      el("div", { class: "gpg" }, steps), this.#trouble.line, task.inBrowser && inBrowser(this, task.signer));
    takesDrops(steps, (text) => this.#take(text), (words) => this.field.complain(words));
    this.renewal = renewal({
      pool: this.pool,
      fingerprint: task.signer,
      onFresh: (one) => this.#show(one),
      onTick: () => this.#tick(),
      onPause: (error) => this.#pause(error),
    });
    this.command.waiting();
    this.renewal.go();
  }

  /** The panel is left. */
  close() {
    this.renewal.stop();
  }

  /** A signature of this browser's key; sent at once. */
  async signInBrowser(passphrase) {
    const { challenge } = await this.pool.current(this.#task.signer);
    const signature = await this.#task.inBrowser(challenge, passphrase);
    await this.#task.send({ nonce: challenge.nonce, timestamp: challenge.timestamp, signatures: [signature] });
  }

  /** What a refusal means here. */
  words(error) {
    const late = ["invalid_nonce", "expired_nonce"].includes(error.code);
    return this.#task.words?.[error.code] ?? (late ? say("gpg.too_late") : error.message);
  }

  #pause(error) {
    this.command.paused();
    if (error) this.#trouble.tell(this.words(error));
  }

  #show(one) {
    // What somebody is about to copy by hand is left alone until they let go of it.
    if (this.#shown && this.command.isSelected() && this.pool.lives(this.#shown.challenge.nonce)) return;
    this.#shown = one;
    this.#draw();
  }

  #commandFor(one) {
    return primaryKeysCommand(this.command.shell(), this.#task.texts(one.challenge));
  }

  #draw() {
    if (!this.#shown) return;
    const text = this.#commandFor(this.#shown);
    if (text === null) return this.#trouble.tell(say("gpg.not_plain"));
    this.command.draw(text);
    this.#tick();
  }

  /** What the button copies: with more than half of its time left, whatever is shown. */
  async #copy() {
    this.#shown = await this.pool.current(this.#task.signer);
    this.#draw();
    const text = this.#commandFor(this.#shown);
    if (text === null) throw new Error("not plain");
    return text;
  }

  #taken() {
    if (!this.#shown) return;
    this.#shown.copied = true;
    this.renewal.touch();
    this.#tick();
  }

  #tick() {
    const [newest] = this.pool.living(this.#task.signer);
    if (newest && newest !== this.#shown) this.#show(newest);
    const copied = this.pool.copied(this.#task.signer)[0];
    const one = copied ?? this.#shown;
    if (!one) return;
    const seconds = Math.max(0, Math.floor((one.ends - Date.now()) / 1000));
    if (copied && seconds === 0) this.command.timer(say("gpg.copied_old"));
    else this.command.timer(copied ? say_with("gpg.copied_left", { seconds }) : say_with("gpg.left", { seconds }));
  }

  /** What came out of a file or was dropped. */
  #take(text) {
    this.field.set(text);
    this.#read(true);
  }

  /** Reads what stands in the field, and sends it once it is whole. It stays there when it is refused. */
  #read(isAsked) {
    this.field.complain("");
    const { signatures, hasSecret, isWhole } = armoredBlocks(this.field.value());
    if (hasSecret) {
      this.field.set("");
      return this.field.complain(say("login.secret_key"));
    }
    const wanted = this.#shown ? this.#task.texts(this.#shown.challenge).length : 1;
    if (signatures.length < wanted || !isWhole) {
      if (isAsked) this.field.complain(signatures.length ? say("me.sign.both") : say("gpg.no_signature"));
      return;
    }
    const what = signatures.join();
    if (!isAsked && what === this.#tried) return;
    this.#tried = what;
    this.#send(signatures.slice(-wanted));
  }

  async #send(signatures) {
    if (this.#sending) return;
    this.#sending = true;
    this.field.busy(true);
    this.#trouble.tell("");
    try {
      await this.#toWhicheverTheyAnswer(signatures);
    } catch (error) {
      this.#trouble.tell(this.words(error));
    } finally {
      this.#sending = false;
      this.field.busy(false);
    }
  }

  /** One cannot see of a signature which challenge it answers: that whose command was copied, or one of those that live. */
  async #toWhicheverTheyAnswer(signatures) {
    const living = this.pool.living(this.#task.signer);
    const copied = this.pool.copied(this.#task.signer).length > 0;
    const candidates = copied ? living.filter((one) => one.copied) : living;
    if (!candidates.length) throw new Error(say("gpg.too_late"));
    for (const [at, { challenge: { nonce, timestamp } }] of candidates.entries()) {
      try {
        return await this.#task.send({ nonce, timestamp, signatures });
      } catch (error) {
        if (error.code !== "invalid_nonce_signature" || at === candidates.length - 1) throw error;
      }
    }
  }
}
