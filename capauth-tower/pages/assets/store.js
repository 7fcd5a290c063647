// What this browser keeps for the page: nothing secret, and nothing without which the page would not work. Browsers may
// refuse to keep anything.

const PREFIX = "capauth.";

/** What is kept under this name, or null. */
export function recall(name) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name));
  } catch {
    return null;
  }
}

/** Keeps it; `null` forgets. */
export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Then it is asked again next time.
  }
}
