
const at = (id) => document.getElementById(id);
let challenge;

function say(words) {
  at("trouble").textContent = words;
  at("trouble").hidden = words === "";
}

async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(body),
    });
    const told = await answer.json();
    if (answer.ok) return told;
    say(told.error_description ?? "The server refused, and did not say why.");
  } catch {
    say("The server cannot be reached. Try again.");
  }
}

function payload({ nonce, client_nonce_echo, origin, timestamp, service, expires }) {
  const lines = ["CAPAUTH_NONCE_V2", `nonce=${nonce}`, `client_nonce=${client_nonce_echo}`, `origin=${origin}`,
    `timestamp=${timestamp}`, `service=${service}`, `expires=${expires}`];
  return lines.join("\\n");
}

// What stands in the command comes from the server and is pasted into a shell: only plain characters may.
const isPlain = (text) => /^[A-Za-z0-9=+/:._\[\]-]*$/.test(text.replaceAll("\\n", ""));

function digits() {
  return at("fingerprint").value.replace(/\s/g, "").replace(/^0x/i, "");
}

at("who").addEventListener("submit", async (event) => {
  event.preventDefault();
  say("");
  const asked = { fingerprint: digits(), origin: location.origin };
  challenge = await post("challenge", asked);
  if (challenge === undefined) return;
  const text = payload(challenge);
  if (challenge.origin !== location.origin || !isPlain(text) || !/^[0-9A-Fa-f]+$/.test(asked.fingerprint)) {
    say("The server’s challenge is not for this page. Do not sign it.");
    return;
  }
  at("service").textContent = challenge.service;
  at("command").textContent = `printf '${text}' | gpg --armor --detach-sign --local-user ${asked.fingerprint}`;
  at("who").hidden = true;
  at("answer").hidden = false;
  at("signature").focus();
});

at("answer").addEventListener("submit", async (event) => {
  event.preventDefault();
  say("");
  const done = await post("verify", {
    fingerprint: digits(),
    nonce: challenge.nonce,
    nonce_signature: at("signature").value,
    public_key: at("key").value,
    redirect: new URLSearchParams(location.search).get("redirect") ?? "/",
  });
  if (done?.ok) location.replace(done.redirect);
});

at("copy").addEventListener("click", () => navigator.clipboard.writeText(at("command").textContent));
at("back").addEventListener("click", () => {
  say("");
  at("signature").value = "";
  at("answer").hidden = true;
  at("who").hidden = false;
});
