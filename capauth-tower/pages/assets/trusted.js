// The one place where a string becomes the address of a script: that of the worker beside this file.

const policy = globalThis.trustedTypes?.createPolicy("capauth", {
  createScriptURL(name) {
    if (name !== "keeper.js") throw new TypeError("no script of ours");
    return new URL(name, import.meta.url).href;
  },
});

/** The worker that holds secret keys. */
export function startKeeper() {
  const address = policy?.createScriptURL("keeper.js") ?? new URL("keeper.js", import.meta.url);
  return new Worker(address, { type: "module", name: "keeper" });
}
